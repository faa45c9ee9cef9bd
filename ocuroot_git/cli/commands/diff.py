"""`git ocuroot diff`: intent against state (design 6 and 7)."""

from __future__ import annotations

from ...formats.documents import MISSING, dump
from ..options import READING, Command, Option
from ..patches import show_patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.compare import Difference
    from ..context import Context

_COLOURS = {"A": "green", "M": "cyan", "D": "red"}


def run(context: Context, *, exit_code: bool, name_status: bool, patch: bool, json: bool) -> int:
    from ...delivery.diff import differences
    from ...delivery.problems import Problems
    from ..reports import report_problems

    terminal = context.terminal
    problems = Problems()
    found = differences(context.snapshot(), problems)
    terminal.start_pager()
    with_status = name_status or terminal.is_interactive
    for difference in found:
        if json:
            terminal.json(dump(_document(difference), None))
        elif patch:
            _show_patch(context, difference)
        else:
            letter = terminal.paint(difference.status, _COLOURS[difference.status])
            name = terminal.name(difference.ref)
            terminal.record(f"{letter}\t{name}" if with_status else name)
    left_out = report_problems(terminal, problems)
    return 1 if found and exit_code else left_out


def _document(difference: Difference) -> dict[str, object]:
    return {
        "status": difference.status,
        "ref": difference.ref,
        "state": difference.state,
        "wanted": difference.wanted,
        "actual": difference.actual,
    }


def _show_patch(context: Context, difference: Difference) -> None:
    before = MISSING if difference.status == "A" else difference.actual
    after = MISSING if difference.status == "D" else difference.wanted
    show_patch(context.terminal, difference.ref, before, after, was=difference.state)


COMMAND = Command(
    "diff",
    "Show the intents that state does not follow yet: those that 'apply' is for, and those whose runs are still on.",
    "[<options>]",
    run,
    (
        Option("--exit-code", help="exit with 1 where there are differences"),
        Option("--name-status", help="print A, M or D before each ref, as on a terminal"),
        Option("-p", "--patch", help="show the differences themselves"),
        Option("--json", help="print a JSON line for each, with both documents"),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    most=0,
    notes="A is wanted and not there, M is there otherwise, D is there and no longer wanted.",
)
