"""Closing gates and opening them: `freeze`, `thaw` and `approve` (design 13).

All write what is wanted, and make state follow: in one commit where one place holds both. Else the intent comes first,
at which starts look too; where the state cannot be written with this login, it follows with the next `apply`.
"""

from __future__ import annotations

import time

from ..errors import Conflict, Error, Fatal, NotFound, UsageError
from ..formats.documents import same
from ..formats.globs import Glob
from ..formats.refs import INTENT, STATE, Ref
from ..store.tree import Ties
from . import gates, runs, vocabulary
from .addresses import RunRef, WorkRef, gate_ref
from .approvals import document_of, intent_of, state_of
from .finish import Written, write_both
from .gate_documents import Gate
from .model import timestamp
from .problems import Problems
from .queries import environment, environments, find_release, no_environment, packages, read_release, state_tree
from .run_queries import read_run
from .survey import unsettled_runs
from .vocabulary import DENY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .fields import Fields


def freeze(
    stores: Stores, document: Fields, name: str, *, is_fixed: bool, cancels: bool, operation: Operation | None = None
) -> Written:
    """Let a gate be wanted, under a name, or unless that `is_fixed`, the next that is free (`production-2`).

    Gives its `name`, and with `cancels` the pending runs it concerns, which are `cancelled`. Raises Conflict where a
    gate of a fixed name says something else, UsageError where it would close nothing any more.
    """

    def want(tx: Transaction) -> Fields:
        if Gate.read(document, name, "").at(time.time()) == (False, None):
            raise UsageError("it would close nothing: its time has passed")
        chosen = _free_name(tx, name, document, is_fixed=is_fixed)
        tx.set(gate_ref(INTENT, chosen), document)
        return {"name": chosen, "cancelled": []}

    def follow(tx: Transaction, wanted: Fields) -> Fields:
        tx.set(gate_ref(STATE, wanted["name"]), document)
        gate = Gate.read(document, wanted["name"], gate_ref(STATE, wanted["name"]))
        return {**wanted, "cancelled": _cancel_pending(tx, gate) if cancels else []}

    return write_both(stores, want, follow, "freeze", f"freeze {name}", operation)


def _free_name(tx: Transaction, name: str, document: Fields, *, is_fixed: bool) -> str:
    for number in range(1, 10_000):
        numbered = f"{name}-{number}" if number > 1 else name
        known = [tx.get(gate_ref(marker, numbered), None) for marker in (STATE, INTENT)]
        if all(one is None or same(one, document) for one in known):
            return numbered
        if is_fixed:
            break
    raise Conflict(f"there is a gate '{name}' already", hint=f"'git ocuroot thaw {name}' takes it away")


def _cancel_pending(tx: Transaction, gate: Gate) -> list[str]:
    """Cancel the pending runs that a gate concerns; gives those that can be read."""
    cancelled = []
    for run in pending(tx, gate):
        with Problems().leave_out(run.ref):
            read_run(tx, run)
            runs.cancel(tx, run, f"freeze {gate.name}")
            cancelled.append(run.ref)
    return cancelled


def thaw(stores: Stores, names: list[str] | None, operation: Operation | None = None) -> Written:
    """Take away gates, whatever they say; None: all that deny, and can be understood. Gives the `names` of those.

    Raises NotFound where there is none of a name.
    """

    def want(tx: Transaction) -> Fields:
        known = gates.names_of(tx)
        if names is None:
            denying = {gate.name for side in gates.Gates(tx).sides for gate in side if gate.kind == DENY}
            chosen = sorted(denying)
        else:
            chosen = list(dict.fromkeys(names))
            for name in chosen:
                if name not in known:
                    raise NotFound(f"there is no gate '{name}'", hint="'git ocuroot gate list' shows what there is")
        for name in _lowest_first(chosen):
            _remove(tx, INTENT, name)
        return {"names": chosen}

    def follow(tx: Transaction, wanted: Fields) -> Fields:
        for name in _lowest_first(wanted["names"]):
            _remove(tx, STATE, name)
        return wanted

    return write_both(stores, want, follow, "thaw", _thaw_subject(names), operation)


