"""Releases: made with their work, listed, and shown as a pipeline (design 7)."""

from __future__ import annotations

from ..errors import Conflict, Fatal, NotFound
from ..formats.documents import same
from ..formats.globs import escape
from ..formats.layout import OBJECT_FILE, REFS
from ..formats.pruned import format_spans
from ..formats.refs import INTENT, STATE
from . import addresses, model, runs, vocabulary
from .addresses import WorkRef
from .finish import checked_tag, link_tag, transact_both
from .package import Package
from .problems import BadDocument, Problems
from .pruned import record_of
from .queries import (
    early_op,
    environments,
    find_release,
    newest_release,
    packages,
    prefetch_work,
    read_release,
    records_of,
    releases,
    state_tree,
)
from .run_queries import deployed, last_run, last_runs_of, read_function, read_run
from .tags import tags_of
from .vocabulary import CALL, DEPLOY, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from ..store.transaction import Transaction
    from .code import Code
    from .fields import Fields
    from .model import Environment


def new(
    stores: Stores,
    package: str,
    commit: str,
    definition: Document,
    *,
    is_code: bool = False,
    tags: Iterable[str] = (),
    force: bool = False,
    repository: Fields | None = None,
    operation: Operation | None = None,
) -> str:
    """Make the next release of a package (`repo/-/path`): number, marker, links and pending runs in one commit.

    `definition` is kept as it is; what code came to (`is_code`) with its refs made absolute. `repository` is what is
    kept of the repository in dialects 2 and 3: `Remotes`, and the `source` of its `repo.ocu.star`, in base 64. Gives
    the release's ref.
    Raises Conflict where the commit has a release already, unless `force`; ModelError for a package
    that cannot be released.
    """
    from . import definitions

    tags = [checked_tag(tag) for tag in tags]

    def change(tx: Transaction) -> str:
        if not force:
            _refuse_second(tx, package, commit)
        number = _next_number(tx, package)
        release = state_tree(tx).layout.release(package, number)
        known = environments(tx, Problems())
        kept = definitions.for_release(definition, release) if is_code else definition
        read = Package.read(kept, f"package '{package}'")
        definitions.check_work(read, release, known)
        records = records_of(tx)
        tx.create(release, records.release_document(release, commit, kept, known, is_code=is_code))
        tx.create(f"{release}/commit/{commit}", {"time": model.timestamp()})
        records.link_newest(tx, release)
        for tag in tags:
            link_tag(tx, tag, release)
        for spec in read.specs():
            for name in spec.names(known):
                runs.make(tx, WorkRef(release, spec.kind, name), _TYPES[spec.kind], vocabulary.BY_RELEASE)
        return release

    command, message = "release new", f"release {package}"
    if repository is None or not records_of(stores.snapshot()).keeps_repositories:
        return stores.transact(change, command=command, message=message, operation=operation)

    def change_intent(tx: Transaction) -> None:
        if tx.has_intent():
            _keep_repository(tx, package, INTENT, commit, repository)

    def change_state(tx: Transaction) -> str:
        _keep_repository(tx, package, STATE, commit, repository)
        return change(tx)

    return transact_both(stores, change_intent, change_state, command, message, operation)


def _keep_repository(tx: Transaction, package: str, marker: str, commit: str, repository: Fields) -> None:
    """Write the document of the repository at a commit, and the link to the newest."""
    head = f"{package.partition('/-/')[0]}/-/repo.ocu.star/{marker}"
    if tx.object(f"{head}{commit}") is None:
        tx.create(f"{head}{commit}", repository)
        tx.link(head, f"{head}{commit}")


_TYPES = {CALL: CALL, DEPLOY: UP}


def handle_check_environments(tx: Transaction, release: str, problems: Problems, code: Code | None) -> None:
    """Make the deployments that a release's package wants and that are not there yet, because environments changed.

    A package that is code is evaluated anew for that, by `code`, and the release keeps what it comes to now.
    What was put off or taken down together with its environment is made again; what a person took down is not.
    The op that asked for this stays while something could not be read, so that it is looked at again.
    """
    met = Problems()
    known = environments(tx, met)
    with met.leave_out(release):
        _define_again(tx, release, known, code)
    for spec in read_release(tx, release).package.specs() if not met else ():
        for name in spec.names(known) if spec.kind == DEPLOY else ():
            work = WorkRef(release, DEPLOY, name)
            with met.leave_out(work.ref), tx.all_or_nothing():
                last = last_run(tx, work)
                if last is None or (name in known and _went_with_environment(tx, last)):
                    runs.make(tx, work, UP, vocabulary.BY_ENVIRONMENT)
    if met:
        problems.update(met)
    else:
        op = f"{release}/op/{vocabulary.CHECK_ENVIRONMENTS}"
        for ref in (op if tx.exists(op) else None, early_op(tx, release, vocabulary.CHECK_ENVIRONMENTS)):
            if ref is not None:
                tx.delete(ref)


