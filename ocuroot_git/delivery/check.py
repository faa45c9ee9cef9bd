"""`fsck` of the delivery model: whether each document is of the shape that its place asks for (design 7).

Everything is read, the runs of the past too, and nothing that was remembered is asked; what commands leave out is named
here with the field. The documents of releases, which are nearly all that there is, are judged while the check of the
store reads them; only those releases that are in doubt are then looked at as commands do, which says what is wrong.
"""

from __future__ import annotations

from ..formats.globs import Glob, GlobError
from ..formats.layout import REFS, StoredRef
from ..formats.refs import STATE
from ..store.fsck import Finding
from . import model
from .addresses import WorkRef
from .compare import deploy_intents, documents_below, stored_intent
from .expiry import read_wanted
from .inputs import read_intent
from .model import Claim, Function, Run
from .package import Release
from .problems import BAD, BadDocument, Problems
from .pruned import record_of, record_ref
from .queries import intent_tree, packages, read_release, records_of, releases, state_tree
from .run_queries import (
    deployments,
    function_ref,
    read_claim,
    read_function,
    read_run,
    read_step,
    refuse_odd_numbers,
    run_numbers,
    status_by_last,
    status_of,
    work_of,
)
from .vocabulary import CALL, DEPLOY, RUNNING, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping
    from typing import Final

    from ..formats.layout import Side, StoredObject
    from ..store.fsck_pass import Inspector
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .addresses import RunRef

NOTHING_CERTAIN: Final[Mapping[str, Container[int]]] = {}


def inspect_releases(tree: StoreTree, side: Side) -> Callable[[str], Inspector] | None:
    """What judges the releases of a store while it is read; None where all are looked at as commands do."""
    return _Inspector if side == "state" and tree.layout.has_function_documents else None


def check_model(
    snapshot: Snapshot, certain: Mapping[str, Container[int]] = NOTHING_CERTAIN, before: Snapshot | None = None
) -> Iterator[Finding]:
    """What is not of its shape. Damaged files are left to the check of the store itself, which names their paths.

    `certain` are the releases, by package, that `inspect_releases` has found to be as they should. Packages that are
    as they were `before` are passed over.
    """
    problems = Problems()
    with problems.leave_out(f"{STATE}/environment"):
        _check_environments(snapshot, problems)
    if snapshot.has_intent():
        for package in _changed(packages(intent_tree(snapshot), problems), snapshot, before, "intent"):
            with problems.leave_out(package):
                _check_deploy_intents(snapshot, package, problems)
    for package in _changed(packages(state_tree(snapshot), problems), snapshot, before, "state"):
        with problems.leave_out(record_ref(package)):
            record_of(snapshot, package)
        with problems.leave_out(package):
            deployments(snapshot, problems, among=[package])
        with problems.leave_out(package):
            _check_releases(snapshot, package, certain.get(package, ()), problems)
    for problem in problems:
        if not problem.is_damage:
            yield Finding("error", problem.ref, problem.what)


def _changed(known: list[str], snapshot: Snapshot, before: Snapshot | None, side: Side) -> Iterator[str]:
    """Those packages whose trees are not as they were."""
    tree = snapshot.side(side)
    tree_before = before.side_or_none(side) if before is not None else None
    for package in known:
        path = f"{REFS}/{package}"
        if tree_before is None or tree.tree_id(path) != tree_before.tree_id(path):
            yield package


def _check_environments(snapshot: Snapshot, problems: Problems) -> None:
    refs = list(documents_below(state_tree(snapshot), [StoredRef(f"{STATE}/environment")]))
    if snapshot.has_intent():
        refs += documents_below(intent_tree(snapshot), [stored_intent(snapshot, "environment")])
    for ref in refs:
        with problems.leave_out(ref):
            read_wanted(snapshot.get(ref), ref)


def _check_deploy_intents(snapshot: Snapshot, package: str, problems: Problems) -> None:
    for _, name in deploy_intents(snapshot, [package]):
        work = WorkRef(f"{package}/{STATE}", DEPLOY, name)
        with problems.leave_out(work.intent):
            intent = read_intent(snapshot, work)
            if intent is not None:
                model.read_inputs(intent.input, f"'{work.intent}'", intent.release)


