"""Intent against state: how some documents differ (design 6 and 7); `diff` says which are to be looked at.

    +/custom/…, P/+N/custom/…    by value; `P/+/…` is for the newest release. What is one and the same directory in
                                 both stores is passed over (`alike`)
    +/environment/<name>         by value
    P/+/deploy/<env>             the release that is deployed there, and the inputs that the intent gives

State without an intent counts as to be deleted.
"""

from __future__ import annotations

from ..formats.documents import same
from ..formats.layout import OBJECT_FILE, REFS, StoredRef, object_path
from ..formats.refs import INTENT, STATE, Ref, RefError
from . import model, vocabulary
from .addresses import RunRef, WorkRef
from .alike import alike_in_releases
from .fields import Record
from .inputs import read_intent
from .model import Environment
from .problems import Problems
from .queries import intent_tree, is_there, packages_with, prefetch, records_of, require_absence, state_tree
from .release_facts import CUSTOM
from .run_queries import deployed, last_run, read_deployed, read_function, read_run, run_numbers, status_of
from .vocabulary import DEPLOY, DOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeVar

    from ..formats.documents import Document
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .alike import Alike
    from .model import Function, Intent
    from .pruned import Records

    Told = TypeVar("Told")


class Difference:
    """An intent that state does not follow: `status` (A, M, D), its ref, the ref in state, and both documents.

    `is_idle` where nothing is wanted by it: the intent is for a release that was pruned, or was left behind by early
    Ocuroot when it took a deployment down.
    """

    __slots__ = ("actual", "is_idle", "ref", "state", "status", "wanted")

    def __init__(self, ref: str, state: str, wanted: Document, actual: Document) -> None:
        """Each document comes in a tuple, because it may itself be null; None stands for one that is not there."""
        self.status = "D" if wanted is None else "A" if actual is None else "M"
        self.ref = ref
        self.state = state
        self.wanted = wanted[0] if wanted is not None else None
        self.actual = actual[0] if actual is not None else None
        self.is_idle = wanted is None and actual is None

    @property
    def kind(self) -> str:
        return Ref.parse(self.ref).type


class Heads(Record):
    """Where documents are to be compared: stored refs of releases and markers in each store (`P/@3`, `P/+3`), and
    deployments by package and environment."""

    __slots__ = ("deployments", "intent", "state")

    def __init__(self, state: list[StoredRef], intent: list[StoredRef], deployments: list[tuple[str, str]]) -> None:
        self.state = state
        self.intent = intent
        self.deployments = deployments


class TooFew(Exception):
    """An intent is about a document that does not lie in the places that were to be compared."""


# Comparing. Documents are kept in a tuple of one, because a document may itself be null.


def custom_differences(
    snapshot: Snapshot,
    heads: Heads,
    problems: Problems,
    *,
    are_all: bool = False,
    indirect: list[str] | None = None,
    alike: Alike | None = None,
) -> Iterator[Difference]:
    """How the custom documents of some releases differ.

    Raises TooFew where that cannot be told of these alone, unless they are said to be all there are. `indirect` takes
    up the intents that are, by way of a link, about a document in another place than their own. Directories that are
    known to be `alike` are passed over.
    """
    state, intent = state_tree(snapshot), intent_tree(snapshot)
    passed = alike_in_releases(state, intent, heads.state, heads.intent)
    if alike is not None:
        passed.update(alike)
    actual = _documents(snapshot, _custom_refs(state, heads.state, passed.state, problems), problems)
    inside = tuple(f"{state.layout.shown(head)}/" for head in heads.state)
    wanted: dict[str, str] = {}
    records: Records = {}
    for ref in _custom_refs(intent, heads.intent, passed.intent, problems):
        with problems.leave_out(ref):
            if is_of_pruned(snapshot, ref, records):
                yield Difference(ref, str(Ref.parse(ref).replace(marker=STATE)), None, None)
                continue
            about = state_ref(snapshot, Ref.parse(ref))
            if passed.has(state, about):
                continue  # the intent in the same place counts
            is_outside = not are_all and about not in actual and not about.startswith(inside)
            if is_outside and _may_be_there(snapshot, about):
                raise TooFew(about)
            if indirect is not None and about != str(Ref.parse(ref).replace(marker=STATE)):
                indirect.append(ref)
            # Where `+/custom/x` and `+3/custom/x` mean the same document, the one that names the release counts.
            if about not in wanted or Ref.parse(ref).replace(marker=STATE) == Ref.parse(about):
                wanted[about] = ref
    yield from _compare(snapshot, wanted, actual, problems)


