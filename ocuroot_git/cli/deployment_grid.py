"""Deployments as a grid for people: packages × environments (design 12). Pure: `Terminal.table` prints it."""

from __future__ import annotations

from ..delivery.vocabulary import COMPLETE
from .table import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..ledger.deployment import Deployment
    from .table import Cell

    Parts = tuple[Cell, str, str]
    """What a cell of the grid says of one deployment: what it is, since when, and by whom."""


def what_of(one: Deployment, colour: str) -> Cell:
    """A deployment in a few words: its release, and its status unless it is simply what is deployed."""
    words = [one.release.rpartition("/")[2], ",".join(one.tags) or one.commit[:10]]
    if one.status != COMPLETE:
        words = [f"{one.status} (down)" if one.is_down and one.run_ref else one.status, *words]
    return " ".join(filter(None, words)), colour


def grids(
    found: Sequence[Deployment], name: Callable[[str], str], parts_of: Callable[[Deployment], Parts]
) -> Iterator[tuple[list[Column], list[list[Cell]]]]:
    """Tables of deployments with a column for each environment, from the widest to the narrowest: what there is to say
    of a deployment stands in one line of its cell, in two, or in three. None where there is but one environment.

    `name` writes a ref for people, `parts_of` what a cell says.
    """
    environments = sorted({one.environment for one in found})
    if len(environments) < 2:
        return
    cells: dict[str, dict[str, list[Parts]]] = {}
    for one in found:
        cells.setdefault(one.package, {}).setdefault(one.environment, []).append(parts_of(one))
    columns = [Column("package", may_cut=True), *(Column(name(environment)) for environment in environments)]
    for stacked in (_in_one_line, _in_two_lines, _in_three_lines):
        rows: list[list[Cell]] = []
        for package, places in cells.items():
            stacks = [[line for parts in places.get(e, ()) for line in stacked(parts)] for e in environments]
            for number in range(max(map(len, stacks))):
                title = name(package) if number == 0 else ""
                rows.append([title, *(stack[number] if number < len(stack) else "" for stack in stacks)])
        yield columns, rows


def _in_one_line(parts: Parts) -> list[Cell]:
    what, since, by = parts
    text, colour = what if isinstance(what, tuple) else (what, "")
    return [("  ".join(filter(None, (text, since, by))), colour)]


def _in_two_lines(parts: Parts) -> list[Cell]:
    what, since, by = parts
    return [what, *filter(None, [" ".join(filter(None, (since, by)))])]


def _in_three_lines(parts: Parts) -> list[Cell]:
    return [part for part in parts if part]
