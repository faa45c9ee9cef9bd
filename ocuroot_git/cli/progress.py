"""What long commands show while they work.

`work any` has a live table on a terminal, and plain lines elsewhere (design 7); what goes through a whole store says
how far it is, once it has taken a second.
"""

from __future__ import annotations

import threading
import time

from ..delivery import addresses, vocabulary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final, TypeVar

    from ..delivery.addresses import RunRef
    from ..delivery.executor import RunResult
    from .terminal import Terminal

    Item = TypeVar("Item")


_PATIENCE: Final = "1"
"""Seconds that a command may take before it says how far it is; `GIT_PROGRESS_DELAY` says otherwise, as to git."""
_BETWEEN: Final = 0.1
"""Seconds between two drawings."""


class Meter:
    """How far a command is, on a line of stderr that is redrawn in place, and that goes at the end.

    Called with how much is done and how much there is (0: nobody knows), as often as one likes.
    """

    def __init__(self, terminal: Terminal, title: str) -> None:
        self._terminal = terminal
        self._title = title
        delay = terminal.environ.get("GIT_PROGRESS_DELAY", "")
        self._next = time.monotonic() + int(delay if delay.isascii() and delay.isdigit() else _PATIENCE)
        self._is_drawn = False

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_drawn:
            self._terminal.redraw("")

    def counted(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; how many were taken is shown."""
        for number, item in enumerate(items):
            self(number)
            yield item

    def __call__(self, done: int, total: int = 0) -> None:
        now = time.monotonic()
        if now < self._next or not self._terminal.shows_progress:
            return
        self._next = now + _BETWEEN
        self._is_drawn = True
        share = f"{done * 100 // total:3}% ({done}/{total})" if total else str(done)
        self._terminal.redraw(f"{self._title}: {share}")


class Plain:
    """Lines: what runs print, behind the run's name, on stderr; how each run ended, on stdout."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self._begun: dict[RunRef, float] = {}
        self._rests: dict[tuple[RunRef, int], bytes] = {}

    def begun(self, run: RunRef) -> None:
        with self._lock:
            self._begun[run] = time.monotonic()
            self._terminal.remark(f"{run}: started")

    def output(self, run: RunRef, stream: int, data: bytes) -> None:
        with self._lock:
            *lines, rest = (self._rests.get((run, stream), b"") + data).split(b"\n")
            self._rests[run, stream] = rest[-4096:]
            for line in lines:
                self._say(run, line)

    def ended(self, result: RunResult) -> None:
        with self._lock:
            for stream in (1, 2):
                if rest := self._rests.pop((result.run, stream), b""):
                    self._say(result.run, rest)
            took = time.monotonic() - self._begun.pop(result.run, time.monotonic())
            self._show_end(result, took)

    def note(self, text: str) -> None:
        with self._lock:
            self._terminal.remark(text)

    def close(self) -> None:
        """Nothing is kept open between lines."""

    def _say(self, run: RunRef, line: bytes) -> None:
        text = line.removesuffix(b"\r").decode(errors="replace")
        self._terminal.remark(f"{_short(run)} | {self._terminal.coloured_line(text)}")

    def _show_end(self, result: RunResult, took: float) -> None:
        why = f" ({result.why})" if result.why else ""
        self._terminal.record(f"{result.status}\t{self._terminal.name(result.run.ref)}")
        self._terminal.flush()
        self._terminal.remark(f"{result.run}: {result.status} in {took:.1f} s{why}")


class Live(Plain):
    """A table of the runs that are on, redrawn in place, above which ended runs scroll by."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        from rich.console import Console
        from rich.live import Live as Screen

        self._last: dict[RunRef, str] = {}
        self._screen = Screen(get_renderable=self._table, console=Console(), refresh_per_second=4, transient=True)
        self._screen.start()

    def close(self) -> None:
        self._screen.stop()

    def begun(self, run: RunRef) -> None:
        with self._lock:
            self._begun[run] = time.monotonic()

    def note(self, text: str) -> None:
        with self._lock:
            self._print(text, "yellow")

    def _say(self, run: RunRef, line: bytes) -> None:
        self._last[run] = "".join(c for c in line.decode(errors="replace") if c.isprintable())

    def _show_end(self, result: RunResult, took: float) -> None:
        style = "green" if result.status == vocabulary.COMPLETE else "red"
        why = f"  {result.why}" if result.why else ""
        self._last.pop(result.run, None)
        self._print(f"{result.status:<9} {took:7.1f} s  {result.run}{why}", style)

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._screen.console.print(Text(self._terminal.visible(text), style=style))

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        for run, begun in list(self._begun.items()):
            last = Text(self._last.get(run, ""), style="dim", no_wrap=True, overflow="ellipsis")
            table.add_row(Text(f"{now - begun:7.1f} s", style="cyan"), Text(self._terminal.visible(_short(run))), last)
        return table


def _short(run: RunRef) -> str:
    """A run as people call it: the package's path, the release and the work."""
    path = run.work.package.partition("/-/")[2] or run.work.package
    return f"{path} @{addresses.release_number(run.work.release)} {run.work.kind}/{run.work.name}"
