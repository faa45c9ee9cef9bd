"""`git ocuroot release`: make, list and show releases (design 7)."""

from __future__ import annotations

from ...errors import Fatal, NotFound
from ...formats.documents import dump
from ...formats.refs import Ref
from ..options import MESSAGE, READING, RELATIVE, WRITING, Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.fields import Fields
    from ...delivery.problems import Problems
    from ...store.snapshot import Snapshot
    from ..context import Context
    from ..table import Cell


def new(
    context: Context,
    path: str,
    *,
    repo: str | None,
    commit: str | None,
    definition: str,
    tag: list[str],
    force: bool,
    cascade: bool,
) -> int:
    from ..new_releases import Made, make

    def release() -> Made:
        return make(context, path, repo=repo, commit=commit, definition=definition, tag=tag, force=force)

    if not cascade:
        return release().status
    from .work import cascade_from

    return cascade_from(context, release)


def changed(context: Context, *, since: str | None, dry_run: bool) -> int:
    from ..new_releases import changed_packages, keep_commit, make_of_changed
    from .work import cascade_from

    found = changed_packages(context, since)
    if dry_run:
        for package in found.packages:
            context.terminal.record(context.terminal.name(package))
        return found.status
    status = cascade_from(context, lambda: make_of_changed(context, found))
    return keep_commit(context, found) or status


def go_on(context: Context, reference: str) -> int:
    from ...delivery import releases

    return _execute(context, releases.find(context.snapshot(), reference))


def retry(context: Context, reference: str | None = None) -> int:
    from ...delivery import releases, runs

    snapshot = context.snapshot()
    release = releases.find(snapshot, reference) if reference is not None else _release_here(context, snapshot)
    context.stores.transact(
        lambda tx: runs.retry_release(tx, release),
        command="release retry",
        message=f"retry {release}",
        operation=context.operation("release retry"),
    )
    return _execute(context, release)


def _execute(context: Context, release: str) -> int:
    """Execute the runs of a release that are ready, until none is; gives the exit status."""
    from ...delivery.worker import Scope
    from .work import carry_out

    return carry_out(context, Scope(lambda snapshot, run: run.work.release == release, intents=False, ops=False))


def _release_here(context: Context, snapshot: Snapshot) -> str:
    """The newest release of the commit that is checked out. Raises NotFound for none, Fatal for several packages."""
    from ...delivery.addresses import release_number

    commit = context.commit_here()
    marks = snapshot.match(f"{context.stores.base.repo}/-/**/@*/commit/{commit}", side="state")
    releases = sorted({mark.rpartition("/commit/")[0] for mark in marks}, key=release_number)
    if not releases:
        raise NotFound(f"commit {commit[:12]} has no release", hint="'git ocuroot release list' shows those there are")
    packages = {release.rpartition("/@")[0] for release in releases}
    if len(packages) > 1:
        raise Fatal(f"commit {commit[:12]} has releases of {len(packages)} packages", hint="name the release")
    return releases[-1]


def lint(context: Context, *files: str, commit: str | None) -> int:
    from . import package

    return package.lint(context, *files, commit=commit)


def listing(context: Context, *paths: str, json: bool) -> int:
    from ...delivery.problems import Problems
    from ...delivery.release_list import releases_of
    from ..reports import report_problems

    problems = Problems()
    if paths:
        found = [line for path in paths for line in _releases_at(context, path, problems)]
    else:
        found = releases_of(context.snapshot(), [], problems)
    terminal = context.terminal
    terminal.start_pager()
    if not json and terminal.is_interactive and not terminal.ends_with_nul:
        from ..table import Column

        columns = [Column("release", may_cut=True), Column("tags"), Column("commit"), Column("made"), Column("work")]
        terminal.table(columns, [_row(context, line) for line in found])
        return report_problems(terminal, problems)
    for line in found:
        if json:
            terminal.json(dump(line, None))
        else:
            terminal.record(terminal.name(line["ref"]))
    return report_problems(terminal, problems)


def _releases_at(context: Context, path: str, problems: Problems) -> list[Fields]:
    """The releases of the package at a path: as it is given, else as seen from the directory one is in."""
    from ...delivery.release_list import releases_of
    from ..arguments import package_path
    from ..new_releases import package_ref

    snapshot, repo, below = context.snapshot(), context.stores.base.repo, context.settings.directory_below_top
    if "/-/" in path.removeprefix("./-/"):
        return releases_of(snapshot, [str(Ref.parse(path))], problems)
    path = package_path(context, path)
    found = releases_of(snapshot, [package_ref(repo, path)], problems)
    if found or not below or path.startswith("//"):
        return found
    return releases_of(snapshot, [package_ref(repo, f"{below}/{path}")], problems)


def _row(context: Context, line: Fields) -> list[Cell]:
    work = ", ".join(f"{count} {status}" for status, count in sorted(line["work"].items()))
    when = context.terminal.time_of(line["time"], "")
    ref = context.terminal.name(line["ref"])
    return [(ref, "bold"), ", ".join(line["tags"]), (line["commit"][:12], "yellow"), when, work]