def _check_releases(snapshot: Snapshot, package: str, certain: Container[int], problems: Problems) -> None:
    if all(number in certain for number in state_tree(snapshot).release_numbers(package)):
        return
    for number in releases(snapshot, package, problems):
        if number not in certain:
            release = state_tree(snapshot).layout.release(package, number)
            with problems.leave_out(release):
                read_release(snapshot, release)
            with problems.leave_out(release):
                for work in work_of(snapshot, release):
                    _check_work(snapshot, work, problems)


def _check_work(snapshot: Snapshot, work: WorkRef, problems: Problems) -> None:
    with problems.leave_out(work.ref):
        if snapshot.exists(work.ref):
            records_of(snapshot).work(snapshot.get(work.ref), work.ref)
    refuse_odd_numbers(snapshot, work, problems)
    with problems.leave_out(work.ref):
        for number in run_numbers(snapshot, work):
            run = work.run(number)
            with problems.leave_out(run.ref):
                _check_run(snapshot, run)


def _check_run(snapshot: Snapshot, run: RunRef) -> None:
    read_run(snapshot, run)
    status = status_of(snapshot, run)
    function = read_function(snapshot, run)
    for number in range(2, records_of(snapshot).last_number(snapshot, run) + 1):
        read_step(snapshot, run, number)
    if function.status != status:
        raise BadDocument(run.ref, f"its marker says '{status}', and its function '{function.status}'")
    try:
        _check_dependencies(function)
    except GlobError as error:
        raise BadDocument(function_ref(snapshot, run), f"dependencies: {error.message}") from None
    if status == RUNNING:
        read_claim(snapshot, run)


def _check_dependencies(function: Function) -> None:
    for glob in function.dependencies:
        Glob(glob)


class _Inspector:
    """Whether a release is certainly what `_check_releases` finds nothing in, told from its documents as they are met.

    The check of the store sees to it that no link is among them, and that each is what its ref leads to.
    """

    def __init__(self, release: str) -> None:
        self._release = release
        self._is_in_doubt = False
        self._has_document = False
        self._runs: dict[str, _MetRun] = {}

    def meet(self, below: str, document: StoredObject | None) -> None:
        if self._is_in_doubt:
            return
        try:
            self._judge(below, document)
        except BAD:
            self._is_in_doubt = True

    def is_certain(self) -> bool:
        return self._has_document and not self._is_in_doubt and all(run.is_whole for run in self._runs.values())

    def _judge(self, below: str, document: StoredObject | None) -> None:
        segments = below.split("/")
        if not below:
            if document is not None:
                Release.read(document.body, self._release)
                self._has_document = True
        elif segments[0] in (CALL, DEPLOY):
            self._judge_work(below, segments, document)

    def _judge_work(self, below: str, segments: list[str], document: StoredObject | None) -> None:
        ref = f"{self._release}/{below}"
        if len(segments) == 2 and document is not None:
            Run.read(document.body, ref)
        if len(segments) < 3 or not (segments[2].isascii() and segments[2].isdigit()):
            return
        if segments[2][0] == "0" or len(segments[2]) >= 10:
            self._is_in_doubt = True  # another spelling of a number
            return
        run = self._runs.setdefault("/".join(segments[:3]), _MetRun())
        if document is None:
            return
        if len(segments) == 3:
            Run.read(document.body, ref)
            run.has_document = True
        elif len(segments) == 5 and segments[3] == "status":
            run.statuses.append(segments[4])
            if segments[4] == RUNNING:
                Claim.read(document.body, ref)
        elif len(segments) == 5 and segments[3] == "functions":
            function = Function.read(document.body, ref)
            _check_dependencies(function)
            run.functions[segments[4]] = function.status


class _MetRun:
    """What was met of a run."""

    __slots__ = ("functions", "has_document", "statuses")

    def __init__(self) -> None:
        self.has_document = False
        self.statuses: list[str] = []
        self.functions: dict[str, str] = {}
        """The status of each of its functions, by its number."""

    @property
    def is_whole(self) -> bool:
        """Whether it is as this program leaves it; what others leave is looked at."""
        count = len(self.functions)
        last = self.functions.get(str(count))
        return self.has_document and last in STATUSES and self.statuses == [status_by_last(last, count)]
