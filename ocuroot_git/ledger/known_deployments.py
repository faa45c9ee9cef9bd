"""The deployments of packages, remembered package by package: what is deployed, and what failed (design 9 and 12).

Most packages tell that by their own trees alone, so that after a commit only those are read that it changed. All is in
one entry for a store, with the ids of the trees: it can be out of date, and never wrong, as what has another id is not
in it. It has the directories on the way to the packages as well: where they are need not be found out anew.
"""

from __future__ import annotations

from itertools import islice

from ..delivery import lenient
from ..delivery.addresses import release_number
from ..delivery.fields import list_of
from ..delivery.queries import state_tree
from ..delivery.release_facts import CUSTOM, directories
from ..delivery.survey import key_of
from ..delivery.vocabulary import COMPLETE, DEPLOY, FAILED
from ..formats.documents import dump, parse
from ..formats.layout import REFS
from ..formats.refs import INTENT
from ..git.objects import ABSENT, ObjectError, is_whole_id
from ..store.draft import Draft
from ..store.tree import StoreTree
from .deployment import Deployment, deployed_in, of_run, tell_markers, tell_releases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..backends.base import Files, Node
    from ..delivery.index import Facts
    from ..delivery.left_runs import Left
    from ..delivery.summary import Summary
    from ..formats.documents import Document
    from ..formats.layout import Layout
    from ..store.snapshot import Snapshot

KIND: Final = "deployed/2"
"""Its number is raised whenever the meaning of what is remembered changes; the dialect of the store is added to it."""

DIRECTORY: Final = "/"
"""What a line is about: a directory in which there are packages, or none;"""
PACKAGE: Final = "="
"""a package that tells all of its deployments by itself;"""
OPEN_RUNS: Final = "+"
"""a package that tells what is deployed by itself, and has runs that have not ended;"""
UNTOLD: Final = "?"
"""a package that does not tell its deployments by itself, or in which something is bad."""
_MARKS: Final = frozenset((DIRECTORY, PACKAGE, OPEN_RUNS, UNTOLD))
_LENGTH: Final = len(ABSENT)
_MANY: Final = 8
"""Packages to be read from which on two processes share the work."""


class Known:
    """What the packages of a state store tell by themselves: `told` by name, where they do; the others are `untold`.
    Those that are `open` have runs that have not ended, too."""

    def __init__(self) -> None:
        self.told: dict[str, list[Deployment]] = {}
        self.untold: list[str] = []
        self.open: list[str] = []


def known_deployments(snapshot: Snapshot, summary: Summary) -> Known | None:
    """What packages tell by themselves, remembered and read now; None where that cannot be remembered, as links above
    packages lead elsewhere, or there is damage: whoever looks at all there is says what is wrong.
    """
    tree = state_tree(snapshot)
    memory = snapshot.surroundings.memory
    if memory is None or isinstance(tree, Draft) or summary.is_entangled:
        return None
    backend, directory = snapshot.backend_of(tree)
    if backend.repository is None or backend.repository.is_partial:
        return None
    kind = kind_of(tree.layout)
    id_ = key_of((), f"{backend.where}/{directory}")
    remembered, told = _read_entry(memory.get(kind, [id_]).get(id_, b""))
    try:
        lines, is_changed = _brought_up_to_date(snapshot, tree, remembered)
    except ObjectError:
        return None
    if is_changed:
        told.update(_parsed({path: line for path, line in lines.items() if remembered.get(path) != line}))
        if not snapshot.is_past:
            memory.put(kind, {id_: _entry(lines)})
    known = Known()
    for path, line in lines.items():
        mark = line[_LENGTH]
        if mark == UNTOLD:
            known.untold.append(path)
        elif mark != DIRECTORY:
            known.told[path] = told[path]
            if mark == OPEN_RUNS:
                known.open.append(path)
    return known


def kind_of(layout: Layout) -> str:
    """Under which kind the deployments of a store are remembered."""
    return f"{KIND}/{layout.dialect}"


def work_out(layout: Layout, data: bytes, find: Callable[[str], tuple[Files, Node]]) -> bytes:
    """What should be remembered instead of an entry, from the trees that it names, which `find` gives by their ids."""
    lines = {}
    for path, line in _read_entry(data)[0].items():
        files, node = find(line[:_LENGTH])
        is_package = bool(path) and any(name[0] in "@+" for name in directories(files, node))
        lines[path] = files.oid(node) + (package_alone(files, layout, path, node) if is_package else DIRECTORY)
    return _entry(lines)


def _entry(lines: dict[str, str]) -> bytes:
    return "\0".join([text for item in lines.items() for text in item]).encode(errors="surrogateescape")


def _read_entry(data: bytes) -> tuple[dict[str, str], dict[str, list[Deployment]]]:
    """The lines of what `_entry` wrote, by path, and what those of packages tell; nothing of what has another shape."""
    texts = data.decode(errors="surrogateescape").split("\0")
    if len(texts) % 2:
        return {}, {}
    lines = dict(zip(texts[::2], texts[1::2]))
    try:
        return lines, _parsed(lines)
    except ValueError:
        return {}, {}


def _parsed(lines: dict[str, str]) -> dict[str, list[Deployment]]:
    """What the lines of packages tell. Raises ValueError for what has another shape."""
    parts = []
    names = []
    for path, line in lines.items():
        if not is_whole_id(line[:_LENGTH]) or line[_LENGTH : _LENGTH + 1] not in _MARKS:
            raise ValueError(f"no line: '{line}'")
        if line[_LENGTH] in (PACKAGE, OPEN_RUNS):
            names.append(path)
            parts.append(line[_LENGTH + 1 :])
    told = list_of(list, parse(f"[{','.join(parts)}]"))
    if len(told) != len(names):
        raise ValueError("not what the lines of packages have")
    return {name: [_deployment(name, fields) for fields in list_of(list, of)] for name, of in zip(names, told)}


