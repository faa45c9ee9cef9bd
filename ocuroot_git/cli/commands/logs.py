"""`git ocuroot logs`: what runs have printed, as text (design 12)."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import dump
from ..options import READING, RELATIVE, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ...delivery.printed import Line, Printed
    from ...formats.documents import Document
    from ..context import Context


def run(
    context: Context,
    reference: str,
    *,
    follow: bool,
    failed: bool,
    last: int | None,
    timestamps: bool,
    json: bool,
) -> int:
    from ...delivery.printed import Printed, runs_named

    snapshot = context.snapshot()
    is_release = not snapshot.named(reference).type
    if follow and is_release:
        raise UsageError("option '--follow' takes a run, or a piece of work of which the last run is meant")
    runs = runs_named(snapshot, reference, failed=failed)
    printer = _Printer(context, timestamps=timestamps, json=json)
    if follow:
        return _follow(context, Printed(context.stores, runs[0]), printer, last)
    context.terminal.start_pager()
    for number, printed in enumerate(Printed(context.stores, one) for one in runs):
        entries = printed.new()
        if is_release and not json:
            printer.title(printed, is_first=number == 0)
        printer.show(printed, entries, last)
        if not entries and not is_release and context.terminal.is_interactive:
            context.terminal.remark(f"{_standing(printed)}; it has printed nothing")
    return 0


def _follow(context: Context, printed: Printed, printer: _Printer, last: int | None) -> int:
    """Show what comes until the run has ended; the exit status says how it did."""
    from ...delivery.child_command import Signals
    from ...delivery.vocabulary import COMPLETE, RUNNING

    with Signals() as stop:
        printer.show(printed, printed.new(), last)
        if printed.is_open and printed.status != RUNNING:
            context.terminal.remark(f"{printed.ref}: {printed.status}; waiting for it to go on")
        while printed.is_open and not stop.count:
            stop.wait(printed.pause)
            printer.show(printed, printed.new(), None)
    if printed.is_open:
        return 128 + stop.signal
    if printed.status == COMPLETE:
        return 0
    context.terminal.remark(_standing(printed))
    return 1


def _standing(printed: Printed) -> str:
    return f"{printed.ref}: {printed.status or 'it has no status'}"


class _Printer:
    """Prints the lines of logs: for people, or as JSON."""

    def __init__(self, context: Context, *, timestamps: bool, json: bool) -> None:
        self._terminal = context.terminal
        self._timestamps = timestamps
        self._json = json

    def title(self, printed: Printed, *, is_first: bool) -> None:
        """Say whose log comes next, as tail(1) does."""
        terminal = self._terminal
        if not is_first:
            terminal.record("")
        terminal.record(terminal.paint(f"==> {printed.ref} ({printed.status}) <==", "bold"))

    def show(self, printed: Printed, entries: list[Document], last: int | None) -> None:
        """Print entries, or the last lines of them, and let the reader have them at once."""
        from ...delivery.printed import lines_of

        if self._json:
            for entry in entries if last is None else entries[len(entries) - min(last, len(entries)) :]:
                fields = entry if isinstance(entry, dict) else {"message": entry}
                self._terminal.json(dump({"run": printed.ref, **fields}, None))
        else:
            lines = list(lines_of(entries))
            for line in lines if last is None else lines[len(lines) - min(last, len(lines)) :]:
                self._terminal.record(self._text(line))
        self._terminal.flush()

    def _text(self, line: Line) -> str:
        from ...delivery.printed import without_secrets
        from ...formats.escape_sequences import coloured, plain

        text, terminal = without_secrets(line.text), self._terminal
        shown = terminal.coloured_line(coloured(text)) if terminal.is_coloured else plain(text)
        if not self._timestamps:
            return shown
        return f"{terminal.paint(terminal.time_of(line.time, '-'), 'dim')} {shown}"


OPTIONS: Final = (
    Option("-f", "--follow", help="go on until the run has ended, and exit as it did: 0 complete, 1 failed, cancelled"),
    Option("--failed", help="only runs that failed: all of a release's, or the last of a piece of work"),
    Option(
        "-n", "-<n>", "--lines", metavar="<n>", number=True, name="last", help="only the last <n> lines of each run"
    ),
    Option("--timestamps", help="begin each line with its time: in your time zone on a terminal, else in UTC"),
    Option("--json", help="print a JSON line for each entry: run, timestamp, message, stream, attributes"),
    Option("-z", help="end records with NUL"),
)
NOTES: Final = """
While a run is executed, its log is a file of the repository in which that is done. Others see it when it has ended; of
a remote store while it goes on, where ocuroot.liveLogs is set for both.
Of escape sequences only those that colour are kept, and these only where there are colours: on a terminal, unless git's
configuration says otherwise. Passwords in URLs, and what is known to be a secret, are shown as '***'.
Exit status: 0; 1 where there is no such run, or none that failed; with --follow 0 where the run is complete and 1 where
it failed or was cancelled.
"""

COMMAND = Command(
    "logs",
    "Print what a run has printed so far; of a piece of work its last run, of a release the last run of all its work.",
    "[<options>] (<run> | <work> | <release>)",
    run,
    OPTIONS,
    common=(*RELATIVE, *READING),
    least=1,
    most=1,
    notes=NOTES,
)
