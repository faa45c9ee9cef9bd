"""What there is in a store: packages, releases and environments (design 7); work and runs are in `run_queries`.

All of it reads a `Snapshot`, or a `Transaction` with the changes made so far. Nothing is walked but the directories
that lead to the answer: packages are found without looking into releases.

What reads many documents leaves out those that are not of their shape, and adds them to the `Problems` it is given.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredRef, edge_directories, object_path
from ..formats.refs import INTENT, STATE, Ref, number_in
from . import index
from .addresses import environment_ref
from .model import Environment
from .package import Release
from .problems import STRICT, BadDocument, Problems
from .records import OWN
from .vocabulary import CALL, PRUNED, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeVar

    from ..formats.documents import Document
    from ..formats.globs import Glob, State
    from ..formats.layout import ShownRef
    from ..git.objects import Scope
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .records import Records

    Shape = TypeVar("Shape")

_STATE = Ref(marker=STATE)
_INTENT = Ref(marker=INTENT)


def state_tree(snapshot: Snapshot) -> StoreTree:
    """The tree that holds state; within a transaction, with its changes."""
    return snapshot.tree(_STATE)


def intent_tree(snapshot: Snapshot) -> StoreTree:
    """The tree that holds intent; within a transaction, with its changes."""
    return snapshot.tree(_INTENT)


def has_one_history(snapshot: Snapshot) -> bool:
    """Whether intents lie on the branch of state too, so that its commits tell of both."""
    if not snapshot.has_intent():
        return False
    return snapshot.backend_of(intent_tree(snapshot))[0] == snapshot.backend_of(state_tree(snapshot))[0]


def records_of(snapshot: Snapshot) -> Records:
    """How the releases and runs of the state store are kept."""
    layout = state_tree(snapshot).layout
    if layout.has_function_documents:
        return OWN
    from .late_records import LateRecords  # late: the stores that this program makes have no need of it

    return LateRecords(layout)


def packages(tree: StoreTree, problems: Problems = STRICT, glob: Glob | None = None) -> list[str]:
    """The packages of a tree (`repo/-/path`), sorted: the heads of all refs that have a marker.

    With `glob` those that match it; where it cannot match, nothing is read.
    """
    found = []
    level: dict[str, State | None] = {"": glob.start if glob is not None else None}
    while level:
        if tree.files.is_partial:
            # Right below a repository there are no packages but one at its `-`; and packages have many releases.
            repositories = [head for head in level if "/-/" not in f"/{head}/"]
            prefetch(tree, repositories, "near")
            prefetch(tree, level.keys() - {*repositories}, "self")
        below: dict[str, State | None] = {}
        for head, state in level.items():
            names: list[str] = []
            with problems.leave_out(head or REFS):
                names = [name for name in tree.names(f"{REFS}/{head}" if head else REFS) if name != OBJECT_FILE]
            if head and (state is None or state.accepts) and any(name[0] in "@+" for name in names):
                found.append(head)
            for name in names:
                if name[0] not in "@+":
                    after = (state.slash() if head else state).through(name) if state is not None else None
                    if after is None or after.accepts or not after.slash().dead:
                        below[f"{head}/{name}" if head else name] = after
        level = below
    return sorted(found)


def packages_with(snapshot: Snapshot, tree: StoreTree, below: str) -> list[str]:
    """The packages of a tree that may have something at `<marker>/<type>`, sorted."""
    facts = index.facts_of(snapshot, tree, packages(tree))
    return [package for package, known in facts.items() if known is None or below in known.below]


def is_there(tree: StoreTree, stored: StoredRef) -> bool:
    """Whether there is an object at a stored ref, be it one that cannot be read."""
    path = object_path(stored)
    if tree.file(path) is not None:
        return True
    node = tree.node(path)
    return node is not None and tree.files.is_tree(node)


def require_absence(snapshot: Snapshot, ref: Ref) -> None:
    """Raise Damaged or LinkCycle where damage on the way to a document that was not found may be what hides it."""
    snapshot.exists(ref)
    tree = snapshot.tree(ref)
    path = REFS
    for segment in ("", *tree.layout.spellings(ref)[0].split("/")):
        path = f"{path}/{segment}" if segment else path
        node = tree.node(path)
        if node is None:
            return
        if not tree.files.is_tree(node):
            raise Damaged(path, "it is a file where a directory should be")


def prefetch(tree: StoreTree, heads: Iterable[str], scope: Scope = "near") -> None:
    """Fetch the directories of stored refs in one batch, where the store is partial (design 8.4)."""
    if tree.files.is_partial:
        nodes = (tree.node(f"{REFS}/{head}" if head else REFS) for head in heads)
        tree.files.prefetch([node for node in nodes if node is not None and tree.files.is_tree(node)], scope)


def prefetch_work(tree: StoreTree, found: Iterable[str]) -> None:
    """Fetch what says how the work of some releases stands, in a few batches, where the store is partial (8.4): their
    directories, and the documents of the last run of each piece of work."""
    if not tree.files.is_partial:
        return
    every = list(found)
    nodes = (tree.node(f"{REFS}/{release}") for release in every)
    tree.files.prefetch_below([node for node in nodes if node is not None and tree.files.is_tree(node)])
    refs = []
    for release in every:
        refs.append(release)
        with Problems().leave_out(release):  # whoever reads it says what is wrong with it
            for word in tree.layout.work_types:
                for name in tree.names(f"{REFS}/{release}/{word}"):
                    work = f"{release}/{word}/{name}"
                    numbers = [one for one in tree.names(f"{REFS}/{work}") if number_in(one) is not None]
                    run = f"{work}/{max(numbers, key=int)}" if numbers else work
                    for below in ("status", "functions"):
                        refs += [f"{run}/{below}/{one}" for one in tree.names(f"{REFS}/{run}/{below}")]
                    refs.append(run)
    from ..store.prefetch import prefetch_refs  # late: of a local store nothing is fetched

    prefetch_refs(tree, parsed_refs(refs))


def parsed_refs(texts: Iterable[str]) -> list[Ref]:
    """The refs among some texts; what is none is left for those to complain about who read it."""
    found = []
    for text in texts:
        with Problems().leave_out(text):
            found.append(Ref.parse(text))
    return found


def releases(
    snapshot: Snapshot, package: str, problems: Problems = STRICT, *, among: Collection[int] | None = None
) -> list[int]:
    """The numbers of the releases of a package that have a document, rising; of some of them only (`among`)."""
    tree = state_tree(snapshot)
    found = []
    numbers = set(tree.release_numbers(package))
    for number in sorted(numbers if among is None else numbers.intersection(among)):
        ref = tree.layout.release(package, number)
        with problems.leave_out(ref):
            release = tree.object(StoredRef(ref))
            if release is None:
                refuse_remains(snapshot, ref, tree.layout.work_types)
            elif release.kind == "link":
                raise BadDocument(ref, f"it is a link to '{release.target}', where a release should be")
            else:
                found.append(number)
    return found


def newest_number(snapshot: Snapshot, package: str, problems: Problems = STRICT) -> int:
    """The highest number of a release of a package that has a document; 0 where there is none. No other is read."""
    for number in sorted(state_tree(snapshot).release_numbers(package), reverse=True):
        if releases(snapshot, package, problems, among=[number]):
            return number
    return 0


def refuse_remains(snapshot: Snapshot, ref: str, below: tuple[str, ...]) -> None:
    """Raise BadDocument where there are documents that belong to one that is not there."""
    found = sorted({*below} & {*directory_names(snapshot, ref)})
    if found:
        raise BadDocument(ref, f"it is missing, and there are documents below '{ref}/{found[0]}'")


def newest_release(snapshot: Snapshot, package: str) -> str | None:
    """The newest release of a package, which is where its `@` leads; None where it has none."""
    release = snapshot.resolve(f"{package}/{STATE}")
    return release if snapshot.exists(release) else None


def read_release(snapshot: Snapshot, release: str) -> Release:
    """A release's document. Raises NotFound, ModelError."""
    return read_document(snapshot, release, records_of(snapshot).release)


