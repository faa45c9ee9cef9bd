"""Documents: JSON that keeps what it was given (design 5.4). Pure: text in, values out, and back.

A document is a dict, list, str, int, float, bool or None. The order of keys is kept, and so are the digits of
numbers: integers are exact, and a float whose shortest spelling is not the one given is a `Number`, a float that
remembers its text. Duplicate keys, NaN and Infinity are refused. Text comes out as UTF-8, not escaped to ASCII.

The scanner is the interpreter's own compiled one, without the `json` package around it: that package imports
regular expressions, which cost a third of the start-up of `get` (docs/performance.md).
"""

from __future__ import annotations

import sys

from ..errors import Fatal
from .refs import split_fragment

try:
    from _json import encode_basestring as _quote
    from _json import make_scanner as _make_scanner
except ImportError:  # an interpreter without the compiled half, such as PyPy
    from json.encoder import encode_basestring as _quote
    from json.scanner import make_scanner as _make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    Document = Any
    """A JSON value: dict, list, str, int, float, bool or None."""
else:
    Document = object

MISSING: Final[Document] = object()
"""Stands where there is no document, or no value: no document is this, and null is one."""

_WHITESPACE: Final = " \t\n\r"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LONGEST_INT: Final = 4300
"""Digits; Python itself refuses longer ones, whose conversion takes quadratic time."""


