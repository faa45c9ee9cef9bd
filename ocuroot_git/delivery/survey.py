"""What there is in a store: packages, releases, work, runs, deployments, environments (design section 7).

All of it reads a `Snapshot`, or a `Transaction` with the changes made so far. Nothing is walked but the directories
that lead to the answer: packages are found without looking into releases, and of work only the last run counts.
"""

from __future__ import annotations

from ..errors import Fatal, NotFound
from ..globs import escape
from ..layout import OBJECT_FILE, REFS, edge_directories
from ..refs import INTENT, STATE, Ref
from .model import (
    CALL,
    DEPLOY,
    DOWN,
    STATUSES,
    Environment,
    Function,
    ModelError,
    Run,
    RunRef,
    WorkRef,
    environment_ref,
    parse_work,
    release_number,
)
from .package import Release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..objects import Scope
    from ..snapshot import Snapshot
    from ..tree import StoreTree

_STATE = Ref(marker=STATE)
_INTENT = Ref(marker=INTENT)


class OldDialect(Fatal):
    """The store is of a dialect in which releases and runs are not written."""


def state_tree(snapshot: Snapshot) -> StoreTree:
    """The tree that holds state; within a transaction, with its changes."""
    return snapshot.tree(_STATE)


def intent_tree(snapshot: Snapshot) -> StoreTree:
    """The tree that holds intent; within a transaction, with its changes."""
    return snapshot.tree(_INTENT)


def require_own_dialect(snapshot: Snapshot, what: str) -> None:
    """Raise OldDialect where the state store is of a dialect in which `what` is not written (design 4.2)."""
    version = state_tree(snapshot).layout.version
    if version != 1:
        raise OldDialect(
            f"cannot {what}: the store is of dialect {version}, in which releases and runs are not written",
            hint="custom and environment intents can be set and applied there; 'git ocuroot init' makes a new store",
        )


def packages(tree: StoreTree) -> list[str]:
    """The packages of a tree (`repo/-/path`), sorted: the heads of all refs that have a marker."""
    found = []
    level = [""]
    while level:
        prefetch(tree, level)
        below = []
        for head in level:
            names = [name for name in tree.names(f"{REFS}/{head}" if head else REFS) if name != OBJECT_FILE]
            if head and any(name[0] in "@+" for name in names):
                found.append(head)
            below += [f"{head}/{name}" if head else name for name in names if name[0] not in "@+"]
        level = below
    return sorted(found)


def prefetch(tree: StoreTree, heads: Iterable[str], scope: Scope = "self") -> None:
    """Fetch the directories of stored refs in one batch, where the store is partial (design 8.4)."""
    if tree.files.is_partial:
        nodes = (tree.node(f"{REFS}/{head}" if head else REFS) for head in heads)
        tree.files.prefetch([node for node in nodes if node is not None and tree.files.is_tree(node)], scope)


def releases(snapshot: Snapshot, package: str) -> list[int]:
    """The numbers of the releases of a package that have a document, rising."""
    tree = state_tree(snapshot)
    numbers = sorted(tree.release_numbers(package))
    return [n for n in numbers if tree.object(f"{package}/{tree.layout.release_segment(n)}") is not None]


def newest_release(snapshot: Snapshot, package: str) -> str | None:
    """The newest release of a package, which is where its `@` leads; None where it has none."""
    release = snapshot.resolve(f"{package}/{STATE}")
    return release if snapshot.exists(release) else None


def read_release(snapshot: Snapshot, release: str) -> Release:
    """A release's document. Raises NotFound, ModelError."""
    return Release.read(snapshot.get(release), release)


def environments(snapshot: Snapshot) -> dict[str, Environment]:
    """The environments in state, by name. Raises ModelError for a document that is none."""
    found = {}
    for name in _names(snapshot, f"{STATE}/environment"):
        ref = environment_ref(name)
        if snapshot.exists(ref):
            found[name] = Environment.read(snapshot.get(ref), ref)
    return found


def environment(snapshot: Snapshot, name: str) -> Environment | None:
    """An environment in state; None where there is none."""
    ref = environment_ref(name)
    return Environment.read(snapshot.get(ref), ref) if snapshot.exists(ref) else None


def deployed(snapshot: Snapshot, package: str, name: str) -> RunRef | None:
    """The run that is deployed in an environment now; None where nothing of the package is.

    It is the link `@/deploy/<env>` itself that says so: where there is none, a look-up of that ref goes on through
    `@` to the newest release, whose document tells of its last run there, and not of what is deployed (5.3).
    """
    link = snapshot.object(f"{package}/{STATE}/{DEPLOY}/{name}")
    if link is None or link.target is None:
        return None
    target = snapshot.resolve(link.target)
    found = snapshot.get(target, None)
    if not isinstance(found, dict) or found.get("type") == DOWN:
        return None
    try:
        work, number = parse_work(target)
    except ModelError:
        return None  # a link to something else, which only another program can have made
    return work.run(number or 0)  # in dialects 2 and 3 the link leads to the work, and not to a run of it