def read_document(snapshot: Snapshot, ref: str, read: Callable[[Document, str], Shape]) -> Shape:
    """The document at just this ref, by its shape. Raises NotFound; BadDocument for a link, and for another shape."""
    found = snapshot.look_up(ref)
    if found.resolved != ref and Ref.parse(found.resolved) != Ref.parse(ref):
        raise BadDocument(ref, f"its ref leads to '{found.resolved}', where a document should be")
    if not found.found:
        raise NotFound(f"no such document: '{ref}'")
    try:
        return read(found.value, ref)
    except ModelError as error:
        raise BadDocument(ref, error.message.removeprefix(f"'{ref}': "), hint=error.hint) from None


def read_part(snapshot: Snapshot, ref: str, read: Callable[[Document, str], Shape]) -> Shape:
    """As `read_document`, of a document that is missing if it is not there. Raises BadDocument."""
    try:
        return read_document(snapshot, ref, read)
    except NotFound:
        raise BadDocument(ref, "it is missing") from None


def environments(snapshot: Snapshot, problems: Problems = STRICT) -> dict[str, Environment]:
    """The environments in state, by name."""
    found = {}
    names = directory_names(snapshot, f"{STATE}/environment")
    snapshot.prefetch([environment_ref(name) for name in names])
    for name in names:
        ref = environment_ref(name)
        with problems.leave_out(ref):
            known = environment(snapshot, name)
            if known is not None:
                found[name] = known
    return found


