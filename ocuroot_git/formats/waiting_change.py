"""A change that waits for another writer to make it: the text that its writer pushes to the outbox (design 8.10). Pure.

It says what the change read and what it writes, by the paths of files, so that whoever makes it can check it as if the
change were its own: what was read must still be so. Everything in it was written by somebody else, and is checked
before it is believed.
"""

from __future__ import annotations

import base64

from ..errors import Fatal
from .commit_message import compose, operations_of
from .documents import Document, DocumentError, dump, parse_bytes, to_bytes
from .layout import DEPENDENCIES, Damaged, StoredObject, StoredRef, edge_end, stored_ref
from .operation import Operation, Origin, checked_name
from .refs import Ref, RefError, unwritable_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

MOST_BYTES: Final = 1 << 20
"""Bytes of a change that may wait. Larger ones are pushed by their writer alone, as everything is without others."""
MOST_FILES: Final = 2000
"""Files and directories that such a change may have read, or may write."""
LONGEST_WAIT: Final = 24 * 3600
"""Seconds that a change may wait at most, whatever it says: more than clocks are wrong by, and writers patient for."""
_VERSION: Final = 1
_LONGEST_TEXT: Final = 1 << 16
_DIGITS: Final = frozenset("0123456789abcdef")


class BadChange(Fatal):
    """What waits in an outbox is no change that may be made."""