def deployments(snapshot: Snapshot, *, only: str | None = None) -> dict[tuple[str, str], RunRef]:
    """What is deployed now, by package and environment (of one environment: `only`)."""
    found = {}
    known = packages(state_tree(snapshot))
    prefetch(state_tree(snapshot), [f"{package}/{STATE}" for package in known], "trees")
    for package in known:
        for name in _names(snapshot, f"{package}/{STATE}/{DEPLOY}") if only is None else [only]:
            run = deployed(snapshot, package, name)
            if run is not None:
                found[package, name] = run
    return found


def work_of(snapshot: Snapshot, release: str) -> list[WorkRef]:
    """The work of a release that has runs, calls first."""
    return [WorkRef(release, kind, name) for kind in (CALL, DEPLOY) for name in _names(snapshot, f"{release}/{kind}")]


def last_run(snapshot: Snapshot, work: WorkRef) -> RunRef | None:
    """The last run of a piece of work; None where it has none."""
    numbers = [int(name) for name in _names(snapshot, work.ref) if name.isascii() and name.isdigit()]
    for number in sorted(numbers, reverse=True):
        if snapshot.exists(work.run(number).ref):
            return work.run(number)
    return None


def status_of(snapshot: Snapshot, run: RunRef) -> str:
    """The status of a run, from its marker. Raises ModelError where it has none."""
    for status in _names(snapshot, f"{run.ref}/status"):
        if status in STATUSES and snapshot.exists(run.status(status)):
            return status
    raise ModelError(f"'{run}' has no status", hint=f"'git ocuroot match {run}/**' shows what there is")


def read_run(snapshot: Snapshot, run: RunRef) -> Run:
    """A run's document. Raises NotFound, ModelError."""
    return Run.read(snapshot.get(run.ref), run.ref)


def read_function(snapshot: Snapshot, run: RunRef) -> Function:
    """What a run executes. Raises NotFound, ModelError."""
    return Function.read(snapshot.get(run.function), run.function)


def last_runs(snapshot: Snapshot) -> Iterator[tuple[RunRef, str]]:
    """The last run of every piece of work in every release, with its status."""
    known = packages(state_tree(snapshot))
    prefetch(state_tree(snapshot), known, "trees")
    for package in known:
        for number in releases(snapshot, package):
            yield from last_runs_of(snapshot, f"{package}/{STATE}{number}")


def last_runs_of(snapshot: Snapshot, release: str) -> Iterator[tuple[RunRef, str]]:
    """The last run of every piece of work in a release, with its status."""
    for work in work_of(snapshot, release):
        run = last_run(snapshot, work)
        if run is not None:
            yield run, status_of(snapshot, run)


def runs_in(snapshot: Snapshot, package: str, name: str, status: str) -> list[RunRef]:
    """The runs of a package's deployments to an environment that have a status, of whatever release, in order.

    Within a transaction this is as `match` is: of the store before it.
    """
    refs = snapshot.match(f"{escape(package)}/@*/{DEPLOY}/{escape(name)}/*/status/{status}", side="state")
    runs = [RunRef.parse(ref.removesuffix(f"/status/{status}")) for ref in refs]
    return sorted(runs, key=lambda run: (release_number(run.work.release), run.number))


def ops(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """The markers of what is to be looked at: (release, name)."""
    for package in packages(state_tree(snapshot)):
        for number in releases(snapshot, package):
            release = f"{package}/{STATE}{number}"
            for name in _names(snapshot, f"{release}/op"):
                if snapshot.exists(f"{release}/op/{name}"):
                    yield release, name


def dependants(snapshot: Snapshot, ref: str) -> list[str]:
    """The refs that are recorded to depend on a ref, sorted."""
    return sorted(state_tree(snapshot).edge_ends(edge_directories(ref)[1], ref))


def find_release(snapshot: Snapshot, text: str) -> str:
    """The release that a ref names: by number, by tag, or the newest for `…/@`. Raises NotFound, ModelError."""
    ref = snapshot.absolute(text)
    if ref.marker != STATE or ref.type or ref.is_global or ref.fragment:
        raise ModelError(f"'{text}' is no release", hint="a release is repo/-/path/@1, or //path/@ for the newest")
    release = snapshot.resolve(ref)
    if not snapshot.exists(release):
        raise NotFound(f"no such release: '{ref}'")
    return release


def find_work(snapshot: Snapshot, text: str) -> tuple[WorkRef, int | None]:
    """The work, and the run if one is named, that a ref leads to. Raises NotFound, ModelError.

    Only its release is resolved: `…/@/call/build` is the work of the newest release here, not the newest run.
    """
    work, number = parse_work(snapshot.absolute(text))
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
