"""The directory that a site is written to: file by file, so that each is whole, and nothing of others is touched.

`ocuroot-site.json` lists the files that we wrote, each with its digest. What was written since it was made is noted in
`ocuroot-site.journal` first: a run that is killed leaves both, and the next one knows what is its own. No symbolic link
within the directory is followed; the directory itself is what its user named.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, Error, Fatal
from ..formats.documents import dump, parse_bytes, to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

MANIFEST = "ocuroot-site.json"
_JOURNAL = "ocuroot-site.journal"
_ASIDE = ".ocuroot-site.tmp"
"""Where a content is written before it takes its place. What a killed run left there is written over."""
_FORMAT = 1
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Published:
    """The files of a site. A block: at its end, unless it failed, what no longer belongs to the site is removed.

    Raises Fatal for what cannot be written, and for a file of others in the way; Conflict where another run is at it.
    """

    def __init__(self, path: str, tell: Callable[[str], None]) -> None:
        """`tell` is told of what is left alone."""
        self._path = path
        self._tell = tell
        self._chain: list[tuple[str, int]] = []
        """The directories that are open, from the top downwards: pages of one place are written one after the other."""
        self._own: dict[str, set[str]] = {}
        """The files that are ours, with the digests of what we wrote there."""
        self._unsure: set[str] = set()
        """Files that were written since the list was made."""
        self.files: dict[str, str] = {}
        """The files of this run, with their digests."""
        self.known: dict[str, Any] = {}
        """What the run before noted for this one."""
        self.notes: dict[str, Any] = {}
        """What this run notes for the next one."""
        self.digest = ""
        """The digest of the list of files: as it was found, and at the end of the block as it is then."""
        self.has_others = False
        """Whether a file is somebody else's, who wrote just what belongs there."""
        self.written = self.removed = 0
        self._journal = -1

    def __enter__(self) -> Published:
        try:
            os.makedirs(self._path, exist_ok=True)
            self._top = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failure("", error) from None
        try:
            fcntl.flock(self._top, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._top)
            raise Conflict(f"another run writes to '{self._path}'") from None
        try:
            self._read_lists()
        except BaseException:
            os.close(self._top)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._close_chain(0)
            for descriptor in (self._journal, self._top):
                if descriptor >= 0:
                    os.close(descriptor)

    def write(self, file: str, data: bytes) -> None:
        """Let a file have this content. One that has it keeps its time."""
        digest = sha256(data).hexdigest()
        if file in self.files:
            raise Fatal(f"two pages would be '{file}'")
        self.files[file] = digest
        directory, _, name = file.rpartition("/")
        current = self._read(directory, name)
        if current == data:
            if file not in self._own:
                del self.files[file]  # somebody else's, who may have it
                self.has_others = True
            return
        if current is not None and file not in self._own:
            raise Fatal(
                f"'{self._shown(file)}' is in the way: it was not written by this command",
                hint="name a directory that has nothing else, or move it away",
            )
        self._note(f"{digest} {file}\n")
        self._put(directory, name, data)
        self.written += 1

    def keep(self, files: Iterable[str]) -> bool:
        """Let files stay as the last run wrote them. False where that cannot be: then they have to be written again."""
        kept = {}
        for file in files:
            digests = self._own.get(file)
            if file in self._unsure or digests is None or file in self.files or not self._is_there(file):
                return False
            (kept[file],) = digests
        self.files.update(kept)
        return True

    def keep_all(self) -> bool:
        """Let all be as the last run left it. False where that cannot be.

        Files that a run would look into are looked into: all but those that `notes` say may be kept.
        """
        kept = {file for note in self.known.values() for file in note["files"]}
        if self._unsure or not self._own or any(len(digests) != 1 for digests in self._own.values()):
            return False
        for file, (digest,) in self._own.items():
            if file in kept:
                if not self._is_there(file):
                    return False
                continue
            directory, _, name = file.rpartition("/")
            current = self._read(directory, name)
            if current is None or sha256(current).hexdigest() != digest:
                return False
        self.files.update((file, digest) for file, (digest,) in self._own.items())
        self.notes = self.known
        return True

    # What was there

    def _read_lists(self) -> None:
        manifest = self._read("", MANIFEST)
        if manifest is not None:
            self.digest = sha256(manifest).hexdigest()
            try:
                found = parse_bytes(manifest)
                assert found["format"] == _FORMAT
                self._own = {str(file): {str(digest)} for file, digest in found["files"].items()}
                self.known = found["notes"]
            except (ValueError, TypeError, KeyError, AttributeError, AssertionError, Error):
                raise Fatal(
                    f"'{self._shown(MANIFEST)}' is no list of files that this version wrote",
                    hint="name another directory, or remove this one",
                ) from None
        journal = self._read("", _JOURNAL) or b""
        for line in journal.decode(errors="surrogateescape").split("\n")[:-1]:
            digest, _, file = line.partition(" ")
            self._own.setdefault(file, set()).add(digest)
            self._unsure.add(file)

    def _finish(self) -> None:
        for file in sorted(self._own.keys() - self.files.keys()):
            directory, _, name = file.rpartition("/")
            current = self._read(directory, name)
            if current is None:
                continue
            if sha256(current).hexdigest() not in self._own[file]:
                self._tell(f"'{self._shown(file)}' no longer belongs to the site, but was changed: it stays")
                continue
            self._remove(directory, name)
            self.removed += 1
        content = {"format": _FORMAT, "files": dict(sorted(self.files.items())), "notes": self.notes}
        data = to_bytes(dump(content, 1) + "\n")
        if self._read("", MANIFEST) != data:
            self._put("", MANIFEST, data)
        self.digest = sha256(data).hexdigest()
        try:
            os.unlink(_JOURNAL, dir_fd=self._top)
        except FileNotFoundError:
            pass

    def _note(self, line: str) -> None:
        try:
            if self._journal < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                self._journal = os.open(_JOURNAL, flags, 0o666, dir_fd=self._top)
            data = line.encode(errors="surrogateescape")
            if os.write(self._journal, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._failure(_JOURNAL, error) from None

    # Files by the descriptors of their directories

    def _directory(self, path: str, *, make: bool) -> int | None:
        """The descriptor of a directory; None where it is not there, and not to be made."""
        parts = path.split("/") if path else []
        same = 0
        while same < min(len(parts), len(self._chain)) and self._chain[same][0] == parts[same]:
            same += 1
        self._close_chain(same)
        for depth in range(same, len(parts)):
            above = self._chain[-1][1] if self._chain else self._top
            try:
                if make:
                    try:
                        os.mkdir(parts[depth], dir_fd=above)
                    except FileExistsError:
                        pass
                self._chain.append((parts[depth], os.open(parts[depth], _DIRECTORY, dir_fd=above)))
            except FileNotFoundError:
                return None
            except OSError as error:
                where = "/".join(parts[: depth + 1])
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise Fatal(f"'{self._shown(where)}' is in the way: it is no directory") from None
                raise self._failure(where, error) from None
        return self._chain[-1][1] if self._chain else self._top

    def _close_chain(self, depth: int) -> None:
        while len(self._chain) > depth:
            os.close(self._chain.pop()[1])

    def _read(self, directory: str, name: str) -> bytes | None:
        """The content of a file; None where there is none. Raises Fatal for what is no file."""
        above = self._directory(directory, make=False)
        if above is None:
            return None
        file = f"{directory}/{name}" if directory else name
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Fatal(f"'{self._shown(file)}' is in the way: it is a symbolic link") from None
            raise self._failure(file, error) from None
        with open(descriptor, "rb", buffering=0) as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Fatal(f"'{self._shown(file)}' is in the way: it is no file")
            return opened.read()

    def _is_there(self, file: str) -> bool:
        directory, _, name = file.rpartition("/")
        above = self._directory(directory, make=False)
        if above is None:
            return False
        try:
            return stat.S_ISREG(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def _put(self, directory: str, name: str, data: bytes) -> None:
        file = f"{directory}/{name}" if directory else name
        above = self._directory(directory, make=True)
        assert above is not None
        try:
            self._unlink_aside()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(_ASIDE, flags, 0o666, dir_fd=self._top), "wb", buffering=0) as opened:
                rest = memoryview(data)
                while rest:
                    rest = rest[opened.write(rest) or 0 :]
            os.rename(_ASIDE, name, src_dir_fd=self._top, dst_dir_fd=above)
        except OSError as error:
            self._unlink_aside()
            raise self._failure(file, error) from None

    def _unlink_aside(self) -> None:
        try:
            os.unlink(_ASIDE, dir_fd=self._top)
        except OSError:
            pass

    def _remove(self, directory: str, name: str) -> None:
        """Remove a file, and the directories that are empty without it."""
        above = self._directory(directory, make=False)
        try:
            os.unlink(name, dir_fd=above)
            while self._chain:
                name, descriptor = self._chain.pop()
                os.close(descriptor)
                os.rmdir(name, dir_fd=self._chain[-1][1] if self._chain else self._top)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise self._failure(f"{directory}/{name}", error) from None

    def _shown(self, file: str) -> str:
        return os.path.join(self._path, file)

    def _failure(self, file: str, error: OSError) -> Fatal:
        shown = self._shown(file) if file else self._path
        return Fatal(f"cannot write '{shown}': {error.strerror}")
