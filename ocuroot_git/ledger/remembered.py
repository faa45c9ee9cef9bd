"""Checking what is remembered: each entry is worked out anew from the trees that it is about, and compared."""

from __future__ import annotations

from ..delivery import index, left_runs, overview, release_facts, release_list, survey
from ..delivery.summary import Summary
from ..formats.layout import DIALECTS, OBJECT_FILE, SIDES, Layout
from ..git.objects import ABSENT, ObjectError, Oid, is_whole_id
from ..git.program import GitError
from ..store import plain, rare_changes, remembered_counts, remembered_walk
from ..store.history import changing_commits
from ..store.tree import StoreTree
from . import attempt_pages, chunks, gate_passes, known_deployments, last_events, lead_times
from .event_reader import EventReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TypeVar

    from ..backends.base import Node
    from ..delivery.summary import Nodes
    from ..delivery.survey import Bases
    from ..formats.layout import Side
    from ..git.repository import Repository
    from ..store.memory import Memory
    from ..store.stores import Stores

    Result = TypeVar("Result")

    WorkOut = Callable[[str, bytes], bytes | None]
    """Gives what should be remembered under an id, where that is what is; None for what can be no such entry."""

SITE: Final = "site/1"
"""What a site is like by the digest of all it was made of: only by making it can that be checked."""
_LENGTH: Final = len(ABSENT)


class Checked:
    """How many entries were right, which were wrong (kind and id), and how many could not be checked: because their
    trees are gone, or because they are of another version of this program."""

    def __init__(self) -> None:
        self.right = 0
        self.wrong: list[tuple[str, str]] = []
        self.gone = 0
        self.of_others = 0


def check(stores: Stores, memory: Memory, tell: Callable[[int, int], None]) -> Checked:
    """Work out all that is remembered, and compare. `tell` is told how far that is."""
    checked = Checked()
    trees = _Trees(stores)
    kinds = memory.kinds()
    done, total = 0, sum(kinds.values())
    for kind, count in kinds.items():
        work_out = trees.way_to_work_out(kind)
        if work_out is None:
            checked.of_others += count
            done += count
            continue
        ids = memory.ids(kind)
        known = memory.get(kind, ids)
        for id_ in ids:
            done += 1
            tell(done, total)
            try:
                if id_ in known and work_out(id_, known[id_]) == known[id_]:
                    checked.right += 1
                else:
                    checked.wrong.append((kind, id_))
            except _Gone:
                checked.gone += 1
    return checked


class _Gone(Exception):
    """What it was made of is no longer at hand, as after `git gc`: nobody will ask for what is remembered of it."""


def _not_to_be_checked(id_: str, known: bytes) -> bytes | None:
    raise _Gone


