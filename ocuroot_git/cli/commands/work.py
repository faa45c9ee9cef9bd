"""`git ocuroot work`: what is to be done, and doing it (design 7)."""

from __future__ import annotations

import os

from ...errors import NotFound, UsageError
from ...formats.documents import dump
from ..options import MESSAGE, READING, Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...delivery.addresses import RunRef
    from ...delivery.problems import Problems
    from ...delivery.queue import QueueItem
    from ...delivery.worker import Scope, WorkSummary
    from ...store.snapshot import Snapshot
    from ...store.stores import Stores
    from ..context import Context
    from ..new_releases import Made
    from ..progress import Plain

_COLOURS = {"ready": "green", "waiting": "yellow", "blocked": "red", "running": "cyan", "failed": "red"}


def listing(context: Context, *, json: bool) -> int:
    from ...delivery import queue
    from ...delivery.problems import Problems
    from ..reports import report_problems

    terminal = context.terminal
    problems = Problems()
    todo = queue.items(context.snapshot(), problems)
    terminal.start_pager()
    for item in todo:
        if json:
            terminal.json(dump(item.to_document(), None))
        else:
            terminal.record(_line(context, item))
    return report_problems(terminal, problems)


def _line(context: Context, item: QueueItem) -> str:
    state = context.terminal.paint(f"{item.state:<8}", _COLOURS[item.state])
    what = f"{item.kind} {item.type}" if item.type else item.kind
    remarks = [f"'git ocuroot run retry {item.ref}' tries it again"] if item.state == "failed" else item.reasons
    reasons = f"\t{', '.join(remarks)}" if remarks else ""
    return f"{state} {what:<9} {context.terminal.name(item.ref)}{reasons}"


def do(context: Context, *, dry_run: bool, exec: str | None, jobs: int) -> int:
    from ...delivery.worker import Scope

    status = carry_out(context, Scope(), dry_run=dry_run, exec=exec, jobs=jobs)
    if dry_run or exec or status >= 128:
        return status
    return _trigger_others(context) or status


def cascade(context: Context, *, dry_run: bool, exec: str | None, jobs: int) -> int:
    from ...delivery.worker import Scope

    return carry_out(context, Scope(cascades=True, elsewhere=True), dry_run=dry_run, exec=exec, jobs=jobs)


def go_on(context: Context, *, dry_run: bool, exec: str | None, jobs: int) -> int:
    from ...delivery.queries import read_release
    from ...delivery.worker import Scope

    commit = context.commit_here()
    here = context.stores.base.repo
    is_of_commit: dict[str, bool] = {}

    def wanted(snapshot: Snapshot, run: RunRef) -> bool:
        release = run.work.release
        if release not in is_of_commit:
            is_ours = release.partition("/-/")[0] == here
            is_of_commit[release] = is_ours and read_release(snapshot, release).commit == commit
        return is_of_commit[release]

    scope = Scope(wanted, intents=False, ops=False, cascades=True)
    return carry_out(context, scope, dry_run=dry_run, exec=exec, jobs=jobs)


def handle_ops(context: Context, *, dry_run: bool) -> int:
    from ...delivery.worker import Scope, prepare
    from ..reports import report_problems

    scope = Scope(lambda snapshot, run: False, intents=False)
    if dry_run:
        return _dry_run(context, scope)
    with context.code() as code:
        _, problems = prepare(context.stores, code, scope)
    return report_problems(context.terminal, problems)


def trigger(context: Context, *, intent: bool, dry_run: bool, json: bool) -> int:
    from ...delivery import queue, triggers
    from ...delivery.problems import Problems
    from ..reports import report_problems

    problems = Problems()
    snapshot = context.snapshot()
    find = triggers.repositories if intent else queue.commits_with_work
    status = 0
    for repo, commit in find(snapshot, problems):
        told = {} if dry_run else {"trigger": _call_trigger(context, repo, commit, problems)}
        status = status or int("failed" in told.values())
        if json:
            context.terminal.json(dump({"repo": repo, "commit": commit, **told}, None))
        else:
            context.terminal.record("\t".join([context.terminal.name(repo), commit, *told.values()]))
    return report_problems(context.terminal, problems) or status


def _trigger_others(context: Context) -> int:
    """Let other repositories know of work that is ready there, and was not done here; gives the exit status."""
    from ...delivery import queue, triggers
    from ...delivery.problems import Problems

    here = context.stores.base.repo
    snapshot = context.snapshot()
    if not triggers.knows_others(snapshot, here):
        return 0  # to find out what has work would take longer than all else, where there is nothing to do
    problems = Problems()  # which were told of already
    others = [(repo, commit) for repo, commit in queue.commits_with_work(snapshot, problems) if repo != here]
    return int("failed" in [_call_trigger(context, repo, commit, problems) for repo, commit in others])


