"""`git ocuroot watch`: tell what changes in the stores, as it comes."""

from __future__ import annotations

import os
import time

from ...formats.globs import Glob
from ...ledger.watch import LOOK_FAR, LOOK_NEAR, Handler, Interrupted, Watch
from ...store.change_stream import ChangeStream, Rewritten
from ...store.cursor import Cursor
from ..arguments import absolute_glob
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...delivery.fields import Fields
    from ...ledger.watch import Receiver
    from ...store.changes import ChangedCommit
    from ..context import Context
    from ..terminal import Terminal


def run(
    context: Context,
    *globs: str,
    since: list[str],
    cursor: str | None,
    exec: str | None,
    once: bool,
    format: str,
) -> int:
    terminal = context.terminal
    stream = ChangeStream(context.stores, warn=terminal.warning)
    if globs:
        stream.wants = Glob(*(absolute_glob(context, glob) for glob in globs)).matches
    kept = Cursor(cursor) if cursor is not None else None
    receiver: Receiver = _Printer(terminal)
    pause: Callable[[float], None] = terminal.wait
    if exec is not None:
        receiver = Handler(exec, context.environ, os.getcwd(), terminal.pass_on)
        pause = time.sleep
    try:
        stream.begin(since, kept.read() if kept is not None else None)
        if kept is not None:
            kept.write(stream.positions)
        for where in stream.missing():
            terminal.remark(f"there is no {where} yet")
        events = _changes
        if format == "cdevents":
            from ...ledger.cdevents import events
        watch = Watch(stream, events, receiver, kept, pause=pause, warn=terminal.warning)
        watch.run(once=once, seconds=_seconds(context, stream))
    except Rewritten as error:
        error.hint = f"if that is meant, go on after another commit: --since {error.go_on}"
        if cursor is not None:
            error.hint = (
                f"if that is meant, go on after another commit: sed -i s/{error.known}/{error.go_on}/ '{cursor}'"
            )
        raise
    except Interrupted as interrupted:
        return 128 + interrupted.number
    finally:
        if kept is not None:
            kept.close()
    return 0


def _seconds(context: Context, stream: ChangeStream) -> float:
    """How long to wait between two looks."""
    return max(context.stores.seconds("ocuroot.watchInterval", LOOK_FAR), LOOK_NEAR) if stream.is_far else LOOK_NEAR


def _changes(commit: ChangedCommit) -> Iterator[Fields]:
    return (change.to_document() for change in commit.changes())


class _Printer:
    """Prints events, each on a line; whoever reads them has those of a commit when it ends."""

    is_slow = False

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def take(self, text: str, event: Fields) -> None:
        self._terminal.json(text)

    def finish_commit(self) -> None:
        self._terminal.flush()


COMMAND = Command(
    "watch",
    "Print what changes in the stores, as it comes: a JSON line for each ref that a commit changed, the oldest first; "
    "all, or those that match any of the patterns.",
    "[<options>] [<glob>...]",
    run,
    (
        Option(
            "--since",
            metavar="<commit>",
            many=True,
            help="begin after this commit, not after the newest; zeros: before the first",
        ),
        Option("--cursor", metavar="<file>", help="keep in a file up to where, and go on from there"),
        Option("--exec", metavar="<command>", help="run this (by sh) for each, with the line on stdin; print nothing"),
        Option("--once", help="end when all there is was told"),
        Option(
            "--format",
            choices=("json", "cdevents"),
            default="json",
            help="cdevents: what happens in deliveries, as events of cdevents.dev",
        ),
        Option("-z", help="end records with NUL"),
    ),
    common=READING[:1],
    notes="""
The cursor moves past a commit when all of its events were printed, or the command ended with 0 for each. After a
restart nothing is missed; what is told twice has the same id. A cursor that exists counts, not --since.
Exit status: 0; that of the command, where it is not 0; 3 where another process uses the cursor; 128 where a branch
was rewritten by others.
""",
)
