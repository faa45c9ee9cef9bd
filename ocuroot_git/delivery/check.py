"""`fsck` of the delivery model: whether each document is of the shape that its place asks for (design 7).

Everything is read, the runs of the past too, and nothing that was remembered is asked; what commands leave out is named
here with the field.
"""

from __future__ import annotations

from ..formats.globs import Glob, GlobError
from ..formats.layout import StoredRef
from ..formats.refs import STATE
from ..store.fsck import Finding
from . import model, vocabulary
from .addresses import WorkRef
from .diff import deploy_intents, documents_below, stored_intent
from .inputs import read_intent
from .model import Environment
from .problems import BadDocument, Problems
from .queries import (
    deployments,
    intent_tree,
    packages,
    read_claim,
    read_function,
    read_release,
    read_run,
    releases,
    run_numbers,
    state_tree,
    status_of,
    work_of,
)
from .vocabulary import DEPLOY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..store.snapshot import Snapshot
    from .addresses import RunRef


def check_model(snapshot: Snapshot) -> Iterator[Finding]:
    """What is not of its shape. Damaged files are left to the check of the store itself, which names their paths."""
    problems = Problems()
    _check_environments(snapshot, problems)
    if snapshot.has_intent():
        _check_deploy_intents(snapshot, problems)
    if state_tree(snapshot).layout.version == 1:
        known = packages(state_tree(snapshot))
        deployments(snapshot, problems, among=known)
        for package in known:
            for number in releases(snapshot, package, problems):
                _check_release(snapshot, f"{package}/{STATE}{number}", problems)
    for problem in problems:
        if not problem.is_damage:
            yield Finding("error", problem.ref, problem.what)


def _check_environments(snapshot: Snapshot, problems: Problems) -> None:
    refs = list(documents_below(state_tree(snapshot), [StoredRef(f"{STATE}/environment")]))
    if snapshot.has_intent():
        refs += documents_below(intent_tree(snapshot), [stored_intent(snapshot, "environment")])
    for ref in refs:
        with problems.leave_out(ref):
            Environment.read(snapshot.get(ref), ref)


def _check_deploy_intents(snapshot: Snapshot, problems: Problems) -> None:
    for package, name in deploy_intents(snapshot, packages(intent_tree(snapshot))):
        work = WorkRef(f"{package}/{STATE}", DEPLOY, name)
        with problems.leave_out(work.intent):
            intent = read_intent(snapshot, work)
            if intent is not None:
                model.read_inputs(intent.input, f"'{work.intent}'", intent.release)


def _check_release(snapshot: Snapshot, release: str, problems: Problems) -> None:
    with problems.leave_out(release):
        read_release(snapshot, release)
    for work in work_of(snapshot, release):
        with problems.leave_out(work.ref):
            if snapshot.exists(work.ref):
                model.Run.read(snapshot.get(work.ref), work.ref)
        for number in run_numbers(snapshot, work):
            run = work.run(number)
            with problems.leave_out(run.ref):
                _check_run(snapshot, run)


def _check_run(snapshot: Snapshot, run: RunRef) -> None:
    read_run(snapshot, run)
    status = status_of(snapshot, run)
    function = read_function(snapshot, run)
    if function.status != status:
        raise BadDocument(run.ref, f"its marker says '{status}', and its function '{function.status}'")
    for glob in function.dependencies:
        try:
            Glob(glob)
        except GlobError as error:
            raise BadDocument(run.function, f"dependencies: {error.message}") from None
    if status == vocabulary.RUNNING:
        read_claim(snapshot, run)
