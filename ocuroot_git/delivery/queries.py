"""What there is in a store: packages, releases, work, runs, deployments, environments (design 7).

All of it reads a `Snapshot`, or a `Transaction` with the changes made so far. Nothing is walked but the directories
that lead to the answer: packages are found without looking into releases, and of work only the last run counts.

What reads many documents leaves out those that are not of their shape, and adds them to the `Problems` it is given.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.globs import escape
from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredRef, edge_directories, object_path
from ..formats.refs import INTENT, STATE, Ref, number_in
from . import index
from .addresses import RunRef, WorkRef, environment_ref, parse_work, release_number
from .model import Claim, Environment, Function, Run
from .package import Release
from .problems import STRICT, BadDocument, Problems
from .records import OWN
from .vocabulary import CALL, COMPLETE, DEPLOY, DOWN, PAUSED, PENDING, PRUNED, RUNNING, STATUSES, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeVar

    from ..formats.documents import Document
    from ..formats.globs import Glob, State
    from ..formats.layout import ShownRef, StoredObject
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
                _refuse_remains(snapshot, ref, tree.layout.work_types)
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


def _refuse_remains(snapshot: Snapshot, ref: str, below: tuple[str, ...]) -> None:
    """Raise BadDocument where there are documents that belong to one that is not there."""
    found = sorted({*below} & {*_names(snapshot, ref)})
    if found:
        raise BadDocument(ref, f"it is missing, and there are documents below '{ref}/{found[0]}'")


def newest_release(snapshot: Snapshot, package: str) -> str | None:
    """The newest release of a package, which is where its `@` leads; None where it has none."""
    release = snapshot.resolve(f"{package}/{STATE}")
    return release if snapshot.exists(release) else None


def read_release(snapshot: Snapshot, release: str) -> Release:
    """A release's document. Raises NotFound, ModelError."""
    return _read(snapshot, release, records_of(snapshot).release)


def _read(snapshot: Snapshot, ref: str, read: Callable[[Document, str], Shape]) -> Shape:
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


def _read_part(snapshot: Snapshot, ref: str, read: Callable[[Document, str], Shape]) -> Shape:
    """As `_read`, of a document that is missing if it is not there. Raises BadDocument."""
    try:
        return _read(snapshot, ref, read)
    except NotFound:
        raise BadDocument(ref, "it is missing") from None


def environments(snapshot: Snapshot, problems: Problems = STRICT) -> dict[str, Environment]:
    """The environments in state, by name."""
    found = {}
    names = _names(snapshot, f"{STATE}/environment")
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
    return _read(snapshot, ref, Environment.read) if snapshot.exists(ref) else None


def no_environment(snapshot: Snapshot, name: str) -> NotFound:
    """The error for an environment that there is not, with one of those that people may have meant."""
    from ..formats.spelling import nearest  # late: it is hardly ever asked for

    return NotFound(f"no such environment: '{name}'", hint=nearest(name, environments(snapshot, Problems())))


def deployed(snapshot: Snapshot, package: str, name: str) -> RunRef | None:
    """The run that is deployed in an environment now; None where nothing of the package is. Raises BadDocument.

    It is the link `@/deploy/<env>` itself that says so (5.3).
    """
    return current(snapshot, f"{package}/{STATE}/{DEPLOY}/{name}")


def current(snapshot: Snapshot, ref: str) -> RunRef | None:
    """The run that is current at the ref of a piece of work, `P/@/<kind>/<name>`; None for none. Raises BadDocument."""
    link = snapshot.object(ref)
    return None if link is None else _current_by(snapshot, ref, link)


def _current_by(snapshot: Snapshot, ref: str, link: StoredObject) -> RunRef | None:
    """The run that such a link leads to; None where it took a deployment down."""
    if link.target is None:
        raise BadDocument(ref, "it is a document, where a link to a run should be")
    target = snapshot.resolve(link.target)
    found = snapshot.look_up(target)
    if not found.found:
        raise BadDocument(ref, f"it is a link to '{target}', which is missing")
    if not isinstance(found.value, dict):
        raise BadDocument(target, "it is not a JSON object")
    if found.value.get("type") == DOWN:
        return None
    try:
        work, number = parse_work(records_of(snapshot).deployed_run(found.value, target))
    except ModelError:
        raise BadDocument(ref, f"it is a link to '{target}', which is no run") from None
    return work.run(number or 0)  # a link of another program may lead to the work, and not to a run of it


def deployments(
    snapshot: Snapshot, problems: Problems = STRICT, *, only: str | None = None, among: list[str] | None = None
) -> dict[tuple[str, str], RunRef | None]:
    """What is deployed now, by package and environment (of one environment: `only`).

    `among` are the packages to look at, where the index is not to be asked for them. None stands for a deployment that
    cannot be read: something may be there.
    """
    found: dict[tuple[str, str], RunRef | None] = {}
    known = packages_with(snapshot, state_tree(snapshot), f"{STATE}/{DEPLOY}") if among is None else among
    prefetch(state_tree(snapshot), [f"{package}/{STATE}" for package in known], "trees")
    places = {}
    for package in known:
        for name in _names(snapshot, f"{package}/{STATE}/{DEPLOY}") if only is None else [only]:
            places[f"{package}/{STATE}/{DEPLOY}/{name}"] = package, name
    snapshot.prefetch(places)
    for ref, place in places.items():
        with problems.leave_out(ref):
            run = deployed(snapshot, *place)
            if run is not None:
                found[place] = run
        if ref in problems.asked:
            found[place] = None
    return found


