"""What every evaluation of Starlark shares: how the library parses, and how its reports are read; JSON as files see it.

Used within the bounded child process of `sandbox`.
"""

from __future__ import annotations

from ..errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

BUILTIN: Final = "<builtin>"
"""The file name of the preludes in the library's reports."""

# The library's own json.decode sorts the keys, rounds large integers, and panics at 1e400.
COMMON = """
json = struct(encode = __encode__, decode = __json_decode__)
"""

# The library would write a float that is not finite as null, and an integer key as a string: look first.
# Starlark has no `while`, and calls do not nest deeply: hence the list of what is still to be seen. The library finds
# what holds itself, so it is asked where the list has no end.
JSON_CHECK = """
def __json__(*values):
    if len(values) != 1:
        fail("one expression is wanted, here are %d" % len(values))
    todo = [values[0]]
    for step in range(2000000000):
        if not todo or step == 100000:
            text = __encode__(values[0])
        if not todo:
            return text
        value = todo.pop()
        kind = type(value)
        if kind == "dict":
            for key in value:
                if type(key) != "string":
                    fail("the keys of a JSON object are strings, and %r is of type %s" % (key, type(key)))
            todo.extend(value.values())
        elif kind in ("list", "tuple"):
            todo.extend(value)
        elif kind == "struct":
            todo.extend([getattr(value, name) for name in dir(value)])
        elif kind == "float" and str(value).lstrip("+-") in ("inf", "nan"):
            fail("%s has no JSON form" % value)
        elif kind not in ("string", "int", "float", "bool", "NoneType"):
            fail("a value of type %s has no JSON form" % kind)
"""


def need_library(what: str) -> None:
    hint = "pip install 'starlark-pyo3>=2026.1.2'"
    try:
        import starlark
    except ImportError:
        raise Fatal(f"reading {what} needs the Python package starlark-pyo3", hint=hint) from None
    if not hasattr(starlark, "eval_with"):
        raise Fatal(f"reading {what} needs starlark-pyo3 2026.1.2 or newer", hint=hint)


def parse(filename: str, text: str, *, load: bool = False, statements: bool = True) -> Any:
    """The syntax tree of a file; `load` and `statements` (`if` and `for` outside of functions) say what it may use.

    Raises the library's own error.
    """
    import starlark

    dialect = starlark.Dialect.extended()
    dialect.enable_types = starlark.DialectTypes.ENABLE
    dialect.enable_f_strings = True
    dialect.enable_load = load
    dialect.enable_load_reexport = False
    dialect.enable_top_level_stmt = statements
    while True:
        try:
            return starlark.parse(filename, text, dialect)
        except starlark.StarlarkError as error:
            place = place_of(str(error))
            if not place or "error: Parse error: tabs are not allowed\n" not in str(error):
                raise
        # Starlark allows tabs, this library does not. A space for each keeps every place what it was.
        at = sum(len(line) + 1 for line in text.split("\n")[: int(place[2]) - 1]) + int(place[3]) - 1
        at = text.index("\t", at)
        rest = text[at:].lstrip("\t")
        text = text[:at].ljust(len(text) - len(rest)) + rest


def place_of(report: str) -> Any:
    """The match of file, line and column in a report of the library: the last, for the message may hold anything."""
    import re

    return [None, *re.finditer(r"^ *--> (.+):(\d+):(\d+)$", report, re.MULTILINE)][-1]


def message_of(report: str) -> str:
    """The message in a report of the library, without traceback and excerpt, in our words where we have any."""
    import re

    place = place_of(report)
    head = report[: place.start()] if place else report
    message = re.split(r"^error: ", head, maxsplit=1, flags=re.MULTILINE)[-1].partition(", expected one of ")[0]
    message = re.sub(r"^\w+Error: (_builtins\.<locals>\.)?", "", message)
    message = re.sub(r"^_?(store|json)_(?=\w+\(\) )", r"\1.", message)
    digits = r"exceeds the limit \((\d+) digits\) for integer string conversion.*"
    message = re.sub(digits, r"an integer has more than \1 digits", message, flags=re.IGNORECASE | re.DOTALL)
    return message.replace("Operation `serde::serialize` not supported on", "this cannot take a value of")


def one_line(message: str) -> str:
    """A message as errors have it: one line, its first word in lower case unless it is a name."""
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    return "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))


def json_decode(text: str) -> object:
    import json
    import math

    def number(digits: str) -> float:
        value = float(digits)
        if math.isfinite(value):
            return value
        raise ValueError(f"json.decode: {digits} is too large")

    def constant(name: str) -> object:
        raise ValueError(f"json.decode: {name} is no JSON")

    try:
        return json.loads(text, parse_float=number, parse_constant=constant)
    except RecursionError:
        raise ValueError("json.decode: it nests too deeply") from None


def utf8(text: str) -> str:
    """The text, fit for Starlark: the environment and what commands write may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
