"""What is deployed in two environments, and what it would take that both have the same (design 13)."""

from __future__ import annotations

from . import lenient
from .fields import Record
from .holds import hold_on
from .queries import environment, no_environment, read_release, state_tree
from .tags import tags_of
from .vocabulary import DEPLOY
from .wishes import deployed_in, environment_wanted, prefetch_wishes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store.snapshot import Snapshot


class EnvironmentDifference(Record):
    """A package that is not deployed in two environments alike.

    `release` is what is deployed in the first (A, from which it would go out), `other` in the second (B), each empty
    for nothing; `commit` and `other_commit` are those that were released, empty where that is not known. `tags` are
    those of `release`, `held` says in words why it is held, and `may_go` whether it has a deployment to B.
    """

    __slots__ = ("commit", "held", "may_go", "other", "other_commit", "package", "release", "tags")

    def __init__(self, package: str, release: str, other: str) -> None:
        self.package = package
        self.release = release
        self.other = other
        self.commit = ""
        self.other_commit = ""
        self.tags: list[str] = []
        self.held = ""
        self.may_go = False

    @property
    def status(self) -> str:
        """A letter for B: A is not there yet, M is there otherwise, D is there alone."""
        return "D" if not self.release else "M" if self.other else "A"


def environment_differences(
    snapshot: Snapshot, first: str, second: str, globs: Sequence[str]
) -> list[EnvironmentDifference]:
    """How two environments differ in what is deployed there, of packages that match patterns (all for none).

    Raises NotFound for an environment that there is not, and as `wishes.deployed_in` does.
    """
    where = environment_wanted(snapshot, second)
    here, there = (deployed_in(snapshot, name, globs) for name in (first, second))
    if not here and environment(snapshot, first) is None:
        raise no_environment(snapshot, first)
    releases = {run.work.release for run in (*here.values(), *there.values())}
    prefetch_wishes(snapshot, second, releases)
    found = []
    for package in sorted({*here, *there}):
        ends = [runs[package].work.release if package in runs else "" for runs in (here, there)]
        if ends[0] == ends[1]:
            continue
        one = EnvironmentDifference(package, *ends)
        one.commit, one.other_commit = (_commit_of(snapshot, release) for release in ends)
        if one.release:
            hold = hold_on(snapshot, one.release)
            one.held = hold.words if hold is not None else ""
            one.tags = tags_of(snapshot, one.release)
            one.may_go = read_release(snapshot, one.release).package.find(DEPLOY, second, where) is not None
        found.append(one)
    return found


def _commit_of(snapshot: Snapshot, release: str) -> str:
    """The commit that a release is of; empty where it does not say."""
    body = lenient.body(state_tree(snapshot), release) if release else None
    return lenient.text(lenient.fields(body).get("commit"))
