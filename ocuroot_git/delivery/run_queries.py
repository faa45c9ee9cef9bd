"""What there is of work and its runs, and what is deployed (design 7).

All of it reads a `Snapshot`, or a `Transaction` with the changes made so far, as `queries` does, which find packages,
releases and environments. Of work only the last run counts.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.globs import escape
from ..formats.refs import STATE, run_number
from .addresses import RunRef, WorkRef, parse_work, release_number
from .model import Claim, Function, Run
from .problems import STRICT, BadDocument, Problems
from .queries import (
    directory_names,
    find_release,
    packages_with,
    prefetch,
    read_part,
    records_of,
    refuse_remains,
    state_tree,
)
from .vocabulary import CALL, COMPLETE, DEPLOY, DOWN, PAUSED, PENDING, RUNNING, STATUSES, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ..formats.layout import StoredObject
    from ..store.snapshot import Snapshot


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
        for name in directory_names(snapshot, f"{package}/{STATE}/{DEPLOY}") if only is None else [only]:
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
        found += [WorkRef(release, kind, name) for name in directory_names(snapshot, f"{release}/{word}")]
    return found


def last_run(snapshot: Snapshot, work: WorkRef) -> RunRef | None:
    """The last run of a piece of work; None where it has none. Raises BadDocument where its document is missing."""
    for number in sorted(run_numbers(snapshot, work), reverse=True):
        run = work.run(number)
        if snapshot.exists(run.ref):
            return run
        refuse_remains(snapshot, run.ref, ("functions", "status"))
    return None


def run_numbers(snapshot: Snapshot, work: WorkRef) -> list[int]:
    """The numbers that have a directory below a piece of work."""
    numbers = map(run_number, directory_names(snapshot, work.ref))
    return [number for number in numbers if number is not None]


def status_by_last(status: str, number: int) -> str:
    """The status of a run by that of the last of its functions: one that follows others is pending while it pauses."""
    return PAUSED if status == PENDING and number > 1 else status


def markers_of(snapshot: Snapshot, run: RunRef) -> list[str]:
    """The statuses by which a run is marked, sorted: one, if it is as it should be."""
    return [name for name in directory_names(snapshot, f"{run.ref}/status") if snapshot.exists(run.status(name))]


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
    return read_part(snapshot, run.ref, records_of(snapshot).run)


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
    function = read_part(
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
    return read_part(snapshot, ref, records.deployed_function)


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
    return read_part(snapshot, run.status(RUNNING), Claim.read)


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
    for name in directory_names(snapshot, work.ref):
        if name.isascii() and name.isdigit() and (name[0] == "0" or len(name) >= 10):
            with problems.leave_out(f"{work.ref}/{name}"):
                raise BadDocument(f"{work.ref}/{name}", f"'{name}' is no number of a run")


def runs_in(snapshot: Snapshot, package: str, name: str, status: str) -> list[RunRef]:
    """The runs of a package's deployments to an environment that have a status, of whatever release, in order.

    Within a transaction this is as `match` is: of the store before it.
    """
    return [run for run, _ in runs_marked(snapshot, package, name, [status])]


def runs_marked(snapshot: Snapshot, package: str, name: str, statuses: Collection[str]) -> list[tuple[RunRef, str]]:
    """As `runs_in`, of those that have any of some statuses: each with its own."""
    runs = f"{escape(package)}/@*/{DEPLOY}/{escape(name)}/*"
    globs = [f"{runs}/status/{status}" for status in statuses]
    if RUNNING in statuses and records_of(snapshot).functions_have_statuses:
        globs.append(f"{runs}/functions/*/status/{RUNNING}")  # early Ocuroot marks the function, and not the run
    key = ("state", *globs)
    if key not in snapshot.matched:
        # All releases are walked for this, and it is asked for each run that waits.
        snapshot.matched[key] = snapshot.match(*globs, side="state")
    marked = [_split(package, ref) for ref in snapshot.matched[key]]
    found = {(run, below[-1]) for run, below in marked if below[0] != "functions"}
    found |= {
        (run, below[-1])
        for run, below in marked
        if below[0] == "functions" and (run, below[-1]) not in found and _is_running(snapshot, run)
    }
    numbered = [(RunRef.parse(ref), status) for ref, status in found if ref.rpartition("/")[2].isdigit()]
    return sorted(numbered, key=lambda one: (release_number(one[0].work.release), one[0].number, one[1]))


def _split(package: str, ref: str) -> tuple[str, list[str]]:
    """The ref of a run of a package's deployment, and what follows it in a ref; a directory of the package may bear any
    name, also those that are words of ours below a release."""
    release, word, name, number, *below = ref.removeprefix(f"{package}/").split("/")
    return f"{package}/{release}/{word}/{name}/{number}", below


def _is_running(snapshot: Snapshot, ref: str) -> bool:
    """Whether a run is running whose function is marked so: our first version leaves these markers as they are."""
    with Problems().leave_out(ref):
        return status_of(snapshot, RunRef.parse(ref)) == RUNNING
    return False


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
