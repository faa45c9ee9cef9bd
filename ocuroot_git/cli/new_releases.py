"""Making releases, as `release new` and `release changed` ask for them (design 7, 14)."""

from __future__ import annotations

import os

from ..config.trust import REPO_FILE
from ..errors import Conflict, Fatal, NotFound
from ..formats.documents import Document
from ..formats.globs import escape
from ..formats.refs import Ref, RefError
from ..git.objects import Oid
from ..redaction import without_secrets
from .arguments import package_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..delivery.code import Code
    from ..delivery.definitions import Definition
    from ..delivery.fields import Fields
    from ..delivery.model import Environment
    from ..formats.operation import Operation
    from .context import Context


class Made:
    """What came of a command that made something: its exit status, the releases, and whether environments changed."""

    def __init__(self, status: int = 0, releases: list[str] | None = None, *, environments: bool = False) -> None:
        self.status = status
        self.releases = releases or []
        self.environments = environments


def make(
    context: Context, path: str, *, repo: str | None, commit: str | None, definition: str, tag: list[str], force: bool
) -> Made:
    """Make the release of a package, or the environments, for which a file asks, and print what was made."""
    from ..delivery import releases
    from ..packages.evaluate import is_starlark

    released = _commit(context, repo, commit or context.environ.get("OCU_REPO_COMMIT_OVERRIDE") or "HEAD")
    if not repo:
        path = package_path(context, path)
        path = path if definition else _path_in(context, released, path)
    package = package_ref(repo or context.stores.base.repo, path)
    if is_starlark(path) and not definition:
        return _by_code(context, package, released, tags=tag, force=force)
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
    return Made(0, [release])


def _by_code(context: Context, package: str, released: Oid, *, tags: list[str], force: bool) -> Made:
    """What the code of a package asks for: a release, or environments."""
    with context.code() as code:
        defined = _define(context, code, package, released, _known(context))
        _warn_of_changes(context, package.partition("/-/")[2], released)
    for line in defined.printed:
        context.terminal.remark(f"{line['file']}:{line['line']}: {line['message']}")
    if defined.document is not None:
        operation = context.operation("release new", commit=released, package=defined.document)
        return Made(0, [_release(context, package, released, defined, operation, tags=tags, force=force)])
    if not defined.environments:
        context.terminal.warning(f"'{package}' defines neither a package nor environments")
        return Made()
    operation = context.operation("release new", commit=released, package=defined.environments)
    return Made(_want(context, defined, operation), environments=True)


def _known(context: Context) -> dict[str, Environment]:
    """The environments there are; those that cannot be read are told of."""
    from ..delivery.problems import Problems
    from ..delivery.queries import environments
    from .reports import report_problems

    problems = Problems()
    known = environments(context.snapshot(), problems)
    report_problems(context.terminal, problems)
    return known


def _define(
    context: Context, code: Code | None, package: str, commit: Oid, known: dict[str, Environment]
) -> Definition:
    if code is None:
        raise Fatal(f"'{package}' is code, and there is no repository here that has it")
    return code.define(package, commit, known)


def _release(
    context: Context,
    package: str,
    commit: Oid,
    defined: Definition,
    operation: Operation,
    *,
    tags: list[str],
    force: bool,
) -> str:
    """Make the release of a package that is code, and print it."""
    from ..delivery import definitions, releases

    release = releases.new(
        context.stores,
        package,
        commit,
        defined.document,
        is_code=definitions.is_code(package, defined.document),
        tags=tags,
        force=force,
        repository=_repository(context, commit),
        operation=operation,
    )
    context.terminal.result(release)
    return release


def _want(context: Context, defined: Definition, operation: Operation) -> int:
    """Make the environments that a file registers, and print them; gives the exit status."""
    from ..delivery import apply
    from .reports import report_problems

    applied = apply.want_environments(context.stores, defined.environments, operation)
    for environment in defined.environments:
        context.terminal.result(f"@/environment/{environment['name']}")
    return report_problems(context.terminal, applied.problems)


# What changed


class Changed:
    """What is to be released of a commit: the packages, and the exit status, 1 where something could not be read."""

    def __init__(self, commit: Oid, packages: list[str], status: int) -> None:
        self.commit = commit
        self.packages = packages
        self.status = status


def changed_packages(context: Context, since: str | None) -> Changed:
    """The packages that changed, or watch what did, since the commit whose were released last, or since another.

    Raises Fatal where the work tree holds changes that are not committed: they would not be released.
    """
    from ..delivery import changed
    from ..delivery.problems import Problems
    from ..git.changed_paths import paths_changed, paths_of, uncommitted
    from .reports import report_problems

    if context.settings.is_store_checkout:
        hint = "'git ocuroot apply --all --cascade' makes state follow what is wanted, and does what follows from that"
        raise Fatal("a store is checked out here, and no code", hint=hint)
    repository, environ, below = context.settings.repository, context.environ, context.settings.root_below_top
    left = uncommitted(repository, environ)
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise Fatal(
            f"the work tree has changes that are not committed: '{left[0]}'{more}",
            hint="commit or stash them: what is released is a commit",
        )
    commit, repo, snapshot = context.commit_here(), context.stores.base.repo, context.snapshot()
    problems = Problems()
    found = changed.packages_at(snapshot, repo, paths_of(repository, environ, commit, below))
    before = since or changed.commit_before(snapshot, repo, commit)
    if before is not None:
        found = changed.asked_for(
            snapshot, found, paths_changed(repository, environ, _here(context, before), commit, below), problems
        )
    repo_file = context.settings.repo_file()
    found = changed.without_ignored(found, repo_file.release_ignore if repo_file is not None else ())
    return Changed(commit, found, report_problems(context.terminal, problems))


