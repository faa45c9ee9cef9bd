"""What is deployed where, since when and by whom; what is under way there, failed, or wanted and not so (design 12).

How things stand is asked of `overview` and `diff`, as the page and `diff` do; who made it so, of the markers of runs
and of the ledger.
"""

from __future__ import annotations

from ..delivery import lenient, overview
from ..delivery.diff import deployment_differences
from ..delivery.fields import Record
from ..delivery.queries import deployments as deployed_now
from ..delivery.queries import environments, packages, prefetch, state_tree
from ..delivery.releases import tags_of
from ..delivery.vocabulary import COMPLETE, DEPLOY, DOWN, FAILED, OPEN, PAUSED, RUNNING
from ..errors import NotFound
from ..formats.globs import Glob
from ..formats.layout import OBJECT_FILE, REFS
from ..formats.operation import Origin
from ..formats.refs import STATE
from ..formats.times import parse_seconds
from .chunks import Ledger
from .gate_passes import GatePasses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

    from ..delivery.fields import Fields
    from ..delivery.problems import Problems
    from ..store.snapshot import Snapshot

WANTED: Final = "wanted"
UNWANTED: Final = "unwanted"
UNREADABLE: Final = "unreadable"
"""What a deployment is called by of which there is no run: an intent asks for it, or there is something of which no
intent asks any more, and nothing is under way; or something may be deployed, and what cannot be read."""
_BY_SOMEONE: Final = (COMPLETE, FAILED, RUNNING, PAUSED)
"""Statuses to which somebody has brought a run; one that is pending waits for somebody."""


class Deployment(Record):
    """A release in an environment, or on its way there or away: a run of a deployment, and how it stands.

    `status` is that of the run, where `complete` means that this is what is deployed now, or else one of those above.
    `release` is what is deployed by it: empty where that is nothing, as of a run that takes something down. `commit` is
    the one that was released; `since` when the run came to its status, in seconds since the epoch; `actor`, `run` (a
    URL) and `reason` say by whom it did. `past_gates` are the names of the gates that the run was started past. Empty
    or None: not known; of a pending run there is nobody yet.
    """

    __slots__ = (
        *(
            "actor",
            "commit",
            "environment",
            "package",
            "past_gates",
            "reason",
            "release",
            "run",
            "run_ref",
            "since",
            "status",
            "tags",
        ),
        "is_down",
    )

    def __init__(self, package: str, environment: str, status: str, release: str, run_ref: str = "") -> None:
        self.package = package
        self.environment = environment
        self.status = status
        self.release = release
        self.run_ref = run_ref
        self.is_down = False
        self.tags: list[str] = []
        self.commit = ""
        self.since: float | None = None
        self.actor = ""
        self.run = ""
        self.reason = ""
        self.past_gates: list[str] | None = None


def _chosen(snapshot: Snapshot, globs: Collection[str], *, of_state: bool = False) -> list[str]:
    """The packages that match one of some patterns; all for no pattern. Raises NotFound where none matches one.

    With `of_state` only those of the state store, in which no directory is read that no pattern leads into.
    """
    if of_state:
        names = packages(state_tree(snapshot), glob=Glob(*globs) if globs else None)
    else:
        names = list(overview.package_names(snapshot))
    for glob in globs:
        matches = Glob(glob).matches
        if not any(map(matches, names)) and not (of_state and any(map(matches, overview.package_names(snapshot)))):
            raise no_package(glob)
    return list(filter(Glob(*globs).matches, names)) if globs else names


def no_package(glob: str) -> NotFound:
    """The error for a pattern that no package matches."""
    return NotFound(f"no package matches '{glob}'", hint="a package is repo/-/path, or //path of this repository")


