"""Which runs were started past gates, by a program that does not look at gates: what the ledger tells (design 12, 13).

History is judged in stretches, from the newest commit to the first, since a run that was deployed today may have been
started at any time. What a stretch has is remembered under the commit with which it begins, with the next older one
that has something: where nobody ever passed a gate, one look says so.

Approvals are taken at their word here. `fsck` asks commits who wrote them.
"""

from __future__ import annotations

from ..delivery.fields import Record
from ..delivery.gates_there import GatesThere
from ..delivery.queries import has_one_history, state_tree
from ..git.objects import ObjectError, Oid, is_whole_id
from .stretches import Stretch, stretch_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..delivery.past_gates import StartJudge
    from ..store.snapshot import Snapshot

KIND: Final = "past-gates/3"
"""Its number is raised whenever the meaning of what is remembered changes; what it depends on is added to it."""
_END: Final = "\x1f"
"""Between a run and the names of gates: no ref holds it."""
_ASKED: Final = "\x1e"
"""Before the commit that began a run, among the names of gates: it needed approvals, which lie in another place."""
_FEW: Final = 64
"""New commits that are judged by themselves, where what comes after them is remembered; and not their whole stretch."""


class Passes(Record):
    """What a stretch of history has: the gates that runs (stored refs) were started past, by run; and the commit with
    which the `next` older stretch begins that has something, None for none."""

    __slots__ = ("next", "runs")

    def __init__(self, runs: dict[str, list[str]], next_: Oid | None) -> None:
        self.runs = runs
        self.next = next_

    def to_bytes(self) -> bytes:
        lines = [self.next or "", *(_END.join((run, *names)) for run, names in sorted(self.runs.items()))]
        return "\n".join(lines).encode(errors="surrogateescape")

    @classmethod
    def of_bytes(cls, data: bytes) -> Passes | None:
        """What `to_bytes` wrote; None for anything else."""
        try:
            head, *lines = data.decode(errors="surrogateescape").split("\n")
            runs = {run: names for run, *names in (line.split(_END) for line in lines)}
        except ValueError:
            return None
        return None if head and not is_whole_id(head) else cls(runs, Oid(head) if head else None)


