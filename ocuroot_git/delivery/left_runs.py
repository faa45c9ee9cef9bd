"""The runs of packages that have not ended, or failed and were not dealt with: remembered for each package (design 9).

Thousands of failures that nobody has seen to, or that newer releases have dealt with, would have to be read by each
command that lists what there is to do. What has become of one depends on its package alone, so it is kept under the id
of that tree.
"""

from __future__ import annotations

from ..formats.documents import dump, parse_bytes, to_bytes
from ..formats.layout import REFS
from ..git.objects import ObjectError
from ..store.confined import Confined, Outside, PackageTree
from ..store.draft import Draft
from . import failures, index, survey, vocabulary
from .fields import list_of
from .problems import BadDocument, Problems
from .queries import newest_number, prefetch_work, read_release, releases, state_tree
from .run_queries import last_runs_of, read_function, read_run, when_made

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..formats.layout import Layout
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .addresses import RunRef

KIND: Final = "left/2"
"""Its number is raised whenever the meaning of what is remembered changes; the dialect of the store is added to it."""

_MANY: Final = 8
"""Packages to be read from which on two processes share the work."""
_MOST_HERE: Final = 1 << 14
"""Packages that one process keeps: a page that is open for weeks sees many."""

Left = tuple[str, str, str, str]
"""A run: its ref, its status, and of one that failed its type and when it was made."""


def left_runs(snapshot: Snapshot, among: Collection[str] | None = None) -> dict[str, list[Left]]:
    """The runs that are left in each package that may have some, of those packages of which it is remembered or can be;
    with `among` of some packages.

    The others have to be read. None can where a link above packages, or out of one, may lead elsewhere.
    """
    tree = state_tree(snapshot)
    memory = snapshot.surroundings.memory
    if memory is None or isinstance(tree, Draft) or snapshot.backend_of(tree)[0].repository is None:
        return {}
    summary = survey.summary_of(snapshot)
    if summary.is_entangled:
        return {}
    chosen = summary.unsettled if among is None else {*among}
    numbers = {
        name: found for name, found in summary.unsettled.items() if name in chosen and name not in summary.unread
    }
    nodes = {name: node for name in numbers if (node := tree.node(f"{REFS}/{name}")) is not None}
    keys = {survey.key_of([tree.files.oid(node)], name): name for name, node in nodes.items()}
    kind = f"{KIND}/{tree.layout.dialect}"
    here: dict[str, list[Left]] = snapshot.surroundings.derived.setdefault(kind, {})
    if len(here) > _MOST_HERE:
        here.clear()
    for key, data in memory.get(kind, [key for key in keys if key not in here]).items():
        left = left_of_bytes(data)
        if left is not None:
            here[key] = left
    unknown = [(key, name) for key, name in keys.items() if key not in here]
    new = _read(tree, unknown, nodes, numbers, snapshot.surroundings.progress)
    memory.put(kind, new)
    here.update((key, left) for key, data in new.items() if (left := left_of_bytes(data)) is not None)
    return {name: here[key] for key, name in keys.items() if key in here}


def _read(
    tree: StoreTree,
    unknown: list[tuple[str, str]],
    nodes: dict[str, Node],
    numbers: dict[str, list[int]],
    progress: survey.Progress | None,
) -> dict[str, bytes]:
    """What is to be remembered of packages (key and name), by key; nothing for those of which nothing can be."""
    if tree.files.is_partial:
        prefetch_work(tree, [tree.layout.release(name, one) for _, name in unknown for one in numbers[name]])

    def read(piece: list[int]) -> list[str]:
        found = []
        for number in piece:
            name = unknown[number][1]
            left = left_alone(tree.files, tree.layout, name, nodes[name], numbers[name])
            if left is not None:
                found.append(f"{number} {left.decode(errors='surrogateescape')}")
        return found

    every = list(range(len(unknown)))
    if len(every) < _MANY or tree.files.is_partial:
        texts = read(every)
    else:
        from ..store.forked_walk import in_two_told

        texts = in_two_told(every, read, progress)
    pairs = (text.partition(" ") for text in texts)
    return {unknown[int(number)][0]: left.encode(errors="surrogateescape") for number, _, left in pairs}


def left_alone(
    files: Files, layout: Layout, package: str, node: Node, numbers: Collection[int] | None = None
) -> bytes | None:
    """What is remembered of a package, out of its own tree; None where that does not say all, or something is bad.

    `numbers` are the releases in which there is something unsettled, where they are known. Raises ObjectError.
    """
    if numbers is None:
        numbers = index.read(files, layout, node).unsettled
    problems = Problems()
    try:
        left = list(_left(Confined(PackageTree(files, node, layout, package), None), package, numbers, problems))
    except (Outside, ObjectError):
        return None
    return None if problems else to_bytes(dump(left, None))


def _left(snapshot: Snapshot, package: str, numbers: Collection[int], problems: Problems) -> Iterator[Left]:
    layout = state_tree(snapshot).layout
    newest = newest_number(snapshot, package, problems)
    for number in releases(snapshot, package, problems, among=numbers):
        for run, status in last_runs_of(snapshot, layout.release(package, number), problems):
            if status in vocabulary.OPEN:
                yield run.ref, status, "", ""
            elif status == vocabulary.FAILED:
                with problems.leave_out(run.work.ref):
                    if not failures.is_dealt_with(snapshot, run, newest):
                        yield (run.ref, status, *_failed(snapshot, run))


def _failed(snapshot: Snapshot, run: RunRef) -> tuple[str, str]:
    """The type of a run that failed, and when it was made. Raises BadDocument where it, or its release, is bad."""
    function = read_function(snapshot, run)
    if function.status != vocabulary.FAILED:
        raise BadDocument(run.ref, f"its marker says 'failed', and its function '{function.status}'")
    read_release(snapshot, run.work.release)
    return read_run(snapshot, run).type, when_made(snapshot, run, function, vocabulary.FAILED)


def left_of_bytes(data: bytes) -> list[Left] | None:
    """What `left_alone` gave; None for what is of another shape."""
    try:
        left = []
        for one in list_of(list, parse_bytes(data)):
            ref, status, type_, made = list_of(str, one)
            left.append((ref, status, type_, made))
        return left
    except (ValueError, TypeError):
        return None