def work_of(snapshot: Snapshot, release: str) -> list[WorkRef]:
    """The work of a release that has runs, calls first."""
    found = []
    for kind in (CALL, DEPLOY):
        word = WorkRef(release, kind, "").word
        found += [WorkRef(release, kind, name) for name in _names(snapshot, f"{release}/{word}")]
    return found


def last_run(snapshot: Snapshot, work: WorkRef) -> RunRef | None:
    """The last run of a piece of work; None where it has none. Raises BadDocument where its document is missing."""
    for number in sorted(run_numbers(snapshot, work), reverse=True):
        run = work.run(number)
        if snapshot.exists(run.ref):
            return run
        _refuse_remains(snapshot, run.ref, ("functions", "status"))
    return None


def run_numbers(snapshot: Snapshot, work: WorkRef) -> list[int]:
    """The numbers that have a directory below a piece of work."""
    return [int(name) for name in _names(snapshot, work.ref) if name.isascii() and name.isdigit() and len(name) < 10]


def status_by_last(status: str, number: int) -> str:
    """The status of a run by that of the last of its functions: one that follows others is pending while it pauses."""
    return PAUSED if status == PENDING and number > 1 else status


def markers_of(snapshot: Snapshot, run: RunRef) -> list[str]:
    """The statuses by which a run is marked, sorted: one, if it is as it should be."""
    return [name for name in _names(snapshot, f"{run.ref}/status") if snapshot.exists(run.status(name))]


def status_of(snapshot: Snapshot, run: RunRef) -> str:
    """The status of a run, from its marker. Raises BadDocument unless it has just one."""
    found = markers_of(snapshot, run)
    if not found:
        raise BadDocument(run.ref, "it has no status", hint=f"'git ocuroot match {run}/**' shows what there is")
    unknown = [name for name in found if name not in STATUSES]
    if unknown:
        raise BadDocument(f"{run.ref}/status/{unknown[0]}", f"'{unknown[0]}' is no status of a run")
    if len(found) > 1:
        raise BadDocument(run.ref, f"it has more than one status: {', '.join(found)}")
    if found[0] in (PENDING, PAUSED) and records_of(snapshot).functions_have_statuses:
        return _status_under_way(snapshot, run, found[0])
    return found[0]


def _status_under_way(snapshot: Snapshot, run: RunRef, marker: str) -> str:
    """The status of a run that is marked as pending or paused: the marker, where its function cannot be read.

    Early Ocuroot leaves that marker as it is until the last function has ended, whatever becomes of the functions.
    """
    with Problems().leave_out(run.ref):
        number = records_of(snapshot).last_number(snapshot, run)
        status = status_by_last(read_step(snapshot, run, number).status, number)
        if status == RUNNING or (status == PAUSED and number > 1):
            return status
    return marker


def read_run(snapshot: Snapshot, run: RunRef) -> Run:
    """A run's document. Raises BadDocument."""
    return _read_part(snapshot, run.ref, records_of(snapshot).run)


def read_function(snapshot: Snapshot, run: RunRef) -> Function:
    """What a run executes first, with the status of the run. Raises BadDocument."""
    records = records_of(snapshot)
    function = read_step(snapshot, run, 1)
    number = records.last_number(snapshot, run) if records.functions_have_statuses else 1
    if number > 1:
        function.status = status_by_last(read_step(snapshot, run, number).status, number)
    return function


def read_step(snapshot: Snapshot, run: RunRef, number: int) -> Function:
    """A function of a run by its number, with its own status. Raises as `read_function` does."""
    records = records_of(snapshot)
    function = _read_part(
        snapshot, records.function_ref(snapshot, run, number), lambda value, ref: records.function(value, ref, number)
    )
    function.status = function.status or status_of(snapshot, run)
    return function


def read_deployed(snapshot: Snapshot, run: RunRef) -> Function:
    """With what a run was executed that is deployed. Raises BadDocument.

    Other programs may link to the work where runs are linked to; nothing is known of its function then.
    """
    records = records_of(snapshot)
    ref = records.deployed_ref(snapshot, run)
    if not run.number and ref != run.work.ref:
        return Function({}, COMPLETE, [], {})
    return _read_part(snapshot, ref, records.deployed_function)


def when_made(snapshot: Snapshot, run: RunRef, function: Function, status: str) -> str:
    """When a run was made; where another program made it, and did not say, when it came to its status."""
    marker = function.history[0] if function.history else snapshot.get(run.status(status), None)
    return str(marker.get("time", "")) if isinstance(marker, dict) else ""