def is_of_pruned(snapshot: Snapshot, intent: str, records: Records | None = None) -> bool:
    """Whether an intent is for a release that was pruned. Raises BadDocument. `records` are those of `entry_of`."""
    ref = Ref.parse(intent)
    if not ref.release.removeprefix("r").isdigit():
        return False
    from .pruned import entry_of  # late: most intents are for whatever is newest

    return entry_of(snapshot, ref, records) is not None


def _may_be_there(snapshot: Snapshot, ref: str) -> bool:
    """Whether there is a document at a ref, be it one that cannot be read."""
    parsed = Ref.parse(ref)
    tree = snapshot.tree(parsed)
    return any(is_there(tree, stored) for stored in tree.layout.spellings(parsed))


def _documents(snapshot: Snapshot, refs: Iterable[str], problems: Problems) -> dict[str, tuple[Document] | None]:
    """Documents by ref, each in a tuple; None for one that cannot be read."""
    every = list(refs)
    snapshot.prefetch(every)
    found: dict[str, tuple[Document] | None] = {}
    for ref in every:
        found[ref] = None
        with problems.leave_out(ref):
            found[ref] = (snapshot.get(ref),)
    return found


def _custom_refs(
    tree: StoreTree, heads: Iterable[StoredRef], passed: set[StoredRef], problems: Problems
) -> Iterator[str]:
    """The refs of the custom documents below some stored refs; none that lie hidden below a link, or in a directory
    that is passed over."""
    known = [head for head in heads if f"{head}/{CUSTOM}" not in passed]
    prefetch(tree, known)
    _prefetch_documents(tree, known)
    todo: list[StoredRef] = []
    for head in known:
        is_link = False  # where that cannot be read, all below it is met, and cannot be read either
        with problems.leave_out(head):
            found = tree.object(head) if "/" in head else None
            is_link = found is not None and found.kind == "link"
        if not is_link:
            todo.append(StoredRef(f"{head}/{CUSTOM}"))
    prefetch(tree, todo, "trees")
    yield from documents_below(tree, todo, passed)


def _prefetch_documents(tree: StoreTree, heads: Iterable[StoredRef]) -> None:
    """Fetch the documents at just these refs in one batch, where the store is partial (design 8.4)."""
    if tree.files.is_partial:
        nodes = (tree.node(object_path(head)) for head in heads)
        tree.files.prefetch([node for node in nodes if node is not None])


def documents_below(
    tree: StoreTree, heads: list[StoredRef], passed: Collection[StoredRef] = frozenset()
) -> Iterator[str]:
    """The refs, as they are printed, of all documents below some stored refs, of those too that cannot be read; but of
    those directories that are passed over. Their order depends on the names alone: of two intents for one document, the
    first may be the one that counts.
    """
    level = list(heads)
    while level:
        level = [
            below
            for head in level
            for name in sorted(tree.names(f"{REFS}/{head}"))
            if name != OBJECT_FILE and (below := StoredRef(f"{head}/{name}")) not in passed
        ]
        _prefetch_documents(tree, level)
        for below in level:
            if is_there(tree, below):
                try:
                    yield str(Ref.parse(tree.layout.shown(below)))
                except RefError:
                    continue  # a document whose path is no ref: nobody can have asked for it


def environment_differences(snapshot: Snapshot, problems: Problems) -> Iterator[Difference]:
    intents = documents_below(intent_tree(snapshot), [stored_intent(snapshot, "environment")])
    wanted = {str(Ref.parse(ref).replace(marker=STATE)): ref for ref in intents}
    stored = documents_below(state_tree(snapshot), [StoredRef(f"{STATE}/environment")])
    yield from _compare(snapshot, wanted, _documents(snapshot, stored, problems), problems, _check_environment)


def _check_environment(value: Document, ref: str) -> None:
    """Raise ModelError for an intent of an environment that is not of its shape."""
    if Environment.read(value, ref).others:
        from .expiry import read_wanted  # late: few environments expire

        read_wanted(value, ref)


