"""`git ocuroot fsck`: check the stores."""

from __future__ import annotations

from ...formats.documents import dump
from ...formats.layout import SIDES, STORE_FILE
from ...store.fsck import Checker
from ..options import READING, Command, Option
from ..progress import Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...formats.layout import Side
    from ...store.fsck import Finding
    from ...store.snapshot import Snapshot
    from ...store.tree import StoreTree
    from ..context import Context


def run(context: Context, *, at: str | None, since: str | None, json: bool) -> int:
    from ...delivery import live
    from ...delivery.check import check_model, inspect_releases
    from ...delivery.check_history import check_history
    from ...store.combine import find_leftovers

    snapshot = context.snapshot(at)
    before = context.snapshot(since) if since is not None else None
    errors = 0
    checked: list[StoreTree] = []
    certain: dict[str, set[int]] = {}
    for side in SIDES:
        if side == "intent" and not snapshot.has_intent():
            continue
        tree = snapshot.side(side)
        if tree in checked:
            continue
        checked.append(tree)
        backend, directory = snapshot.backend_of(tree)
        with Meter(context.terminal, "Checking directories") as meter:
            checker = Checker(tree, meter, inspect_releases(tree, side), _as_it_was(tree, side, before))
            findings = checker.run()
        errors += _report(context, findings, json=json)
        certain.update(checker.certain)
        where = f"{backend.where}, directory '{directory.rstrip('/')}'" if directory else backend.where
        which = f" among what changed since '{since}'" if since is not None else ""
        context.terminal.remark(f"{where}: checked {checker.documents} documents and {checker.links} links{which}")
    errors += _report(context, check_model(snapshot, certain, before), json=json)
    errors += _report(context, check_history(snapshot, before), json=json)
    if at is None and not context.settings.offline:
        for backend in snapshot.versions:
            errors += _report(context, find_leftovers(snapshot, backend), json=json)
        errors += _report(context, live.leftovers(snapshot), json=json)
    if since is not None:
        context.terminal.remark("what did not change was not read: 'git ocuroot fsck' checks it all")
    return 1 if errors else 0


def _as_it_was(tree: StoreTree, side: Side, before: Snapshot | None) -> StoreTree | None:
    """The store of a side as it was; None where it was not there, or said something else of itself: all is new then."""
    was = before.side_or_none(side) if before is not None else None
    return was if was is not None and was.file(STORE_FILE) == tree.file(STORE_FILE) else None


def _report(context: Context, findings: Iterable[Finding], *, json: bool) -> int:
    """Print findings, sorted; gives how many of them are errors."""
    errors = 0
    for finding in sorted(findings, key=lambda finding: (finding.severity, finding.where)):
        errors += finding.severity == "error"
        if json:
            found = {"severity": finding.severity, "where": finding.where, "what": finding.what}
            context.terminal.json(dump(found, None))
            continue
        context.terminal.record(f"{finding.severity}: {context.terminal.name(finding.where)}: {finding.what}")
    return errors


COMMAND = Command(
    "fsck",
    "Check that every object of the stores can be read and is reached by its ref, that links and the lists of links "
    "agree, and that releases, runs, environments and intents are of their shape. "
    "Use 'git fsck' for the objects of git itself.",
    "[<options>]",
    run,
    (
        Option(
            "--at",
            metavar="<rev>",
            help="check the stores as they were at a revision (state~3, an id) or a date (yesterday)",
        ),
        Option(
            "--since",
            metavar="<rev>",
            help="read only what is new or has changed since a revision (state@{1})",
        ),
        Option("--json", help="print a JSON line for each finding: severity, where (a ref or a path), what"),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    most=0,
    notes="A run that was started past a closed gate or of a held release, by a program that looks at neither, is a\n"
    "warning, and so is a link that leads to something else than what was deployed last.\n"
    "Exit status: 0, also where there are warnings only; 1 where there are errors.",
)
