"""`git ocuroot export`: copy the stores to a directory."""

from __future__ import annotations

import os

from ...backends.directory import Directory
from ...errors import Fatal
from ...formats.layout import SIDES
from ...git.objects import RefMoved
from ...store.copy import store_files
from ..options import READING, Command, Option
from ..progress import Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...formats.layout import Side
    from ...store.tree import StoreTree
    from ..context import Context


def run(context: Context, directory: str, *, at: str | None) -> int:
    target = Directory(directory)
    if os.path.lexists(target.path) and not os.path.isdir(target.path):
        raise Fatal(f"'{directory}' is not a directory")
    snapshot = context.snapshot(at)
    trees = {side: snapshot.side(side) for side in SIDES if side == "state" or snapshot.has_intent()}
    single = len(set(trees.values())) == 1
    with Meter(context.terminal, "Writing files") as meter:
        try:
            with target.filled(meter.counted(_all_files(trees, single=single))) as filling:
                filling.make({}, "", "")
        except RefMoved:
            raise Fatal(f"'{directory}' is not empty", hint="name a directory that does not exist yet") from None
    context.terminal.remark(f"Wrote {filling.count} files to '{directory}'")
    return 0


def _all_files(trees: Mapping[Side, StoreTree], *, single: bool) -> Iterator[tuple[str, bytes]]:
    for tree in dict.fromkeys(trees.values()):
        tree.files.prepare_walk(checked=True)
    for side, tree in trees.items():
        if not single or side == "state":
            yield from store_files(tree, "" if single else f"{side}/")


COMMAND = Command(
    "export",
    "Copy the stores, as they are, to a directory that is empty or not there: one store at its top, or 'state' and "
    "'intent' in it.",
    "[<options>] <directory>",
    run,
    (
        Option(
            "--at",
            metavar="<rev>",
            help="copy the stores as they were at a revision (state~3, an id) or a date (yesterday)",
        ),
    ),
    common=READING,
    least=1,
    most=1,
)
