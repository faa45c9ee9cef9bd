"""What `repo.ocu.star` may do: it came with a clone, so it is anybody's word (design 4.3).

A repository one has just cloned runs nothing, and sends nothing to where the file says. So of the environment the
file sees what tells branch, commit, repository and run, and no token; a store that it names is behind one of the
transports that git trusts by default, or in a repository of the user's own that the clone did not bring along. What
is refused here can be said in the user's own configuration, which is trusted as git trusts it.
"""

from __future__ import annotations

import os
import stat

from ..errors import Fatal
from ..formats.refs import is_dot_git
from ..formats.urls import helper, host_of, is_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..git.config import Config

REPO_FILE: Final = "repo.ocu.star"
_LARGEST_FILE: Final = 1 << 20
_TRANSPORTS: Final = ("https", "http", "ssh", "git")


def read_repo_file(directory: str) -> str | None:
    """The text of `repo.ocu.star` in a directory of a work tree, or None where there is none. Raises Fatal."""
    data = read_plain_file(os.path.join(directory, REPO_FILE), REPO_FILE)
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError as error:
        raise Fatal(f"'{REPO_FILE}' is not UTF-8: byte {error.start + 1} begins no character") from None


def read_plain_file(path: str, shown: str) -> bytes | None:
    """The content of a file that came with a clone, or None where there is none; `shown` is what errors call it.

    Raises Fatal for what is no plain file: what a symbolic link leads to did not come with the clone, and the error of
    a reader would quote it; a FIFO or a device has no end.
    """
    try:
        kind = os.lstat(path).st_mode
        if stat.S_ISLNK(kind):
            raise Fatal(f"'{shown}' is a symbolic link, which is not followed", hint="replace it by a file")
        if not stat.S_ISREG(kind):
            raise Fatal(f"'{shown}' is no regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Fatal(f"cannot read '{shown}': {error.strerror}") from None
    if len(data) > _LARGEST_FILE:
        raise Fatal(f"'{shown}' is over {_LARGEST_FILE >> 20} MiB")
    return data


def visible_environment(environ: Mapping[str, str], config: Config) -> dict[str, str]:
    """What `host.env()` holds: what CI systems say of a run, and what `ocuroot.allowEnv` allows besides.

    Its values are globs of names, in the user's own configuration only; an empty one takes back those before it, and
    what is allowed without being asked. Raises GlobError.
    """
    from ..formats.ci_systems import variables_of_runs
    from ..formats.globs import Glob
    from ..redaction import without_secrets

    allowed: list[str] = []
    takes_back = False
    for value in config.values("ocuroot.allowEnv", own=True):
        allowed = [*allowed, *value.split()] if value.split() else []
        takes_back = takes_back or not value.split()
    glob = Glob(*allowed) if allowed else None
    usual = set() if takes_back else variables_of_runs()
    visible = {}
    for name, value in environ.items():
        if glob is not None and glob.matches(name):
            visible[name] = value
        elif name in usual:
            visible[name] = without_secrets(value)
    return visible


def git_location(location: str, directory: str, top: str, side: str, config: Config) -> str:
    """Where the store lies that `store.git(location)` names: a URL, or the path of a directory. Raises Fatal.

    The file that names it lies in `directory`, below `top`.

    Unless it is a path, git is to be told that the user has not chosen it (`GIT_PROTOCOL_FROM_USER=0`): it then keeps
    to these transports also where a server redirects it.
    """
    hint = f"if you trust it, name it yourself: git config ocuroot.{side}.remote <url>"
    return _checked_location(location, directory, top, config, f"{REPO_FILE} names the store '{location}'", hint)


def remote_location(location: str, repo: str, top: str, config: Config) -> str:
    """Where another repository lies, of which the store says so, as `git_location` has it. Raises Fatal."""
    named = f"the store names '{location}' as a remote of '{repo}'"
    return _checked_location(location, top, top, config, named, f"do this in a clone of '{repo}'")


def _checked_location(location: str, directory: str, top: str, config: Config, named: str, hint: str) -> str:
    """A location, once it is known to be harmless; `named` says in errors who names it."""
    if location.startswith("-"):
        raise Fatal(f"{named}, which looks like an option", hint=hint)
    if helper(location) is not None:
        raise Fatal(f"{named}, for which git would run a program", hint=hint)
    scheme, separator, rest = location.partition("://")
    if separator and scheme == "file":
        from urllib.parse import unquote

        location = unquote(rest)  # as git does; what is looked at here is what it will be given
        if not location.startswith("/"):
            raise Fatal(f"{named}, which is not of this machine", hint=hint)
    elif separator and scheme not in _TRANSPORTS:
        known = ", ".join(_TRANSPORTS)
        raise Fatal(f"{named}: '{scheme}' is none of {known} and file", hint=hint)
    elif is_url(location):
        _check_headers(location, config, named)
        return location
    path = os.path.realpath(os.path.join(directory, os.path.expanduser(location)))
    why = _why_not(path, os.path.realpath(top))
    if why:
        raise Fatal(f"{named}, which {why}", hint=hint)
    return path


def directory_location(location: str, directory: str, top: str, git_dirs: tuple[str, ...]) -> str:
    """The directory that `store.fs(location)` names: in the work tree, and in no repository. Raises Fatal.

    The file that names it lies in `directory`, below `top`.
    """
    path = os.path.realpath(os.path.join(directory, location))
    real_top = os.path.realpath(top)
    hint = "if you trust it, name it yourself: git config ocuroot.state.path <directory>"
    if not _is_below(path, real_top):
        raise Fatal(f"{REPO_FILE} names the store '{location}', which lies outside the work tree", hint=hint)
    segments = path[len(real_top) :].split("/")
    if any(map(is_dot_git, segments)) or any(_is_below(path, os.path.realpath(each)) for each in git_dirs):
        raise Fatal(f"{REPO_FILE} names the store '{location}', which lies in a repository", hint=hint)
    return path


def _check_headers(url: str, config: Config, named: str) -> None:
    """Whether a header that is meant for other hosts, and may hold a token, would be sent to a URL. Raises Fatal."""
    goes_anywhere = [value for value in config.values("http.extraHeader") if value]
    host = host_of(config.rewritten(url))
    if not goes_anywhere or host is None or host == host_of(config.rewritten(config.remote_url("origin") or "")):
        return
    raise Fatal(
        f"{named}, and 'http.extraHeader' would be sent there as to any host",
        hint="set it for its own host only: git config http.https://<host>/.extraHeader …",
    )


def _why_not(path: str, top: str) -> str | None:
    """Why a local repository is none that the file may name: the clone may have brought it, hooks and all; or None."""
    if path == top and os.path.lexists(os.path.join(path, ".git")):
        return None  # this very repository
    above = os.path.dirname(path)
    while True:
        if above == top or path == top or os.path.lexists(os.path.join(above, ".git")):
            return "lies in a work tree"
        if above == os.path.dirname(above):
            break
        above = os.path.dirname(above)
    for found in (path, os.path.join(path, ".git"), f"{path}.git"):
        try:
            owner = os.stat(found).st_uid
        except OSError:
            continue  # git will say so
        if owner != os.geteuid():
            return "belongs to another user"
    return None


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
