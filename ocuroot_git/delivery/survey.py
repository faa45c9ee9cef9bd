"""The summary of both stores: put together directory by directory, and remembered for each (design 9).

The summary of a directory is put together from those of the directories below it, down to the packages, and kept
under the ids of its trees; so after a commit only the directories on the way to what changed are read again. It says
where there is something to look at: what is there is read, by the same code and with the same complaints as without it,
by those who ask. An entry that is damaged is worked out again, and `fsck` asks nothing of it.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, REFS, SIDES, Damaged, link_target
from ..formats.refs import INTENT, STATE
from ..git.objects import ABSENT, FILE, ObjectError
from ..store.draft import Draft
from . import index, release_facts
from .problems import STRICT, Problems
from .queries import intent_tree, ops_of, prefetch_work, releases, state_tree
from .release_facts import KnownReleases, ReleaseReader, directories, line_of
from .run_queries import last_runs_of
from .summary import Summary, by_side, prefetch_compared, read_package

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Final

    from ..backends.base import Files, Node
    from ..store.memory import Memory
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .addresses import RunRef
    from .index import Facts
    from .summary import Nodes

    Bases = tuple[StoreTree | None, StoreTree | None]
    """The trees of the state store and the intent store, without what a transaction has changed."""

    Progress = Callable[[int, int], None]

KIND: Final = "summary/7"
"""Its number is raised whenever the meaning of what is remembered changes; the dialects of the stores are added."""

_MANY: Final = 8
"""Packages to be read from which on it pays that libgit2 keeps nothing of them."""
_LARGE: Final = 1000
_SHARE: Final = 16
"""A package of so many releases and intents for them that is more than a sixteenth of all is shared by two processes:
else one would wait for the other to be done with it."""
_MOST_HERE: Final = 1 << 16
"""Summaries that one process keeps: a page that is open for weeks sees many."""


class _Directory:
    """A directory while its summary is put together."""

    __slots__ = (
        "below",
        "has_object",
        "heads",
        "is_lasting",
        "is_package",
        "key",
        "nodes",
        "own_count",
        "path",
        "summary",
    )

    def __init__(self, path: str, nodes: Nodes) -> None:
        self.path = path
        self.nodes = nodes
        self.key = ""
        self.summary: Summary | None = None
        self.below: list[_Directory] = []
        self.is_package = False
        self.heads = 0
        """How many of its directories are releases or intents for them."""
        self.has_object = False
        self.own_count = 0
        self.is_lasting = True
        """Whether the summary depends on the trees alone, so that it may be remembered."""


def summary_of(snapshot: Snapshot, progress: Progress | None = None, *, fills_index: bool = False) -> Summary:
    """The summary of both stores, or of the state store where there is no other. Raises NoStore where there is none.

    Within a transaction, the packages that it has changed are `unread`. Where packages have to be read, `progress` is
    told how many of how many are, and with `fills_index` what the index says of them is remembered as well.
    """
    intent = intent_tree(snapshot) if snapshot.has_intent() else None
    survey = _of_snapshot(snapshot, state_tree(snapshot), intent)
    survey.progress, survey.fills_index = progress or survey.progress, fills_index
    return survey.of_all()


def counts_of(snapshot: Snapshot, state: StoreTree | None, intent: StoreTree | None) -> tuple[int, int]:
    """How many documents and links there are in one or two trees of a snapshot.

    To count them everything is read, where most questions need but a part. What `summary_of` says is found on the way.
    """
    survey = _of_snapshot(snapshot, state, intent)
    survey.is_counting = True
    counts = survey.of_all().counts
    assert counts is not None
    return counts


def _of_snapshot(snapshot: Snapshot, state: StoreTree | None, intent: StoreTree | None) -> _Survey:
    surroundings = snapshot.surroundings
    survey = _Survey(state, intent)
    survey.has_ids = all(
        snapshot.backend_of(tree)[0].repository is not None for tree in survey.bases if tree is not None
    )
    survey.here = surroundings.derived.setdefault(kind_of(survey.bases), {})
    survey.memory = surroundings.memory if survey.has_ids else None
    survey.progress = surroundings.progress
    return survey


def summary_of_nodes(bases: Bases, path: str, nodes: Nodes, here: dict[str, Summary], *, is_counting: bool) -> Summary:
    """The summary of a directory, worked out from its trees; `here` are those that were worked out before."""
    survey = _Survey(*bases)
    survey.here, survey.is_counting = here, is_counting
    return survey.summary(path, nodes)


def key_of(ids: Iterable[str], path: str) -> str:
    """The id of a remembered entry: the ids of its trees, and their path, since refs within documents may say it."""
    return "".join(ids) + path.encode(errors="surrogateescape").hex()


def path_of_key(key: str, trees: int) -> str:
    """The path in an id that `key_of` made of so many trees."""
    return bytes.fromhex(key[trees * len(ABSENT) :]).decode(errors="surrogateescape")


def kind_of(bases: Bases) -> str:
    """Under which kind the summaries of two stores are remembered."""
    return f"{KIND}/{dialects_of(bases)}"


def dialects_of(bases: Bases) -> str:
    """The dialects of two stores, `1/1`; `-` for one that there is not."""
    return "/".join(str(tree.layout.dialect) if tree is not None else "-" for tree in bases)


def unsettled_runs(
    snapshot: Snapshot, problems: Problems = STRICT, *, but_of: Collection[str] = ()
) -> Iterator[tuple[RunRef, str]]:
    """The last run of every piece of work that has not ended or has failed, with its status; and some that have ended.

    Of packages in which all work has ended, by the names of its markers, no document is read; nor of those `but_of`
    which the runs are asked for.
    """
    summary = summary_of(snapshot)
    layout = state_tree(snapshot).layout
    found = [one for one in _to_look_at(summary, summary.unsettled) if one[0] not in but_of]
    if not isinstance(state_tree(snapshot), Draft):
        prefetch_work(
            state_tree(snapshot), [layout.release(name, number) for name, numbers in found for number in numbers or ()]
        )
    for package, numbers in found:
        for number in releases(snapshot, package, problems, among=numbers):
            yield from last_runs_of(snapshot, layout.release(package, number), problems)


def ops(snapshot: Snapshot, problems: Problems = STRICT) -> Iterator[tuple[str, str]]:
    """The markers of what is to be looked at: (release, name)."""
    summary = summary_of(snapshot)
    for package, numbers in _to_look_at(summary, summary.ops):
        yield from ops_of(snapshot, package, problems, among=numbers)


def _to_look_at(summary: Summary, numbers: dict[str, list[int]]) -> list[tuple[str, list[int] | None]]:
    """Packages with the releases of them to look at, of those of which all must be (None) too, sorted."""
    all_of_them: dict[str, list[int] | None] = dict.fromkeys(summary.unread)
    return sorted({**numbers, **all_of_them}.items(), key=lambda item: item[0])


class _Survey:
    """Puts the summary of two trees together. None stands for a store that there is not."""

    def __init__(self, state: StoreTree | None, intent: StoreTree | None) -> None:
        self._changed: set[str] = set()
        self._trees = (state, intent)
        self._is_one = state is intent
        bases: list[StoreTree | None] = []
        for tree in self._trees:
            if isinstance(tree, Draft):
                tree.is_read_whole = True
                self._changed |= index.changed_in(tree)
                tree = tree.base
            bases.append(tree)
        self.bases = (bases[0], bases[1])
        self.has_ids = True
        """Whether trees have ids, under which something can be remembered."""
        self.here: dict[str, Summary] = {}
        """What this process knows."""
        self.memory: Memory | None = None
        """What other processes know."""
        self.progress: Progress | None = None
        self._has_all_trees = False
        """Whether all trees were fetched together."""
        self.fills_index = False
        self.is_counting = False
        """Whether documents are counted; a summary without their number is as good as none then."""

    def of_all(self) -> Summary:
        """The summary of all there is."""
        nodes = [tree.node(REFS) if tree is not None else None for tree in self.bases]
        return self.summary("", (nodes[0], nodes[1]))

    def summary(self, path: str, nodes: Nodes) -> Summary:
        """The summary of a directory: its path below `refs`, and its nodes."""
        root = _Directory(path, nodes)
        unknown = self._find_unknown(root)
        self._read_packages([directory for directory in unknown if directory.is_package])
        for directory in reversed(unknown):
            self._put_together(directory)
        self._remember([directory for directory in unknown if directory.is_lasting and directory.key])
        assert root.summary is not None
        return root.summary

    def _find_unknown(self, root: _Directory) -> list[_Directory]:
        """The directories whose summaries are not known, each before those below it."""
        unknown = []
        level = [root]
        while level:
            self._look_up(level)
            level = [directory for directory in level if directory.summary is None]
            if level and not level[0].path and self._is_first():
                for files, nodes in self._fetched(level):
                    files.prefetch_below(nodes)
                self._has_all_trees = True
            for files, nodes in self._fetched(level):
                files.prefetch(nodes)
            unknown += level
            for directory in level:
                self._list(directory)
            level = [below for directory in level for below in directory.below]
        return unknown

    def _is_first(self) -> bool:
        """Whether a remote store is looked at for the first time, as nothing is remembered of any. Then hardly anything
        of it is here, and all is asked for at once; later little has changed, and is asked for a level at a time."""
        is_partial = any(tree is not None and tree.files.is_partial for tree in self.bases)
        return is_partial and self.memory is not None and self.memory.has_yet_no(kind_of(self.bases))

    def _look_up(self, level: list[_Directory]) -> None:
        """Give those directories of a level their summaries of which they are known."""
        wanted: dict[str, _Directory] = {}
        for directory in level:
            if self.has_ids and directory.path not in self._changed:
                directory.key = self._key(directory)
                directory.summary = self._of_use(self.here.get(directory.key))
                if directory.summary is None:
                    wanted[directory.key] = directory
        if self.memory is None:
            return
        for key, data in self.memory.get(kind_of(self.bases), wanted).items():
            known = self._of_use(Summary.of_text(data.decode(errors="surrogateescape")))
            if known is not None:
                wanted[key].summary = self.here[key] = known

    def _of_use(self, summary: Summary | None) -> Summary | None:
        return None if summary is not None and summary.counts is None and self.is_counting else summary

    def _empty(self) -> Summary:
        return Summary((0, 0) if self.is_counting else None)

    def _key(self, directory: _Directory) -> str:
        ids = [
            tree.files.oid(node) if tree is not None and node is not None else ABSENT
            for tree, node in zip(self.bases, directory.nodes)
        ]
        return key_of(ids, directory.path)

    def _list(self, directory: _Directory) -> None:
        """Find out what lies in a directory: whether it is a package, and the directories below."""
        below: dict[str, list[Node | None]] = {}
        for side in (0,) if self._is_one else (0, 1):
            for name, node in self._entries(directory, side):
                if name == OBJECT_FILE:
                    directory.has_object = True
                    directory.own_count += not side
                elif name[0] in "@+":
                    directory.heads += 1
                else:
                    below.setdefault(name, [None, None])[side] = node
        directory.is_package = bool(directory.path and directory.heads)
        for name, nodes in below.items():
            pair = (nodes[0], nodes[0] if self._is_one else nodes[1])
            directory.below.append(_Directory(f"{directory.path}/{name}" if directory.path else name, pair))

    def _entries(self, directory: _Directory, side: int) -> Iterable[tuple[str, Node | None]]:
        """The directories in a directory of one store, by name, and the file of its own object where there is one.

        A directory that a transaction has changed has entries without nodes: those that are to be made.
        """
        tree, base, node = self._trees[side], self.bases[side], directory.nodes[side]
        if tree is None or base is None:
            return []
        if directory.path in self._changed:
            directory.is_lasting = False
            path = f"{REFS}/{directory.path}" if directory.path else REFS
            return [(name, base.node(f"{path}/{name}")) for name in tree.names(path)]
        if node is None or not base.files.is_tree(node):
            return []
        outline, nodes, _ = base.files.outline(node, {}, OBJECT_FILE)
        nodes.pop(OBJECT_FILE, None)  # a directory in the place of the file
        return [(OBJECT_FILE, None), *nodes.items()] if FILE in outline else nodes.items()

    def _read_packages(self, packages: list[_Directory]) -> None:
        """Give packages the summary of what they hold themselves, by two processes where there is much."""
        known = [directory for directory in packages if directory.path not in self._changed]
        for directory in packages:
            directory.summary = self._empty()
            directory.summary.unread.append(directory.path)
        for files, nodes in self._fetched(known) if not self._has_all_trees else ():
            files.prefetch_below(nodes)
        prefetch_compared(self.bases, [directory.path for directory in known])
        large = self._large(known)
        if len(known) >= _MANY or large:
            for tree in self.bases:
                if tree is not None:
                    tree.files.prepare_walk()
        known_releases = self._known_releases(known)
        if large:
            self._read_large(known, large, known_releases)
        facts: tuple[dict[str, str], dict[str, str]] = ({}, {})
        releases: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})
        for number, text in self._texts(known, known_releases):
            text, *on_the_way = text.split("\n")
            read = Summary.of_text(text)
            for of_side, one in zip(releases, on_the_way):
                if one:
                    of_side[key_of((), known[number].path)] = one.encode()
            for found, one, node, tree in zip(facts, on_the_way[2:], known[number].nodes, self.bases):
                if one and tree is not None and node is not None and self.memory is not None:
                    found[tree.files.oid(node)] = one
            if read is None:
                known[number].is_lasting = False
            else:
                known[number].summary = read
        for tree, texts in zip(self.bases, facts):
            if tree is not None and self.memory is not None:
                index.keep(self.memory, tree.layout, texts)
        for side, tree, entries in zip(SIDES, self.bases, releases):
            if tree is not None and self.memory is not None:
                self.memory.put(release_facts.kind_of(tree.layout, side), entries)

    def _known_releases(self, packages: list[_Directory]) -> list[list[KnownReleases | None]]:
        """What is remembered of the releases of packages in both stores; None where nothing can be."""
        known: list[list[KnownReleases | None]] = [[None, None] for _ in packages]
        keys = [key_of((), directory.path) for directory in packages]
        for number, (side, tree) in enumerate(zip(SIDES, self.bases)):
            if tree is None or self.memory is None or (number and self._is_one):
                continue
            entries = self.memory.get(release_facts.kind_of(tree.layout, side), keys)
            for pair, key in zip(known, keys):
                pair[number] = KnownReleases(entries.get(key, b""))
        return known

    def _large(self, packages: list[_Directory]) -> list[int]:
        """The numbers of packages that are so large a part of all that two processes are to share each."""
        if not self.has_ids or any(tree is not None and tree.files.is_partial for tree in self.bases):
            return []
        total = sum(directory.heads for directory in packages)
        return [
            number
            for number, directory in enumerate(packages)
            if directory.heads >= _LARGE and directory.heads * _SHARE > total
        ]

    def _read_large(
        self, packages: list[_Directory], large: list[int], releases: list[list[KnownReleases | None]]
    ) -> None:
        """Read the releases of some packages by two processes, and add them to those that are known."""
        from ..store.forked_walk import in_two_told

        lacking: list[tuple[int, int, str, Node]] = []
        for number in large:
            for side, (tree, node) in enumerate(zip(self.bases, packages[number].nodes)):
                if tree is None or node is None or (side and self._is_one):
                    continue
                known = releases[number][side] = releases[number][side] or KnownReleases()
                try:
                    heads = {name: below for name, below in directories(tree.files, node).items() if name[0] in "@+"}
                except ObjectError:
                    continue  # who reads the package meets it too
                lacking += [
                    (number, side, head, below)
                    for head, below in known.lacking(tree.files, heads, is_counting=self.is_counting)
                ]
        if len(lacking) < _LARGE:
            return
        readers = [
            ReleaseReader(tree.files, tree.layout, is_counting=self.is_counting) if tree is not None else None
            for tree in self.bases
        ]

        def read(piece: list[tuple[int, int, str, Node]]) -> list[str]:
            lines = []
            for number, side, head, node in piece:
                tree, reader = self.bases[side], readers[side]
                assert tree is not None and reader is not None
                try:
                    line = line_of(reader, tree.files, head, node)
                except ObjectError:
                    continue  # as above
                if line:
                    lines.append(f"{number} {side} {line}")
            return lines

        for text in in_two_told(lacking, read, self.progress):
            place, which, line = text.split(" ", 2)
            of_package = releases[int(place)][int(which)]
            assert of_package is not None
            of_package.learn(line)
        self.progress = None  # what is left takes no time to speak of

    def _texts(
        self, packages: list[_Directory], releases: list[list[KnownReleases | None]]
    ) -> Iterator[tuple[int, str]]:
        """The summaries of packages as texts, with their numbers; empty for one that cannot be read."""
        numbers = list(range(len(packages)))

        def read(piece: list[int]) -> list[str]:
            return [f"{number} {self._read_package(packages[number], releases[number])}" for number in piece]

        if len(packages) < _MANY or any(tree is not None and tree.files.is_partial for tree in self.bases):
            texts = read(numbers)
        else:
            from ..store.forked_walk import in_two_told

            texts = in_two_told(numbers, read, self.progress)
        for text in texts:
            number, _, rest = text.partition(" ")
            yield int(number), rest

    def _read_package(self, directory: _Directory, releases: list[KnownReleases | None]) -> str:
        """The summary as a text, and on a line for each store what to remember of releases, and what the index says."""
        facts: list[Facts | None] = []
        try:
            summary = read_package(
                self.bases,
                directory.path,
                directory.nodes,
                facts,
                (releases[0], releases[1]),
                is_counting=self.is_counting,
            )
        except ObjectError:
            return ""
        kept = facts if self.fills_index else []
        of_releases = [one.to_text() if one is not None else "" for one in releases]
        return "\n".join([summary.to_text(), *of_releases, *(one.to_text() if one is not None else "" for one in kept)])

    def _put_together(self, directory: _Directory) -> None:
        summary = self._empty() if directory.summary is None else directory.summary
        summary.add_counts((directory.own_count, 0))
        for below in directory.below:
            assert below.summary is not None
            summary.merge(below.summary)
            directory.is_lasting = directory.is_lasting and below.is_lasting
        if directory.has_object and directory.below and self._may_lead_away(directory):
            summary.is_entangled = True
        if not directory.path and self.is_counting:
            summary.add_counts(self._global_counts(directory.nodes))
        directory.summary = summary

    def _may_lead_away(self, directory: _Directory) -> bool:
        """Whether the object of a directory is a link, which leads all refs below it elsewhere, or cannot be read.

        What a transaction puts there is not read: it may be one.
        """
        if directory.path in self._changed:
            return True
        path = f"{REFS}/{directory.path}/{OBJECT_FILE}"
        try:
            for tree, above in zip(self.bases, directory.nodes):
                node = tree.files.child(above, OBJECT_FILE) if tree is not None and above is not None else None
                if tree is not None and node is not None and link_target(tree.files.data(node), path) is not None:
                    return True
        except (Damaged, ObjectError):
            return True
        return False

    def _global_counts(self, nodes: Nodes) -> tuple[int, int]:
        """How many documents and links lie below `@` and `+` at the top, in state and in intent."""
        total = (0, 0)
        for side, (tree, top) in enumerate(zip(self.bases, nodes)):
            if tree is None or top is None or not tree.files.is_tree(top) or (side and self._is_one):
                continue
            markers = (tree.files.child(top, marker) for marker in (STATE, INTENT))
            tree.files.prefetch_below([node for node in markers if node is not None and tree.files.is_tree(node)])
            at, plus = (self._count(tree, top, marker) for marker in (STATE, INTENT))
            found = by_side(tree.layout, side, (at, plus), is_one=self._is_one)
            total = (total[0] + found[0], total[1] + found[1])
        return total

    def _count(self, tree: StoreTree, top: Node, name: str) -> int:
        node = tree.files.child(top, name)
        if node is None or not tree.files.is_tree(node):
            return 0
        if self.memory is None:
            return tree.files.count([node], OBJECT_FILE)
        from ..store.remembered_counts import counted  # late: where all is known nothing is counted

        return counted(tree.files, self.memory, [node])

    def _remember(self, directories: list[_Directory]) -> None:
        new = {one.key: one.summary for one in directories if one.summary is not None}
        if len(self.here) + len(new) > _MOST_HERE:
            self.here.clear()
        self.here.update(new)
        if self.memory is not None:
            self.memory.put(kind_of(self.bases), {key: summary.to_bytes() for key, summary in new.items()})

    def _fetched(self, directories: list[_Directory]) -> Iterator[tuple[Files, list[Node]]]:
        """The trees of directories that may have to be fetched, and where from."""
        for side, tree in enumerate(self.bases):
            if tree is not None and tree.files.is_partial:
                nodes = [directory.nodes[side] for directory in directories]
                yield tree.files, [node for node in nodes if node is not None and tree.files.is_tree(node)]
