"""What is known of a package's file without running it: its functions and where they stand, and what it asks for."""

from __future__ import annotations

import ast

from .prelude import VERSIONS
from .problem import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final


class FunctionDef:
    """A function at the top level of a file: its name, where it stands, and its parameters.

    `required` are those without a default, `optional` those with one; `*args` and `**kwargs` count as required.
    """

    __slots__ = ("column", "line", "name", "optional", "required")

    def __init__(self, node: ast.FunctionDef, column: int) -> None:
        given = node.args
        positional = [argument.arg for argument in (*given.posonlyargs, *given.args)]
        with_default = len(given.defaults)
        self.name = node.name
        self.line = node.lineno
        self.column = column
        self.required = positional[: len(positional) - with_default]
        self.optional = positional[len(positional) - with_default :]
        for argument, default in zip(given.kwonlyargs, given.kw_defaults):
            (self.required if default is None else self.optional).append(argument.arg)
        self.required += [argument.arg for argument in (given.vararg, given.kwarg) if argument is not None]

    @property
    def takes_context(self) -> bool:
        """Whether the function is of the older kind, which is given one `ctx` that holds the inputs."""
        return self.required == ["ctx"] and not self.optional


class Source:
    """A file of a package. `path` is its place in the repository, `shown` what positions of functions call it."""

    def __init__(self, path: str, shown: str, text: str) -> None:
        self.path = path
        self.shown = shown
        # Behind a last line end the library loses its place.
        self.text = text.removeprefix("\ufeff").rstrip()
        self.lines = self.text.split("\n")
        self.functions: dict[str, FunctionDef] = {}
        self.inner: set[str] = set()
        """The names of functions that are defined within others."""
        self.problems: list[Problem] = []
        self._calls: list[tuple[int, str, int, int]] = []

    def scan(self) -> None:
        """Read the file, once it is known to be Starlark. What is wrong goes into `problems`."""
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tree = ast.parse(self.text)
            except SyntaxError as error:
                self.problems.append(Problem(self.path, error.lineno or 1, error.offset or 1, f"{error.msg}"))
                return
            except RecursionError:
                self.problems.append(Problem(self.path, 0, 0, "it nests too deeply"))
                return
        for name, statement in _globals(tree):
            if isinstance(statement, ast.FunctionDef):
                self.functions.setdefault(name, FunctionDef(statement, self._column(statement)))
        self._check_names(tree)
        top = {id(statement) for statement in tree.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and id(node) not in top:
                self.inner.add(node.name)
            elif isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                opening = self._opening(node)
                self._calls.append((node.lineno, called, self._column(node), opening))
        self._check_version(tree)

    def _check_names(self, tree: ast.Module) -> None:
        """A global is set once: a second value would leave open which function a run is to call."""
        first: dict[str, ast.stmt] = {}
        for name, node in _globals(tree):
            if name in first:
                line = first[name].lineno
                self._add(node, f"cannot reassign global '{name}', which is set in line {line}")
            first.setdefault(name, node)

    def _check_version(self, tree: ast.Module) -> None:
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ocuroot"
        ]
        for second in calls[1:]:
            self._add(second, "multiple ocuroot calls: a file names one version of the SDK")
        for call in calls[:1]:
            argument = call.args[0] if len(call.args) == 1 and not call.keywords else None
            if argument is None:
                self._add(call, "ocuroot call must have exactly one argument")
            elif not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                self._add(call, "ocuroot call must have a string literal as its argument")
            elif not version_for(argument.value):
                known = ", ".join(VERSIONS)
                self._add(call, f"version {argument.value} not found; the SDK is known as {known}")

    def _add(self, node: ast.AST, message: str) -> None:
        self.problems.append(Problem(self.path, getattr(node, "lineno", 1), self._column(node), message))

    def _column(self, node: ast.AST) -> int:
        """The column of a node, in characters: the parser counts bytes."""
        line = self.lines[getattr(node, "lineno", 1) - 1]
        return len(line.encode()[: getattr(node, "col_offset", 0)].decode(errors="replace")) + 1

    def _opening(self, node: ast.Call) -> int:
        """The column of the parenthesis of a call: there the original says a call stands."""
        end = getattr(node.func, "end_col_offset", 0)
        line = self.lines[(node.func.end_lineno or node.lineno) - 1]
        return len(line.encode()[:end].decode(errors="replace")) + 1

    def position(self, function: FunctionDef) -> str:
        """Where a function stands, as documents have it."""
        return f"{self.shown}:{function.line}:{function.column}"

    def column_of_call(self, line: int, *names: str, opening: bool = False) -> int:
        """The column of the call of one of these functions in a line; that of the line's first word where none is."""
        for at, name, column, parenthesis in self._calls:
            if at == line and name in names:
                return parenthesis if opening else column
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return len(text) - len(text.lstrip()) + 1


def _globals(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """The names that a file sets at its top level, in order, each with the statement that does."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        yield name.id, node


_TERM: Final = r"(>=|=>|<=|=<|!=|[=<>~^]|)\s*v?([0-9xX*]+(?:\.[0-9xX*]+){0,2})\s*,?"
"""One comparison of a constraint: an operator and a version, of which parts may be left open."""


def version_for(asked: str) -> str | None:
    """The newest version of the SDK that fits what `ocuroot("…")` asks for: a version or a constraint; or None.

    >>> [version_for(text) for text in ("0.3.0", "0.3.14", "0.3.x", ">=0.3", "^0.3, <0.4", "0.4", "newest")]
    ['0.3.0', '0.3.0', '0.3.0', '0.3.0', '0.3.0', None, None]
    """
    for version in reversed(VERSIONS):
        numbers = tuple(map(int, version.split(".")))
        if any(_fits(numbers, constraint) for constraint in asked.split("||")):
            return version
    parts = asked.strip().removeprefix("v").split(".")
    # What was written for a later program of the series means the same SDK.
    return VERSIONS[-1] if len(parts) == 3 and parts[:2] == ["0", "3"] and parts[2].isdecimal() else None


def _fits(version: tuple[int, ...], constraint: str) -> bool:
    import re

    terms = re.findall(_TERM, constraint)
    if not terms or re.sub(_TERM, "", constraint).strip():
        return False
    return all(_fits_term(version, operator, text) for operator, text in terms)


def _fits_term(version: tuple[int, ...], operator: str, text: str) -> bool:
    given: list[int] = []
    for part in text.split("."):
        if not part.isdecimal():
            break
        given.append(int(part))
    low = tuple(given + [0] * (3 - len(given)))
    same = list(version[: len(given)]) == given
    if operator in (">=", "=>"):
        return version >= low
    if operator == ">":
        return version > low and not (same and len(given) < 3)
    if operator in ("<=", "=<"):
        return version <= low or (same and len(given) < 3)
    if operator == "<":
        return version < low
    if operator == "!=":
        return not same
    if operator == "~":
        return version >= low and list(version[: min(len(given), 2)]) == given[:2]
    if operator == "^":
        fixed = next((index for index, number in enumerate(given) if number), len(given) - 1) + 1
        return version >= low and list(version[:fixed]) == given[:fixed]
    return same
