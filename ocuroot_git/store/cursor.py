"""A file that says up to where changes were told, so that who starts again goes on from there (design 12).

One line for each branch, `<commit id> <store>`, the store being the first of those that lie in the branch; a commit id
alone is that of the branch of the state store. The file is replaced as a whole and on the disk before that counts, so
it holds the old lines or the new ones, whatever happens. Who uses it holds a lock on it, which ends with the process.
"""

from __future__ import annotations

import os

from ..errors import Conflict, Fatal
from ..formats.layout import SIDES
from ..git.objects import Oid, is_whole_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..formats.layout import Side


class Cursor:
    """The cursor at a path, which need not exist yet: see `read`. Raises Fatal, and Conflict where another uses it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self._temporary = f"{self._real}.tmp"
        self._locked: int | None = None
        self._on_disk: bytes | None = None
        self._take()

    def read(self) -> dict[Side, Oid] | None:
        """The commit up to which changes were told, by branch; None where there is no such file yet."""
        if self._on_disk is None:
            return None
        found: dict[Side, Oid] = {}
        for number, line in enumerate(self._on_disk.decode(errors="replace").splitlines(), 1):
            oid, _, name = line.strip().partition(" ")
            side = next((side for side in SIDES if side == (name.strip() or "state")), None)
            if side is None or side in found or not is_whole_id(oid):
                raise Fatal(
                    f"bad cursor '{self.path}': line {number} is no '<commit id> <store>'",
                    hint="a cursor is written by 'git ocuroot watch'; without the file it begins anew",
                )
            found[side] = Oid(oid)
        if not found:
            raise Fatal(
                f"bad cursor '{self.path}': it is empty", hint="remove it to begin anew, or write a commit id into it"
            )
        return found

    def write(self, positions: Mapping[Side, Oid]) -> None:
        """Let the file say this; it is on the disk then. Costs nothing where it says so already."""
        data = "".join(f"{oid} {side}\n" for side, oid in positions.items()).encode()
        if data == self._on_disk:
            return
        try:
            descriptor = self._lock_temporary()
            os.ftruncate(descriptor, 0)
            os.write(descriptor, data)
            os.fsync(descriptor)
            os.replace(self._temporary, self._real)
            self._keep(descriptor)
            directory = os.open(os.path.dirname(self._real), os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise self._failed("write", error) from None
        self._on_disk = data

    def close(self) -> None:
        """Let others have it."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None

    def _take(self) -> None:
        """Lock the file, and read it. The lock is on what the path leads to now, which a former user may replace."""
        while True:
            try:
                descriptor = os.open(self._real, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                if self._take_new():
                    return
                continue
            except OSError as error:
                raise self._failed("read", error) from None
            self._lock(descriptor)
            if _is_at(descriptor, self._real):
                break
            os.close(descriptor)
        self._locked = descriptor
        try:
            with open(self._real, "rb") as file:
                self._on_disk = file.read()
        except OSError as error:
            raise self._failed("read", error) from None

    def _take_new(self) -> bool:
        """Lock what will become the file; whether it is still not there then."""
        try:
            descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self._failed("write", error) from None
        self._lock(descriptor)
        if _is_at(descriptor, self._temporary) and not os.path.lexists(self._real):
            self._locked = descriptor
            return True
        os.close(descriptor)
        return False

    def _lock_temporary(self) -> int:
        """The descriptor of the file that will take the place of this one, locked as this one is."""
        import fcntl

        if self._locked is not None and _is_at(self._locked, self._temporary):
            return self._locked
        while True:
            descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, self._temporary):
                return descriptor
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict(
                f"another process uses the cursor '{self.path}'", hint="each that watches has a cursor of its own"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise self._failed("lock", error) from None

    def _keep(self, descriptor: int) -> None:
        if descriptor != self._locked:
            self.close()
            self._locked = descriptor

    def _failed(self, verb: str, error: OSError) -> Fatal:
        return Fatal(f"cannot {verb} the cursor '{self.path}': {error.strerror}")


def _is_at(descriptor: int, path: str) -> bool:
    """Whether a path leads to the file of a descriptor."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
