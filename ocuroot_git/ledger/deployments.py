"""What is deployed where, since when and by whom; what is under way there, failed, or wanted and not so (design 12).

How things stand is asked of `overview` and `diff`, as the page and `diff` do; who made it so, of the markers of runs
and of the ledger.
"""

from __future__ import annotations

from ..delivery import lenient, overview
from ..delivery.queries import environments, packages, prefetch, state_tree
from ..delivery.run_queries import deployments as deployed_now
from ..delivery.survey import summary_of
from ..delivery.vocabulary import COMPLETE, DEPLOY, FAILED, OPEN, PAUSED, RUNNING
from ..errors import NotFound
from ..formats.globs import Glob
from ..formats.layout import OBJECT_FILE, REFS
from ..formats.refs import STATE
from .deployment import Deployment, deployed_in, marker_of, of_run, tell_markers, tell_releases
from .gate_passes import GatePasses
from .held import HeldReleases
from .known_deployments import known_deployments
from .last_events import last_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Final

    from ..delivery.fields import Fields
    from ..delivery.problems import Problems
    from ..delivery.summary import Summary
    from ..store.snapshot import Snapshot

WANTED: Final = "wanted"
UNWANTED: Final = "unwanted"
UNREADABLE: Final = "unreadable"
"""What a deployment is called by of which there is no run: an intent asks for it, or there is something of which no
intent asks any more, and nothing is under way; or something may be deployed, and what cannot be read."""
_BY_SOMEONE: Final = (COMPLETE, FAILED, RUNNING, PAUSED)
"""Statuses to which somebody has brought a run; one that is pending waits for somebody."""


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
    if only_deployed:
        found = _read_deployed(snapshot, _chosen(snapshot, globs, of_state=True), environment, problems)
        tell = found
        differing: Collection[str] = ()
    else:
        # Where much is to be read, this reads all of both stores in one pass, for the index too.
        summary = summary_of(snapshot, fills_index=True)
        found, tell = _standing(snapshot, summary, globs, problems)
        differing = summary.differing
    if environment is not None:
        found = [one for one in found if one.environment == environment]
        if not found:
            require_environment(snapshot, environment, problems)
    snapshot.prefetch([ref for one in tell for ref in (one.release, marker_of(one)) if ref])
    tell_releases(snapshot, tell)
    tell_markers(snapshot, tell)
    may_be_held = [one for one in found if one.release and (one.may_be_held or one.package in differing)]
    _tell_holds(snapshot, may_be_held, problems, only_state=only_deployed)
    return sorted(found, key=lambda one: (one.package, one.environment))


def _tell_holds(snapshot: Snapshot, found: list[Deployment], problems: Problems, *, only_state: bool) -> None:
    """Tell of each whether its release is held, and the run was started all the same."""
    held = HeldReleases(snapshot, problems, only_state=only_state)
    held.prefetch(one.release for one in found)
    for one in found:
        one.held = held.held(one.release, one.run_ref, has_begun=one.status in _BY_SOMEONE)


def require_environment(snapshot: Snapshot, name: str, problems: Problems) -> None:
    """Raise NotFound where there is no environment of that name."""
    if name not in environments(snapshot, problems):
        raise NotFound(f"no such environment: '{name}'")


def _standing(
    snapshot: Snapshot, summary: Summary, globs: Collection[str], problems: Problems
) -> tuple[list[Deployment], list[Deployment]]:
    """How packages are deployed, and those deployments among them of which releases and markers are still to be told.

    Most packages tell theirs by themselves, and are remembered; the others are looked at.
    """
    known = known_deployments(snapshot, summary)
    if known is None:
        names = _chosen(snapshot, globs)
        found = _deployed(snapshot, names, problems)
        found += _unfinished(snapshot, set(names), problems)
        found += _differing(snapshot, set(names), found, problems)
        return found, found
    chosen = set(_chosen(snapshot, globs)) if globs else None

    def among(names: Iterable[str]) -> list[str]:
        return [name for name in names if chosen is None or name in chosen]

    told = [one for name in among(known.told) for one in known.told[name]]
    found = _deployed(snapshot, among(known.untold), problems) if known.untold else []
    looked_at = {*known.untold, *known.open, *summary.unread}
    if looked_at:
        # A package that cannot be read may tell nothing else by itself than what is deployed.
        told = [one for one in told if one.status == COMPLETE or one.package not in looked_at]
        found += _unfinished(snapshot, set(among(looked_at)), problems)
    if summary.unread or summary.differing:
        found += _differing(snapshot, chosen, told + found, problems)
    return told + found, found


def _deployed(snapshot: Snapshot, names: Collection[str], problems: Problems) -> list[Deployment]:
    found = []
    for package in overview.packages(snapshot, names, problems).values():
        found += deployed_in(package)
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
        found.append(of_run(state, one.package, one.name, one.status, one.release, one.run))
    return found


def _differing(
    snapshot: Snapshot, names: set[str] | None, others: list[Deployment], problems: Problems
) -> list[Deployment]:
    """What intents ask for, or no longer ask for, where that is not so, and no run is under way to make it so or failed
    to. `names` are the packages (None: all)."""
    if not snapshot.has_intent():
        return []
    from ..delivery.diff import deployment_differences  # late: mostly nothing differs

    busy = {(one.package, one.environment, one.is_down) for one in others if one.status in OPEN}
    failed = {(one.package, one.environment, one.release) for one in others if one.status == FAILED}
    found = []
    for difference in deployment_differences(snapshot, problems):
        package, _, environment = difference.ref.rpartition(f"/+/{DEPLOY}/")
        is_down = difference.status == "D"
        if (names is not None and package not in names) or (package, environment, is_down) in busy:
            continue
        release = lenient.release_of(difference.actual if is_down else difference.wanted)
        with problems.leave_out(difference.ref):
            release = snapshot.resolve(release) if release else ""
            deployment = Deployment(package, environment, UNWANTED if is_down else WANTED, release)
            deployment.is_down = is_down
            if (package, environment, "" if is_down else release) not in failed:
                found.append(deployment)
    return found


def lacks_history(snapshot: Snapshot, found: Collection[Deployment]) -> bool:
    """Whether history has more to say of some deployments than is known of them, and is not all here.

    Of a remote store it is worth fetching then, unless much is worse than not knowing: see `tell_history`.
    """
    repository = snapshot.backend_of(state_tree(snapshot))[0].repository
    is_cut = repository is not None and bool(repository.history_ends())
    return is_cut and any(one.status in _BY_SOMEONE and one.run_ref and not one.actor for one in found)


def tell_history(snapshot: Snapshot, found: Collection[Deployment], *, are_all: bool = False) -> None:
    """Tell by whom runs came to their status, and which gates they were started past, as the store's history has it.

    The word of the commit that ended a run counts for more than that of its marker: a marker can be written again.
    Who is at work on a run that is under way its marker says, as that changes when it is taken over; history is asked
    where it does not. Where history is not all here it is asked of those alone of which nothing is known. Of other runs
    nothing has to be remembered where these `are_all` the deployments there are.
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
    events = last_events(snapshot, asked, are_all=are_all) if asked else {}
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
        "hold": one.held.to_document() if one.held is not None else None,
    }
