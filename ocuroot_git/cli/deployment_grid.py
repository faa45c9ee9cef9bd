"""Deployments as a grid for people: packages × environments (design 12). Pure: `Terminal.table` prints it."""

from __future__ import annotations

from functools import partial

from ..delivery.vocabulary import COMPLETE
from .table import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..ledger.deployment import Deployment
    from .table import Cell

    Parts = tuple[Cell, str, str, str]
    """What a cell of the grid says of a deployment: what it is, since when, by whom, and what else is to be said."""
    Grid = tuple[list[Column], list[list[Cell]]]
    """A table: its columns, and its rows."""


def what_of(one: Deployment, colour: str) -> Cell:
    """A deployment in a few words: its release, and its status unless it is simply what is deployed."""
    words = [one.release.rpartition("/")[2], ",".join(one.tags) or one.commit[:10]]
    if one.status != COMPLETE:
        words = [f"{one.status} (down)" if one.is_down and one.run_ref else one.status, *words]
    return " ".join(filter(None, words)), colour


def grids(
    found: Sequence[Deployment],
    name: Callable[[str], str],
    parts_of: Callable[[Deployment], Parts],
    fits: Callable[[list[Column], list[list[Cell]]], bool],
) -> list[Grid]:
    """Deployments in a grid with a column for each environment or, where that is too wide, in several, each with as
    many environments as fit. None where not even one of them fits.

    What there is to say of a deployment stands in one line of its cell, in two, or in more; names of packages are cut
    last. `name` writes a ref for people, `parts_of` says what a cell has, `fits` whether a table is narrow enough.
    """
    environments = sorted({one.environment for one in found})
    cells: dict[str, dict[str, list[Parts]]] = {}
    for one in found:
        cells.setdefault(one.package, {}).setdefault(one.environment, []).append(parts_of(one))

    def grid_of(chosen: Sequence[str], lines_of: Callable[[Parts], list[Cell]], may_cut: bool) -> Grid:
        columns = [Column("package", may_cut=may_cut), *(Column(name(environment)) for environment in chosen)]
        if not fits(columns, []):
            return columns, []
        rows: list[list[Cell]] = []
        for package, places in cells.items():
            stacks = [[line for parts in places.get(e, ()) for line in lines_of(parts)] for e in chosen]
            for number in range(max(map(len, stacks))):
                title = name(package) if number == 0 else ""
                rows.append([title, *(stack[number] if number < len(stack) else "" for stack in stacks)])
        return columns, rows

    for may_cut in (False, True):
        for lines_of in (_in_one_line, _in_two_lines, _in_three_lines):
            whole = grid_of(environments, lines_of, may_cut)
            if fits(*whole):
                return [whole]
        if pieces := _in_pieces(environments, partial(grid_of, lines_of=_in_three_lines, may_cut=may_cut), fits):
            return pieces
    return []


def _in_pieces(
    environments: Sequence[str],
    grid_of: Callable[[Sequence[str]], Grid],
    fits: Callable[[list[Column], list[list[Cell]]], bool],
) -> list[Grid]:
    """Grids that fit, each with as many environments as it can take; none where one of these is too wide by itself."""
    pieces: list[Grid] = []
    while environments:
        widest: Grid | None = None
        taken = 0
        for count in range(1, len(environments) + 1):
            grid = grid_of(environments[:count])
            if not fits(*grid):
                break
            widest, taken = grid, count
        if widest is None:
            return []
        pieces.append(widest)
        environments = environments[taken:]
    return pieces


def _in_one_line(parts: Parts) -> list[Cell]:
    what, *others = parts
    text, colour = what if isinstance(what, tuple) else (what, "")
    return [("  ".join(filter(None, (text, *others))), colour)]


def _in_two_lines(parts: Parts) -> list[Cell]:
    what, since, by, note = parts
    return [what, *filter(None, (" ".join(filter(None, (since, by))), note))]


def _in_three_lines(parts: Parts) -> list[Cell]:
    return [part for part in parts if part]