def _call_trigger(context: Context, repo: str, commit: str, problems: Problems) -> str:
    """Call the function that the `repo.ocu.star` of a repository gives to `trigger`; gives what came of it."""
    from ...config.trust import REPO_FILE
    from ...delivery import triggers
    from ...delivery.child_command import Signals
    from ...packages.permissions import permissions_of

    terminal = context.terminal
    source = _repo_file_at(context, commit) if repo == context.stores.base.repo else None
    if source is None:
        with problems.leave_out(f"{repo}/-/{REPO_FILE}/@{commit}"):
            source = triggers.source_of(context.snapshot(), repo, commit)
    if source is None:
        return triggers.NONE
    with Signals() as stop:
        triggered = triggers.call(
            source,
            commit,
            environ=context.environ,
            permissions=permissions_of(context.settings),
            directory=os.getcwd(),
            stop=stop,
            output=lambda line: terminal.remark(f"{repo}: {line}"),
        )
    if triggered.how == triggers.FAILED:
        what = f"the trigger of '{repo}' failed for commit {commit[:12]}: {triggered.why}"
        terminal.error("error: ", what, triggered.hint)
    elif triggered.how == triggers.CALLED:
        terminal.remark(f"{repo}: called its trigger for commit {commit[:12]}")
    return triggered.how


def _repo_file_at(context: Context, commit: str) -> str | None:
    """The `repo.ocu.star` of this repository at a commit; None where there is none, or the commit is not here."""
    from ...config.trust import REPO_FILE

    try:
        data = context.file_at(context.settings.repository.resolve(commit), REPO_FILE)
    except NotFound:
        return None
    return data.decode(errors="replace") if data is not None else None


def carry_out(context: Context, scope: Scope, *, dry_run: bool = False, exec: str | None = None, jobs: int = 1) -> int:
    """Do what is to be done and is in scope, until nothing of it is ready; gives the exit status."""
    from ...delivery.child_command import Signals
    from ...delivery.executor import ExecutionOptions
    from ...delivery.worker import Worker

    if jobs < 1:
        raise UsageError("option '--jobs' takes a number above 0")
    if dry_run:
        return _dry_run(context, scope)
    top = context.top_directory()
    display = _display(context)
    with context.code(elsewhere=scope.elsewhere) as code, Signals() as stop:
        options = ExecutionOptions(
            code=code,
            environ=context.environ,
            directory=top,
            top=top,
            stop=stop,
            output=display.output,
            warn=display.note,
            command=["sh", "-c", exec] if exec else None,
            with_description=bool(exec),
        )
        try:
            result = Worker(lambda: _open_stores(context), options, display, jobs, scope).run()
        finally:
            display.close()
    has_failures = _summarise(context, result, scope)
    if stop.signal:
        return 128 + stop.signal
    return 1 if result.failed or has_failures else 0


def cascade_from(context: Context, change: Callable[[], Made]) -> int:
    """Do what makes something, and then all that follows from it, here and in other repositories; nothing else that
    happens to be ready. Gives the exit status."""
    from ...delivery.cascade import Followed
    from ...delivery.worker import Scope

    before = Followed(context.snapshot())
    made = change()
    if made.status:
        return made.status

    def follows(snapshot: Snapshot, run: RunRef) -> bool:
        return run.work.release in made.releases or before.has_run(snapshot, run)

    ops = True if made.environments else before.has_op
    return carry_out(context, Scope(follows, intents=False, ops=ops, cascades=True, elsewhere=True))


def _open_stores(context: Context) -> Stores:
    """Stores for one thread."""
    from ...backends.base import Access
    from ...config.settings import Settings
    from ...opening import stores_of

    access = Access(reason=context.options.message)
    return stores_of(Settings(".", context.environ, "", "", access, context.settings.config))


def _display(context: Context) -> Plain:
    from .. import progress

    return progress.Live(context.terminal) if context.terminal.is_interactive else progress.Plain(context.terminal)


def _dry_run(context: Context, scope: Scope) -> int:
    from ...delivery import queue
    from ...delivery.problems import Problems
    from ..reports import report_problems

    problems = Problems()
    snapshot = context.snapshot()
    for item in queue.items(snapshot, problems):
        if item.state == queue.READY and scope.has(snapshot, item):
            verb = {"intent": "apply", "op": "handle", "run": "execute"}[item.kind]
            context.terminal.record(f"{verb}\t{context.terminal.name(item.ref)}")
    return report_problems(context.terminal, problems)