def _compare(
    snapshot: Snapshot,
    wanted: dict[str, str],
    actual: dict[str, tuple[Document] | None],
    problems: Problems,
    check: Callable[[Document, str], object] = lambda value, ref: None,
) -> Iterator[Difference]:
    """Compare by value: `wanted` has the intent's ref for each ref in state, `actual` the document there.

    `check` raises ModelError for an intent that is not of its shape.
    """
    for state, ref in wanted.items():
        value = None
        with problems.leave_out(ref):
            found = snapshot.get(ref)
            check(found, ref)
            value = (found,)
        before = actual.get(state)
        if value is None or (before is None and state in actual):
            continue
        if before is None or not same(before[0], value[0]):
            yield Difference(ref, state, value, before)
    for state, before in actual.items():
        if state not in wanted and before is not None:
            intent = Ref.parse(state).replace(marker=INTENT)
            is_unwanted = False
            with problems.leave_out(str(intent)):
                for one in {intent, intent.replace(release="")}:
                    require_absence(snapshot, one)
                is_unwanted = True
            if is_unwanted:
                yield Difference(str(intent), state, None, before)


def deployment_differences(
    snapshot: Snapshot, places: Iterable[tuple[str, str]], problems: Problems
) -> Iterator[Difference]:
    """How deployments differ, by package and environment."""
    return _unlike_in(snapshot, places, problems, lambda one: _difference(snapshot, one))


def differing_deployments(
    snapshot: Snapshot, places: Iterable[tuple[str, str]], problems: Problems
) -> Iterator[tuple[str, str]]:
    """Those of the packages and environments whose deployments differ.

    A package tells that by itself. How a deployment differs it may not: what early Ocuroot would say of that depends on
    what else there is in the store.
    """
    return _unlike_in(snapshot, places, problems, lambda one: (one.work.package, one.work.name))


class _Unlike(Record):
    """A deployment that is not what its intent says: the document of that in a tuple, and the run that is deployed
    with its function; None for what is not there."""

    __slots__ = ("deployed", "wanted", "work")

    def __init__(self, work: WorkRef, wanted: tuple[Document] | None, deployed: tuple[RunRef, Function] | None) -> None:
        self.work = work
        self.wanted = wanted
        self.deployed = deployed


def _unlike_in(
    snapshot: Snapshot, places: Iterable[tuple[str, str]], problems: Problems, tell: Callable[[_Unlike], Told]
) -> Iterator[Told]:
    for package, name in places:
        work = WorkRef(f"{package}/{STATE}", DEPLOY, name)
        met = Problems()
        run = told = None
        with met.leave_out(work.current):
            run = deployed(snapshot, package, name)
        is_read = not met
        with met.leave_out(work.intent):
            stored = StoredRef(f"{package}/{stored_intent(snapshot, DEPLOY)}/{name}")
            is_wanted = is_there(intent_tree(snapshot), stored)
            found = _unlike(snapshot, work, run, is_wanted=is_wanted) if is_wanted or run is not None else None
            if found is not None:
                told = tell(found)
        problems.update(met)
        if told is not None and is_read:
            yield told


def _unlike(snapshot: Snapshot, work: WorkRef, run: RunRef | None, *, is_wanted: bool) -> _Unlike | None:
    """What differs of a deployment, if anything. Raises ModelError where a document is not of its shape."""
    intent = read_intent(snapshot, work) if is_wanted else None
    there = None
    if run is not None:
        function = read_deployed(snapshot, run)
        if intent is not None and _is_wanted(snapshot, work, run, intent, function):
            return None
        there = (run, function)
    if not is_wanted:
        require_absence(snapshot, Ref.parse(work.intent))
        return _Unlike(work, None, there)
    if run is None and intent is not None and is_left_behind(snapshot, work, intent):
        return _Unlike(work, None, None)
    return _Unlike(work, (snapshot.get(work.intent),), there)


def _difference(snapshot: Snapshot, found: _Unlike) -> Difference:
    actual = (records_of(snapshot).intent_document(snapshot, *found.deployed),) if found.deployed is not None else None
    return Difference(found.work.intent, found.work.current, found.wanted, actual)