class WaitingChange:
    """A change: what it read, what it writes, and how its commit is to be called.

    `base` is the commit on which it was made. `objects` are the ids of the files and directories that it read, by path
    from the top of the branch, None for what was not there; `names` the digests of directories that it listed. `files`
    are the new contents, None for files that go. `author` is name, email, seconds since the epoch and minutes east.
    """

    __slots__ = ("author", "base", "command", "expires", "files", "names", "objects", "operation", "subject", "touched")

    def __init__(
        self,
        *,
        base: str,
        expires: int,
        author: tuple[str, str, int, int],
        command: str,
        subject: str | None,
        touched: Sequence[str],
        operation: Operation,
        objects: Mapping[str, str | None],
        names: Mapping[str, str],
        files: Mapping[str, bytes | None],
    ) -> None:
        self.base = base
        self.expires = expires
        self.author = author
        self.command = command
        self.subject = subject
        self.touched = touched
        self.operation = operation
        self.objects = objects
        self.names = names
        self.files = files

    def waits_at(self, moment: float) -> bool:
        """Whether it may be made at a moment, in seconds since the epoch: it has not expired, and does so one day."""
        return moment <= self.expires <= moment + LONGEST_WAIT

    def message(self) -> str:
        """The message of the commit that makes the change."""
        return compose(self.touched, self.command, [self.operation], self.subject)

    def to_bytes(self) -> bytes:
        """The text that `read` reads."""
        operation = self.operation
        content: dict[str, Document] = {
            "version": _VERSION,
            "base": self.base,
            "expires": self.expires,
            "author": list(self.author),
            "command": self.command,
            "subject": self.subject,
            "touched": list(self.touched),
            "operation": {
                "name": operation.name,
                "request": operation.request,
                "result": operation.result,
                "origin": list(operation.origin.values()),
            },
            "objects": dict(self.objects),
            "names": dict(self.names),
            "files": {
                path: None if data is None else base64.b64encode(data).decode() for path, data in self.files.items()
            },
        }
        return to_bytes(dump(content, None) + "\n")

    @classmethod
    def read(cls, data: bytes) -> WaitingChange:
        """The change that a text describes. Raises BadChange for everything that no writer of ours would have written.

        That each path lies in a store, and that what was read is still so, is for whoever knows the branch to check.
        """
        if len(data) > MOST_BYTES:
            raise BadChange(f"it has {len(data)} bytes, more than {MOST_BYTES}")
        try:
            content = parse_bytes(data)
        except DocumentError as error:
            raise BadChange(error.message) from None
        if not isinstance(content, dict) or content.get("version") != _VERSION:
            raise BadChange("it is not of a version that this program knows")
        try:
            change = cls(
                base=_oid(content["base"]),
                expires=_number(content["expires"]),
                author=_author(content["author"]),
                command=_line(content["command"]),
                subject=None if content["subject"] is None else _text(content["subject"]),
                touched=[_line(ref) for ref in _list(content["touched"])],
                operation=_operation(_dict(content["operation"])),
                objects={path: None if oid is None else _oid(oid) for path, oid in _dict(content["objects"]).items()},
                names={path: _oid(digest) for path, digest in _dict(content["names"]).items()},
                files={
                    path: None if text is None else base64.b64decode(_text(text), validate=True)
                    for path, text in _dict(content["files"]).items()
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadChange(f"it is not of the right shape ({type(error).__name__}: {error})") from None
        change._check()
        return change

    def _check(self) -> None:
        if not self.files:
            raise BadChange("it changes nothing")
        if len(self.objects) + len(self.names) > MOST_FILES:
            raise BadChange(f"it read more than {MOST_FILES} files")
        for path in [*self.objects, *self.names]:
            for segment in path.split("/"):
                if why := unwritable_name(segment):
                    raise BadChange(f"bad path {path!r}: {why}")
        for path in self.files:
            if path not in self.objects:
                raise BadChange(f"it writes '{path}' without having read it")
        try:
            operations = operations_of(self.message())
        except Fatal as error:
            raise BadChange(error.message) from None
        if [operation.name for operation in operations] != [self.operation.name]:
            raise BadChange("its message would carry other operations")

    def check_files(self, directories: list[str]) -> None:
        """Raise BadChange unless each file that is written is one of a store in one of the directories (`""`, `"a/"`).

        What is written must be what the file of that name holds: an object at a ref, or the end of a dependency.
        """
        for path, data in self.files.items():
            if not any(
                path.startswith(directory) and _is_store_file(path[len(directory) :], data) for directory in directories
            ):
                raise BadChange(f"'{path}' is no file that a store has there")


def _is_store_file(path: str, data: bytes | None) -> bool:
    """Whether a store may have such a file at a path from its top, with such a content (None: it goes)."""
    stored = stored_ref(path)
    is_edge = path.startswith(f"{DEPENDENCIES}/") and edge_end(path) is not None
    try:
        if stored is not None:
            if data is not None:
                StoredObject.read(data, path)
        elif not is_edge:
            return False
        elif data is not None:
            stored = StoredRef(data.decode())
        ref = Ref.parse(stored) if stored is not None else None
    except (RefError, Damaged, UnicodeDecodeError):
        return False
    return ref is None or not (ref.is_relative or ref.fragment)


def _operation(fields: dict[str, Document]) -> Operation:
    request, result = fields["request"], fields["result"]
    try:
        name = checked_name(_line(fields["name"]))
    except Fatal as error:
        raise BadChange(error.message) from None
    operation = Operation(
        name,
        None if request is None else _line(request),
        is_named=request is not None,
        result=None if result is None else _text(result, most=MOST_BYTES),
    )
    # The first version does not say where a change comes from, and does not mind that others do.
    actor, run, reason = (None if value is None else _line(value) for value in _list(fields.get("origin", [None] * 3)))
    operation.origin = Origin(actor, run, reason)
    return operation


def _author(value: Document) -> tuple[str, str, int, int]:
    fields = _list(value)
    if len(fields) != 4:
        raise TypeError("an author is missing")
    name, email = _line(fields[0]), _line(fields[1] or " ").strip()
    seconds, offset = _number(fields[2]), _number(fields[3])
    if not {"<", ">"}.isdisjoint(name + email):
        raise BadChange("its author is none that git knows")
    if not (0 <= seconds < 1 << 40 and abs(offset) < 24 * 60):
        raise BadChange("it was made at a time that git does not know")
    return name, email, seconds, offset


def _oid(value: Document) -> str:
    if not isinstance(value, str) or len(value) != 40 or not _DIGITS.issuperset(value):
        raise BadChange(f"{value!r} is no id")
    return value


def _number(value: Document) -> int:
    if type(value) is not int:
        raise TypeError("a number is missing")
    return value


def _text(value: Document, *, most: int = MOST_BYTES * 2) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise TypeError("a text is missing")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadChange("it is not UTF-8") from None
    return value


def _line(value: Document) -> str:
    text = _text(value, most=_LONGEST_TEXT)
    if not text or any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise TypeError("a line of text is missing")
    return text


def _list(value: Document) -> list[Document]:
    if not isinstance(value, list):
        raise TypeError("a list is missing")
    return value


def _dict(value: Document) -> dict[str, Document]:
    if not isinstance(value, dict):
        raise TypeError("an object is missing")
    return value