def environment(snapshot: Snapshot, name: str) -> Environment | None:
    """An environment in state; None where there is none. Raises BadDocument."""
    ref = environment_ref(name)
    return read_document(snapshot, ref, Environment.read) if snapshot.exists(ref) else None


def no_environment(snapshot: Snapshot, name: str) -> NotFound:
    """The error for an environment that there is not, with one of those that people may have meant."""
    from ..formats.spelling import nearest  # late: it is hardly ever asked for

    return NotFound(f"no such environment: '{name}'", hint=nearest(name, environments(snapshot, Problems())))


def ops_of(
    snapshot: Snapshot, package: str, problems: Problems = STRICT, *, among: Collection[int] | None = None
) -> Iterator[tuple[str, str]]:
    """The markers of what is to be looked at in a package, or in some of its releases (`among`): (release, name)."""
    for number in releases(snapshot, package, problems, among=among):
        release = state_tree(snapshot).layout.release(package, number)
        for name in sorted({*directory_names(snapshot, f"{release}/op"), *_names_of_early_ops(snapshot, release)}):
            is_there = False
            with problems.leave_out(f"{release}/op/{name}"):
                is_there = snapshot.exists(f"{release}/op/{name}") or early_op(snapshot, release, name) is not None
            if is_there:
                yield release, name


def early_op(snapshot: Snapshot, release: str, name: str) -> str | None:
    """The ref of a marker that early Ocuroot left where refs have work; None where there is none.

    Nor where a call has its name: a ref means that then.
    """
    word = state_tree(snapshot).layout.early_op
    calls, marker = (StoredRef(f"{release}/{directory}/{name}") for directory in (CALL, word))
    tree = state_tree(snapshot)
    if not word or not is_there(tree, marker) or tree.names(f"{REFS}/{calls}"):
        return None
    return str(marker)


def _names_of_early_ops(snapshot: Snapshot, release: str) -> list[str]:
    word = state_tree(snapshot).layout.early_op
    return directory_names(snapshot, f"{release}/{word}") if word else []


def dependants(snapshot: Snapshot, ref: str) -> list[ShownRef]:
    """The refs that are recorded to depend on a ref, sorted."""
    tree = state_tree(snapshot)
    stored = tree.layout.spellings(snapshot.absolute(ref))[0]
    return sorted(map(tree.layout.shown, tree.edge_ends(edge_directories(stored)[1], stored)))


def find_release(snapshot: Snapshot, text: str) -> str:
    """The release that a ref names: by number, by tag, or the newest for `…/@`. Raises NotFound, ModelError."""
    ref = snapshot.named(text)
    if ref.marker != STATE or ref.type or ref.is_global or ref.fragment:
        raise ModelError(f"'{text}' is no release", hint="a release is repo/-/path/@1, or //path/@ for the newest")
    if ref.release == PRUNED:
        raise ModelError(f"'{text}' is no release, but the record of those that were pruned")
    release = snapshot.resolve(ref)
    if not snapshot.exists(release):
        from .pruned import was_pruned  # late: most ask for what is there

        raise was_pruned(snapshot, Ref.parse(release)) or NotFound(f"no such release: '{ref}'")
    return release


def directory_names(snapshot: Snapshot, ref: str) -> list[str]:
    """The names of the directories below a ref of the state store, sorted."""
    return sorted(name for name in state_tree(snapshot).names(f"{REFS}/{ref}") if name != OBJECT_FILE)
