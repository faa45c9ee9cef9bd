"""CI systems: by which variables each says who started a run of it, and where that is shown (design 12). Pure.

The variables are those that each system documents for the commands of its jobs. They are only claims: who starts a
command says what is in its environment.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


class CiSystem:
    """One system. `sign` is the variable that is set in every job of it, and in none of another.

    `actors` are the variables that name who asked for the run, the best first. `runs` are the URLs of the run, the best
    first, with variables in braces: each counts if all of its variables are set.
    """

    __slots__ = ("actors", "name", "prefix", "runs", "sign")

    def __init__(self, name: str, prefix: str, sign: str, actors: tuple[str, ...], runs: tuple[str, ...]) -> None:
        self.name = name
        self.prefix = prefix
        self.sign = sign
        self.actors = actors
        self.runs = runs


SYSTEMS: Final = (
    CiSystem(
        "GitHub Actions",
        "github",
        "GITHUB_ACTIONS",
        ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),  # who started a run again is the former
        ("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",),
    ),
    CiSystem("GitLab CI", "gitlab", "GITLAB_CI", ("GITLAB_USER_LOGIN",), ("{CI_PIPELINE_URL}", "{CI_JOB_URL}")),
    CiSystem(
        "Buildkite",
        "buildkite",
        "BUILDKITE",
        # Who let a blocked build go on has asked for what comes after. There are no other unique names than emails.
        (
            "BUILDKITE_UNBLOCKER_EMAIL",
            "BUILDKITE_UNBLOCKER",
            "BUILDKITE_BUILD_CREATOR_EMAIL",
            "BUILDKITE_BUILD_CREATOR",
        ),
        ("{BUILDKITE_BUILD_URL}",),
    ),
    CiSystem("CircleCI", "circleci", "CIRCLECI", ("CIRCLE_USERNAME",), ("{CIRCLE_BUILD_URL}",)),
    CiSystem(
        "Azure Pipelines",
        "azure",
        "TF_BUILD",
        ("BUILD_REQUESTEDFOREMAIL", "BUILD_REQUESTEDFOR"),
        (
            "{SYSTEM_COLLECTIONURI}/{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
            "{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}/{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
        ),
    ),
    CiSystem(
        "Bitbucket Pipelines",
        "bitbucket",
        "BITBUCKET_BUILD_NUMBER",
        ("BITBUCKET_STEP_TRIGGERER_UUID",),
        ("https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",),
    ),
    CiSystem("TeamCity", "teamcity", "TEAMCITY_VERSION", (), ("{BUILD_URL}",)),  # tells commands of no user
    CiSystem(
        "Jenkins", "jenkins", "JENKINS_URL", ("BUILD_USER_ID",), ("{BUILD_URL}",)
    ),  # by the build-user-vars plugin
)
"""Jenkins stands last: its variables are the names that others use too."""


def run_of_environment(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Who asked for the run of a CI system that an environment is of, as `github:ann`, and the run's URL.

    Either is None where the environment does not say it, both where it is that of no known system.
    """
    for system in SYSTEMS:
        if environ.get(system.sign, "").lower() not in ("", "0", "false"):
            actors = (environ[name] for name in system.actors if environ.get(name, "").strip())
            actor = next((f"{system.prefix}:{name}" for name in actors), None)
            return actor, next(filter(None, (_filled(url, environ) for url in system.runs)), None)
    return None, None


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
