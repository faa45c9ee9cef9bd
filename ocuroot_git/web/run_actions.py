"""The actions of the page that are about runs: retry and cancel (`view --write`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delivery import finish, run_requests
from ..delivery.queries import find_release, find_run, last_run, last_runs_of, read_function
from ..delivery.vocabulary import FAILED, RUNNING
from ..formats.refs import Ref
from .action import CheckedAction, Field, Performed

if TYPE_CHECKING:
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores


class Retry(CheckedAction):
    name = "retry"
    title = "Retry"
    command = "run retry"
    fields = (Field("run", "Run, or release"),)

    def words(self) -> list[str]:
        return ["run", "retry", self["run"]]

    def _last(self, snapshot: Snapshot) -> list[tuple[str, str]]:
        """The last runs that it is about, each with its status."""
        if not Ref.parse(self["run"]).type:
            runs = last_runs_of(snapshot, find_release(snapshot, self["run"]))
            return [(run.ref, status) for run, status in runs if status == FAILED]
        run = last_run(snapshot, find_run(snapshot, self["run"]).work)
        return [(run.ref, read_function(snapshot, run).status)] if run is not None else []

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        return [f"{run} is {status}" for run, status in self._last(snapshot)]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return [[run, status] for run, status in self._last(snapshot)]

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        return Performed(["a new run is waiting to start"], run_requests.retry(stores, self["run"], operation))


class Cancel(CheckedAction):
    name = "cancel"
    title = "Cancel"
    command = "run cancel"
    fields = (Field("run", "Run"),)

    def words(self) -> list[str]:
        return ["run", "cancel", self["run"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        run = find_run(snapshot, self["run"])
        status = read_function(snapshot, run).status
        stops = ["its executor is asked to stop, and does when it looks at its claim next"] if status == RUNNING else []
        return [f"{run} is {status}", *stops]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return read_function(snapshot, find_run(snapshot, self["run"])).status

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        results = run_requests.cancel(stores, [self["run"]], operation=operation)
        stopping = "its executor stops it when it looks at its claim next"
        return Performed([stopping if one == finish.STOPPING else one for one in results.values()], list(results))
