"""CI systems: by which variables each says what a run of it is of, who started it, and where it is shown. Pure.

The variables are those that each system documents for the commands of its jobs. They are only claims: who starts a
command says what is in its environment.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


class CiSystem:
    """One system. A job of it has one of `signs` set, and none of `unless`, by which others tell that they imitate it.

    `actors` are the variables that name who asked for the run, the best first. `runs` are the URLs of the run, the best
    first, with variables in braces: each counts if all of its variables are set. `tells` are the variables that say
    which branch, commit, repository and run it is: none of them holds a token, but a URL among them may.
    """

    __slots__ = ("actors", "name", "prefix", "runs", "signs", "tells", "unless")

    def __init__(
        self,
        name: str,
        prefix: str,
        signs: tuple[str, ...],
        actors: tuple[str, ...],
        runs: tuple[str, ...],
        tells: str,
        *,
        unless: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.prefix = prefix
        self.signs = signs
        self.unless = unless
        self.actors = actors
        self.runs = runs
        self.tells = frozenset((*signs, *tells.split()))

    def runs_in(self, environ: Mapping[str, str]) -> bool:
        """Whether an environment is that of one of its jobs."""
        return any(_is_set(environ, name) for name in self.signs) and not any(
            _is_set(environ, name) for name in self.unless
        )


_GITHUB_TELLS: Final = (
    "GITHUB_ACTIONS GITHUB_BASE_REF GITHUB_EVENT_NAME GITHUB_HEAD_REF GITHUB_JOB GITHUB_REF GITHUB_REF_NAME "
    "GITHUB_REF_TYPE GITHUB_REPOSITORY GITHUB_REPOSITORY_OWNER GITHUB_RUN_ATTEMPT GITHUB_RUN_ID GITHUB_RUN_NUMBER "
    "GITHUB_SERVER_URL GITHUB_SHA GITHUB_WORKFLOW"
)
"""Forgejo and Gitea set the same, so that workflows run in both."""

SYSTEMS: Final = (
    CiSystem(
        "Forgejo Actions",
        "forgejo",
        ("FORGEJO_ACTIONS",),
        ("GITHUB_ACTOR",),
        ("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_NUMBER}",),
        _GITHUB_TELLS,
    ),
    CiSystem(
        "Gitea Actions",
        "gitea",
        ("GITEA_ACTIONS",),
        ("GITHUB_ACTOR",),
        (),  # the URL has the number of the run before 1.26 and its id since, and no variable says which version it is
        _GITHUB_TELLS,
    ),
    CiSystem(
        "GitHub Actions",
        "github",
        ("GITHUB_ACTIONS",),
        ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),  # who started a run again is the former
        (
            "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}/attempts/{GITHUB_RUN_ATTEMPT}",
            "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
        ),
        _GITHUB_TELLS,
        unless=("ACT",),  # `act` runs workflows on a developer's machine, with an actor and a run that it makes up
    ),
    CiSystem(
        "GitLab CI",
        "gitlab",
        ("GITLAB_CI",),
        ("GITLAB_USER_LOGIN",),
        ("{CI_PIPELINE_URL}", "{CI_JOB_URL}"),
        "CI_COMMIT_BRANCH CI_COMMIT_REF_NAME CI_COMMIT_REF_SLUG CI_COMMIT_SHA CI_COMMIT_SHORT_SHA "
        "CI_COMMIT_TAG CI_DEFAULT_BRANCH CI_JOB_ID CI_JOB_NAME CI_JOB_STAGE CI_JOB_URL CI_MERGE_REQUEST_IID "
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME CI_MERGE_REQUEST_TARGET_BRANCH_NAME CI_PIPELINE_ID CI_PIPELINE_IID "
        "CI_PIPELINE_SOURCE CI_PIPELINE_URL CI_PROJECT_ID CI_PROJECT_NAME CI_PROJECT_NAMESPACE CI_PROJECT_PATH "
        "CI_PROJECT_URL CI_SERVER_HOST CI_SERVER_URL",
    ),
    CiSystem(
        "Buildkite",
        "buildkite",
        ("BUILDKITE",),
        # Who let a blocked build go on has asked for what comes after. There are no other unique names than emails.
        # The creator of a build that a webhook started is the author of its commit, whom nobody has verified.
        (
            "BUILDKITE_UNBLOCKER_EMAIL",
            "BUILDKITE_UNBLOCKER",
            "BUILDKITE_BUILD_CREATOR_EMAIL",
            "BUILDKITE_BUILD_CREATOR",
        ),
        ("{BUILDKITE_BUILD_URL}",),
        "BUILDKITE_BRANCH BUILDKITE_BUILD_ID BUILDKITE_BUILD_NUMBER BUILDKITE_BUILD_URL BUILDKITE_COMMIT "
        "BUILDKITE_JOB_ID BUILDKITE_ORGANIZATION_SLUG BUILDKITE_PIPELINE_SLUG BUILDKITE_PULL_REQUEST "
        "BUILDKITE_PULL_REQUEST_BASE_BRANCH BUILDKITE_REPO BUILDKITE_TAG",
    ),
    CiSystem(
        "CircleCI",
        "circleci",
        ("CIRCLECI",),
        ("CIRCLE_USERNAME",),
        ("{CIRCLE_BUILD_URL}",),
        "CIRCLE_BRANCH CIRCLE_BUILD_NUM CIRCLE_BUILD_URL CIRCLE_JOB CIRCLE_PROJECT_REPONAME "
        "CIRCLE_PROJECT_USERNAME CIRCLE_PR_NUMBER CIRCLE_REPOSITORY_URL CIRCLE_SHA1 CIRCLE_TAG CIRCLE_WORKFLOW_ID",
    ),
    CiSystem(
        "Azure Pipelines",
        "azure",
        ("TF_BUILD",),
        # In a classic release the variables of a build are those of the build that it delivers.
        (
            "RELEASE_DEPLOYMENT_REQUESTEDFOREMAIL",
            "RELEASE_DEPLOYMENT_REQUESTEDFOR",
            "BUILD_REQUESTEDFOREMAIL",
            "BUILD_REQUESTEDFOR",
        ),
        (
            "{RELEASE_RELEASEWEBURL}",
            "{SYSTEM_COLLECTIONURI}/{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
            "{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}/{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
        ),
        "BUILD_BUILDID BUILD_BUILDNUMBER BUILD_REASON BUILD_REPOSITORY_NAME BUILD_REPOSITORY_PROVIDER "
        "BUILD_REPOSITORY_URI BUILD_SOURCEBRANCH BUILD_SOURCEBRANCHNAME BUILD_SOURCEVERSION "
        "SYSTEM_PULLREQUEST_PULLREQUESTID SYSTEM_PULLREQUEST_SOURCEBRANCH SYSTEM_PULLREQUEST_TARGETBRANCH "
        "SYSTEM_TEAMPROJECT",
    ),
    CiSystem(
        "Bitbucket Pipelines",
        "bitbucket",
        ("BITBUCKET_BUILD_NUMBER",),
        ("BITBUCKET_STEP_TRIGGERER_UUID",),
        ("https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",),
        "BITBUCKET_BRANCH BITBUCKET_COMMIT BITBUCKET_PIPELINE_UUID "
        "BITBUCKET_PR_DESTINATION_BRANCH BITBUCKET_PR_ID BITBUCKET_REPO_FULL_NAME BITBUCKET_REPO_SLUG BITBUCKET_TAG "
        "BITBUCKET_WORKSPACE",
    ),
    CiSystem(
        "TeamCity",
        "teamcity",
        ("TEAMCITY_VERSION",),
        (),  # of users its files tell: `config.teamcity`
        ("{BUILD_URL}",),
        "TEAMCITY_BUILDCONF_NAME TEAMCITY_PROJECT_NAME BUILD_NUMBER BUILD_VCS_NUMBER",
    ),
    CiSystem(
        "Travis CI",
        "travis",
        ("TRAVIS",),
        (),  # it tells of no user
        ("{TRAVIS_BUILD_WEB_URL}",),
        "TRAVIS_BRANCH TRAVIS_BUILD_ID TRAVIS_BUILD_NUMBER TRAVIS_COMMIT TRAVIS_JOB_ID TRAVIS_PULL_REQUEST "
        "TRAVIS_PULL_REQUEST_BRANCH TRAVIS_REPO_SLUG TRAVIS_TAG",
    ),
    CiSystem(
        "Jenkins",
        "jenkins",
        ("JENKINS_URL", "JENKINS_HOME"),  # the former, as `BUILD_URL`, only if Jenkins is configured to know its URL
        ("BUILD_USER_ID",),  # by the build-user-vars plugin
        ("{BUILD_URL}",),
        "BRANCH_NAME BUILD_ID BUILD_NUMBER BUILD_TAG BUILD_URL CHANGE_BRANCH CHANGE_ID CHANGE_TARGET GIT_BRANCH "
        "GIT_COMMIT GIT_LOCAL_BRANCH GIT_URL JOB_NAME TAG_NAME",
    ),
)
"""Forgejo and Gitea stand before GitHub, which they imitate, and Jenkins last: others use its names too."""


def variables_of_runs() -> frozenset[str]:
    """The variables in which CI systems say which branch, commit, repository and run it is, and `CI`."""
    return frozenset(("CI",)).union(*(system.tells for system in SYSTEMS))


def system_of(environ: Mapping[str, str]) -> CiSystem | None:
    """The CI system in a job of which an environment is; None for no known one.

    Of systems that run in one another, the first in the table counts.
    """
    return next((system for system in SYSTEMS if system.runs_in(environ)), None)


def run_of_environment(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Who asked for the run of a CI system that an environment is of, as `github:ann`, and the run's URL.

    Either is None where the environment does not say it, both where it is that of no known system.
    """
    system = system_of(environ)
    if system is None:
        return None, None
    actors = filter(None, (environ.get(name, "").strip() for name in system.actors))
    actor = next((f"{system.prefix}:{name}" for name in actors), None)
    return actor, next(filter(None, (_filled(url, environ) for url in system.runs)), None)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in ("", "0", "false")


def _filled(url: str, environ: Mapping[str, str]) -> str | None:
    """A URL with the values of its variables; None where one of them is not set."""
    filled, *parts = url.split("{")
    for part in parts:
        name, _, rest = part.partition("}")
        value = environ.get(name, "").strip()
        if not value:
            return None
        if filled:
            value = _quoted(value)  # names may hold spaces, as those of projects do
        elif rest:
            value = value.rstrip("/")  # a URL, to which more is added
        filled += value + rest
    return filled


def _quoted(value: str) -> str:
    if value.isascii() and value.replace("-", "").replace("_", "").replace("/", "").replace(".", "").isalnum():
        return value
    from urllib.parse import quote

    return quote(value, errors="replace")
