"""The outputs of commands: the file to which they write them, and those on a command line (design 7)."""

from __future__ import annotations

from ..errors import Fatal
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.documents import Document

LARGEST_OUTPUT: Final = 1 << 20
"""Bytes in the file of outputs; larger ones belong elsewhere, with a reference to them as the output."""


class OutputError(Fatal, ValueError):
    """The file of outputs does not parse; the message names the line."""


def read_outputs(path: str) -> dict[str, Document]:
    """The outputs that a command wrote to its file. Raises OutputError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_OUTPUT + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutputError(f"cannot read the outputs: {error.strerror}") from None
    if len(data) > LARGEST_OUTPUT:
        raise OutputError(f"bad outputs: they are over {LARGEST_OUTPUT >> 20} MiB")
    try:
        return parse_outputs(data.decode())
    except UnicodeDecodeError:
        raise OutputError("bad outputs: they are not UTF-8") from None


def parse_outputs(text: str) -> dict[str, Document]:
    """Outputs in the form of GitHub's: `key=value` lines, and `key<<END`, lines of a value, `END`. Raises OutputError.

    >>> parse_outputs("version=1.2\\nnotes<<EOF\\ntwo\\nlines\\nEOF\\n")
    {'version': '1.2', 'notes': 'two\\nlines'}
    """
    outputs: dict[str, Document] = {}
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        line = line.removesuffix("\r")
        if not line:
            continue
        key, equals, value = line.partition("=")
        head, heredoc, end = line.partition("<<")
        if heredoc and end and "=" not in head:
            key, value = head, _heredoc(lines, end, number)
        elif not equals:
            raise OutputError(f"bad outputs: line {number}: neither 'key=value' nor 'key<<END': '{line[:80]}'")
        if not key.strip():
            raise OutputError(f"bad outputs: line {number}: the key is empty")
        outputs[key.strip()] = value
    return outputs


def _heredoc(lines: enumerate[str], end: str, start: int) -> str:
    value: list[str] = []
    for _, line in lines:
        if line.removesuffix("\r") == end:
            return "\n".join(value)
        value.append(line)
    raise OutputError(f"bad outputs: line {start}: the value that begins here has no end '{end}'")


def pair(text: str) -> tuple[str, str]:
    """An output on the command line, `key=value`. Raises ModelError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ModelError(f"bad output '{text}': it is not key=value")
    return key, value
