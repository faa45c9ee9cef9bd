"""What CI systems say of a run, by the variables that each documents (design 12).

Each environment is put together of the examples in the documentation of its system, where it has some.
"""

from __future__ import annotations

import pytest

from ocuroot_git.formats.ci_systems import SYSTEMS, run_of_environment
from ocuroot_git.formats.operation import Origin

GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_TRIGGERING_ACTOR": "octocat",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "octocat/Hello-World",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_RUN_NUMBER": "3",
    "GITHUB_RUN_ATTEMPT": "1",
}
GITLAB = {
    "CI": "true",
    "GITLAB_CI": "true",
    "GITLAB_USER_EMAIL": "alice@example.com",
    "GITLAB_USER_ID": "42",
    "GITLAB_USER_LOGIN": "alice",
    "GITLAB_USER_NAME": "Alice Doe",
    "CI_COMMIT_AUTHOR": "Eve <eve@example.com>",
    "CI_PIPELINE_URL": "https://gitlab.example.com/group-name/project-1/-/pipelines/7",
    "CI_JOB_URL": "https://gitlab.example.com/group-name/project-1/-/jobs/70",
}
BUILDKITE = {
    "CI": "true",
    "BUILDKITE": "true",
    "BUILDKITE_BUILD_AUTHOR": "Eve",
    "BUILDKITE_BUILD_AUTHOR_EMAIL": "eve@example.com",
    "BUILDKITE_BUILD_CREATOR": "Carol Danvers",
    "BUILDKITE_BUILD_CREATOR_EMAIL": "cdanvers@kree-net.com",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/acme-inc/my-project/builds/1514",
    "BUILDKITE_SOURCE": "ui",
}
CIRCLECI = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_USERNAME": "alice",
    "CIRCLE_PR_USERNAME": "eve",
    "CIRCLE_PROJECT_USERNAME": "acme",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/shop/9",
}
AZURE = {
    "TF_BUILD": "True",
    "BUILD_QUEUEDBY": "[DefaultCollection]\\Project Collection Service Accounts",
    "BUILD_REQUESTEDFOR": "Mateo Escobedo",
    "BUILD_REQUESTEDFOREMAIL": "mateo@fabrikam.com",
    "SYSTEM_HOSTTYPE": "build",
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/fabrikamfiber/",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/fabrikamfiber/",
    "SYSTEM_TEAMPROJECT": "Fabrikam Fiber",
    "BUILD_BUILDID": "130",
}
BITBUCKET = {
    "CI": "true",
    "BITBUCKET_BUILD_NUMBER": "3",
    "BITBUCKET_REPO_FULL_NAME": "acme/shop",
    "BITBUCKET_STEP_TRIGGERER_UUID": "{11d87b82-13c6-47a3-8e28-73a2bc378675}",
}
TEAMCITY = {
    "TEAMCITY_VERSION": "2023.05",
    "BUILD_NUMBER": "7",
    "BUILD_URL": "https://tc.example/buildConfiguration/a/7",
}
TRAVIS = {"CI": "true", "TRAVIS": "true", "TRAVIS_BUILD_WEB_URL": "https://app.travis-ci.com/acme/shop/builds/5"}
JENKINS = {
    "CI": "true",
    "JENKINS_HOME": "/var/jenkins_home",
    "JENKINS_URL": "http://server:8080/jenkins/",
    "BUILD_URL": "http://server:8080/jenkins/job/foo/15/",
    "BUILD_USER": "Alice Doe",
    "BUILD_USER_ID": "alice",
}
RUN = "https://github.com/octocat/Hello-World/actions/runs/1658821493"
AZURE_RUN = "https://dev.azure.com/fabrikamfiber/Fabrikam%20Fiber/_build/results?buildId=130"
RELEASE_RUN = "https://fabrikam.visualstudio.com/f3325c6c/_release?releaseId=392&_a=release-summary"
BUILDKITE_RUN = "https://buildkite.com/acme-inc/my-project/builds/1514"