def function_ref(snapshot: Snapshot, run: RunRef) -> str:
    """The ref of the document that says what a run executes."""
    return records_of(snapshot).function_ref(snapshot, run, 1)


def read_claim(snapshot: Snapshot, run: RunRef) -> Claim:
    """Who holds a running run; nobody that is known, where another program keeps no claim. Raises BadDocument."""
    records = records_of(snapshot)
    if records.functions_have_statuses and RUNNING not in markers_of(snapshot, run):
        function = read_step(snapshot, run, records.last_number(snapshot, run))
        if function.status == RUNNING:
            return Claim(str(function.history[-1].get("time", "")) if function.history else "")
    return _read_part(snapshot, run.status(RUNNING), Claim.read)


def last_runs_of(snapshot: Snapshot, release: str, problems: Problems = STRICT) -> Iterator[tuple[RunRef, str]]:
    """The last run of every piece of work in a release, with its status."""
    for work in work_of(snapshot, release):
        found = None
        with problems.leave_out(work.ref):
            run = last_run(snapshot, work)
            found = (run, status_of(snapshot, run)) if run is not None else None
        if found is not None:
            yield found
        refuse_odd_numbers(snapshot, work, problems)


def refuse_odd_numbers(snapshot: Snapshot, work: WorkRef, problems: Problems) -> None:
    """Name what lies below a piece of work as runs do, by another spelling of a number: no run is looked for there."""
    for name in _names(snapshot, work.ref):
        if name.isascii() and name.isdigit() and (name[0] == "0" or len(name) >= 10):
            with problems.leave_out(f"{work.ref}/{name}"):
                raise BadDocument(f"{work.ref}/{name}", f"'{name}' is no number of a run")


def runs_in(snapshot: Snapshot, package: str, name: str, status: str) -> list[RunRef]:
    """The runs of a package's deployments to an environment that have a status, of whatever release, in order.

    Within a transaction this is as `match` is: of the store before it.
    """
    runs = f"{escape(package)}/@*/{DEPLOY}/{escape(name)}/*"
    globs = [f"{runs}/status/{status}"]
    if status == RUNNING and records_of(snapshot).functions_have_statuses:
        globs.append(f"{runs}/functions/*/status/{status}")  # early Ocuroot marks the function, and not the run
    key = ("state", *globs)
    if key not in snapshot.matched:
        # All releases are walked for this, and it is asked for each run that waits.
        snapshot.matched[key] = snapshot.match(*globs, side="state")
    marked = [ref.removesuffix(f"/status/{status}").partition("/functions/") for ref in snapshot.matched[key]]
    numbered = {run for run, functions, _ in marked if not functions}
    numbered |= {
        run for run, functions, _ in marked if functions and run not in numbered and _is_running(snapshot, run)
    }
    found = [RunRef.parse(ref) for ref in numbered if ref.rpartition("/")[2].isdigit()]
    return sorted(found, key=lambda run: (release_number(run.work.release), run.number))


def _is_running(snapshot: Snapshot, ref: str) -> bool:
    """Whether a run is running whose function is marked so: our first version leaves these markers as they are."""
    with Problems().leave_out(ref):
        return status_of(snapshot, RunRef.parse(ref)) == RUNNING
    return False


def ops_of(
    snapshot: Snapshot, package: str, problems: Problems = STRICT, *, among: Collection[int] | None = None
) -> Iterator[tuple[str, str]]:
    """The markers of what is to be looked at in a package, or in some of its releases (`among`): (release, name)."""
    for number in releases(snapshot, package, problems, among=among):
        release = state_tree(snapshot).layout.release(package, number)
        for name in sorted({*_names(snapshot, f"{release}/op"), *_names_of_early_ops(snapshot, release)}):
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
    return _names(snapshot, f"{release}/{word}") if word else []


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


def find_work(snapshot: Snapshot, text: str) -> tuple[WorkRef, int | None]:
    """The work, and the run if one is named, that a ref leads to. Raises NotFound, ModelError.

    Only its release is resolved: `…/@/call/build` is the work of the newest release here, not the newest run.
    """
    named = snapshot.named(text)
    work, number = parse_work(named)
    if named.fragment:
        whole = named.without_fragment()
        raise ModelError(
            f"'{text}' is a part of a document, and neither a run nor work", hint=f"did you mean '{whole}'?"
        )
    return WorkRef(find_release(snapshot, work.release), work.kind, work.name), number


def find_run(snapshot: Snapshot, text: str) -> RunRef:
    """The run that a ref names; of a piece of work, its last. Raises NotFound, ModelError."""
    work, number = find_work(snapshot, text)
    run = work.run(number) if number is not None else last_run(snapshot, work)
    if run is None or not snapshot.exists(run.ref):
        raise NotFound(f"no such run: '{text}'")
    return run


def _names(snapshot: Snapshot, ref: str) -> list[str]:
    """The names of the directories below a ref of the state store, sorted."""
    return sorted(name for name in state_tree(snapshot).names(f"{REFS}/{ref}") if name != OBJECT_FILE)
