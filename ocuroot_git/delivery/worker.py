"""Doing what is to be done: `work any` (design 7).

Two `work any` at once share the work without talking to each other: a run is executed by the one whose commit sets
it running, and each looks again at the store when it has a hand free.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

from ..errors import Conflict, Error, Fatal
from . import apply, cascade, claims, releases, runs, vocabulary
from .actions import NoCommand
from .addresses import RunRef, WorkRef
from .executor import RunResult, execute
from .problems import Problems
from .queue import BLOCKED, READY, run_items
from .survey import ops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Protocol

    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .code import Code
    from .executor import ExecutionOptions
    from .model import Claim
    from .queue import QueueItem
    from .together import Together

    class Display(Protocol):
        """Who is told of what `work any` does, by several threads at once."""

        def begun(self, run: RunRef) -> None: ...
        def output(self, run: RunRef, stream: int, data: bytes) -> None: ...
        def ended(self, result: RunResult) -> None: ...
        def note(self, text: str) -> None: ...


_ASLEEP: Final = 1.0
"""Seconds for which the main thread waits at a time: a signal just before it waits does not wake it."""
LONGEST_LOOK: Final = 5.0
"""Seconds between two looks while claims are watched: something else may become ready."""
MOST_RUNS: Final = 10
"""Runs of one piece of work by one `work any`; more of them follow from each other without end."""


class Scope:
    """What a worker takes up: by default all that `work any` does.

    `wanted` says of a run, as things stand in a snapshot, whether it is; None: all are. `intents` are applied first,
    `ops` are handled, all or those of which a function of release and name says so, and with `cascades` deployments
    whose inputs changed are made again. With `elsewhere`, what is code of other repositories is carried out as well.
    """

    def __init__(
        self,
        wanted: Callable[[Snapshot, RunRef], bool] | None = None,
        *,
        intents: bool = True,
        ops: bool | Callable[[str, str], bool] = True,
        cascades: bool = False,
        elsewhere: bool = False,
    ) -> None:
        self._wanted = wanted
        self._ops = ops
        self.intents = intents
        self.cascades = cascades
        self.elsewhere = elsewhere

    def has(self, snapshot: Snapshot, item: QueueItem) -> bool:
        """Whether something in the queue is taken up."""
        if item.kind == "intent":
            return self.intents
        if item.kind == "op":
            release, _, name = item.ref.rpartition("/op/")
            return self.has_op(release, name)
        return self.has_run(snapshot, RunRef.parse(item.ref))

    def has_run(self, snapshot: Snapshot, run: RunRef) -> bool:
        """Whether a run is taken up."""
        return self._wanted is None or self._wanted(snapshot, run)

    def has_op(self, release: str, name: str) -> bool:
        """Whether an op is handled."""
        return self._ops if isinstance(self._ops, bool) else self._ops(release, name)

    @property
    def has_ops(self) -> bool:
        """Whether any op may be."""
        return self._ops is not False


def prepare(stores: Stores, code: Code | None, scope: Scope) -> tuple[dict[str, Fatal], Problems]:
    """Apply intents, handle ops and make deployments again, as far as `scope` says so; gives the errors of intents that
    cannot be applied, and what was bad.

    `code` evaluates packages that are code anew.
    """
    applied = apply.apply(stores, None, expires=True) if scope.intents else apply.ApplyResult()

    def handle(tx: Transaction) -> Problems:
        problems = Problems()
        for release, name in list(ops(tx, problems)) if scope.has_ops else ():
            if name == vocabulary.CHECK_ENVIRONMENTS and scope.has_op(release, name):
                with problems.leave_out(f"{release}/op/{name}"):
                    releases.handle_check_environments(tx, release, problems, code)
        if scope.cascades:
            cascade.redeploy_changed(tx, problems, scope.has_run)
        return problems

    if scope.has_ops or scope.cascades:
        applied.problems.update(stores.transact(handle, command="work any"))
    return applied.errors, applied.problems


def _target(run: RunRef) -> str:
    """What runs of must follow each other, in the order in which they were made: one package in one environment."""
    return run.work.current if run.work.kind == vocabulary.DEPLOY else run.work.ref


class WorkSummary:
    """What `work any` did: how its runs ended, what it could not do, and what it could not read when it ended."""

    def __init__(self) -> None:
        self.results: list[RunResult] = []
        self.errors: dict[str, Error] = {}
        self.problems = Problems()

    @property
    def failed(self) -> bool:
        return bool(self.errors or self.problems) or any(
            result.status not in (vocabulary.COMPLETE, vocabulary.PAUSED) for result in self.results
        )


class Worker:
    """Does what is ready until nothing is. `open_stores` gives each thread stores of its own, as libgit2 asks for."""

    def __init__(
        self,
        open_stores: Callable[[], Stores],
        options: ExecutionOptions,
        display: Display,
        jobs: int,
        scope: Scope | None = None,
    ) -> None:
        self._open_stores = open_stores
        self._scope = scope or Scope()
        self._options = options
        self._display = display
        self._jobs = jobs
        self._ended: SimpleQueue[tuple[RunRef, RunResult | Error | BaseException]] = SimpleQueue()
        self._running: set[RunRef] = set()
        self._left_alone: set[RunRef] = set()
        self._counts: dict[WorkRef, int] = {}
        self._watched: dict[RunRef, float] = {}
        self._together: Together | None = None
        self._fault: BaseException | None = None
        self.summary = WorkSummary()

    def run(self) -> WorkSummary:
        """Work until nothing is ready, or until asked to stop. Raises what went wrong that is no run's fault."""
        stores = self._open_stores()
        if self._jobs > 1:
            from ..backends.remote import Remote  # late: mostly one is done after the other
            from .together import Together

            if isinstance(stores.backend("state")[0], Remote):
                self._together = Together(lambda: len(self._running))
        self._watch = claims.Watch(claims.lease_of(stores))
        try:
            while not self._is_stopped():
                ready = self._look(stores)
                if not ready and not self._running:
                    if not self._watched:
                        break
                    self._options.stop.wait(min(min(self._watched.values()), LONGEST_LOOK))
                    continue
                self._do(ready)
        finally:
            while self._running:
                self._collect()
            stores.finish()
        if self._fault is not None:
            raise self._fault
        return self.summary

    def _is_stopped(self) -> bool:
        """Whether nothing more is to be begun; what runs is waited for."""
        return bool(self._options.stop.count) or self._fault is not None

    def _look(self, stores: Stores) -> list[tuple[RunRef, Claim | None]]:
        """Apply and handle what there is, and find the runs that are ready, each with the claim to be taken over."""
        errors, self.summary.problems = prepare(stores, self._options.actions.code, self._scope)
        self.summary.errors.update(errors)
        ready: list[tuple[RunRef, Claim | None]] = []
        targets = {_target(run) for run in self._running}
        snapshot = stores.snapshot()
        before, self._watched = self._watched, {}
        for item in run_items(snapshot, self.summary.problems):
            run = RunRef.parse(item.ref)
            if run in self._left_alone or run in self._running or not self._scope.has_run(snapshot, run):
                continue
            is_ready = item.state == READY
            if item.claim is not None and item.state != BLOCKED:
                remaining = self._watch.remaining(snapshot, run, item.claim)
                is_ready = remaining == 0
                if remaining and not self._watch.saw_renewal(run):
                    self._watched[run] = remaining
                    if run not in before:
                        self._display.note(f"{run}: its claim ran out; watching for {remaining:.0f} s if it is renewed")
            if is_ready and _target(run) not in targets:
                ready.append((run, item.claim))
                targets.add(_target(run))
        return ready

    def _do(self, ready: list[tuple[RunRef, Claim | None]]) -> None:
        """Execute runs; comes back when one ended and there is a hand free for what may be ready by then."""
        waiting = list(ready)
        while not self._is_stopped():
            while waiting and len(self._running) < self._jobs:
                self._begin(*waiting.pop(0))
            if not self._running:
                return
            self._collect()
            if not waiting:
                return

    def _begin(self, run: RunRef, over: Claim | None) -> None:
        count = self._counts[run.work] = self._counts.get(run.work, 0) + 1
        if count > MOST_RUNS:
            self._left_alone.add(run)
            self.summary.errors[run.ref] = Fatal(
                f"'{run}' is left alone after {MOST_RUNS} runs of '{run.work}'",
                hint="do its inputs refer, by way of others, to its own outputs?",
            )
            return
        self._running.add(run)
        threading.Thread(target=self._execute, args=(run, over), name=run.ref).start()

    def _execute(self, run: RunRef, over: Claim | None) -> None:
        try:
            stores = self._open_stores()
            result = execute(
                stores, run.work, run.number, self._options, self._display.begun, over, together=self._together
            )
            stores.finish()
            self._ended.put((run, result))
        except BaseException as error:
            self._ended.put((run, error))

    def _collect(self) -> None:
        """Wait for the end of a run."""
        while True:
            try:
                run, result = self._ended.get(timeout=_ASLEEP)
                break
            except Empty:
                pass  # what a signal asks for is done between two waits
        self._running.discard(run)
        if isinstance(result, RunResult):
            self.summary.results.append(result)
            self._display.ended(result)
        elif isinstance(result, (claims.ClaimLost, runs.Waits)):
            self._display.note(f"{result}")
        elif isinstance(result, Conflict):
            self._display.note(f"{run}: another was faster ({result})")
        elif isinstance(result, NoCommand):
            self._left_alone.add(run)
            self._display.note(f"left for others: {result}")
        elif isinstance(result, Error):
            self._left_alone.add(run)
            self.summary.errors[run.ref] = result
        else:
            self._fault = self._fault or result