SAID: dict[str, tuple[dict[str, str], str | None, str | None]] = {
    "GitHub Actions": (GITHUB, "github:octocat", f"{RUN}/attempts/1"),
    "Forgejo Actions": (
        {**GITHUB, "FORGEJO_ACTIONS": "true", "GITEA_ACTIONS": "true", "GITHUB_SERVER_URL": "https://codeberg.org"},
        "forgejo:octocat",
        "https://codeberg.org/octocat/Hello-World/actions/runs/3",
    ),
    "Gitea Actions": (
        {**GITHUB, "GITEA_ACTIONS": "true", "GITHUB_SERVER_URL": "https://gitea.example"},
        "gitea:octocat",
        None,
    ),
    "GitLab CI": (GITLAB, "gitlab:alice", "https://gitlab.example.com/group-name/project-1/-/pipelines/7"),
    "Buildkite": (BUILDKITE, "buildkite:cdanvers@kree-net.com", BUILDKITE_RUN),
    "CircleCI": (CIRCLECI, "circleci:alice", "https://circleci.com/gh/acme/shop/9"),
    "Azure Pipelines": (AZURE, "azure:mateo@fabrikam.com", AZURE_RUN),
    "Bitbucket Pipelines": (
        BITBUCKET,
        "bitbucket:{11d87b82-13c6-47a3-8e28-73a2bc378675}",
        "https://bitbucket.org/acme/shop/pipelines/results/3",
    ),
    "TeamCity": (TEAMCITY, None, "https://tc.example/buildConfiguration/a/7"),
    "Travis CI": (TRAVIS, None, "https://app.travis-ci.com/acme/shop/builds/5"),
    "Jenkins": (JENKINS, "jenkins:alice", "http://server:8080/jenkins/job/foo/15/"),
}


@pytest.mark.parametrize("name", SAID)
def test_each_system_says_who_and_where(name: str) -> None:
    environ, actor, run = SAID[name]
    assert run_of_environment(environ) == (actor, run)
    (system,) = (system for system in SYSTEMS if system.name == name)
    signs = {sign for each in SYSTEMS for sign in each.signs}
    assert run_of_environment({key: value for key, value in environ.items() if key not in signs}) == (None, None)
    assert run_of_environment({**environ, **dict.fromkeys(signs, "false")}) == (None, None)
    assert run_of_environment({**environ, **dict.fromkeys(signs, "")}) == (None, None)
    for sign in system.signs:
        assert run_of_environment({sign: "true", "PATH": "/bin"}) == (None, None)


def test_every_system_is_tried() -> None:
    assert {system.name for system in SYSTEMS} == set(SAID)


