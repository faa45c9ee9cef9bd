"""A deployment as it stands, told from the documents of its package: what `deployments` shows a line of (design 12)."""

from __future__ import annotations

from ..delivery import lenient
from ..delivery.fields import Record
from ..delivery.queries import state_tree
from ..delivery.tags import tags_of
from ..delivery.vocabulary import COMPLETE, DOWN
from ..formats.operation import Origin
from ..formats.times import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..delivery.overview import Package
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .held import Held


class Deployment(Record):
    """A release in an environment, or on its way there or away: a run of a deployment, and how it stands.

    `status` is that of the run, where `complete` means that this is what is deployed now, or else one of those above.
    `release` is what is deployed by it: empty where that is nothing, as of a run that takes something down. `commit` is
    the one that was released; `since` when the run came to its status, in seconds since the epoch; `actor`, `run` (a
    URL) and `reason` say by whom it did. `past_gates` are the names of the gates that the run was started past. Empty
    or None: not known; of a pending run there is nobody yet. `held` says that the release is held now, which it is not
    unless `may_be_held`.
    """

    __slots__ = (
        "actor",
        "commit",
        "environment",
        "held",
        "is_down",
        "may_be_held",
        "package",
        "past_gates",
        "reason",
        "release",
        "run",
        "run_ref",
        "since",
        "status",
        "tags",
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
        self.held: Held | None = None
        self.may_be_held = True


def deployed_in(package: Package) -> list[Deployment]:
    """What is deployed of a package, by environment."""
    found = []
    for environment, run in package.deployed.items():
        release, _, rest = lenient.split_work(run)
        is_run = "/" in rest  # a link of another program may lead to the work
        found.append(Deployment(package.ref, environment, COMPLETE, release, run if is_run else ""))
    return found


def of_run(tree: StoreTree, package: str, environment: str, status: str, release: str, run: str) -> Deployment:
    """What a run of a deployment to come, or of one that failed, is."""
    is_down = lenient.fields(lenient.body(tree, run)).get("type") == DOWN
    deployment = Deployment(package, environment, status, "" if is_down else release, run)
    deployment.is_down = is_down
    return deployment


def tell_releases(snapshot: Snapshot, found: list[Deployment]) -> None:
    """Find the commit and the tags of each release."""
    state = state_tree(snapshot)
    known: dict[str, tuple[str, list[str]]] = {}
    for one in found:
        if one.release and one.release not in known:
            commit = lenient.line(lenient.fields(lenient.body(state, one.release)).get("commit"))
            known[one.release] = commit, tags_of(snapshot, one.release)
        one.commit, one.tags = known.get(one.release, ("", []))


def tell_markers(snapshot: Snapshot, found: list[Deployment]) -> None:
    """Find when runs came to their status, and by whom, in their markers, as far as these say it."""
    state = state_tree(snapshot)
    for one in found:
        if one.run_ref:
            marker = lenient.fields(lenient.body(state, marker_of(one)))
            origin = Origin.kept(*(lenient.line(marker.get(name)) for name in ("actor", "run", "reason")))
            one.since = parse_seconds(marker.get("time"))
            one.actor, one.run, one.reason = (text or "" for text in origin.values())


def marker_of(one: Deployment) -> str:
    """The ref of the marker that says how the run of a deployment stands; empty where there is no run."""
    return f"{one.run_ref}/status/{one.status}" if one.run_ref else ""
