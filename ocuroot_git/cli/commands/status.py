"""`git ocuroot status`: where the stores are, and what is in them."""

from __future__ import annotations

from ...errors import Fatal
from ...formats.documents import dump
from ...formats.layout import SIDES
from ...formats.times import format_seconds, parse_seconds, relative
from ...store.snapshot import NoStore
from ...sync.remotes import standing
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.problems import Problems
    from ...formats.documents import Document
    from ...formats.layout import Side
    from ...store.snapshot import Snapshot
    from ...store.tree import StoreTree
    from ..context import Context
    from ..terminal import Terminal


def run(context: Context, *, json: bool) -> int:
    from ...delivery.problems import Problems
    from ..reports import report_problems

    snapshot = context.snapshot()
    problems = Problems()
    report = _name(context)
    refs = _count_refs(snapshot)
    for side in SIDES:
        report[side] = _describe(context, snapshot, side, refs)
    report["work"] = None
    if all(report[side]["exists"] for side in SIDES):
        report["work"] = _work(snapshot, problems)
        report.update(_expiring(snapshot, problems))
    report["closed_gates"] = _closed_gates(snapshot) if report["state"]["exists"] else []
    if problems:
        report["problems"] = [problem.to_document() for problem in problems]
    if json:
        context.terminal.json(dump(report, 2))
        return report_problems(context.terminal, problems)
    terminal = context.terminal
    if report["repo"] is not None:
        terminal.record(f"repository  {terminal.paint(report['repo'], 'bold')} (by {report['named_by']})")
    else:
        terminal.record(f"repository  {terminal.paint('unknown', 'red')}: {report['name_problem']}")
    for side in SIDES:
        _show(context, side, report[side])
    if report["work"]:
        words = [_count(count, what.removesuffix("s")) for what, count in report["work"].items()]
        terminal.record(f"{'work':<11} {', '.join(words)}")
    for number, (name, moment) in enumerate(report.get("expires", {}).items()):
        terminal.record(f"{'' if number else 'expires':<11} {terminal.name(name)} {_until(moment)}")
    for gate in report["closed_gates"]:
        until = f" until {gate['until']}" if gate["until"] is not None else ""
        why = gate["problem"] or gate["reason"]
        closed = terminal.paint("closed", "red")
        terminal.record(f"{'gate':<11} {gate['name']}: {gate['about']} {closed}{until}{f': {why}' if why else ''}")
    return report_problems(terminal, problems)


def _name(context: Context) -> dict[str, Document]:
    """What this repository is called and who says so; or why it has no name, which must not hide the rest."""
    try:
        return {"repo": context.stores.base.repo, "named_by": context.settings.name.source}
    except Fatal as error:
        return {"repo": None, "named_by": None, "name_problem": error.message}


def _work(snapshot: Snapshot, problems: Problems) -> dict[str, int]:
    """How many intents are not yet followed, and how many runs are in each state; none that are zero."""
    from ...delivery.diff import differences
    from ...delivery.queue import run_items

    pending = len(differences(snapshot, problems))
    counts = {"pending intents": pending} if pending else {}
    for item in run_items(snapshot, problems):
        counts[f"{item.state} runs"] = counts.get(f"{item.state} runs", 0) + 1
    return counts


def _expiring(snapshot: Snapshot, problems: Problems) -> dict[str, Document]:
    """When environments expire, the next one first; nothing where none does."""
    from ...delivery.queries import environments

    known = environments(snapshot, problems)
    if not any(environment.others for environment in known.values()):
        return {}
    from ...delivery.expiry import expiring  # late: few environments expire

    moments = sorted(expiring(known).items(), key=lambda one: one[1])
    return {"expires": {name: format_seconds(moment) for name, moment in moments}} if moments else {}


def _until(moment: str) -> str:
    """A moment to come, or the present where it is over."""
    from time import time

    left = (parse_seconds(moment) or 0) - time()
    return f"{relative(-left)} ({moment})" if left > 0 else f"({moment}): 'work any' takes it down"


def _closed_gates(snapshot: Snapshot) -> list[dict[str, Document]]:
    """The gates that keep deployments from starting now."""
    from ...delivery.gates import names_of

    if not names_of(snapshot):
        return []
    from ...delivery.gate_list import closed_gates  # late: most stores have no gates

    return closed_gates(snapshot)


def _describe(context: Context, snapshot: Snapshot, side: Side, refs: dict[Side, int]) -> dict[str, Document]:
    location = context.settings.location(side)
    backend, _ = context.stores.backend(side)
    found: dict[str, Document] = {"place": backend.where, "configured_by": location.source, "exists": True}
    try:
        tree = snapshot.side(side)
    except NoStore as error:
        return {**found, "exists": False, "problem": error.message, "hint": error.hint}
    backend, directory = snapshot.backend_of(tree)
    return {
        **found,
        "directory": directory.rstrip("/"),
        "dialect": tree.layout.dialect,
        "tip": snapshot.version(backend).oid,
        "refs": refs.get(side),
        "sharing": standing(context.settings, backend),
    }


def _count_refs(snapshot: Snapshot) -> dict[Side, int]:
    """How many refs there are in each store, documents and links, by their names.

    Not in a remote store, of which everything would have to be fetched.
    """
    from ...delivery.survey import counts_of

    trees: dict[Side, StoreTree] = {}
    for side in SIDES:
        try:
            tree = snapshot.side(side)
        except NoStore:
            continue
        if not tree.files.is_partial:
            trees[side] = tree
    counts = counts_of(snapshot, trees.get("state"), trees.get("intent"))
    return {side: count for side, count in zip(SIDES, counts) if side in trees}


def _show(context: Context, side: Side, report: dict[str, Document]) -> None:
    terminal = context.terminal
    head = f"{side:<11} {terminal.paint(report['place'], 'bold')}"
    if not report["exists"]:
        terminal.record(f"{head}: {terminal.paint('no store', 'red')} ({report['hint']})")
        return
    where = f", directory '{report['directory']}'" if report["directory"] else ""
    tip = f" at {terminal.paint(report['tip'][:12], 'yellow')}" if report["tip"] else ""
    terminal.record(f"{head}{where}{tip}, dialect {report['dialect']}")
    if report["sharing"].get("remote") or report["sharing"].get("last_contact"):
        terminal.record(f"{'':<11} {_sharing(terminal, report['sharing'])}")
    if report["refs"] is not None:
        terminal.record(f"{'':<11} {_count(report['refs'], 'ref')}")


def _sharing(terminal: Terminal, sharing: dict[str, Document]) -> str:
    """How the place stands to its remote, as of the last contact."""
    words = [f"remote '{sharing['remote']}'"] if sharing["remote"] else []
    if "ahead" in sharing:
        ahead, behind = sharing["ahead"], sharing["behind"]
        if sharing["diverged"]:
            words.append(terminal.paint(f"diverged: {ahead} ahead, {behind} behind", "red"))
        else:
            words.append(f"{ahead} ahead" if ahead else f"{behind} behind" if behind else "up to date")
    words.append(f"last contact {sharing['last_contact'] or 'unknown'}")
    return ", ".join(words)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


COMMAND = Command(
    "status",
    "Show where the stores are, their tips, how many refs they hold, and what is to be done.",
    "[--json]",
    run,
    (Option("--json", help="print a JSON object"),),
    common=READING,
    most=0,
)
