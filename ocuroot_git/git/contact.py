"""When a remote was last asked: the time of an empty file, so that whoever asks next knows how old the answer is."""

from __future__ import annotations

import os


class Contact:
    """The last contact with a remote, kept at a path."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def time(self) -> float | None:
        """When it was, in seconds since the epoch; None: never."""
        try:
            return os.stat(self._path).st_mtime
        except OSError:
            return None

    def note(self) -> None:
        """Take note that the remote has answered now.

        Where that cannot be kept, as on a disk that is only to be read, whoever asks next asks the remote again.
        """
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(self._path, "wb"):
                os.utime(self._path)
        except OSError:
            pass  # an older time is kept, or none