def show(context: Context, release: str, *, json: bool) -> int:
    from ...delivery import releases
    from ...delivery.problems import Problems
    from ..reports import report_problems

    snapshot = context.snapshot()
    problems = Problems()
    shown = releases.pipeline(snapshot, releases.find(snapshot, release), problems)
    terminal = context.terminal
    if json:
        terminal.json(dump(shown))
        return report_problems(terminal, problems)
    terminal.start_pager()
    terminal.record(f"release  {terminal.paint(shown['ref'], 'bold')}")
    terminal.record(f"commit   {terminal.paint(shown['commit'], 'yellow')}")
    if shown["tags"]:
        terminal.record(f"tags     {', '.join(shown['tags'])}")
    for phase in shown["phases"]:
        terminal.record(f"phase    {terminal.paint(phase['name'], 'bold')}")
        for work in phase["work"]:
            terminal.record(f"    {_work_line(context, work)}")
    return report_problems(terminal, problems)


_COLOURS = {"complete": "green", "failed": "red", "running": "cyan", "pending": "yellow"}


def _work_line(context: Context, work: Fields) -> str:
    status = work["status"]
    colour = _COLOURS.get(status)
    painted = context.terminal.paint(f"{status:<14}", colour) if colour else f"{status:<14}"
    what = f"{work['kind']} {work['name']}"
    return f"{what:<32} {painted} {_remark(work)}".rstrip()


def _remark(work: Fields) -> str:
    if work.get("waits_for"):
        return f"waits for {', '.join(work['waits_for'])}"
    if work["status"] == "cancelled" and work.get("ended_by", "").startswith("superseded by "):
        return str(work["ended_by"])
    if work.get("deployed"):
        return "deployed"
    if work.get("type") == "down":
        return "taken down" if work["status"] == "complete" else "to be taken down"
    if work["kind"] == "deploy" and work["status"] == "complete":
        other = work["deployed_release"]
        return f"replaced by {other}" if other else "taken down"
    return ""


COMMAND = Group(
    "release",
    "Make releases of packages, list them, and show how their work stands.",
    (
        Command(
            "release new",
            "Make the next release of a package, with a pending run for each piece of its work, and print its ref.",
            "[<options>] <path>",
            new,
            (
                Option("--repo", metavar="<repo>", help="the repository of the package, if it is not this one"),
                Option("--commit", metavar="<rev>", help="the commit that is released (default: HEAD)"),
                Option(
                    "--package",
                    name="definition",
                    metavar="<file>",
                    default="",
                    help="the package in JSON ('-': stdin)",
                ),
                Option("--tag", metavar="<tag>", many=True, help="make this tag lead to the release"),
                Option("--force", help="also where the commit has a release already"),
                Option("--cascade", help="then go on with it, and with what follows from it elsewhere"),
            ),
            common=WRITING,
            least=1,
            most=1,
            notes="Without --package, the file at <path> in the commit is read (from where packages have their paths,\n"
            "else from the directory one is in): JSON, or code (*.star). Code may also\n"
            "register environments, which are then wanted and made, and printed.\n"
            "Exit status: 0; 1 for an unknown commit; 3 where the commit has a release already.",
        ),
        Command(
            "release changed",
            "Release each package of the commit that is checked out whose file changed since the last time, or that "
            "watches a path that did, and go on with these releases and what follows from them.",
            "[<options>]",
            changed,
            (
                Option("--since", metavar="<rev>", help="what changed since then (default: since the last time)"),
                Option("--dry-run", help="only list the packages"),
            ),
            common=WRITING,
            most=0,
            notes="The first time these are all files *.ocu.star but repo.ocu.star. 'done(watch = [...])' names\n"
            "paths, or their beginnings. Which commit it was the last time is kept in the store. Exit status: 0; 1\n"
            "where a run failed; 128 where the work tree has changes.",
        ),
        Command(
            "release continue",
            "Go on with a release: execute those of its runs that are ready, again and again until none is.",
            "[<options>] (<release> | <package>)",
            go_on,
            common=(*RELATIVE, *READING, MESSAGE),
            least=1,
            most=1,
            notes="A package, or a directory with one in it, stands for its newest release.\n"
            "Exit status: 0, also where it waits for something; 1 where there is no such release or a run failed.",
        ),
        Command(
            "release retry",
            "Make new runs for those of a release that failed, and go on with it. Without <release>, the newest of the "
            "commit that is checked out.",
            "[<options>] [<release> | <package>]",
            retry,
            common=(*RELATIVE, *WRITING),
            most=1,
            notes="A package, or a directory with one in it, stands for its newest release.\n"
            "Exit status: 0; 1 where there is no such release or a run of it failed again; 3 where none had failed.",
        ),
        Command(
            "release lint",
            "The same as 'git ocuroot package lint'.",
            "[<options>] <file>...",
            lint,
            (Option("--commit", metavar="<rev>", help="as the package is in a commit (default: in the work tree)"),),
            common=READING,
            least=1,
        ),
        Command(
            "release list",
            "List the releases of packages, or of all packages.",
            "[<options>] [<path>...]",
            listing,
            (
                Option("--json", help="print a JSON line for each release"),
                Option("-z", help="end records with NUL"),
            ),
            common=READING,
        ),
        Command(
            "release show",
            "Show a release as a pipeline: its phases, the work in each, and how that stands. A package stands for its "
            "newest release.",
            "[<options>] (<release> | <package>)",
            show,
            (Option("--json", help="print a JSON object"),),
            common=(*RELATIVE, *READING),
            least=1,
            most=1,
        ),
    ),
)
