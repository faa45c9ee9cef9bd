"""What is to be done, and doing it: `work list` and `work any` (design 7).

Two `work any` at once share the work without talking to each other: a run is executed by the one whose commit sets
it running, and each looks again at the store when it has a hand free.
"""

from __future__ import annotations

import queue
import threading

from ..errors import Conflict, Error, Fatal
from . import addresses, claims, failures, intent, releases, runs, vocabulary
from .addresses import RunRef, WorkRef
from .executor import NoCommand, Outcome, execute
from .problems import BadDocument, Problems
from .queries import (
    ops,
    read_claim,
    read_function,
    read_release,
    read_run,
    require_own_dialect,
    state_tree,
    unsettled_runs,
)
from .queries import releases as releases_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, Protocol

    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .executor import How
    from .fields import Fields
    from .model import Claim

    class Display(Protocol):
        """Who is told of what `work any` does, by several threads at once."""

        def begun(self, run: RunRef) -> None: ...
        def output(self, run: RunRef, stream: int, data: bytes) -> None: ...
        def ended(self, outcome: Outcome) -> None: ...
        def note(self, text: str) -> None: ...


READY: Final = "ready"
WAITING: Final = "waiting"
BLOCKED: Final = "blocked"
RUNNING: Final = "running"
FAILED: Final = "failed"

LONGEST_LOOK: Final = 5.0
"""Seconds between two looks while claims are watched: something else may become ready."""
MOST_RUNS: Final = 10
"""Runs of one piece of work by one `work any`; more of them follow from each other without end."""


class Item:
    """Something to be done: an `intent` to apply, an `op` to look at, or a `run`; its state, and what it waits for.

    A run that is running comes with its `claim`; one that failed is there until it is dealt with (see `failures`).
    """

    __slots__ = ("claim", "kind", "made", "reasons", "ref", "state", "type")

    def __init__(
        self,
        kind: str,
        ref: str,
        state: str,
        *,
        type: str = "",
        reasons: list[str] | None = None,
        made: str = "",
        claim: Claim | None = None,
    ) -> None:
        self.kind = kind
        self.ref = ref
        self.state = state
        self.type = type
        self.reasons = reasons or []
        self.made = made
        self.claim = claim

    def to_document(self) -> Fields:
        known: Fields = {"kind": self.kind, "ref": self.ref, "state": self.state}
        if self.type:
            known["type"] = self.type
        if self.state == FAILED:
            known["retry"] = f"git ocuroot run retry {self.ref}"
        return {**known, "waits_for": self.reasons}


def todo(snapshot: Snapshot, problems: Problems) -> list[Item]:
    """All that is to be done, in the order in which `work any` would take it up: intents, ops, then runs by age."""
    items = _intent_items(snapshot, problems)
    if state_tree(snapshot).layout.version != 1:
        return items
    for release, name in ops(snapshot, problems):
        known = name == vocabulary.CHECK_ENVIRONMENTS
        reasons = [] if known else ["a program that knows this op"]
        items.append(Item("op", f"{release}/op/{name}", READY if known else BLOCKED, reasons=reasons))
    return items + run_items(snapshot, problems)


def _intent_items(snapshot: Snapshot, problems: Problems) -> list[Item]:
    """An intent is ready while `apply` would change something, and then waits for the runs that make it true."""
    applied = intent.tried(snapshot, None, strict=False)
    problems.update(applied.problems)
    acted = {difference.ref for difference in applied.acted}
    items = []
    for difference in intent.differences(snapshot, Problems()):
        state, reasons = (READY, []) if difference.ref in acted else (WAITING, ["its runs"])
        if difference.ref in applied.errors:
            state, reasons = BLOCKED, [applied.errors[difference.ref].message]
        items.append(Item("intent", difference.ref, state, type=difference.status, reasons=reasons))
    return items


