"""The actions of the page that are about runs: retry, cancel, and give what one waits for (`view --write`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delivery import finish, run_requests
from ..delivery.queries import find_release
from ..delivery.run_queries import find_run, last_run, last_runs_of, read_function
from ..delivery.vocabulary import FAILED, RUNNING
from ..errors import UsageError
from ..formats.documents import dump, parse
from ..formats.refs import INTENT, Ref
from .action import CheckedAction, Field, Performed

if TYPE_CHECKING:
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores


_MOST_SHOWN = 200
"""Characters that are shown of a value which is replaced."""


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
    fields = (
        Field("run", "Run"),
        Field("force", "Do not wait for its executor: it is cancelled at once", is_flag=True),
    )

    def words(self) -> list[str]:
        return ["run", "cancel", *self.options("force"), self["run"]]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        run = find_run(snapshot, self["run"])
        status = read_function(snapshot, run).status
        stops = "its executor is asked to stop, and does when it looks at its claim next"
        if self["force"]:
            stops = "it is cancelled at once, although its command may go on until its executor notices"
        return [f"{run} is {status}", *([stops] if status == RUNNING else [])]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return read_function(snapshot, find_run(snapshot, self["run"])).status

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        results = run_requests.cancel(stores, [self["run"]], force=bool(self["force"]), operation=operation)
        stopping = "its executor stops it when it looks at its claim next"
        return Performed([stopping if one == finish.STOPPING else one for one in results.values()], list(results))


class Give(CheckedAction):
    """Write the document that an input of a run refers to, and waits for."""

    name = "give"
    title = "Give"
    command = "set"
    fields = (
        Field("ref", "What an input waits for", f"repo/-/path/{INTENT}3/custom/approve"),
        Field("value", "Its value", "yes"),
        Field("as_json", "The value is JSON", is_flag=True),
    )

    def words(self) -> list[str]:
        form = ["-f", "json"] if self["as_json"] else []
        return ["set", *form, *(["--"] if self["value"].startswith("-") else []), self["ref"], self["value"]]

    def _ref(self) -> Ref:
        ref = Ref.parse(self["ref"])
        if not ref.is_intent or ref.type != "custom" or ref.is_relative or ref.fragment:
            raise UsageError(f"'{ref}' is no custom document that can be wanted: such as +/custom/x")
        return ref

    def _document(self) -> Document:
        return parse(self["value"]) if self["as_json"] else self["value"]

    def lines(self, stores: Stores, snapshot: Snapshot) -> list[str]:
        self._document()
        before = snapshot.get(self._ref(), None)
        replaced = [] if before is None else [f"it takes the place of {dump(before, None)[:_MOST_SHOWN]}"]
        return [*replaced, "'git ocuroot work any' makes it so, and starts what waits for it"]

    def looked_at(self, snapshot: Snapshot) -> Document:
        return snapshot.get(self._ref(), None)

    def do(self, stores: Stores, reason: str, operation: Operation) -> Performed:
        ref, document = self._ref(), self._document()
        stores.transact(lambda tx: tx.set(ref, document), command=self.command, operation=operation)
        return Performed([], [str(ref)])
