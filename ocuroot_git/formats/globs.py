"""Globs: patterns of refs (design 6). Pure: a pattern in, an automaton over path segments out.

    *          any run within a segment, also empty       [a-z] [!a-z]   one character (of any kind), one not of these
    ?          one character within a segment             {a,b{c,d}/*}    alternatives, nested, with anything inside
    **         any run, across segments                   \\x              the character x itself
    /**/       also a single /

The whole text must match. A pattern is parsed to a tree, the tree becomes a nondeterministic automaton over
characters, and that is made deterministic on the fly. What a walk over a store asks is asked of a `State`, in
whole segments: where does this name lead (`through`), may a ref end there (`accepts`), where does the `/` after
it lead (`slash`), and, before a directory is listed at all, which names could match (`literals`). The answers
are remembered, so that a name met again costs one dictionary look-up.
"""

from __future__ import annotations

from ..errors import Fatal
from .refs import INTENT, LONGEST_SEGMENT, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

    Node = tuple[str, Any]
    """A part of a parsed pattern: (kind, content), as the `_parse_*` functions make it."""

_REMEMBERED: Final = 1 << 16
"""How many names a state remembers: enough for what repeats in a store, bounded for what does not."""
_DEEPEST: Final = 50
"""Braces within braces: far enough from the interpreter's bound on functions that call themselves."""
_LITERALS: Final = 256
"""A state that admits more names than this is listed instead: looking up each would cost more."""


class GlobError(Fatal, ValueError):
    """A pattern does not parse; the message says at which column (counted from 1)."""