def run_items(snapshot: Snapshot, problems: Problems) -> list[Item]:
    """The runs that have not ended, by age: what was asked for last is done last, and so stays. With them, those that
    failed, and nobody has dealt with that yet.

    Of several releases that are ready for one place, the newest is; the older ones wait for being superseded by it.
    """
    items = []
    newest: dict[str, int] = {}
    for run, status in unsettled_runs(snapshot, problems):
        if status not in (*vocabulary.OPEN, vocabulary.FAILED):
            continue
        package = run.work.package
        if package not in newest:
            newest[package] = max(releases_of(snapshot, package, problems), default=0)
        with problems.leave_out(run.work.ref):
            if status != vocabulary.FAILED or not failures.is_dealt_with(snapshot, run, newest[package]):
                items.append(_run_item(snapshot, run, status))
    _yield_to_newer(snapshot, items)
    return sorted(items, key=lambda item: (item.made, addresses.release_number(RunRef.parse(item.ref).work.release)))


def _yield_to_newer(snapshot: Snapshot, items: list[Item]) -> None:
    ready = [RunRef.parse(item.ref) for item in items if item.state == READY and item.claim is None]
    newest: dict[str, RunRef] = {}
    for run in sorted(ready, key=lambda run: addresses.release_number(run.work.release)):
        if run.work.kind == vocabulary.DEPLOY and runs.supersedes(snapshot, run):
            newest[run.work.current] = run
    for item in items:
        if item.state != READY or item.claim is not None:
            continue
        run = RunRef.parse(item.ref)
        newer = newest.get(run.work.current)
        if newer is None or addresses.release_number(run.work.release) >= addresses.release_number(newer.work.release):
            continue
        if runs.can_be_superseded(snapshot, run):
            item.state, item.reasons = WAITING, [f"'{newer.work.release}', which is newer and ready"]


def _run_item(snapshot: Snapshot, run: RunRef, status: str) -> Item:
    function = read_function(snapshot, run)
    if function.status != status:
        raise BadDocument(run.ref, f"its marker says '{status}', and its function '{function.status}'")
    read_release(snapshot, run.work.release)
    made = str(function.history[0].get("time", "")) if function.history else ""
    type_ = read_run(snapshot, run).type
    if status == vocabulary.FAILED:
        return Item("run", run.ref, FAILED, type=type_, made=made)
    if status == vocabulary.RUNNING:
        claim = read_claim(snapshot, run)
        if claims.ran_out(claim, claims.now(snapshot)):
            return Item("run", run.ref, READY, type=type_, reasons=["whose claim ran out"], made=made, claim=claim)
        if claims.is_orphaned(claim):
            return Item("run", run.ref, READY, type=type_, reasons=["whose executor is gone"], made=made, claim=claim)
        asked = ["which was asked to stop"] if claim.cancel else []
        return Item("run", run.ref, RUNNING, type=type_, reasons=asked, made=made, claim=claim)
    reasons = runs.what_it_waits_for(snapshot, run, function)
    state = BLOCKED if any(reason.blocks for reason in reasons) else WAITING if reasons else READY
    return Item("run", run.ref, state, type=type_, reasons=[reason.what for reason in reasons], made=made)


def prepare(stores: Stores) -> tuple[dict[str, Fatal], Problems]:
    """Apply all intents and handle all ops; gives the errors of intents that cannot be applied, and what was bad."""
    applied = intent.apply(stores, None)

    def handle(tx: Transaction) -> Problems:
        problems = Problems()
        for release, name in list(ops(tx, problems)):
            if name == vocabulary.CHECK_ENVIRONMENTS:
                with problems.leave_out(f"{release}/op/{name}"):
                    releases.handle_check_environments(tx, release, problems)
        return problems

    applied.problems.update(stores.transact(handle, command="work any"))
    return applied.errors, applied.problems


def _place(run: RunRef) -> str:
    """What runs of must follow each other, in the order in which they were made: one package in one environment."""
    return run.work.current if run.work.kind == vocabulary.DEPLOY else run.work.ref