class DocumentError(Fatal, ValueError):
    """A text is not the JSON of a document: `why`, and at which `line` and `column`, both counted from 1; 0: unknown.

    The message names all of it.
    """

    def __init__(self, message: str, *, hint: str | None = None, why: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.why = why or message.removeprefix("bad JSON: ")
        self.line = line
        self.column = column


class Number(float):
    """A number whose digits matter: it counts as a float and is written as it was read (`1.50`, `1e21`, `-0`)."""

    __slots__ = ("literal",)

    literal: str

    def __new__(cls, literal: str) -> Number:
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    def __repr__(self) -> str:
        return self.literal

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        return Number, (self.literal,)


MOST_NESTED: Final = 500
"""How deep lists and objects may lie in each other: far enough from the interpreter's own bound of about 1,000, which
depends on who calls, that what can be read can be written, compared and shown by everyone."""


def parse(text: str) -> Document:
    """The document that the JSON `text` holds. Raises DocumentError, also where it is nested too deeply.

    Bytes that came in as no UTF-8 are no JSON.
    """
    if not text.isascii():
        if text.startswith("\ufeff"):
            raise DocumentError(
                "bad JSON: it begins with a byte order mark (BOM)",
                hint="save it as UTF-8 without one",
                line=1,
                column=1,
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _error(text, error.start, "not valid UTF-8") from None
    return _parse_within(MOST_NESTED, text)


def _parse_within(nested: int, text: str) -> Document:
    value = _parse(text)
    _check_nesting(text, value, nested, "bad JSON")
    return value


def _check_nesting(text: str, value: Document, nested: int, what: str) -> None:
    if text.count("[") + text.count("{") <= nested:
        return
    level = [value]
    for _ in range(nested):
        level = [item for inner in level for item in _items(inner) if isinstance(item, (dict, list, tuple))]
        if not level:
            return
    raise DocumentError(f"{what}: it is nested more than {nested} deep")


def _items(value: Document) -> Iterable[Document]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()


def _parse(text: str) -> Document:
    start = _skip(text, 0)
    try:
        value, end = _scan(text, start)
    except StopIteration as stop:
        raise _error(text, stop.value, "a value is expected here") from None
    except _Refused as refused:
        raise _error(text, _locate(text, refused), refused.why) from None
    except RecursionError:
        raise DocumentError(f"bad JSON: it is nested more than {MOST_NESTED} deep") from None
    except SystemError:
        # Up to Python 3.12 the scanner finds its exception class in `json.decoder` only if that was imported.
        if "json.decoder" in sys.modules:
            raise
        import json.decoder  # noqa: F401  (now the scanner finds it)

        return _parse(text)
    except ValueError as error:
        position = getattr(error, "pos", 0)
        raise _error(
            text, position, _lower(getattr(error, "msg", str(error))).removesuffix(" at").removesuffix(" starting")
        ) from None
    end = _skip(text, end)
    if end < len(text):
        raise _error(text, end, "there is more after the end of the value")
    return value


def parse_bytes(data: bytes, *, nested: int = MOST_NESTED) -> Document:
    """As `parse`, of UTF-8; a byte order mark at the start is passed over."""
    data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        return _parse_within(nested, data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise _error_at(line, column, "not valid UTF-8") from None


def dump(value: Document, indent: int | None = 2, *, nested: int = MOST_NESTED + 3) -> str:
    """The JSON text of a document, without a final newline: indented by `indent` spaces, or on one line for None.

    Raises DocumentError for what JSON cannot hold, and for what is `nested` too deeply: what is printed around a
    document makes it a little deeper than what is read.
    """
    parts: list[str] = []
    try:
        if indent is None:
            _write_compact(value, parts.append)
        else:
            _write_indented(value, parts.append, "\n", " " * indent)
    except RecursionError:
        raise DocumentError(f"cannot write JSON: it is nested more than {nested} deep") from None
    text = "".join(parts)
    _check_nesting(text, value, nested, "cannot write JSON")
    return text


def brief(value: Document) -> str:
    """A value as an error quotes it: on one line, and cut short where it is long."""
    text = dump(value, None)
    return text if len(text) <= 60 else f"{text[:59]}…"


def to_bytes(text: str) -> bytes:
    """Text as UTF-8. Half of a surrogate pair, which JSON can spell but UTF-8 cannot, stays spelled as JSON does."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace")


class NoSuchPart(Exception):
    """A fragment leads nowhere; `args[0]` is the key at which it ended."""


def select(value: Document, fragment: str) -> Document:
    """The part of a document that a fragment names; an empty fragment names all of it.

    An all-digit key indexes an array. Raises NoSuchPart where there is none or it is null, which in the original
    program is the same; RefError for a bad fragment.
    """
    for key in split_fragment(fragment) if fragment else ():
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 20 and int(key) < len(value):
            value = value[int(key)]
        else:
            raise NoSuchPart(key)
        if value is None:
            raise NoSuchPart(key)
    return value


def position(text: str, path: Iterable[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the value in the JSON `text` to which keys and indexes lead, one after the other.

    Where one of them is not there, those of the object or list that lacks it. `text` must be JSON.
    """
    at = _skip(text, 0)
    for step in path:
        below = _step_into(text, at, step)
        if below is None:
            break
        at = below
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _step_into(text: str, at: int, step: str | int) -> int | None:
    """Where the value at a key or index of the object or list at `at` begins; None where there is none."""
    is_object = text[at] == "{"
    if is_object is not isinstance(step, str) or text[at] not in "{[":
        return None
    at = _skip(text, at + 1)
    index = 0
    while text[at] not in "}]":
        key: Document = index
        if is_object:
            key, at = _scan(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if key == step:
            return at
        _, at = _scan(text, at)
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at
        index += 1
    return None


def same(one: Document, other: Document) -> bool:
    """Whether two documents say the same: the same digits, the same items in lists; keys may stand in any order."""
    todo = [(one, other)]
    while todo:
        left, right = todo.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            todo += [(value, right[key]) for key, value in left.items()]
        elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
            if len(left) != len(right):
                return False
            todo += zip(left, right, strict=True)
        elif dump(left, None) != dump(right, None):
            return False
    return True


def same_text(one: Document, other: Document) -> bool:
    """Whether two documents are written alike: as `same`, with their keys in the same order."""
    return dump(one, None) == dump(other, None)


class _Refused(Exception):
    """Raised out of the scanner, which does not tell its callbacks where it is; `_locate` finds out afterwards."""

    def __init__(self, why: str, token: str = "") -> None:
        self.why = why
        self.token = token


class _Context:
    """What the scanner asks of its caller, by the names it asks for."""

    strict = True
    object_hook = None

    @staticmethod
    def object_pairs_hook(pairs: list[tuple[str, Document]]) -> dict[str, Document]:
        value = dict(pairs)
        if len(value) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise _Refused(f"the key {_quote(key)} appears twice")
                seen.add(key)
        return value

    @staticmethod
    def parse_int(literal: str) -> int | Number:
        if literal == "-0" or len(literal) > _LONGEST_INT:
            return Number(literal)
        return int(literal)

    @staticmethod
    def parse_float(literal: str) -> float:
        number = float(literal)
        return number if repr(number) == literal else Number(literal)

    @staticmethod
    def parse_constant(name: str) -> Document:
        raise _Refused(f"{name} is no JSON number", name)


def _make_scan() -> Callable[[str, int], tuple[Document, int]]:
    context: Any = _Context()
    if _make_scanner.__module__ == "json.scanner":  # the slow scanner wants a whole decoder
        from json import JSONDecoder

        hooks = ("object_pairs_hook", "parse_int", "parse_float", "parse_constant")
        context = JSONDecoder(**{hook: getattr(_Context, hook) for hook in hooks})
    scan: Callable[[str, int], tuple[Document, int]] = _make_scanner(context)
    return scan


_scan = _make_scan()


_WRITTEN_AT_ONCE: Final = ({int}, {str})
"""Of what a list may hold alone to be written in one go: long ones of releases and names are remembered."""


def _write_compact(value: Document, put: Callable[[str], None]) -> None:
    if isinstance(value, dict):
        put("{")
        separator = ""
        for key, item in value.items():
            put(f"{separator}{_key(key)}: ")
            _write_compact(item, put)
            separator = ", "
        put("}")
    elif isinstance(value, (list, tuple)):
        types = {*map(type, value)}
        if types in _WRITTEN_AT_ONCE:
            put(f"[{', '.join(map(_quote if str in types else int.__repr__, value))}]")
            return
        put("[")
        separator = ""
        for item in value:
            put(separator)
            _write_compact(item, put)
            separator = ", "
        put("]")
    else:
        put(_scalar(value))


def _write_indented(value: Document, put: Callable[[str], None], newline: str, step: str) -> None:
    if isinstance(value, dict) and value:
        inner = newline + step
        put("{")
        separator = inner
        for key, item in value.items():
            put(f"{separator}{_key(key)}: ")
            _write_indented(item, put, inner, step)
            separator = "," + inner
        put(newline + "}")
    elif isinstance(value, (list, tuple)) and value:
        inner = newline + step
        put("[")
        separator = inner
        for item in value:
            put(separator)
            _write_indented(item, put, inner, step)
            separator = "," + inner
        put(newline + "]")
    else:
        _write_compact(value, put)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise DocumentError(f"cannot write JSON: the key {key!r} is not a string")
    return _quote(key)


def _scalar(value: Document) -> str:
    if isinstance(value, str):
        return _quote(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, Number):
        return value.literal
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise DocumentError(f"cannot write JSON: {value!r} is no JSON number")
        return float.__repr__(value)
    raise DocumentError(f"cannot write JSON: a value of type {type(value).__name__}")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def _locate(text: str, refused: _Refused) -> int:
    """Where in `text` the scanner met what it refused: the second of two equal keys, or the constant."""
    import re

    keys: list[set[str] | None] = []
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"(?=(\s*:)?)|[{}\[\]]|[^\s{}\[\],:"]+', text):
        word = token.group()
        if word == refused.token:
            return token.start()
        if word in "{[":
            keys.append(set() if word == "{" else None)
        elif word in "}]" and keys:
            keys.pop()
        elif token.group(1) and keys and keys[-1] is not None:
            key = parse(word)
            if key in keys[-1]:
                return token.start()
            keys[-1].add(key)
    return 0


def _error(text: str, at: int, why: str) -> DocumentError:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return _error_at(line, column, why)


def _error_at(line: int, column: int, why: str) -> DocumentError:
    return DocumentError(f"bad JSON: line {line}, column {column}: {why}", why=why, line=line, column=column)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
