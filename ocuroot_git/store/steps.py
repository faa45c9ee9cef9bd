"""Where a walk over a store stands: which directories a pattern leads into, and what it matches (design 6)."""

from __future__ import annotations

from ..formats.refs import INTENT, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.globs import Glob, State
    from ..formats.layout import Layout, Side
    from ..git.objects import Scope

_REMEMBERED: Final = 1 << 16
"""How many names a step remembers: enough for what repeats in a store, bounded for what does not."""


class Step(dict[str, "Step | None"]):
    """Where a walk stands in a directory: by the name of a directory below, the step there, or None: do not enter.

    A dictionary, so that a name met again costs one look-up; `__missing__` works out the others.
    """

    __slots__ = ("_below", "_rules", "is_marked", "literals", "scope", "wanted")

    literals: tuple[str, ...] | None
    """The only names below that lead on, or None where they cannot be counted."""
    wanted: bool
    """Whether the document of the directory itself matches."""
    scope: Scope
    """What to fetch of the directory where it is not here: all trees below it where any are entered, those of releases
    too, as below `**`; itself alone where it may be a package of which few releases are."""

    def __init__(self, rules: Rules, state: State | None, marked: bool) -> None:
        self._rules = rules
        self.is_marked = marked
        self._below = rules.glob.start if state is None else state.slash()
        leads_on = not marked or self._below.ends_unmarked()
        self.wanted = state is not None and state.accepts and (marked or rules.side != "intent")
        anything = self._below.through("\0").slash()
        has_loop = not anything.dead and anything.through("\0").slash() is anything
        self.literals = () if self._below.dead or not leads_on else self._below.literals()
        if self.literals and rules.is_intent_tree and not marked:
            stored = (STATE + name[1:] if name.startswith(INTENT) else name for name in self.literals)
            self.literals = tuple(dict.fromkeys(stored))
        if has_loop and leads_on and (marked or rules.enters_releases(self._below)):
            self.scope = "trees"
        elif marked or (self.literals is not None and not any(name[0] in "@+" for name in self.literals)):
            self.scope = "near"
        else:
            self.scope = "self"

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
        if not state.accepts and (state.slash().dead or (marked and not state.slash().ends_unmarked())):
            return None  # also where what is left of the pattern has another marker: a ref has one
        step = self._steps.get((state, marked))
        if step is None:
            step = self._steps[state, marked] = Step(self, state, marked)
        return step

    @staticmethod
    def enters_releases(below: State) -> bool:
        """Whether directories of any release of a package are entered, be it of state or of intent."""
        states = (below.through(f"{marker}\0") for marker in (STATE, INTENT))
        return any(state.accepts or state.slash().ends_unmarked() for state in states)