def _here(context: Context, revision: str) -> Oid:
    """A commit that is here. Raises NotFound."""
    try:
        return context.settings.repository.resolve(revision)
    except NotFound:
        raise NotFound(
            f"'{revision}', up to which changes were released, is not here",
            hint="fetch it ('git fetch --unshallow' where history was cut), or name another commit: --since <rev>",
        ) from None


def make_of_changed(context: Context, found: Changed) -> Made:
    """Make releases of packages that changed, and the environments that files register, and print what was made.

    All files are evaluated before anything is made. A package that has a release of the commit already keeps that.
    """
    from ..packages.evaluate import is_starlark

    commit = found.commit
    operation = context.operation("release changed", commit=commit)
    made = Made(found.status)
    code_of = [package for package in found.packages if is_starlark(package)]
    with context.code() as code:
        known = _known(context)
        defined = {package: _define(context, code, package, commit, known) for package in code_of}
        for package, definition in defined.items():
            if definition.document is None and definition.environments:
                made.environments = True
                made.status = _want(context, definition, operation.step(package)) or made.status
        if made.environments:
            known = _known(context)
            for package in [one for one in code_of if defined[one].document is not None]:
                defined[package] = _define(context, code, package, commit, known)
    for package in found.packages:
        if package not in defined or defined[package].document is not None:
            made.releases.append(_release_once(context, package, commit, defined.get(package), operation))
    keep_commit(context, found)
    return made


def _release_once(context: Context, package: str, commit: Oid, defined: Definition | None, operation: Operation) -> str:
    """The release of a package that a commit has, or a new one, which is printed."""
    from ..delivery import releases

    step = operation.step(package)
    existing = _release_of(context, package, commit)
    if existing is not None:
        return existing
    try:
        if defined is not None:
            return _release(context, package, commit, defined, step, tags=[], force=False)
        content = _definition(context, "", package.partition("/-/")[2], commit)
        repository = _repository(context, commit)
        release = releases.new(context.stores, package, commit, content, repository=repository, operation=step)
    except Conflict:
        existing = _release_of(context, package, commit)
        if existing is None:
            raise
        return existing  # another was faster
    context.terminal.result(release)
    return release


def _release_of(context: Context, package: str, commit: Oid) -> str | None:
    marks = context.snapshot().match(f"{escape(package)}/@*/commit/{commit}", side="state")
    return marks[-1].rpartition("/commit/")[0] if marks else None


def keep_commit(context: Context, found: Changed) -> int:
    """Keep up to which commit changes are released, and what the packages watch now; gives the exit status."""
    from ..delivery import changed
    from ..delivery.problems import Problems
    from .reports import report_problems

    problems = Problems()
    changed.keep_commit(context.stores, context.stores.base.repo, found.commit, found.packages, problems)
    return report_problems(context.terminal, problems)


# What is released


def _repository(context: Context, commit: Oid) -> Fields | None:
    """What other machines need to know of this repository to work at a commit; None where it has no `repo.ocu.star`."""
    source = context.file_at(commit, REPO_FILE)
    if source is None:
        return None
    from binascii import b2a_base64

    repo_file = context.settings.repo_file()
    named = [without_secrets(url) for url in (repo_file.remotes if repo_file is not None else ())]
    remotes = [{"Name": "", "URL": url, "PushURL": url} for url in named]
    for name in context.settings.remotes() if not named else ():
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


def package_ref(repo: str, path: str) -> str:
    """The ref of a package, `repo/-/path`. Raises RefError for what cannot be one."""
    path = path.removeprefix("//").rstrip("/")
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
    try:
        return context.settings.repository.resolve(revision)
    except NotFound as error:
        error.hint = f"{error.hint}; --commit names another" if error.hint else None
        raise


def _definition(context: Context, named: str, path: str, commit: Oid | None) -> Document:
    """The package: from the file that was named, from stdin, or from the file at its path in a commit."""
    from ..delivery.definitions import parse_package, read_package
    from ..packages.evaluate import PackageError

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
        text = data.decode()
        parse_package(text, path)
    except UnicodeDecodeError:
        raise Fatal(f"cannot read '{path}': it is not UTF-8", hint=hint) from None
    except PackageError as error:
        raise PackageError(error.problems, hint=hint) from None
    return read_package(text, path)


def _path_in(context: Context, commit: Oid, path: str) -> str:
    """The path of a package's file in a commit: as it is given, else as seen from the directory one is in."""
    below = context.settings.directory_below_top
    seen = f"{below}/{path}"
    if not below or path.startswith("//") or context.file_at(commit, path) is not None:
        return path
    return seen if context.file_at(commit, seen) is not None else path