def _summarise(context: Context, summary: WorkSummary, scope: Scope) -> bool:
    """Say what is left; gives whether something has failed, now or before, and was not dealt with."""
    from ...delivery.queue import FAILED, run_items
    from ..reports import report_failures, report_problems

    report_problems(context.terminal, summary.problems)
    for error in summary.errors.values():
        context.terminal.error("error: ", error.message, error.hint)
    counts: dict[str, int] = {}
    for result in summary.results:
        counts[result.status] = counts.get(result.status, 0) + 1
    ended = {result.run.ref for result in summary.results}
    snapshot = context.snapshot()
    items = [item for item in run_items(snapshot, summary.problems) if scope.has(snapshot, item)]
    for item in items:
        if item.ref not in ended:
            counts[item.state] = counts.get(item.state, 0) + 1
    failed = [item.ref for item in items if item.state == FAILED]
    report_failures(context.terminal, [ref for ref in failed if ref not in ended])
    closed = [f"{item.ref}: waits for {', '.join(item.gates)}" for item in items if item.gates]
    for line in closed[:_MOST_TOLD]:
        context.terminal.remark(line)
    if len(closed) > _MOST_TOLD:
        context.terminal.remark(f"{len(closed) - _MOST_TOLD} more wait for gates: 'git ocuroot work list' shows them")
    parts = [f"{count} {what}" for what, count in counts.items()]
    context.terminal.remark(f"runs: {', '.join(parts)}" if parts else "nothing to do")
    return bool(failed)


_MOST_TOLD = 10
"""Runs that gates keep from starting of which `work any` tells when it ends."""

_NOT_FOR_ALL = {
    "--override": "it would pass whichever gates are closed to whatever is ready; name the one run: "
    "git ocuroot run exec <run> --override -m <why>"
}
_DRY_RUN = Option("--dry-run", help="only say what would be done first")
_WORKING = (
    _DRY_RUN,
    Option("--exec", metavar="<command>", help="run this (by sh) for each run, its description on stdin"),
    Option("--jobs", metavar="<n>", number=True, default=1, help="runs at the same time (default: 1)"),
)

COMMAND = Group(
    "work",
    "Show what is to be done, and do it.",
    (
        Command(
            "work list",
            "List what is to be done: intents to apply, ops, and runs; and whether each is ready, waiting (for what), "
            "blocked by something that failed, running, or failed and not dealt with.",
            "[<options>]",
            listing,
            (
                Option("--json", help="print a JSON line for each"),
                Option("-z", help="end records with NUL"),
            ),
            common=READING,
            most=0,
        ),
        Command(
            "work any",
            "Apply all intents, handle ops, and execute the runs that are ready, again and again until nothing is. "
            "Several at once share the work: no run is executed twice.",
            "[<options>]",
            do,
            _WORKING,
            common=(*READING, MESSAGE),
            most=0,
            instead=_NOT_FOR_ALL,
            notes="Prints how each run ended. Where work of other repositories is ready at the end, their triggers\n"
            "are called, as 'work trigger' does, unless --exec says what does it. Exit status: 0; 1 where a run or a\n"
            "trigger failed, or an intent could not be applied.",
        ),
        Command(
            "work cascade",
            "Do what 'work any' does, and make deployments again whose inputs would be filled otherwise now, whatever "
            "changed them: outputs of other work, custom documents, or environments.",
            "[<options>]",
            cascade,
            _WORKING,
            common=(*READING, MESSAGE),
            most=0,
            instead=_NOT_FOR_ALL,
            notes="Exit status: as for 'work any'.",
        ),
        Command(
            "work continue",
            "Go on with the releases of the commit that is checked out: execute those of their runs that are ready, "
            "again and again until none is, and make their deployments again whose inputs changed. Intents and ops "
            "are left as they are.",
            "[<options>]",
            go_on,
            _WORKING,
            common=(*READING, MESSAGE),
            most=0,
            instead=_NOT_FOR_ALL,
            notes="OCU_REPO_COMMIT_OVERRIDE names another commit. Exit status: 0; 1 where a run of these failed.",
        ),
        Command(
            "work ops",
            "Handle ops: look for environments that releases have no work for yet, and make runs for them. Nothing is "
            "executed.",
            "[<options>]",
            handle_ops,
            (_DRY_RUN,),
            common=(*READING, MESSAGE),
            most=0,
        ),
        Command(
            "work trigger",
            "Let the repositories know for whose releases something is ready: call the function that repo.ocu.star "
            "gives to 'trigger', with each commit, to start a job there.",
            "[<options>]",
            trigger,
            (
                Option("--intent", help="of each repository that is known, with its newest commit, ready or not"),
                Option("--dry-run", help="only list the repositories and commits"),
                Option("--json", help="print a JSON line for each"),
                Option("-z", help="end records with NUL"),
            ),
            common=READING,
            most=0,
            notes="Prints repository, commit, and whether its trigger was called: 'called', 'none' where there is no\n"
            "such function, or 'failed'. The file of another repository is the one in the store; the function runs\n"
            "here, as commands of packages do. Exit status: 0; 1 where one failed.",
        ),
    ),
)