def deployments(
    snapshot: Snapshot,
    globs: Collection[str],
    environment: str | None,
    problems: Problems,
    *,
    only_deployed: bool = False,
) -> list[Deployment]:
    """How the packages that match patterns (all for none) are deployed, by package and environment: what is deployed
    first, then what is under way, failed, or wanted. By whom, as far as the markers of runs say it: see `tell_history`.

    With `only_deployed` nothing but what is deployed: of a remote store no more is fetched than says it.
    Raises NotFound for a pattern that no package matches, and for an environment that there is not.
    """
    names = _chosen(snapshot, globs, of_state=only_deployed)
    if only_deployed:
        found = _read_deployed(snapshot, names, environment, problems)
    else:
        found = _deployed(snapshot, names, problems)
        found += _unfinished(snapshot, set(names), problems)
        found += _differing(snapshot, set(names), found, problems)
    if environment is not None:
        found = [one for one in found if one.environment == environment]
        if not found:
            require_environment(snapshot, environment, problems)
    snapshot.prefetch([ref for one in found for ref in (one.release, _marker(one)) if ref])
    _tell_releases(snapshot, found)
    _tell_markers(snapshot, found)
    return sorted(found, key=lambda one: (one.package, one.environment))


def require_environment(snapshot: Snapshot, name: str, problems: Problems) -> None:
    """Raise NotFound where there is no environment of that name."""
    if name not in environments(snapshot, problems):
        raise NotFound(f"no such environment: '{name}'")


def _deployed(snapshot: Snapshot, names: Collection[str], problems: Problems) -> list[Deployment]:
    found = []
    for package in overview.packages(snapshot, names, problems).values():
        for environment, run in package.deployed.items():
            release, _, rest = lenient.split_work(run)
            is_run = "/" in rest  # a link of another program may lead to the work
            found.append(Deployment(package.ref, environment, COMPLETE, release, run if is_run else ""))
        found += [Deployment(package.ref, environment, UNREADABLE, "") for environment in package.unreadable]
    return found


def _read_deployed(
    snapshot: Snapshot, names: list[str], environment: str | None, problems: Problems
) -> list[Deployment]:
    """As `_deployed`, in an environment (None: in all), out of the documents that say it and nothing else."""
    state = state_tree(snapshot)
    if state.files.is_partial:
        heads = [f"{name}/{STATE}" for name in names]
        if environment is None:
            prefetch(state, heads, "trees")
        places = {
            f"{head}/{DEPLOY}": [environment] if environment is not None else state.names(f"{REFS}/{head}/{DEPLOY}")
            for head in heads
        }
        # By way of the links, so that all that is behind them comes in as few requests as its depth asks for.
        snapshot.prefetch(
            f"{ref}/{where}/status/{COMPLETE}"
            for ref, found in places.items()
            for where in found
            if where != OBJECT_FILE
        )
    found = []
    for (package, where), run in deployed_now(snapshot, problems, only=environment, among=names).items():
        is_run = None if run is None else overview.has_document(snapshot, run, problems)
        if run is None or is_run is None:
            found.append(Deployment(package, where, UNREADABLE, ""))
            continue
        found.append(Deployment(package, where, COMPLETE, run.work.release, run.ref if is_run else ""))
    return found


def _unfinished(snapshot: Snapshot, names: set[str], problems: Problems) -> list[Deployment]:
    """The runs of deployments that have not ended, and those that failed, and nobody has dealt with that."""
    state = state_tree(snapshot)
    found = []
    for one in overview.unfinished(snapshot, problems):
        if one.word != DEPLOY or one.package not in names:
            continue
        is_down = lenient.fields(lenient.body(state, one.run)).get("type") == DOWN
        deployment = Deployment(one.package, one.name, one.status, "" if is_down else one.release, one.run)
        deployment.is_down = is_down
        found.append(deployment)
    return found


