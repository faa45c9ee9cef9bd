"""Work in two processes: the one place that forks. For large walks, which one processor alone would slow down.

The second process only reads objects and writes its answer to a file in memory, and then vanishes without flushing or
closing what it shares with the first. It is collected whatever happens.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeVar

    Piece = TypeVar("Piece")
    Work = Callable[[list[Piece]], list[str]]
    """Gives the results for one piece, which it may use up."""
    Progress = Callable[[int, int], None]
    """Told how many items of how many are begun; with both the same at the end."""

_SIGKILL: Final = 9  # the module `signal` would bring `enum` with it


def in_pieces(items: list[Piece], most: int = 64) -> list[list[Piece]]:
    """The items in at most so many lists, for two processes to end at about the same time.

    Neighbours stay together: they lie together in a pack.
    """
    size = max(-(-len(items) // most), 1)
    return [items[first : first + size] for first in range(0, len(items), size)]


def in_two_told(items: list[Piece], work: Work[Piece], tell: Progress | None) -> list[str]:
    """As `in_two`, of items that are cut into pieces here; `tell` is told how far that is."""
    pieces = in_pieces(items)
    tell = tell or (lambda done, of: None)
    total = len(items)
    size = len(pieces[0]) if pieces else 0
    tell(0, total)
    try:
        return in_two(pieces, work, lambda piece: tell(piece * size, total))
    finally:
        tell(total, total)


def in_two(
    pieces: list[list[Piece]], work: Work[Piece], progress: Callable[[int], None] = lambda number: None
) -> list[str]:
    """The results of `work` on each of at most 256 pieces, all in one list, in no order.

    `progress` is told the number of each piece that this process begins with: all before it are begun as well.

    Two processes share the pieces where there is a second processor, and where this process has no threads, which
    a fork would leave behind. Where the second process fails, this one does its part again, and meets what it met.
    """
    descriptors: list[int] = []
    try:
        second = _begin_second(pieces, work, descriptors) if _may_fork() else None
        if second is None:
            return _alone(pieces, work, progress)
        tickets, answer = descriptors
        is_collected = False
        try:
            results, mine = _share(tickets, pieces, work, progress)
            succeeded = _collect(second)
            is_collected = True
        finally:
            if not is_collected:
                os.kill(second, _SIGKILL)
                _collect(second)
        if succeeded:
            if text := _read_all(answer).decode(errors="surrogateescape"):
                results += text.split("\0")
        else:
            for number, piece in enumerate(pieces):
                if number not in mine:
                    results += work(piece)
        return results
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _alone(pieces: list[list[Piece]], work: Work[Piece], progress: Callable[[int], None]) -> list[str]:
    results = []
    for number, piece in enumerate(pieces):
        progress(number)
        results += work(piece)
    return results


def _may_fork() -> bool:
    try:
        is_alone = len(os.sched_getaffinity(0)) > 1 and len(os.listdir("/proc/self/task")) == 1
        return is_alone and hasattr(os, "memfd_create")
    except (AttributeError, OSError):
        return False  # not Linux


def _begin_second(pieces: list[list[Piece]], work: Work[Piece], descriptors: list[int]) -> int | None:
    """Start the second process; None where no process, descriptor or memory is left for it.

    `descriptors` takes up where both take their tickets, and the file for the answer.
    """
    try:
        tickets, ticket_writer = os.pipe()
        descriptors.append(tickets)
        os.write(ticket_writer, bytes(range(len(pieces))))
        os.close(ticket_writer)
        answer = os.memfd_create("ocuroot")  # through a pipe the first would have to read while it still works
        descriptors.append(answer)
        first = os.getpid()
        pid = os.fork()
    except OSError:
        return None
    if pid == 0:
        _be_second(tickets, answer, pieces, work, first)
    return pid


def _be_second(tickets: int, answer: int, pieces: list[list[Piece]], work: Work[Piece], first: int) -> None:
    """The second process, from its start to its end. Its exit status is all that it says of an error.

    Where the first, of this id, has been killed, it does not work on for nobody.
    """
    status = 1

    def go_on(number: int) -> None:
        if os.getppid() != first:
            os._exit(status)

    try:
        results, _ = _share(tickets, pieces, work, go_on)
        results.sort()
        waiting = memoryview("\0".join(results).encode(errors="surrogateescape"))
        while waiting:
            waiting = waiting[os.write(answer, waiting) :]
        status = 0
    finally:
        os._exit(status)


def _share(
    tickets: int, pieces: list[list[Piece]], work: Work[Piece], progress: Callable[[int], None]
) -> tuple[list[str], set[int]]:
    """Work on one piece after the other, as long as there are tickets; gives the results, and which pieces."""
    results: list[str] = []
    taken = set()
    while ticket := os.read(tickets, 1):
        taken.add(ticket[0])
        progress(ticket[0])
        results += work(pieces[ticket[0]])
    return results, taken


def _read_all(answer: int) -> bytes:
    os.lseek(answer, 0, os.SEEK_SET)
    with open(answer, "rb", buffering=0, closefd=False) as file:
        return file.read()


def _collect(pid: int) -> bool:
    """Wait for the second process; whether it succeeded. Not known, so no, where the caller ignores SIGCHLD."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    except ChildProcessError:
        return False