class GatePasses:
    """Tells of runs which gates they were started past, as far as the history that is here of the state store says."""

    def __init__(self, snapshot: Snapshot) -> None:
        tree = state_tree(snapshot)
        backend, directory = snapshot.backend_of(tree)
        self._directory = directory
        self._repository = backend.repository
        self._start = snapshot.version(backend).oid
        self._memory = snapshot.surroundings.memory
        self._snapshot = snapshot
        self._known_judge: StartJudge | None = None
        approvals = "approvals" if has_one_history(snapshot) else "-"
        self.kind = f"{KIND}/{tree.layout.dialect}/{approvals}/{directory}"
        """Under which kind it is remembered."""
        self._found: dict[str, list[str]] | None = None
        self.is_cut = False
        """Whether history is not all here, or cannot be read, as far as it was looked at."""

    @property
    def is_costly(self) -> bool:
        """Whether the trees of history may have to be fetched for it."""
        return self._repository is not None and self._repository.is_partial

    def of_run(self, run: str) -> list[str] | None:
        """The names of the gates that a run (a stored ref) was started past; None where that is not known."""
        if self._found is None:
            self._found = self._all()
        found = self._found.get(run)
        if found is None:
            return None if self.is_cut else []
        names = {name for name in found if not name.startswith(_ASKED)}
        for begun_by in (mark[len(_ASKED) :] for mark in found if mark.startswith(_ASKED)):
            unapproved = self._unapproved(Oid(begun_by), run)
            if unapproved is None:
                return sorted(names) or None
            names.update(unapproved)
        return sorted(names)

    def _unapproved(self, begun_by: Oid, run: str) -> list[str] | None:
        """The names of the gates of which a run had not the approvals; what there is elsewhere is never remembered."""
        assert self._repository is not None
        try:
            commit = self._repository.commit(begun_by)
            return self._judge.unapproved(commit, self._repository.root(commit.parents[0]), run)
        except ObjectError:
            return None

    def _all(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        at: Oid | None = self._start
        self.is_cut = self._repository is None
        while at is not None and not self.is_cut:
            passes = self.from_commit(at)
            if passes is None:
                break
            found = _together(found, passes.runs)
            at = passes.next
        return found

    def from_commit(self, start: Oid, *, anew: bool = False) -> Passes | None:
        """What the stretch has that begins with a commit; with `anew`, whatever is remembered of it.

        None where history is not all here, or cannot be read.
        """
        assert self._repository is not None
        todo: list[Stretch] = []
        at: Oid | None = start
        passes = Passes({}, None)
        ends = self._repository.history_ends()
        try:
            while at is not None:
                known = self._remembered(at) if todo or not anew else None
                if known is not None:
                    passes = known
                    break
                # One of the new commits may begin a stretch of its own.
                may_be_new = len(todo) == 1 or not (todo or anew)
                few = stretch_from(self._repository, ends, at, _FEW + 1, within=True) if may_be_new else None
                newer = self._newer_part(few) if few is not None and not few.is_cut else None
                if newer is not None:
                    passes = newer
                    break
                stretch = stretch_from(self._repository, ends, at)
                if stretch.is_cut:
                    self.is_cut = True
                    return self._cut(todo, stretch)
                todo.append(stretch)
                at = stretch.next
            new: dict[str, bytes] = {}
            for stretch in reversed(todo):
                passes = Passes(self._runs_of(stretch), at if passes.runs else passes.next)
                at = stretch.start
                new[at] = passes.to_bytes()
        except ObjectError:
            self.is_cut = True
            return None
        if self._memory is not None and new:
            self._memory.put(self.kind, new)
        return passes

    def _newer_part(self, stretch: Stretch) -> Passes | None:
        """What a stretch has, where that is remembered of all but its newest commits; None where it is not.

        It is kept as well: so those who ask often judge each commit once.
        """
        oids = [oid for oid, _ in stretch.commits]
        known = self._memory.get(self.kind, oids[1 : _FEW + 1]) if self._memory is not None else {}
        count = next((number for number, oid in enumerate(oids[: _FEW + 1]) if oid in known), 0)
        older = Passes.of_bytes(known[oids[count]]) if count else None
        if older is None or self._memory is None:
            return None
        newer = Stretch(stretch.start)
        newer.commits, newer.next = stretch.commits[:count], oids[count]
        passes = Passes(_together(self._runs_of(newer), older.runs), older.next)
        self._memory.put(self.kind, {stretch.start: passes.to_bytes()})
        return passes

    def _cut(self, todo: list[Stretch], last: Stretch) -> Passes:
        """What the commits have that are here of a shallow clone; nothing of it is remembered."""
        runs: dict[str, list[str]] = {}
        for stretch in (*todo, last):
            runs.update(self._runs_of(stretch))
        return Passes(runs, None)

    @property
    def _judge(self) -> StartJudge:
        if self._known_judge is None:
            from ..delivery.past_gates import StartJudge  # late: mostly no commit has to be judged

            self._known_judge = StartJudge(self._snapshot, trusts=True)
        return self._known_judge

    def _runs_of(self, stretch: Stretch) -> dict[str, list[str]]:
        repository = self._repository
        assert repository is not None
        if repository.is_partial:
            self._prefetch(stretch)
        gates = GatesThere(repository, self._directory)
        runs: dict[str, list[str]] = {}
        for oid, parents in stretch.commits:
            before = repository.root(parents[0]) if parents else None
            if before is None or not gates.are_in(before):
                continue
            commit = repository.commit(oid)
            started = self._judge.started(before, commit.root)
            for run, names in self._judge.passed(commit, before, started):
                runs[run] = sorted({*runs.get(run, ()), *names})
            for run in self._judge.asked(commit, before, started):
                runs[run] = [*runs.get(run, ()), f"{_ASKED}{oid}"]
        return runs

    def _prefetch(self, stretch: Stretch) -> None:
        """Fetch the trees that comparing the commits will read, and what is read of the runs that they started."""
        from ..store.prefetch import prefetch_changes
        from .event_prefetch import prefetch_runs

        repository = self._repository
        assert repository is not None
        repository.prefetch_roots([*(oid for oid, _ in stretch.commits), *([stretch.next] if stretch.next else [])])
        roots = [(repository.root(of[0]) if of else None, repository.root(oid)) for oid, of in stretch.commits]
        prefetch_changes(repository, roots)
        gates = GatesThere(repository, self._directory)
        started = [
            (after, run)
            for before, after in roots
            if before is not None and gates.are_in(before)
            for run in self._judge.started(before, after)
        ]
        prefetch_runs(repository, self._directory, started)

    def _remembered(self, start: Oid) -> Passes | None:
        data = self._memory.get(self.kind, [start]).get(start) if self._memory is not None else None
        return Passes.of_bytes(data) if data is not None else None


def _together(runs: dict[str, list[str]], others: dict[str, list[str]]) -> dict[str, list[str]]:
    """The gates that runs were started past, by run, in either of two parts of history."""
    return {run: sorted({*runs.get(run, ()), *others.get(run, ())}) for run in {**runs, **others}}