@pytest.mark.parametrize(
    ("environ", "actor", "run"),
    [
        # Started again by somebody else.
        (
            {**GITHUB, "GITHUB_TRIGGERING_ACTOR": "ann", "GITHUB_RUN_ATTEMPT": "2"},
            "github:ann",
            f"{RUN}/attempts/2",
        ),
        # By a bot, and on a server of one's own that knows of no attempts.
        (
            {
                **GITHUB,
                "GITHUB_ACTOR": "dependabot[bot]",
                "GITHUB_TRIGGERING_ACTOR": "",
                "GITHUB_RUN_ATTEMPT": "",
            },
            "github:dependabot[bot]",
            RUN,
        ),
        # `act` on somebody's machine makes both up.
        ({**GITHUB, "ACT": "true", "GITHUB_ACTOR": "nektos/act", "GITHUB_RUN_ID": "1"}, None, None),
        (
            {**GITLAB, "CI_PIPELINE_URL": ""},
            "gitlab:alice",
            "https://gitlab.example.com/group-name/project-1/-/jobs/70",
        ),
        ({**GITLAB, "GITLAB_USER_LOGIN": "project_7_bot_4ffc"}, "gitlab:project_7_bot_4ffc", GITLAB["CI_PIPELINE_URL"]),
        # Somebody let a blocked build go on.
        (
            {**BUILDKITE, "BUILDKITE_UNBLOCKER": "Una", "BUILDKITE_UNBLOCKER_EMAIL": "una@example.com"},
            "buildkite:una@example.com",
            BUILDKITE_RUN,
        ),
        ({**BUILDKITE, "BUILDKITE_UNBLOCKER": "Una"}, "buildkite:Una", BUILDKITE_RUN),
        # A review by somebody whom Buildkite does not know: not the author of the commit.
        (
            {**BUILDKITE, "BUILDKITE_BUILD_CREATOR": "", "BUILDKITE_BUILD_CREATOR_EMAIL": ""},
            None,
            BUILDKITE_RUN,
        ),
        # The pull request of somebody who has no account there: not the owner of the project.
        ({**CIRCLECI, "CIRCLE_USERNAME": ""}, None, CIRCLECI["CIRCLE_BUILD_URL"]),
        # On a schedule.
        (
            {**AZURE, "BUILD_REQUESTEDFOREMAIL": "", "BUILD_REQUESTEDFOR": AZURE["BUILD_QUEUEDBY"]},
            "azure:[DefaultCollection]\\Project Collection Service Accounts",
            AZURE_RUN,
        ),
        ({**AZURE, "SYSTEM_COLLECTIONURI": ""}, "azure:mateo@fabrikam.com", AZURE_RUN),
        # A classic release, by somebody else than the build that it delivers.
        (
            {
                **AZURE,
                "SYSTEM_HOSTTYPE": "release",
                "RELEASE_DEPLOYMENT_REQUESTEDFOR": "Ann Example",
                "RELEASE_DEPLOYMENT_REQUESTEDFOREMAIL": "ann@fabrikam.com",
                "RELEASE_RELEASEWEBURL": RELEASE_RUN,
            },
            "azure:ann@fabrikam.com",
            RELEASE_RUN,
        ),
        # TeamCity before 2023.05 told no URL.
        ({**TEAMCITY, "BUILD_URL": ""}, None, None),
        # Jenkins that has not been told its own URL.
        ({"JENKINS_HOME": "/var/jenkins_home", "BUILD_USER_ID": "timer"}, "jenkins:timer", None),
        # An agent of one system in a job of another.
        ({**JENKINS, **BUILDKITE}, "buildkite:cdanvers@kree-net.com", BUILDKITE_RUN),
        ({**JENKINS, **TEAMCITY}, None, TEAMCITY["BUILD_URL"]),
        # None of these.
        (
            {"CI": "true", "CI_SYSTEM_NAME": "woodpecker", "GITHUB_ACTOR": "eve", "BUILD_URL": "https://x.example"},
            None,
            None,
        ),
        ({**GITHUB, "GITHUB_ACTOR": " \t", "GITHUB_TRIGGERING_ACTOR": "\n", "GITHUB_RUN_ID": " "}, None, None),
    ],
)
def test_it_is_told_who_asked_for_it(environ: dict[str, str], actor: str | None, run: str | None) -> None:
    assert run_of_environment(environ) == (actor, run)


@pytest.mark.parametrize(
    ("environ", "actor", "run"),
    [
        (
            {**GITHUB, "GITHUB_TRIGGERING_ACTOR": " ann\nOcuroot-Operation: x"},
            "github:ann Ocuroot-Operation: x",
            f"{RUN}/attempts/1",
        ),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "\x1b[2J\u202eann"}, "github:\\x1b[2J\\u202eann", f"{RUN}/attempts/1"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "\udcff"}, "github:\\udcff", f"{RUN}/attempts/1"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "x" * 10_000}, None, f"{RUN}/attempts/1"),
        ({**GITLAB, "CI_PIPELINE_URL": f"https://gitlab.example/{'x' * 10_000}"}, "gitlab:alice", None),
        ({**GITLAB, "CI_PIPELINE_URL": "javascript:alert(1)"}, "gitlab:alice", None),
        (
            {**GITLAB, "CI_PIPELINE_URL": "https://a:s3cr3t@b.example/7?token=s3cr3t"},
            "gitlab:alice",
            "https://***@b.example/7?token=***",
        ),
        (
            {**JENKINS, "BUILD_USER_ID": "https://a:s3cr3t@b.example"},
            "jenkins:https://***@b.example",
            JENKINS["BUILD_URL"],
        ),
        (
            {**AZURE, "SYSTEM_TEAMPROJECT": "Größe?#", "BUILD_BUILDID": "1&x=2"},
            "azure:mateo@fabrikam.com",
            "https://dev.azure.com/fabrikamfiber/Gr%C3%B6%C3%9Fe%3F%23/_build/results?buildId=1%26x%3D2",
        ),
    ],
)
def test_nothing_else_than_who_and_where_comes_of_it(
    environ: dict[str, str], actor: str | None, run: str | None
) -> None:
    origin = Origin.of(*run_of_environment(environ))
    assert (origin.actor, origin.run) == (actor, run)
    origin.check()
