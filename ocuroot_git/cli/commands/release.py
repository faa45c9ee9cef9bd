"""`git ocuroot release`: make, list and show releases (design 7)."""

from __future__ import annotations

import os

from ...errors import Fatal, NotFound
from ...formats.documents import Document, dump
from ...formats.refs import Ref, RefError
from ...git.objects import Oid
from ...redaction import without_secrets
from ..options import MESSAGE, READING, RELATIVE, WRITING, Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...delivery.fields import Fields
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
    status = _make(context, path, repo=repo, commit=commit, definition=definition, tag=tag, force=force)
    if status or not cascade:
        return status
    from ...delivery.worker import Scope
    from .work import carry_out

    return carry_out(context, Scope(cascades=True))


def _make(
    context: Context, path: str, *, repo: str | None, commit: str | None, definition: str, tag: list[str], force: bool
) -> int:
    from ...delivery import releases
    from ...packages.evaluate import is_starlark

    released = _commit(context, repo, commit or context.environ.get("OCU_REPO_COMMIT_OVERRIDE") or "HEAD")
    if not repo and not definition:
        path = _path_in(context, released, path)
    package = package_ref(repo or context.stores.base.repo, path)
    if is_starlark(path) and not definition:
        return _new_by_code(context, package, released, tags=tag, force=force)
    content = _definition(context, definition, path, None if repo else released)
    release = releases.new(
        context.stores,
        package,
        released,
        content,
        tags=tag,
        force=force,
        repository=None if repo else _repository(context, released),
        operation=context.operation("release new", commit=released, package=content),
    )
    context.terminal.result(release)
    return 0


def _new_by_code(context: Context, package: str, released: Oid, *, tags: list[str], force: bool) -> int:
    """What the code of a package asks for: a release, or environments."""
    from ...delivery import apply, definitions, releases
    from ...delivery.problems import Problems
    from ...delivery.queries import environments
    from ..reports import report_problems

    problems = Problems()
    known = environments(context.snapshot(), problems)
    report_problems(context.terminal, problems)
    with context.code() as code:
        if code is None:
            raise Fatal(f"'{package}' is code, and there is no repository here that has it")
        defined = code.define(package, released, known)
        _warn_of_changes(context, package.partition("/-/")[2], released)
    for line in defined.printed:
        context.terminal.remark(f"{line['file']}:{line['line']}: {line['message']}")
    if defined.document is not None:
        release = releases.new(
            context.stores,
            package,
            released,
            defined.document,
            is_code=definitions.is_code(package, defined.document),
            tags=tags,
            force=force,
            repository=_repository(context, released),
            operation=context.operation("release new", commit=released, package=defined.document),
        )
        context.terminal.result(release)
        return 0
    if not defined.environments:
        context.terminal.warning(f"'{package}' defines neither a package nor environments")
        return 0
    operation = context.operation("release new", commit=released, package=defined.environments)
    applied = apply.want_environments(context.stores, defined.environments, operation)
    for environment in defined.environments:
        context.terminal.result(f"@/environment/{environment['name']}")
    return report_problems(context.terminal, applied.problems)


def _repository(context: Context, commit: Oid) -> Fields | None:
    """What other machines need to know of this repository to work at a commit; None where it has no `repo.ocu.star`."""
    source = context.file_at(commit, "repo.ocu.star")
    if source is None:
        return None
    from binascii import b2a_base64

    remotes = []
    for name in context.settings.remotes():
        urls = context.settings.config.values(f"remote.{name}.url")
        push_urls = context.settings.config.values(f"remote.{name}.pushurl") or urls
        known = {"URL": without_secrets(urls[0]), "PushURL": without_secrets(push_urls[0])}
        remotes.append({"Name": name, **known})
    return {"Remotes": remotes, "source": b2a_base64(source, newline=False).decode()}


def _warn_of_changes(context: Context, path: str, commit: Oid) -> None:
    """Warn where the file in the work tree is another than the one that is released: that of the commit."""
    try:
        with open(os.path.join(context.top_directory(), path), "rb") as file:
            here = file.read()
    except OSError:
        return
    if here != context.file_at(commit, path):
        context.terminal.warning(f"'{path}' was changed here; it is released as it is in commit {commit[:12]}")


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

    return carry_out(context, Scope(lambda run: run.work.release == release, intents=False, ops=False))


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


def package_ref(repo: str, path: str) -> str:
    """The ref of a package, `repo/-/path`. Raises RefError for what cannot be one."""
    path = path.removeprefix("//").strip("/")
    ref = Ref.parse(f"{repo}/-/{path}")
    if ref.marker or ref.type or not ref.path:
        raise RefError(f"'{path}' is no path of a package", hint="such as services/web/package.ocu.star")
    return str(ref)


def _commit(context: Context, repo: str | None, revision: str) -> Oid:
    """The id of the commit that is released. Raises NotFound for one that this repository does not have."""
    if repo and repo != context.stores.base.repo:
        if len(revision) in (40, 64) and not set(revision) - set("0123456789abcdef"):
            return Oid(revision)
        raise Fatal(
            f"'{revision}' cannot be looked up in another repository",
            hint=f"give the whole id of a commit of '{repo}': --commit <id>",
        )
    return context.settings.repository.resolve(revision)


def _definition(context: Context, named: str, path: str, commit: Oid | None) -> Document:
    """The package: from the file that was named, from stdin, or from the file at its path in a commit."""
    from ...delivery.definitions import read_package
    from ...packages.evaluate import PackageError

    if named == "-":
        return read_package(context.read_value("-"), "<stdin>")
    if named:
        try:
            with open(named, encoding="utf-8") as file:
                return read_package(file.read(), named)
        except (OSError, UnicodeDecodeError) as error:
            raise Fatal(f"cannot read '{named}': {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    data = context.file_at(commit, path) if commit is not None else None
    if data is None:
        raise NotFound(f"the commit has no file '{path}'", hint="--package names the file that defines the package")
    hint = "--package names a file that defines the package in JSON, '-' is stdin"
    try:
        return read_package(data.decode(), path)
    except UnicodeDecodeError:
        raise Fatal(f"cannot read '{path}': it is not UTF-8", hint=hint) from None
    except PackageError as error:
        raise PackageError(error.problems, hint=hint) from None


def _path_in(context: Context, commit: Oid, path: str) -> str:
    """The path of a package's file in a commit: as it is given, else as seen from the directory one is in."""
    path = path.removeprefix("./-/")  # as refs name what is of this repository
    below = os.path.relpath(os.getcwd(), os.path.realpath(context.top_directory()))
    seen = os.path.normpath(os.path.join(below, path))
    if path.startswith("/") or below == "." or seen.startswith("..") or context.file_at(commit, path) is not None:
        return path
    return seen if context.file_at(commit, seen) is not None else path


def listing(context: Context, *paths: str, json: bool) -> int:
    from ...delivery.problems import Problems
    from ...delivery.release_list import releases_of
    from ..reports import report_problems

    repo = context.stores.base.repo
    packages = [package_ref(repo, text) if "/-/" not in text else str(Ref.parse(text)) for text in paths]
    problems = Problems()
    found = releases_of(context.snapshot(), packages, problems)
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


def _row(context: Context, line: Fields) -> list[Cell]:
    from ...formats.times import parse_seconds

    work = ", ".join(f"{count} {status}" for status, count in sorted(line["work"].items()))
    made = parse_seconds(line["time"])
    when = "" if made is None else context.terminal.time(made)
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
                Option("--cascade", help="then do what 'work cascade' does"),
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