def _define_again(tx: Transaction, release: str, known: dict[str, Environment], code: Code | None) -> None:
    """Let a release hold what its package comes to with the environments there are now; code is evaluated anew."""
    from . import definitions

    document = read_release(tx, release)
    package = addresses.package_of(release)
    is_code = definitions.is_code(package, document.definition)
    kept = document.definition if not is_code else _evaluated(tx, release, document.commit, known, code)
    written = records_of(tx).release_document(release, document.commit, kept, known, is_code=is_code)
    before = tx.get(release)
    if not all(name in before and same(before[name], value) for name, value in written.items()):
        tx.set(release, {**before, **written})


def _evaluated(
    snapshot: Snapshot, release: str, commit: str, known: dict[str, Environment], code: Code | None
) -> Document:
    """What the code of a release comes to now. Raises BadDocument."""
    from . import definitions

    package = addresses.package_of(release)
    if code is None:
        raise BadDocument(release, "its package is code, and there is no repository here that has it")
    try:
        defined = code.of(snapshot, package, commit).define(package, commit, known).document
    except Fatal as error:
        raise BadDocument(release, f"its package cannot be evaluated: {error.message}") from None
    if defined is None:
        raise BadDocument(release, "its package defines nothing any more")
    return definitions.for_release(defined, release)


def _went_with_environment(snapshot: Snapshot, run: addresses.RunRef) -> bool:
    function = read_function(snapshot, run)
    if function.status == vocabulary.CANCELLED:
        return function.ended_by == vocabulary.BY_ENVIRONMENT
    is_down = function.status == vocabulary.COMPLETE and read_run(snapshot, run).type == vocabulary.DOWN
    return is_down and function.cause == vocabulary.BY_ENVIRONMENT


def _refuse_second(tx: Transaction, package: str, commit: str) -> None:
    found = tx.match(f"{escape(package)}/@*/commit/{escape(commit)}", side="state")
    if found:
        release = found[-1].rpartition("/commit/")[0]
        raise Conflict(f"'{release}' is a release of this commit already", hint="--force makes another one")
    record = record_of(tx, package)
    entry = record.find_commit(commit) if record is not None else None
    if entry is not None:
        raise Conflict(
            f"this commit has been released: as one of the releases {format_spans(entry.spans)} of '{package}', "
            "which were pruned",
            hint="--force makes another one",
        )


def _next_number(tx: Transaction, package: str) -> int:
    """One more than the highest number that is or was in use.

    What people put below a number that is none yet does not use it.
    """
    record = record_of(tx, package)
    highest = record.highest if record is not None else 0
    tree = state_tree(tx)
    for number in sorted(tree.release_numbers(package), reverse=True):
        names = set(tree.names(f"{REFS}/{tree.layout.release(package, number)}"))
        if OBJECT_FILE in names or names - {"custom"}:
            return max(number, highest) + 1
    return highest + 1


# Finding


def find(snapshot: Snapshot, text: str) -> str:
    """The release that a ref names, or the newest of the package that it does; a directory stands for the one in it.

    Raises NotFound, ModelError; Fatal where several packages are in that directory.
    """
    ref = snapshot.named(text)
    if ref.marker or ref.type or not ref.repo or not ref.path:
        return find_release(snapshot, text)
    named = str(ref)
    tree = state_tree(snapshot)
    found = [one for one in packages(tree) if one == named or one.startswith(f"{named}/")]
    found = [named] if named in found else found
    with_releases = [one for one in found if list(tree.release_numbers(one))]
    if len(with_releases) > 1:
        names = ", ".join(f"//{one.partition('/-/')[2]}" for one in with_releases[:_MOST_NAMED])
        raise Fatal(f"'{named}' has {len(with_releases)} packages with releases", hint=f"name one of them: {names}")
    release = newest_release(snapshot, with_releases[0]) if with_releases else None
    if release is None:
        raise NotFound(f"'{named}' has no release", hint="'git ocuroot release list' shows those there are")
    return release