def _thaw_subject(names: list[str] | None) -> str:
    if names is None:
        return "thaw all that is closed"
    return f"thaw {names[0]}" if len(names) == 1 else f"thaw {len(names)} gates"


def _lowest_first(names: list[str]) -> list[str]:
    """Those first that stand below others: `a/b` before `a`."""
    return sorted(names, reverse=True)


def _remove(tx: Transaction, marker: str, name: str) -> None:
    """Take away a gate of one store, be it one that cannot be read, and none of those whose names go on after its own.

    Raises Fatal where it cannot be read, and those would go with it.
    """
    known = gates.names_of(tx, marker)
    if name not in known:
        return
    above = Ref.parse(gate_ref(marker))
    tree = tx.tree(above)  # it may lie below a link, and be one
    ref = Ref.parse(f"{tree.layout.shown(tree.locate(above).stored)}/{name}")
    below = [other for other in known if other.startswith(f"{name}/")]
    try:
        if not below:
            tx.remove(ref)
            return
        found = tree.object(tree.layout.spellings(ref)[0])
        (tx.unlink if found is not None and found.kind == "link" else tx.delete)(ref)
    except Error as error:
        if below:
            hint = f"they would go with it: 'git ocuroot thaw {' '.join(below)}' first, if they are to go"
            raise Fatal(f"gate '{name}' stands above {', '.join(below)}, and {error.message}", hint=hint) from None
        tx.remove(ref, Ties(tree.layout.spellings(ref)[0]))


def running(snapshot: Snapshot, gate: Gate) -> list[RunRef]:
    """The runs that are going on where a gate closes; they are not touched."""
    return _concerned(snapshot, gate, vocabulary.RUNNING, vocabulary.PAUSED)


def pending(snapshot: Snapshot, gate: Gate) -> list[RunRef]:
    """The runs that wait to start where a gate closes."""
    return _concerned(snapshot, gate, vocabulary.PENDING)


def _concerned(snapshot: Snapshot, gate: Gate, *statuses: str) -> list[RunRef]:
    """The runs of deployments that a gate concerns and that have one of some statuses."""
    known = environments(snapshot, Problems())
    return [
        run
        for run, status in unsettled_runs(snapshot, Problems())
        if status in statuses
        and run.work.kind == vocabulary.DEPLOY
        and gate.concerns(run.work.package, run.work.name, known.get(run.work.name))
    ]


def unmatched(snapshot: Snapshot, gate: Gate) -> list[str]:
    """The patterns of a gate that match no package there is: they may be mistaken, or of packages to come."""
    known = packages(state_tree(snapshot)) if gate.packages else []
    return [glob for glob in gate.packages or () if not any(map(Glob(glob).matches, known))]


def deployment_to(snapshot: Snapshot, release: str, name: str) -> WorkRef:
    """The deployment of a release, as people name it, to an environment. Raises NotFound where there is none."""
    work = WorkRef(find_release(snapshot, release), vocabulary.DEPLOY, name)
    where = environment(snapshot, name)
    if where is None:
        raise no_environment(snapshot, name)
    if read_release(snapshot, work.release).package.find(vocabulary.DEPLOY, name, where) is None:
        raise NotFound(f"'{work.release}' has no deployment for the environment '{name}'")
    return work


def approve(
    stores: Stores, work: WorkRef, reason: str | None, *, approves: bool, operation: Operation | None = None
) -> Written:
    """Write that who is at work here approves a release for an environment, or rejects it.

    Gives the `ref` of the intent. Raises Fatal where git has no name for them.
    """
    actor = stores.origin(stores.backend("intent")[0]).actor
    if not actor:
        raise Fatal("who approves? git has no name for you", hint="git config user.email <address>")
    document = document_of(actor, reason, timestamp(), approves=approves)

    def want(tx: Transaction) -> Fields:
        ref = intent_of(work, actor)
        tx.set(ref, document)
        return {"ref": str(ref)}

    def follow(tx: Transaction, wanted: Fields) -> Fields:
        tx.set(state_of(work, actor), document)
        return wanted

    verb = "approve" if approves else "reject"
    return write_both(stores, want, follow, "approve" if approves else "approve --reject", f"{verb} {work}", operation)