def is_left_behind(snapshot: Snapshot, work: WorkRef, intent: Intent) -> bool:
    """Whether an intent is but the trace of a deployment that was taken down: of its release, with the very inputs.

    Early Ocuroot writes that when it starts to take one down, and calls it followed from then on. It always writes a
    `type`, and people do not: an intent without one is new, whatever its inputs.
    """
    if not records_of(snapshot).downs_leave_intents:
        return False
    last = last_run(snapshot, WorkRef(snapshot.resolve(intent.release), DEPLOY, work.name))
    if last is None or status_of(snapshot, last) != vocabulary.COMPLETE or read_run(snapshot, last).type != DOWN:
        return False
    if intent.others.get("type") == DOWN:
        return True  # of dialect 2
    is_foreign = "type" in intent.others and bool(intent.input)
    return is_foreign and same(intent.input, model.write_inputs(read_function(snapshot, last).inputs))


def asks_for_nothing(snapshot: Snapshot, ref: Ref) -> bool:
    """Whether there is an intent of a deployment at a ref that is but the trace of one that was taken down."""
    if ref.type != DEPLOY or not ref.is_intent or not snapshot.exists(ref):
        return False
    work = WorkRef(f"{ref.repo}/-/{ref.path}/{STATE}", DEPLOY, ref.name)
    with Problems().leave_out(str(ref)):
        intent = read_intent(snapshot, work)
        is_gone = deployed(snapshot, work.package, work.name) is None
        return is_gone and intent is not None and is_left_behind(snapshot, work, intent)
    return False


def is_as_wanted(snapshot: Snapshot, work: WorkRef, run: RunRef) -> bool:
    """Whether what is deployed is what the intent says, and nothing is about to take it down."""
    intent = read_intent(snapshot, work)
    return intent is not None and _is_wanted(snapshot, work, run, intent, read_deployed(snapshot, run))


def _is_wanted(snapshot: Snapshot, work: WorkRef, run: RunRef, intent: Intent, function: Function) -> bool:
    if snapshot.resolve(intent.release) != run.work.release:
        return False
    wanted = model.read_inputs(intent.input, f"'{work.intent}'", run.work.release)
    has_inputs = records_of(snapshot).is_as_wanted(snapshot, run, wanted, function)
    return has_inputs and not _is_about_to_go(snapshot, run)


def _is_about_to_go(snapshot: Snapshot, run: RunRef) -> bool:
    """Whether the last run of what is deployed waits to take it down, because there was no intent.

    In dialects 2 and 3 other programs make one while there is an intent still, and delete that when it starts.
    """
    if max(run_numbers(snapshot, run.work), default=0) == run.number:
        return False  # as nearly always
    last = last_run(snapshot, run.work)
    if last is None or last == run or not read_function(snapshot, last).cause:
        return False
    return read_run(snapshot, last).type == DOWN and status_of(snapshot, last) == vocabulary.PENDING


def deploy_intents(snapshot: Snapshot, among: list[str] | None = None) -> list[tuple[str, str]]:
    """The deploy intents that there are: package and environment.

    `among` are the packages to look at, where the index is not to be asked for them.
    """
    tree = intent_tree(snapshot)
    directory = stored_intent(snapshot, DEPLOY)
    known = packages_with(snapshot, tree, directory) if among is None else among
    return [(package, name) for package in known for name in _children(tree, f"{package}/{directory}")]


def stored_intent(snapshot: Snapshot, type_: str) -> StoredRef:
    """`+/<type>` as the intent store spells it in its paths."""
    return StoredRef(f"{intent_tree(snapshot).layout.intent_marker}/{type_}")


def has_environment_intents(snapshot: Snapshot) -> bool:
    """Whether any environment is wanted."""
    return bool(intent_tree(snapshot).names(f"{REFS}/{stored_intent(snapshot, 'environment')}"))


def _children(tree: StoreTree, head: str) -> list[str]:
    """The names of the documents just below a stored ref."""
    names = [name for name in tree.names(f"{REFS}/{head}") if name != OBJECT_FILE]
    return sorted(name for name in names if is_there(tree, StoredRef(f"{head}/{name}")))


def state_ref(snapshot: Snapshot, intent: Ref) -> str:
    """The ref in state that an intent is about: behind all links, but for a deployment, whose link itself counts."""
    ref = intent.replace(marker=STATE)
    return str(ref) if ref.type == DEPLOY else snapshot.resolve(ref)
