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

CI_VARIABLES: Final = {
    "all": "CI",
    "GitHub Actions": "GITHUB_ACTIONS GITHUB_BASE_REF GITHUB_EVENT_NAME GITHUB_HEAD_REF GITHUB_JOB GITHUB_REF "
    "GITHUB_REF_NAME GITHUB_REF_TYPE GITHUB_REPOSITORY GITHUB_REPOSITORY_OWNER GITHUB_RUN_ATTEMPT GITHUB_RUN_ID "
    "GITHUB_RUN_NUMBER GITHUB_SERVER_URL GITHUB_SHA GITHUB_WORKFLOW",
    "GitLab CI": "GITLAB_CI CI_COMMIT_BRANCH CI_COMMIT_REF_NAME CI_COMMIT_REF_SLUG CI_COMMIT_SHA CI_COMMIT_SHORT_SHA "
    "CI_COMMIT_TAG CI_DEFAULT_BRANCH CI_JOB_ID CI_JOB_NAME CI_JOB_STAGE CI_JOB_URL CI_MERGE_REQUEST_IID "
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME CI_MERGE_REQUEST_TARGET_BRANCH_NAME CI_PIPELINE_ID CI_PIPELINE_IID "
    "CI_PIPELINE_SOURCE CI_PIPELINE_URL CI_PROJECT_ID CI_PROJECT_NAME CI_PROJECT_NAMESPACE CI_PROJECT_PATH "
    "CI_PROJECT_URL CI_SERVER_HOST CI_SERVER_URL",
    "Buildkite": "BUILDKITE BUILDKITE_BRANCH BUILDKITE_BUILD_ID BUILDKITE_BUILD_NUMBER BUILDKITE_BUILD_URL "
    "BUILDKITE_COMMIT BUILDKITE_JOB_ID BUILDKITE_ORGANIZATION_SLUG BUILDKITE_PIPELINE_SLUG BUILDKITE_PULL_REQUEST "
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH BUILDKITE_REPO BUILDKITE_TAG",
    "Jenkins": "BRANCH_NAME BUILD_ID BUILD_NUMBER BUILD_TAG BUILD_URL CHANGE_BRANCH CHANGE_ID CHANGE_TARGET GIT_BRANCH "
    "GIT_COMMIT GIT_LOCAL_BRANCH GIT_URL JENKINS_URL JOB_NAME TAG_NAME",
    "CircleCI": "CIRCLECI CIRCLE_BRANCH CIRCLE_BUILD_NUM CIRCLE_BUILD_URL CIRCLE_JOB CIRCLE_PROJECT_REPONAME "
    "CIRCLE_PROJECT_USERNAME CIRCLE_PR_NUMBER CIRCLE_REPOSITORY_URL CIRCLE_SHA1 CIRCLE_TAG CIRCLE_WORKFLOW_ID",
    "Azure Pipelines": "TF_BUILD BUILD_BUILDID BUILD_BUILDNUMBER BUILD_REASON BUILD_REPOSITORY_NAME "
    "BUILD_REPOSITORY_PROVIDER BUILD_REPOSITORY_URI BUILD_SOURCEBRANCH BUILD_SOURCEBRANCHNAME BUILD_SOURCEVERSION "
    "SYSTEM_PULLREQUEST_PULLREQUESTID SYSTEM_PULLREQUEST_SOURCEBRANCH SYSTEM_PULLREQUEST_TARGETBRANCH "
    "SYSTEM_TEAMPROJECT",
    "Bitbucket": "BITBUCKET_BRANCH BITBUCKET_BUILD_NUMBER BITBUCKET_COMMIT BITBUCKET_PIPELINE_UUID "
    "BITBUCKET_PR_DESTINATION_BRANCH BITBUCKET_PR_ID BITBUCKET_REPO_FULL_NAME BITBUCKET_REPO_SLUG BITBUCKET_TAG "
    "BITBUCKET_WORKSPACE",
    "TeamCity": "TEAMCITY_BUILDCONF_NAME TEAMCITY_PROJECT_NAME TEAMCITY_VERSION BUILD_VCS_NUMBER",
    "Travis CI": "TRAVIS TRAVIS_BRANCH TRAVIS_BUILD_ID TRAVIS_BUILD_NUMBER TRAVIS_COMMIT TRAVIS_JOB_ID "
    "TRAVIS_PULL_REQUEST TRAVIS_PULL_REQUEST_BRANCH TRAVIS_REPO_SLUG TRAVIS_TAG",
}
"""Where CI systems say which branch, commit, repository and run it is. None holds a token; a URL among them may."""


