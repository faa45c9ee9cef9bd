"""What several commands print: answers as JSON lines, what was left out, how a remote stands after a push."""

from __future__ import annotations

from ..formats.documents import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..delivery.finish import Written
    from ..delivery.problems import Problems
    from ..store.snapshot import Found
    from ..sync.branch_sync import Sharing, SyncResult
    from .terminal import Terminal

MOST_REPORTED = 20
"""Warnings of one command; a store of another program's documents would bury the answer."""


def answer_line(found: Found) -> str:
    """The JSON line of an answer, as `get --batch` and `match --values` print it."""
    content = {"ref": found.ref, "resolved": found.resolved, "found": found.found, "value": found.value}
    return dump(content, None)


def report_problems(terminal: Terminal, problems: Problems) -> int:
    """Warn of the documents that were left out; gives the exit status, 1 where there are any."""
    found = list(problems)
    for problem in found[:MOST_REPORTED]:
        terminal.warning(str(problem).replace("\n", " "))
    if len(found) > MOST_REPORTED:
        terminal.warning(f"{len(found) - MOST_REPORTED} more are left out; 'git ocuroot fsck' names them all")
    return 1 if found else 0


def report_cut_history(terminal: Terminal) -> None:
    """Warn that what was told is what a shallow clone knows."""
    terminal.warning("history begins later here than elsewhere", hint="'git fetch --unshallow' gets all of it")


def report_failures(terminal: Terminal, runs: list[str]) -> None:
    """Say what failed before, and what can be done about it."""
    for run in runs[:MOST_REPORTED]:
        terminal.error(
            "error: ",
            f"'{run}' failed, and nobody has dealt with that",
            f"'git ocuroot run retry {run}' tries it again, 'git ocuroot run dismiss {run}' leaves it at that",
        )
    if len(runs) > MOST_REPORTED:
        terminal.complain("error: ", f"{len(runs) - MOST_REPORTED} more failed; 'git ocuroot work list' has them all")


def report_left(terminal: Terminal, written: Written, *, takes_away: bool = False) -> None:
    """Warn where the state does not follow yet what is wanted; see `Written.remark`."""
    remark = written.remark(takes_away=takes_away)
    if remark is not None:
        terminal.warning(*remark)


def report_sharing(terminal: Terminal, where: str, sharing: Sharing, result: SyncResult) -> None:
    """Say what a push or sync did."""
    if result.made:
        done = f"made from '{sharing.remote}'"
    elif result.replayed:
        done = f"replayed on {result.moved} new from '{sharing.remote}', and pushed"
    elif result.pushed:
        done = f"pushed to '{sharing.remote}'"
    elif result.moved:
        done = f"{result.moved} new from '{sharing.remote}'"
    else:
        done = f"up to date with '{sharing.remote}'"
    terminal.remark(f"{where}: {done}")