def _differing(snapshot: Snapshot, names: set[str], others: list[Deployment], problems: Problems) -> list[Deployment]:
    """What intents ask for, or no longer ask for, where that is not so, and no run is under way to make it so or failed
    to."""
    if not snapshot.has_intent():
        return []
    busy = {(one.package, one.environment, one.is_down) for one in others if one.status in OPEN}
    failed = {(one.package, one.environment, one.release) for one in others if one.status == FAILED}
    found = []
    for difference in deployment_differences(snapshot, problems):
        package, _, environment = difference.ref.rpartition(f"/+/{DEPLOY}/")
        is_down = difference.status == "D"
        if package not in names or (package, environment, is_down) in busy:
            continue
        release = lenient.release_of(difference.actual if is_down else difference.wanted)
        with problems.leave_out(difference.ref):
            release = snapshot.resolve(release) if release else ""
            deployment = Deployment(package, environment, UNWANTED if is_down else WANTED, release)
            deployment.is_down = is_down
            if (package, environment, "" if is_down else release) not in failed:
                found.append(deployment)
    return found


def _tell_releases(snapshot: Snapshot, found: list[Deployment]) -> None:
    """Find the commit and the tags of each release."""
    state = state_tree(snapshot)
    known: dict[str, tuple[str, list[str]]] = {}
    for one in found:
        if one.release and one.release not in known:
            commit = lenient.line(lenient.fields(lenient.body(state, one.release)).get("commit"))
            known[one.release] = commit, tags_of(snapshot, one.release)
        one.commit, one.tags = known.get(one.release, ("", []))


def _tell_markers(snapshot: Snapshot, found: list[Deployment]) -> None:
    """Find when runs came to their status, and by whom, in their markers, as far as these say it."""
    state = state_tree(snapshot)
    for one in found:
        if one.run_ref:
            marker = lenient.fields(lenient.body(state, _marker(one)))
            origin = Origin.kept(*(lenient.line(marker.get(name)) for name in ("actor", "run", "reason")))
            one.since = parse_seconds(marker.get("time"))
            one.actor, one.run, one.reason = (text or "" for text in origin.values())


def _marker(one: Deployment) -> str:
    """The ref of the marker that says how the run of a deployment stands; empty where there is no run."""
    return f"{one.run_ref}/status/{one.status}" if one.run_ref else ""


def lacks_history(snapshot: Snapshot, found: Collection[Deployment]) -> bool:
    """Whether history has more to say of some deployments than is known of them, and is not all here.

    Of a remote store it is worth fetching then, unless much is worse than not knowing: see `tell_history`.
    """
    repository = snapshot.backend_of(state_tree(snapshot))[0].repository
    is_cut = repository is not None and bool(repository.history_ends())
    return is_cut and any(one.status in _BY_SOMEONE and one.run_ref and not one.actor for one in found)


def tell_history(snapshot: Snapshot, found: Collection[Deployment]) -> None:
    """Tell by whom runs came to their status, and which gates they were started past, as the store's history has it.

    The word of the commit that ended a run counts for more than that of its marker: a marker can be written again.
    Who is at work on a run that is under way its marker says, as that changes when it is taken over; history is asked
    where it does not. Where history is not all here it is asked of those alone of which nothing is known.
    """
    repository = snapshot.backend_of(state_tree(snapshot))[0].repository
    if repository is None:
        return
    is_cut = bool(repository.history_ends())
    asked = {
        one.run_ref: one
        for one in found
        if one.run_ref and one.status in _BY_SOMEONE and (not one.actor or not (is_cut or one.status in OPEN))
    }
    events = Ledger(snapshot).last_events_of(asked) if asked else {}
    for run, event in events.items():
        one = asked[run]
        if event.outcome == one.status:
            one.since, one.actor, one.run, one.reason = event.time, event.actor, event.run, event.reason
    passes = GatePasses(snapshot)
    for one in found if not passes.is_costly else ():
        if one.run_ref and one.status in _BY_SOMEONE:
            one.past_gates = passes.of_run(one.run_ref)


def to_document(one: Deployment, since: str | None) -> Fields:
    """A deployment as JSON has it (design 12); `since` is its moment as text."""
    return {
        "package": one.package,
        "environment": one.environment,
        "release": one.release or None,
        "tags": one.tags,
        "commit": one.commit or None,
        "since": since,
        "status": one.status,
        "run_ref": one.run_ref or None,
        "actor": one.actor or None,
        "run": one.run or None,
        "reason": one.reason or None,
        "past_gates": one.past_gates,
    }