class Result:
    """What `work any` did: how its runs ended, what it could not do, and what it could not read when it ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.errors: dict[str, Error] = {}
        self.problems = Problems()

    @property
    def failed(self) -> bool:
        return bool(self.errors or self.problems) or any(
            outcome.status != vocabulary.COMPLETE for outcome in self.outcomes
        )


class Worker:
    """Does what is ready until nothing is. `open_stores` gives each thread stores of its own, as libgit2 asks for."""

    def __init__(self, open_stores: Callable[[], Stores], how: How, display: Display, jobs: int) -> None:
        self._open_stores = open_stores
        self._how = how
        self._display = display
        self._jobs = jobs
        self._ended: queue.SimpleQueue[tuple[RunRef, Outcome | Error | BaseException]] = queue.SimpleQueue()
        self._running: set[RunRef] = set()
        self._left_alone: set[RunRef] = set()
        self._counts: dict[WorkRef, int] = {}
        self._watched: dict[RunRef, float] = {}
        self.result = Result()

    def run(self) -> Result:
        """Work until nothing is ready, or until asked to stop. Raises what went wrong that is no run's fault."""
        stores = self._open_stores()
        require_own_dialect(stores.snapshot(), "do work")
        self._watch = claims.Watch(claims.lease_of(stores))
        try:
            while not self._how.stop.count:
                ready = self._look(stores)
                if not ready and not self._running:
                    if not self._watched:
                        break
                    self._how.stop.wait(min(min(self._watched.values()), LONGEST_LOOK))
                    continue
                self._do(ready)
        finally:
            while self._running:
                self._collect()
            stores.finish()
        return self.result

    def _look(self, stores: Stores) -> list[tuple[RunRef, Claim | None]]:
        """Apply and handle what there is, and find the runs that are ready, each with the claim to be taken over."""
        errors, self.result.problems = prepare(stores)
        self.result.errors.update(errors)
        ready: list[tuple[RunRef, Claim | None]] = []
        places = {_place(run) for run in self._running}
        snapshot = stores.snapshot()
        before, self._watched = self._watched, {}
        for item in run_items(snapshot, self.result.problems):
            run = RunRef.parse(item.ref)
            if run in self._left_alone or run in self._running:
                continue
            is_ready = item.state == READY
            if item.claim is not None:
                remaining = self._watch.remaining(snapshot, run, item.claim)
                is_ready = remaining == 0
                if remaining and not self._watch.saw_renewal(run):
                    self._watched[run] = remaining
                    if run not in before:
                        self._display.note(f"{run}: its claim ran out; watching for {remaining:.0f} s if it is renewed")
            if is_ready and _place(run) not in places:
                ready.append((run, item.claim))
                places.add(_place(run))
        return ready

    def _do(self, ready: list[tuple[RunRef, Claim | None]]) -> None:
        """Execute runs; comes back when one ended and there is a hand free for what may be ready by then."""
        waiting = list(ready)
        while not self._how.stop.count:
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
            self.result.errors[run.ref] = Fatal(
                f"'{run}' is left alone after {MOST_RUNS} runs of '{run.work}'",
                hint="do its inputs refer, by way of others, to its own outputs?",
            )
            return
        self._running.add(run)
        threading.Thread(target=self._execute, args=(run, over), name=run.ref).start()

    def _execute(self, run: RunRef, over: Claim | None) -> None:
        try:
            stores = self._open_stores()
            outcome = execute(stores, run.work, run.number, self._how, self._display.begun, over)
            stores.finish()
            self._ended.put((run, outcome))
        except BaseException as error:
            self._ended.put((run, error))

    def _collect(self) -> None:
        """Wait for the end of a run."""
        run, outcome = self._ended.get()
        self._running.discard(run)
        if isinstance(outcome, Outcome):
            self.result.outcomes.append(outcome)
            self._display.ended(outcome)
        elif isinstance(outcome, claims.ClaimLost):
            self._display.note(f"{outcome}")
        elif isinstance(outcome, Conflict):
            self._display.note(f"{run}: another was faster ({outcome})")
        elif isinstance(outcome, NoCommand):
            self._left_alone.add(run)
            self._display.note(f"left for others: {outcome}")
        elif isinstance(outcome, Error):
            self._left_alone.add(run)
            self.result.errors[run.ref] = outcome
        else:
            raise outcome
