"""Where a walk over a store stands: which directories a pattern leads into, and what it matches (design 6)."""

from __future__ import annotations

from ..formats.refs import INTENT, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.globs import Glob, State
    from ..formats.layout import Layout, Side

_REMEMBERED: Final = 1 << 16
"""How many names a step remembers: enough for what repeats in a store, bounded for what does not."""


class Step(dict[str, "Step | None"]):
    """Where a walk stands in a directory: by the name of a directory below, the step there, or None: do not enter.

    A dictionary, so that a name met again costs one look-up; `__missing__` works out the others.
    """

    __slots__ = ("_below", "_rules", "is_endless", "is_marked", "literals", "wanted")

    literals: tuple[str, ...] | None
    """The only names below that lead on, or None where they cannot be counted."""
    wanted: bool
    """Whether the document of the directory itself matches."""
    is_endless: bool
    """Whether directories of any name and any depth are entered from here on, as below `**`."""

    def __init__(self, rules: Rules, state: State | None, marked: bool) -> None:
        self._rules = rules
        self.is_marked = marked
        self._below = rules.glob.start if state is None else state.slash()
        self.wanted = state is not None and state.accepts and (marked or rules.side != "intent")
        anything = self._below.through("\0").slash()
        self.is_endless = not anything.dead and anything.through("\0").slash() is anything
        self.literals = () if self._below.dead else self._below.literals()
        if self.literals and rules.is_intent_tree and not marked:
            stored = (STATE + name[1:] if name.startswith(INTENT) else name for name in self.literals)
            self.literals = tuple(dict.fromkeys(stored))

    def __missing__(self, name: str) -> Step | None:
        step = self._rules.step(self._below, name, self.is_marked)
        if len(self) < _REMEMBERED:
            self[name] = step
        return step


class Rules:
    """What leads where: the automaton of a pattern, with the markers `@` and `+` as the store's dialect has them."""

    def __init__(self, layout: Layout, glob: Glob, side: Side | None) -> None:
        self.layout = layout
        self.glob = glob
        self.side = side
        self.is_intent_tree = layout.side == "intent"
        self._is_shared = not layout.spells_intents_as_state
        self._steps: dict[tuple[State, bool], Step] = {}
        self.start = Step(self, None, False)

    def step(self, below: State, name: str, marked: bool) -> Step | None:
        """Where the directory `name` leads; `marked`: whether the ref has its marker already."""
        if not marked and name[0] in "@+":
            if self._is_shared and self.side is not None and (name[0] == INTENT) != (self.side == "intent"):
                return None
            if self.is_intent_tree:
                name = INTENT + name[1:]
            marked = True
        state = below.through(name)
        if not state.accepts and state.slash().dead:
            return None
        step = self._steps.get((state, marked))
        if step is None:
            step = self._steps[state, marked] = Step(self, state, marked)
        return step