class Glob:
    """One or more patterns, compiled: a text matches when it matches any of them.

    Raises GlobError where a pattern is malformed.
    """

    __slots__ = ("patterns", "start")

    patterns: tuple[str, ...]
    start: State

    def __init__(self, *patterns: str) -> None:
        self.patterns = patterns
        automaton = _Automaton()
        entry = automaton.alternatives([_Parser(pattern).parse() for pattern in patterns])
        self.start = automaton.state(automaton.closure((entry,)))

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` matches. It need not be a valid ref."""
        first, *rest = text.split("/")
        state = self.start.through(first)
        for segment in rest:
            state = state.slash().through(segment)
        return state.accepts


class State:
    """Where a match stands between two characters. The same position is always the same object."""

    __slots__ = (
        *("_automaton", "_chars", "_ends_unmarked", "_literals", "_segments", "_slash"),
        *("absorbs", "accepts", "dead", "positions"),
    )

    accepts: bool
    """Whether the text may end here."""
    dead: bool
    """Whether nothing can match from here on."""
    absorbs: bool
    """Whether every character but `/` leads back here, so that the rest of a segment need not be read."""

    def __init__(self, automaton: _Automaton, positions: frozenset[int]) -> None:
        self._automaton = automaton
        self._chars: dict[str, State] = {}
        self._segments: dict[str, State] = {}
        self._slash: State | None = None
        self._literals: tuple[str, ...] | bool | None = False
        self._ends_unmarked: bool | None = None
        self.positions = positions
        self.accepts = automaton.final in positions
        self.dead = not positions
        self.absorbs = automaton.absorbs(positions)

    def through(self, segment: str) -> State:
        """The state after the characters of `segment`."""
        state = self._segments.get(segment)
        if state is None:
            state = self
            for char in segment:
                if state.absorbs:
                    break
                state = state._chars.get(char) or state._step(char)
            if len(self._segments) < _REMEMBERED:
                self._segments[segment] = state
        return state

    def slash(self) -> State:
        """The state after a `/`."""
        if self._slash is None:
            self._slash = self._step("/")
        return self._slash

    def literals(self) -> tuple[str, ...] | None:
        """The only segments that can match from here, sorted, or None where they cannot be counted."""
        if isinstance(self._literals, bool):
            names: set[str] = set()
            self._literals = tuple(sorted(names)) if self._spell("", names) else None
        return self._literals

    def ends_unmarked(self) -> bool:
        """Whether something can match from here, the start of a segment, in which no segment begins with a marker."""
        if self._ends_unmarked is None:
            self._ends_unmarked = self._automaton.ends_unmarked(self.positions)
        return self._ends_unmarked

    def _spell(self, name: str, names: set[str]) -> bool:
        if name and (self.accepts or not self.slash().dead):
            names.add(name)
        if len(name) > LONGEST_SEGMENT:
            return True
        chars = self._automaton.literal_chars(self.positions)
        if chars is None or len(names) > _LITERALS:
            return False
        return all(self._step(char)._spell(name + char, names) for char in chars)

    def _step(self, char: str) -> State:
        state = self._chars[char] = self._automaton.step(self.positions, char)
        return state


class _Automaton:
    """The nondeterministic automaton: positions, each with free moves and at most one move by a character."""

    def __init__(self) -> None:
        self.free: list[list[int]] = []
        self.moves: list[tuple[Node, int] | None] = []
        self.states: dict[frozenset[int], State] = {}
        self.final = self.position()

    def position(self) -> int:
        self.free.append([])
        self.moves.append(None)
        return len(self.free) - 1

    def state(self, positions: frozenset[int]) -> State:
        known = self.states.get(positions)
        if known is None:
            known = self.states[positions] = State(self, positions)
        return known

    def closure(self, positions: Iterable[int]) -> frozenset[int]:
        """These positions and all that free moves reach from them, less those that only had free moves."""
        reached, todo = set(positions), list(positions)
        while todo:
            for target in self.free[todo.pop()]:
                if target not in reached:
                    reached.add(target)
                    todo.append(target)
        return frozenset(p for p in reached if self.moves[p] is not None or p == self.final)

    def step(self, positions: frozenset[int], char: str) -> State:
        after = []
        for position in positions:
            move = self.moves[position]
            if move is not None and _admits(move[0], char):
                after.append(move[1])
        return self.state(self.closure(after))

    def absorbs(self, positions: frozenset[int]) -> bool:
        """Whether each character but `/` leads from these positions to just these positions."""
        looping: set[int] = set()
        for position in positions:
            move = self.moves[position]
            if move is None:
                continue
            (kind, content), target = move
            if kind in ("any", "run"):
                looping.update(self.closure((target,)))
            elif (kind, content) != ("char", "/"):
                return False
        return looping == positions

    def ends_unmarked(self, positions: frozenset[int]) -> bool:
        """Whether the end is reached from some positions at the start of a segment, if none begins with a marker.

        True as well in a few cases where that is not so: of a class, it is not asked which characters are in it.
        """
        todo = [(position, True) for position in positions]
        seen = set(todo)
        while todo:
            position, is_start = todo.pop()
            move = self.moves[position]
            if move is None:
                return True  # the end: other positions without a move are in no closure
            (kind, content), target = move
            if kind == "char" and is_start and content in (STATE, INTENT):
                continue
            starts = {kind == "char" and content == "/"} if kind != "any" else {True, False}
            after = {(reached, start) for reached in self.closure((target,)) for start in starts} - seen
            seen |= after
            todo += after
        return False

    def literal_chars(self, positions: frozenset[int]) -> list[str] | None:
        """The characters but `/` that lead on from here, or None where a wildcard does."""
        chars = set()
        for position in positions:
            move = self.moves[position]
            if move is not None:
                kind, content = move[0]
                if kind != "char":
                    return None
                chars.add(str(content))
        return sorted(chars - {"/"})

    def alternatives(self, sequences: list[list[Node]], then: int | None = None) -> int:
        """Add the sequences side by side, all leading to `then` (or the end); gives the way in."""
        entry = self.position()
        end = self.final if then is None else then
        self.free[entry].extend(self.sequence(nodes, end) for nodes in sequences)
        return entry

    def sequence(self, nodes: list[Node], then: int) -> int:
        """Add the nodes one after the other, from the last to the first; gives the way in."""
        for node in reversed(nodes):
            kind, content = node
            if kind == "either":
                then = self.alternatives(content, then)
            elif kind == "across":  # `/**/`: one slash, and perhaps a run that ends with another
                run = self.sequence([("any", None), ("char", "/")], then)
                free = self.position()
                self.free[free] += [then, run]
                then = self._move(("char", "/"), free)
            elif kind in ("any", "run"):
                loop = self.position()
                self.free[loop].append(then)
                self.free[loop].append(self._move(node, loop))
                then = loop
            else:
                then = self._move(node, then)
        return then

    def _move(self, node: Node, target: int) -> int:
        position = self.position()
        self.moves[position] = (node, target)
        return position


def _admits(node: Node, char: str) -> bool:
    kind, content = node
    if kind == "char":
        return bool(content == char)
    if kind == "any":
        return True
    if kind in ("run", "one"):
        return char != "/"
    negated, ranges = content
    return any(low <= char <= high for low, high in ranges) is not negated


class _Parser:
    """Reads one pattern into nodes: char c, one (`?`), run (`*`), any (`**`), across (`/**/`), class, either."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def parse(self) -> list[Node]:
        return self._sequence(inside=False)

    def _sequence(self, inside: bool) -> list[Node]:
        """Nodes up to the end or, `inside` braces, up to the `,` or `}` that ends this alternative."""
        return list(self._nodes(inside))

    def _nodes(self, inside: bool) -> Iterator[Node]:
        pattern = self.pattern
        while self.at < len(pattern):
            char = pattern[self.at]
            if inside and char in ",}":
                return
            if char == "/" and pattern.startswith("/**/", self.at):
                self.at += 4
                yield "across", None
            elif char == "*":
                double = pattern.startswith("**", self.at)
                self.at += 2 if double else 1
                yield "any" if double else "run", None
            elif char == "?":
                self.at += 1
                yield "one", None
            elif char == "[":
                yield "class", self._class()
            elif char == "{":
                yield "either", self._braces()
            else:
                yield "char", self._char()

    def _char(self) -> str:
        """The next character, itself or escaped; a `\\` at the end of the pattern stands for itself."""
        if self.pattern[self.at] == "\\" and self.at + 1 < len(self.pattern):
            self.at += 1
        self.at += 1
        return self.pattern[self.at - 1]

    def _braces(self) -> list[list[Node]]:
        opened = self.at
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error(opened, f"more than {_DEEPEST} '{{' within each other")
        sequences = []
        while True:
            self.at += 1
            sequences.append(self._sequence(inside=True))
            if self.at == len(self.pattern):
                raise self._error(opened, "'{' is never closed")
            if self.pattern[self.at] == "}":
                self.at += 1
                self.depth -= 1
                return sequences

    def _class(self) -> tuple[bool, list[tuple[str, str]]]:
        opened = self.at
        self.at += 1
        negated = self.pattern.startswith("!", self.at)
        self.at += negated
        ranges = []
        while True:
            if self.at == len(self.pattern):
                raise self._error(opened, "'[' is never closed")
            if self.pattern[self.at] == "]":
                break
            low = high = self._char()
            if self.pattern.startswith("-", self.at) and not self.pattern.startswith("-]", self.at):
                dash = self.at
                self.at += 1
                if self.at == len(self.pattern):
                    raise self._error(opened, "'[' is never closed")
                high = self._char()
                if high < low:
                    raise self._error(dash, f"the range '{low}-{high}' is empty")
            ranges.append((low, high))
        if not ranges:
            raise self._error(opened, "a '[…]' with nothing in it")
        self.at += 1
        return negated, ranges

    def _error(self, at: int, why: str) -> GlobError:
        return GlobError(
            f"bad pattern '{self.pattern}': column {at + 1}: {why}", hint="'\\' before a character takes it as it is"
        )


def absolute(glob: str, repo: str) -> str:
    """A pattern as it is matched: `//…` and `./-/…` begin with the name of a repository."""
    for relative in ("//", "./-/"):
        if glob.startswith(relative):
            return f"{escape(repo)}/-/{glob.removeprefix(relative)}"
    return glob


def escape(text: str) -> str:
    """The pattern that matches just `text`."""
    return "".join("\\" + char if char in "*?[]{},\\" else char for char in text)
