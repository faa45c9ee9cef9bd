"""Being ended by another process as by Ctrl-C: what a cancelled job was to write is not written later (design 8.10)."""

from __future__ import annotations

import os
import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Final

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """This process was told to end by a signal, `number`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def interrupt_by_signals() -> None:
    """Let SIGTERM and SIGHUP raise Ended from now on, the first of them: a second one ends the process at once.

    One that is ignored, as under nohup(1), or that a command of a run is told, stays so. Only the main thread can.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    for each in _ENDING:
        if signal.getsignal(each) is _end:
            signal.signal(each, signal.SIG_DFL)
    raise Ended(number)


def die_of(interrupt: KeyboardInterrupt) -> int:
    """End as a process ends that knows nothing of a signal, so that a calling shell sees what happened."""
    number = interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