_MOST_NAMED: Final = 5
"""Packages that a hint names."""


# Showing


def listing(snapshot: Snapshot, package: str, problems: Problems) -> list[Fields]:
    """The releases of a package, in order, with how their work stands."""
    tree = state_tree(snapshot)
    _prefetch(snapshot, [tree.layout.release(package, number) for number in tree.release_numbers(package)])
    found = []
    numbers = releases(snapshot, package, problems)
    for number in numbers:
        release = tree.layout.release(package, number)
        with problems.leave_out(release):
            found.append(_line(snapshot, release, problems, newest=number == numbers[-1]))
    return found


def _prefetch(snapshot: Snapshot, found: list[str]) -> None:
    """Fetch what lines of releases are made of, together, where the store is partial."""
    tree = state_tree(snapshot)
    if tree.files.is_partial:
        prefetch_work(tree, found)
        commits = []
        for release in found:
            with Problems().leave_out(release):  # whoever reads it says what is wrong with it
                commits += [f"{release}/commit/{name}" for name in tree.names(f"{REFS}/{release}/commit")]
        snapshot.prefetch(commits)


def _line(snapshot: Snapshot, release: str, problems: Problems, *, newest: bool) -> Fields:
    document = read_release(snapshot, release)
    statuses: dict[str, int] = {}
    for _, status in last_runs_of(snapshot, release, problems):
        statuses[status] = statuses.get(status, 0) + 1
    when = None
    with problems.leave_out(f"{release}/commit/{document.commit}"):
        when = snapshot.get(f"{release}/commit/{document.commit}#time", None)
    return {
        "ref": release,
        "package": addresses.package_of(release),
        "commit": document.commit,
        "time": when,
        "tags": tags_of(snapshot, release),
        "newest": newest,
        "work": statuses,
    }


def pipeline(snapshot: Snapshot, release: str, problems: Problems) -> Fields:
    """A release as a picture: its phases, the work in each, and how that stands.

    Work has `kind`, `name`, `run` (its last), `type`, `status`, for a deployment whether it is `deployed` now, and
    `waits_for`, in words, where it is pending. Work that has no run yet has the status `none`, and `unknown` where its
    run cannot be read. Raises NotFound, and ModelError where it is the release that is bad.
    """
    _prefetch(snapshot, [release])
    document = read_release(snapshot, release)
    known = environments(snapshot, problems)
    package = addresses.package_of(release)
    snapshot.prefetch([f"{package}/{STATE}", *(f"{package}/{STATE}/{DEPLOY}/{name}" for name in known)])
    shown = set()
    phases: list[Fields] = []
    for phase in document.package.phases:
        work = [WorkRef(release, spec.kind, name) for spec in phase.work for name in spec.names(known)]
        shown.update(work)
        phases.append({"name": phase.name, "work": [_describe(snapshot, one, problems) for one in work]})
    others = [run.work for run, _ in last_runs_of(snapshot, release, problems) if run.work not in shown]
    if others:
        # Deployments to environments that are gone, or no longer have the attributes that the package asks for.
        phases.append({"name": "no longer wanted", "work": [_describe(snapshot, one, problems) for one in others]})
    newest = snapshot.resolve(f"{package}/{STATE}") == release
    return {**_line(snapshot, release, problems, newest=newest), "phases": phases}


def _describe(snapshot: Snapshot, work: WorkRef, problems: Problems) -> Fields:
    described: Fields = {"kind": work.kind, "name": work.name, "ref": work.ref, "run": None, "status": "unknown"}
    with problems.leave_out(work.ref):
        run = last_run(snapshot, work)
        described.update(_standing(snapshot, work, run) if run is not None else {"status": "none"})
    return described


def _standing(snapshot: Snapshot, work: WorkRef, run: addresses.RunRef) -> Fields:
    function = read_function(snapshot, run)
    described: Fields = {"run": run.ref, "type": read_run(snapshot, run).type, "status": function.status}
    if work.kind == DEPLOY:
        current = deployed(snapshot, work.package, work.name)
        described["deployed"] = current is not None and current.work == work
        described["deployed_release"] = current.work.release if current is not None else None
    if function.ended_by:
        described["ended_by"] = function.ended_by
    if function.status == vocabulary.PENDING:
        described["waits_for"] = [reason.what for reason in runs.what_it_waits_for(snapshot, run, function)]
    return described