def _fields(one: Deployment) -> list[str]:
    since = "" if one.since is None else repr(one.since)
    down = "down" if one.is_down else ""
    place = [one.environment, one.status, one.release, one.run_ref, down]
    may_be_held = "may be held" if one.may_be_held else ""
    return [*place, one.commit, "/".join(one.tags), since, one.actor, one.run, one.reason, may_be_held]


def _deployment(package: str, fields: Document) -> Deployment:
    """What `_fields` wrote. Raises ValueError for what has another shape."""
    environment, status, release, run_ref, down, commit, tags, since, actor, run, reason, held = list_of(str, fields)
    found = Deployment(package, environment, status, release, run_ref)
    found.is_down = bool(down)
    found.may_be_held = bool(held)
    found.commit = commit
    found.tags = tags.split("/") if tags else []
    found.since = float(since) if since else None
    found.actor, found.run, found.reason = actor, run, reason
    return found


def _brought_up_to_date(snapshot: Snapshot, tree: StoreTree, remembered: dict[str, str]) -> tuple[dict[str, str], bool]:
    """The lines of all directories and packages there are, by path, each before those below it; and whether that is not
    what was remembered. Raises ObjectError."""
    lines: dict[str, str] = {}
    packages: dict[str, Node] = {}
    paths = list(remembered)
    places = {path: number for number, path in enumerate(paths)}
    top = tree.node(REFS)
    todo = [("", top)] if top is not None and tree.files.is_tree(top) else []
    while todo:
        path, node = todo.pop()
        oid = tree.files.oid(node)
        if path in places and remembered[path].startswith(oid):
            lines[path] = remembered[path]
            head = f"{path}/" if path else ""
            for below in islice(paths, places[path] + 1, None):
                if not below.startswith(head):
                    break
                lines[below] = remembered[below]
            continue
        lines[path] = oid + DIRECTORY
        below_it = directories(tree.files, node)
        if path and any(name[0] in "@+" for name in below_it):
            packages[path] = node
        others = [one for one in reversed(below_it.items()) if one[0][0] not in "@+"]
        todo += [(f"{path}/{name}" if path else name, child) for name, child in others]
    for path, told in _read(snapshot, tree, packages).items():
        lines[path] = lines[path][:_LENGTH] + told
    return lines, lines != remembered


def _read(snapshot: Snapshot, tree: StoreTree, packages: dict[str, Node]) -> dict[str, str]:
    """What `package_alone` tells of packages, which are given by their nodes."""
    if not packages:
        return {}
    from ..delivery import index, left_runs  # late: often nothing has changed

    facts = index.facts_of(snapshot, tree, packages)
    left = left_runs.left_runs(snapshot, packages)
    names = list(packages)

    def read(piece: list[int]) -> list[str]:
        found = []
        for number in piece:
            name = names[number]
            told = package_alone(tree.files, tree.layout, name, packages[name], facts[name], left.get(name))
            found.append(f"{number} {told}")
        return found

    every = list(range(len(names)))
    if len(names) < _MANY:
        texts = read(every)
    else:
        from ..store.forked_walk import in_two_told

        texts = in_two_told(every, read, snapshot.surroundings.progress)
    pairs = (text.partition(" ") for text in texts)
    return {names[int(number)]: told for number, _, told in pairs}


def _with_hold(head: str) -> tuple[str, ...]:
    """Below a package, the directories of the custom documents among which a hold on a release may be."""
    return f"{head}/{CUSTOM}", f"{INTENT}{head[1:]}/{CUSTOM}", f"{INTENT}/{CUSTOM}"


def package_alone(
    files: Files, layout: Layout, package: str, node: Node, facts: Facts | None = None, left: list[Left] | None = None
) -> str:
    """What a package tells of its deployments by its own tree alone, as its line has it after the id.

    `facts` are what the index says of it, `left` the runs that are left of it, where that is known. Raises ObjectError.
    """
    from ..delivery import index, left_runs, overview  # late: often nothing has changed
    from ..store.confined import Confined, Outside, PackageTree

    if facts is None:
        facts = index.read(files, layout, node)
    alone = overview.package_alone((StoreTree(files, None, layout), None), (node, None), package, (facts, facts))
    if left is None:
        data = left_runs.left_alone(files, layout, package, node, facts.unsettled) if facts.unsettled else b"[]"
        left = left_runs.left_of_bytes(data) if data is not None else None
    if alone is None or left is None:
        return UNTOLD
    tree = PackageTree(files, node, layout, package)
    confined = Confined(tree, None)
    found = []
    try:
        found += deployed_in(alone)
        failed = [one for one in left if one[1] == FAILED]
        for run, *_ in sorted(failed, key=lambda one: (one[3], release_number(lenient.split_work(one[0])[0]))):
            release, word, rest = lenient.split_work(run)
            if word == DEPLOY:
                found.append(of_run(tree, package, rest.partition("/")[0], lenient.status_of(tree, run), release, run))
        customs = {below for below in facts.below if below.endswith(f"/{CUSTOM}")}
        for one in found:
            one.may_be_held = not customs.isdisjoint(_with_hold(one.release.rpartition("/")[2]))
        tell_releases(confined, found)
        tell_markers(confined, found)
    except Outside:
        return UNTOLD
    is_open = len(failed) < len(left)
    if is_open:
        found = [one for one in found if one.status == COMPLETE]
    return (OPEN_RUNS if is_open else PACKAGE) + dump([_fields(one) for one in found], None)
