"""Which releases are held, and which of their runs were started all the same (design 12, 13).

A hold is looked for where starts look for it. Whether a run was begun while its release was held history says, as
`fsck` judges it: that is asked of the runs of releases that are held now, so of few.
"""

from __future__ import annotations

from ..delivery.fields import Record
from ..delivery.holds import hold_on, may_be_held, may_lie_at
from ..delivery.queries import state_tree
from ..formats.layout import REFS
from ..git.objects import ObjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..delivery.fields import Fields
    from ..delivery.holds import Hold
    from ..delivery.past_gates import StartJudge
    from ..delivery.problems import Problems
    from ..store.snapshot import Snapshot


class Held(Record):
    """That the release of a run is held, by which hold, and whether the run was started all the same: None where it
    has not begun, or history does not tell."""

    __slots__ = ("hold", "was_passed")

    def __init__(self, hold: Hold, was_passed: bool | None) -> None:
        self.hold = hold
        self.was_passed = was_passed

    @property
    def words(self) -> str:
        """By whom it is held, in a few words."""
        return f"though {self.hold.by_whom}" if self.was_passed else self.hold.by_whom

    def to_document(self) -> Fields:
        return {**self.hold.to_document(), "passed": self.was_passed}


class HeldReleases:
    """Tells of releases whether they are held now, and of their runs whether they were started all the same.

    With `only_state` no more is looked at, and fetched, than state. Where it cannot be read whether a release is held,
    that is among the `problems`.
    """

    def __init__(self, snapshot: Snapshot, problems: Problems, *, only_state: bool = False) -> None:
        self._snapshot = snapshot
        self._problems = problems
        self._only_state = only_state
        self._holds: dict[str, Hold | None] = {}
        self._judge: StartJudge | None = None

    def prefetch(self, releases: Iterable[str]) -> None:
        """Fetch together what says whether releases are held, of stores that are partial."""
        sides = [self._snapshot.side_or_none(side) for side in ("state", "intent")]
        if not any(tree.files.is_partial for tree in sides if tree is not None):
            return
        places = [may_lie_at(self._snapshot, release, only_state=self._only_state) for release in set(releases)]
        self._snapshot.prefetch([ref for of_one in places for ref in of_one])

    def held(self, release: str, run: str = "", *, has_begun: bool = True) -> Held | None:
        """The hold on a release, and what it means to one of its runs; None where it is not held."""
        if release not in self._holds:
            self._holds[release] = None
            with self._problems.leave_out(release):
                if may_be_held(self._snapshot, release, only_state=self._only_state):
                    self._holds[release] = hold_on(self._snapshot, release, only_state=self._only_state)
        hold = self._holds[release]
        return None if hold is None else Held(hold, self._was_passed(run) if run and has_begun else None)

    def _was_passed(self, run: str) -> bool | None:
        """Whether a run (a stored ref) was begun while its release was held; None where history does not tell."""
        from ..delivery.past_gates import StartJudge  # late: mostly no release is held
        from ..store.history import WRITE_AFTER, changing_commits

        backend, directory = self._snapshot.backend_of(state_tree(self._snapshot))
        repository, tip = backend.repository, self._snapshot.version(backend).oid
        if repository is None or tip is None or repository.is_partial:
            return None
        self._judge = judge = self._judge or StartJudge(self._snapshot)
        surroundings = self._snapshot.surroundings
        path = f"{directory}{REFS}/{run}/status"
        has_begun = False
        try:
            for commit, before in changing_commits(
                repository, tip, [path], graph=surroundings.commit_graph, write_after=WRITE_AFTER
            ):
                if before is None or commit.oid in repository.history_ends():
                    return None
                if run in judge.started(before, commit.root):
                    has_begun = True
                    if any(judge.held(commit, before, [run])):
                        return True
        except ObjectError:
            return None
        return False if has_begun else None
