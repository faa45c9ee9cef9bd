"""`git ocuroot diff`: intent against state (design 6 and 7)."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import MISSING, dump
from ..arguments import absolute_glob
from ..options import READING, Command, Option
from ..patches import show_patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.compare import Difference
    from ...delivery.environment_differences import EnvironmentDifference
    from ...git.source_commits import SourceCommit
    from ..context import Context
    from ..table import Cell

_COLOURS = {"A": "green", "M": "cyan", "D": "red"}


def run(
    context: Context,
    *names: str,
    exit_code: bool,
    name_status: bool,
    patch: bool,
    environments: bool,
    commits: bool,
    json: bool,
) -> int:
    if environments:
        return _compare_environments(context, *names, exit_code=exit_code, commits=commits, json=json)
    if names or commits:
        raise UsageError("two environments are compared by --environments <from> <to>")
    from ...delivery.diff import differences
    from ...delivery.problems import Problems
    from ..reports import report_problems

    terminal = context.terminal
    problems = Problems()
    found = differences(context.snapshot(), problems)
    terminal.start_pager()
    with_status = name_status or terminal.is_interactive
    for difference in found:
        if json:
            terminal.json(dump(_document(difference), None))
        elif patch:
            _show_patch(context, difference)
        else:
            letter = terminal.paint(difference.status, _COLOURS[difference.status])
            name = terminal.name(difference.ref)
            terminal.record(f"{letter}\t{name}" if with_status else name)
    left_out = report_problems(terminal, problems)
    return 1 if found and exit_code else left_out


def _compare_environments(context: Context, *names: str, exit_code: bool, commits: bool, json: bool) -> int:
    from ...delivery.environment_differences import environment_differences
    from ..table import Column

    if len(names) < 2:
        raise UsageError("--environments takes two: the one it would come from, and the one it would go to")
    terminal = context.terminal
    globs = [absolute_glob(context, glob) for glob in names[2:]]
    found = environment_differences(context.snapshot(), names[0], names[1], globs)
    terminal.start_pager()
    columns = [Column(""), Column("package", may_cut=True), *map(Column, ("from", "to", "of", ""))]
    rows: list[list[Cell]] = [_row(context, one) for one in found]
    if not (json or commits) and rows:
        terminal.table(columns, rows)
    for one, row in zip(found, rows) if json or commits else ():
        between = _between(context, one) if commits else None
        if json:
            terminal.json(dump(_environment_document(one, names, between, commits=commits), None))
            continue
        terminal.table(columns, [row])
        for sign, made in between or ():
            terminal.record(f"    {sign} {made.oid[:10]} {made.subject} ({made.author})")
        if between is None and one.status == "M":
            terminal.remark(f"{one.package}: the commits between are not known in this repository")
    return 1 if found and exit_code else 0


def _row(context: Context, one: EnvironmentDifference) -> list[Cell]:
    why = one.held or ("" if one.may_go or not one.release else "no deployment there")
    return [
        (one.status, _COLOURS[one.status]),
        context.terminal.name(one.package),
        one.other.rpartition("/")[2],
        one.release.rpartition("/")[2],
        ",".join(one.tags) or one.commit[:10],
        why,
    ]


def _between(context: Context, one: EnvironmentDifference) -> list[tuple[str, SourceCommit]] | None:
    """The commits that would go out (`+`), and those that would be taken back (`-`); None where that is not known."""
    repository = context.settings.repository_or_none
    if one.status != "M" or repository is None:
        return None
    from ...git.source_commits import commits_between

    ahead = commits_between(repository, context.environ, one.other_commit, one.commit)
    behind = commits_between(repository, context.environ, one.commit, one.other_commit)
    if ahead is None or behind is None:
        return None
    return [*(("+", made) for made in ahead), *(("-", made) for made in behind)]


def _environment_document(
    one: EnvironmentDifference,
    names: tuple[str, ...],
    between: list[tuple[str, SourceCommit]] | None,
    *,
    commits: bool,
) -> dict[str, object]:
    document: dict[str, object] = {
        "package": one.package,
        "from_environment": names[0],
        "environment": names[1],
        "status": one.status,
        "release": one.release or None,
        "tags": one.tags,
        "commit": one.commit or None,
        "from": one.other or None,
        "from_commit": one.other_commit or None,
        "held": one.held or None,
        "may_go": one.may_go,
    }
    if commits:
        listed = None
        if between is not None:
            listed = [
                {"change": sign, "commit": made.oid, "time": made.time, "author": made.author, "subject": made.subject}
                for sign, made in between
            ]
        document["commits"] = listed
    return document


def _document(difference: Difference) -> dict[str, object]:
    return {
        "status": difference.status,
        "ref": difference.ref,
        "state": difference.state,
        "wanted": difference.wanted,
        "actual": difference.actual,
    }


def _show_patch(context: Context, difference: Difference) -> None:
    before = MISSING if difference.status == "A" else difference.actual
    after = MISSING if difference.status == "D" else difference.wanted
    show_patch(context.terminal, difference.ref, before, after, was=difference.state)


COMMAND = Command(
    "diff",
    "Show the intents that state does not follow yet: those that 'apply' is for, and those whose runs are still on.",
    "[<options>] [--environments <from> <to> [<glob>...]]",
    run,
    (
        Option("--exit-code", help="exit with 1 where there are differences"),
        Option("--name-status", help="print A, M or D before each ref, as on a terminal"),
        Option("-p", "--patch", help="show the differences themselves"),
        Option("--environments", help="compare what is deployed in two environments: what would go out"),
        Option("--commits", help="with --environments, show the commits of this repository between"),
        Option("--json", help="print a JSON line for each, with both documents"),
        Option("-z", help="end records with NUL"),
    ),
    common=READING,
    notes="A is wanted and not there, M is there otherwise, D is there and no longer wanted.\n"
    "Of two environments, A is in <from> alone, M in both as different releases, D in <to> alone; first the release\n"
    "in <to>, then that in <from>. 'promote' makes <to> want what is in <from>.",
)