def read_repo_file(directory: str) -> str | None:
    """The text of `repo.ocu.star` in a directory of a work tree, or None where there is none.

    Raises Fatal for what is no plain file: what a symbolic link leads to did not come with the clone, and the error of
    a reader would quote it; a FIFO or a device has no end.
    """
    path = os.path.join(directory, REPO_FILE)
    try:
        kind = os.lstat(path).st_mode
        if stat.S_ISLNK(kind):
            raise Fatal(f"'{REPO_FILE}' is a symbolic link, which is not followed", hint="replace it by a file")
        if not stat.S_ISREG(kind):
            raise Fatal(f"'{REPO_FILE}' is no regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Fatal(f"cannot read '{REPO_FILE}': {error.strerror}") from None
    if len(data) > _LARGEST_FILE:
        raise Fatal(f"'{REPO_FILE}' is over {_LARGEST_FILE >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Fatal(f"'{REPO_FILE}' is not UTF-8: byte {error.start + 1} begins no character") from None


def visible_environment(environ: Mapping[str, str], config: Config) -> dict[str, str]:
    """What `host.env()` holds: what CI systems say of a run, and what `ocuroot.allowEnv` allows besides.

    Its values are globs of names, in the user's own configuration only; an empty one takes back those before it, and
    what is allowed without being asked. Raises GlobError.
    """
    from ..formats.globs import Glob
    from ..redaction import without_secrets

    allowed: list[str] = []
    takes_back = False
    for value in config.values("ocuroot.allowEnv", own=True):
        allowed = [*allowed, *value.split()] if value.split() else []
        takes_back = takes_back or not value.split()
    glob = Glob(*allowed) if allowed else None
    usual = set() if takes_back else {name for names in CI_VARIABLES.values() for name in names.split()}
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
    if helper(location) is not None:
        raise Fatal(f"{REPO_FILE} names the store '{location}', for which git would run a program", hint=hint)
    scheme, separator, rest = location.partition("://")
    if separator and scheme == "file":
        from urllib.parse import unquote

        location = unquote(rest)  # as git does; what is looked at here is what it will be given
        if not location.startswith("/"):
            raise Fatal(f"{REPO_FILE} names the store 'file://{rest}', which is not of this machine", hint=hint)
    elif separator and scheme not in _TRANSPORTS:
        known = ", ".join(_TRANSPORTS)
        raise Fatal(f"{REPO_FILE} names the store '{location}': '{scheme}' is none of {known} and file", hint=hint)
    elif is_url(location):
        _check_headers(location, config)
        return location
    path = os.path.realpath(os.path.join(directory, os.path.expanduser(location)))
    why = _why_not(path, os.path.realpath(top))
    if why:
        raise Fatal(f"{REPO_FILE} names the store '{location}', which {why}", hint=hint)
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


def _check_headers(url: str, config: Config) -> None:
    """Whether a header that is meant for other hosts, and may hold a token, would be sent to a URL. Raises Fatal."""
    goes_anywhere = [value for value in config.values("http.extraHeader") if value]
    host = host_of(config.rewritten(url))
    if not goes_anywhere or host is None or host == host_of(config.rewritten(config.remote_url("origin") or "")):
        return
    raise Fatal(
        f"{REPO_FILE} names the store '{url}', and 'http.extraHeader' would be sent there as to any host",
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