class _Trees:
    """Finds trees by their ids, in the repositories of both stores, and works out what is remembered of them."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._repositories: list[Repository] = []
        for side in SIDES:
            repository = stores.backend(side)[0].repository
            if repository is not None and repository not in self._repositories:
                self._repositories.append(repository)
        self._surroundings = stores.surroundings
        self._summaries: dict[tuple[str, bool], dict[str, Summary]] = {}

    def way_to_work_out(self, kind: str) -> WorkOut | None:
        """How entries of a kind are worked out; None for a kind that this version does not know."""
        if kind.startswith(f"{remembered_walk.KIND}/"):
            return self._matches(kind[len(remembered_walk.KIND) + 1 :].split("/"))
        if kind.startswith(f"{release_facts.KIND}/"):
            return self._release_facts(kind[len(release_facts.KIND) + 1 :].split("/"))
        if kind.startswith(f"{chunks.KIND}/"):
            return self._events(*kind[len(chunks.KIND) + 1 :].partition("/")[::2])
        if kind.startswith(f"{attempt_pages.KIND}/{chunks.KIND}/"):
            words = kind[len(f"{attempt_pages.KIND}/{chunks.KIND}") + 1 :]
            return self._events(*words.partition("/")[::2], as_pages=True)
        if kind.startswith(f"{last_events.KIND}/"):
            return self._last_events(*kind[len(last_events.KIND) + 1 :].partition("/")[::2])
        if kind.startswith(f"{gate_passes.KIND}/"):
            return self._gate_passes(kind)
        if kind == SITE:
            return _not_to_be_checked
        if kind == lead_times.KIND:
            return self._commits_beyond
        if kind == rare_changes.KIND:
            return self._changing_commits
        if kind == plain.KIND:
            return self._of_tree(lambda files, node: plain.PlainDirectories(files, None, {}).work_out(node))
        if kind == remembered_counts.KIND:
            return self._of_tree(lambda files, node: b"%d" % files.count([node], OBJECT_FILE))
        kinds = (
            (index.KIND, self._facts),
            (release_list.KIND, self._releases),
            (left_runs.KIND, self._left_runs),
            (known_deployments.KIND, self._known_deployments),
            (survey.KIND, self._summary),
            (overview.KIND, self._package),
        )
        for name, ways in kinds:
            if kind.startswith(f"{name}/"):
                dialects = kind[len(name) + 1 :].split("/")
                if all(dialect == "-" or dialect in map(str, DIALECTS) for dialect in dialects):
                    return ways(dialects)
        return None

    def _facts(self, dialects: list[str]) -> WorkOut | None:
        if len(dialects) != 1 or dialects[0] == "-":
            return None
        layout = Layout(int(dialects[0]))
        return self._of_tree(lambda files, node: index.read(files, layout, node).to_bytes())

    def _of_tree(self, read: Callable[[Repository, Node], bytes]) -> WorkOut:
        """How entries are worked out that depend on the tree alone whose id they have."""

        def work_out(id_: str, _: bytes) -> bytes | None:
            if not is_whole_id(id_):
                return None
            repository, node = self._find(id_)
            return _read(lambda: read(repository, node))

        return work_out

    def _summary(self, dialects: list[str]) -> WorkOut | None:
        if len(dialects) != 2:
            return None

        def work_out(id_: str, data: bytes) -> bytes | None:
            remembered = Summary.of_text(data.decode(errors="surrogateescape"))
            is_counting = remembered is None or remembered.counts is not None
            here = self._summaries.setdefault(("/".join(dialects), is_counting), {})
            bases, nodes, path = self._both(id_, dialects)
            return _read(lambda: survey.summary_of_nodes(bases, path, nodes, here, is_counting=is_counting).to_bytes())

        return work_out

    def _package(self, dialects: list[str]) -> WorkOut | None:
        if len(dialects) != 2 or dialects[0] == "-":
            return None

        def work_out(id_: str, _: bytes) -> bytes | None:
            (state, intent), nodes, name = self._both(id_, dialects)
            assert state is not None
            package = _read(lambda: overview.package_alone((state, intent), nodes, name))
            return package.to_bytes() if package is not None else None

        return work_out

    def _both(self, id_: str, dialects: list[str]) -> tuple[Bases, Nodes, str]:
        """The trees of both stores, the nodes in them, and the path, of an id that is made of all of them."""
        trees: list[StoreTree | None] = []
        nodes: list[Node | None] = []
        for number, (side, dialect) in enumerate(zip(SIDES, dialects)):
            oid = id_[number * _LENGTH : (number + 1) * _LENGTH]
            is_same = number == 1 and oid == id_[:_LENGTH] and dialect == dialects[0] == "1"
            if dialect == "-":
                trees.append(None)
                nodes.append(None)
            elif is_same:
                trees.append(trees[0])
                nodes.append(nodes[0])
            else:
                repository, node = self._find(oid) if oid != ABSENT else (self._repositories[0], None)
                trees.append(StoreTree(repository, None, Layout(int(dialect), side)))
                nodes.append(node)
        path = survey.path_of_key(id_, 2)
        return (trees[0], trees[1]), (nodes[0], nodes[1]), path

    def _releases(self, dialects: list[str]) -> WorkOut | None:
        if len(dialects) != 1 or dialects[0] == "-":
            return None
        layout = Layout(int(dialects[0]), "state")

        def work_out(id_: str, _: bytes) -> bytes | None:
            repository, node = self._find(id_[:_LENGTH])
            name = survey.path_of_key(id_, 1)
            return _read(lambda: release_list.lines_alone(repository, layout, name, node))

        return work_out

    def _left_runs(self, dialects: list[str]) -> WorkOut | None:
        if len(dialects) != 1 or dialects[0] == "-":
            return None
        layout = Layout(int(dialects[0]), "state")

        def work_out(id_: str, _: bytes) -> bytes | None:
            repository, node = self._find(id_[:_LENGTH])
            return left_runs.left_alone(repository, layout, survey.path_of_key(id_, 1), node)

        return work_out

    def _known_deployments(self, dialects: list[str]) -> WorkOut | None:
        if len(dialects) != 1 or dialects[0] == "-":
            return None
        layout = Layout(int(dialects[0]), "state")
        return lambda _, data: _read(lambda: known_deployments.work_out(layout, data, self._find))

    def _release_facts(self, words: list[str]) -> WorkOut | None:
        if len(words) != 2 or words[0] not in map(str, DIALECTS) or words[1] not in SIDES:
            return None
        layout = Layout(int(words[0]))
        return lambda _, data: _read(lambda: release_facts.work_out(layout, data, self._find))

    def _matches(self, words: list[str]) -> WorkOut | None:
        sides: dict[str, Side | None] = {"-": None, "state": "state", "intent": "intent"}
        if len(words) != 2 or words[0] not in map(str, DIALECTS) or words[1] not in sides:
            return None
        layout = Layout(int(words[0]), sides[words[1]])

        def work_out(id_: str, _: bytes) -> bytes | None:
            repository, node = self._find(id_[:_LENGTH])
            return _read(lambda: remembered_walk.work_out(repository, layout, id_[_LENGTH:], node))

        return work_out

    def _commits_beyond(self, id_: str, _: bytes) -> bytes | None:
        code = self._surroundings.code
        one, other = Oid(id_[:_LENGTH]), Oid(id_[_LENGTH:])
        if code is None or len(code.which_are_here((one, other))) < 2:
            raise _Gone(id_)
        commits = code.commits_beyond(one, other)
        if commits is None:
            raise _Gone(id_)
        return lead_times.packed(commits)

    def _changing_commits(self, id_: str, _: bytes) -> bytes | None:
        asked = rare_changes.start_and_path(id_)
        if asked is None:
            return None
        start, path = asked
        repository = next((repository for repository in self._repositories if repository.has(start)), None)
        if repository is None:
            raise _Gone(id_)
        found = changing_commits(repository, start, [path])
        return rare_changes.packed(_read(lambda: [commit.oid for commit, _ in found]))

    def _events(self, dialect: str, directory: str, *, as_pages: bool = False) -> WorkOut | None:
        if dialect not in map(str, DIALECTS):
            return None
        readers = self._event_readers(dialect, directory)

        def work_out(id_: str, _: bytes) -> bytes | None:
            if not is_whole_id(id_):
                return None
            reader = next((reader for reader in readers if reader.has_commit(Oid(id_))), None)
            if reader is None:
                raise _Gone(id_)
            try:
                chunk = _read(lambda: reader.chunk(reader.stretch(Oid(id_))))
            except GitError as error:
                raise _Gone(error.message) from None
            if chunk.is_cut:
                raise _Gone(id_)
            if as_pages:
                return attempt_pages.Page.of_chunk(chunk).to_bytes()
            return chunk.to_bytes()

        return work_out

    def _last_events(self, dialect: str, directory: str) -> WorkOut | None:
        if dialect not in map(str, DIALECTS):
            return None
        readers = self._event_readers(dialect, directory)

        def work_out(id_: str, data: bytes) -> bytes | None:
            start = last_events.asked_from(data)
            if start is None:
                return None
            reader = next((reader for reader in readers if reader.has_commit(start)), None)
            if reader is None:
                raise _Gone(id_)
            try:
                found = _read(lambda: last_events.work_out(reader, data))
            except GitError as error:
                raise _Gone(error.message) from None
            if found is None:
                raise _Gone(id_)
            return found

        return work_out

    def _event_readers(self, dialect: str, directory: str) -> list[EventReader]:
        layout, changes = Layout(int(dialect), "state"), self._surroundings.tree_changes
        return [EventReader(one, layout, directory, changes(one)) for one in self._repositories]

    def _gate_passes(self, kind: str) -> WorkOut | None:
        passes = gate_passes.GatePasses(self._stores.snapshot())
        if kind != passes.kind:
            return None

        def work_out(id_: str, _: bytes) -> bytes | None:
            if not is_whole_id(id_):
                return None
            found = _read(lambda: passes.from_commit(Oid(id_), anew=True))
            if found is None or passes.is_cut:
                raise _Gone(id_)
            return found.to_bytes()

        return work_out

    def _find(self, oid: str) -> tuple[Repository, Node]:
        for repository in self._repositories:
            try:
                return repository, repository.tree(Oid(oid))
            except (ObjectError, ValueError):
                continue
        raise _Gone(oid)


def _read(work_out: Callable[[], Result]) -> Result:
    """What is worked out; raises _Gone where part of the tree is no longer there."""
    try:
        return work_out()
    except ObjectError as error:
        raise _Gone(error.message) from None
