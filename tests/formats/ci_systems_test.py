"""What CI systems say of a run, by the variables that each documents (design 12)."""

from __future__ import annotations

import pytest

from ocuroot_git.formats.ci_systems import SYSTEMS, run_of_environment

SAID = {
    "GitHub Actions": (
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "ben",
            "GITHUB_TRIGGERING_ACTOR": "ann",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "octo/shop",
            "GITHUB_RUN_ID": "1658821493",
        },
        "github:ann",
        "https://github.com/octo/shop/actions/runs/1658821493",
    ),
    "GitLab CI": (
        {
            "GITLAB_CI": "true",
            "GITLAB_USER_LOGIN": "ann",
            "CI_PIPELINE_URL": "https://gitlab.com/octo/shop/-/pipelines/7",
            "CI_JOB_URL": "https://gitlab.com/octo/shop/-/jobs/70",
        },
        "gitlab:ann",
        "https://gitlab.com/octo/shop/-/pipelines/7",
    ),
    "Buildkite": (
        {
            "BUILDKITE": "true",
            "BUILDKITE_BUILD_CREATOR": "Tracy Tester",
            "BUILDKITE_BUILD_CREATOR_EMAIL": "tracy@example.com",
            "BUILDKITE_BUILD_URL": "https://buildkite.com/octo/shop/builds/1514",
        },
        "buildkite:tracy@example.com",
        "https://buildkite.com/octo/shop/builds/1514",
    ),
    "CircleCI": (
        {"CIRCLECI": "true", "CIRCLE_USERNAME": "ann", "CIRCLE_BUILD_URL": "https://circleci.com/gh/octo/shop/9"},
        "circleci:ann",
        "https://circleci.com/gh/octo/shop/9",
    ),
    "Azure Pipelines": (
        {
            "TF_BUILD": "True",
            "BUILD_REQUESTEDFOR": "Ann Example",
            "BUILD_REQUESTEDFOREMAIL": "ann@example.com",
            "SYSTEM_COLLECTIONURI": "https://dev.azure.com/octo/",
            "SYSTEM_TEAMPROJECT": "The Shop",
            "BUILD_BUILDID": "12",
        },
        "azure:ann@example.com",
        "https://dev.azure.com/octo/The%20Shop/_build/results?buildId=12",
    ),
    "Bitbucket Pipelines": (
        {
            "BITBUCKET_BUILD_NUMBER": "3",
            "BITBUCKET_REPO_FULL_NAME": "octo/shop",
            "BITBUCKET_STEP_TRIGGERER_UUID": "{2c09d7a6}",
        },
        "bitbucket:{2c09d7a6}",
        "https://bitbucket.org/octo/shop/pipelines/results/3",
    ),
    "TeamCity": (
        {"TEAMCITY_VERSION": "2026.1", "BUILD_URL": "https://tc.example/build/1", "JENKINS_URL": ""},
        None,
        "https://tc.example/build/1",
    ),
    "Travis CI": (
        {"TRAVIS": "true", "TRAVIS_BUILD_WEB_URL": "https://app.travis-ci.com/octo/shop/builds/5"},
        None,
        "https://app.travis-ci.com/octo/shop/builds/5",
    ),
    "Jenkins": (
        {
            "JENKINS_URL": "https://ci.example/jenkins/",
            "BUILD_URL": "https://ci.example/jenkins/job/shop/15/",
            "BUILD_USER_ID": "ann",
        },
        "jenkins:ann",
        "https://ci.example/jenkins/job/shop/15/",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_each_system_says_who_and_where(name: str) -> None:
    environ, actor, run = SAID[name]
    assert run_of_environment(environ) == (actor, run)
    sign = next(system.sign for system in SYSTEMS if system.name == name)
    assert run_of_environment({key: value for key, value in environ.items() if key != sign}) == (None, None)
    assert run_of_environment({sign: environ[sign], "PATH": "/bin"}) == (None, None)
    assert run_of_environment({**environ, sign: "false"}) == (None, None)


def test_every_system_is_tried() -> None:
    assert {system.name for system in SYSTEMS} == set(SAID)


def test_the_better_of_two_answers_counts() -> None:
    environ = dict(SAID["Buildkite"][0])
    assert run_of_environment({**environ, "BUILDKITE_UNBLOCKER": "Una"})[0] == "buildkite:Una"
    environ = {key: value for key, value in SAID["GitLab CI"][0].items() if key != "CI_PIPELINE_URL"}
    assert run_of_environment(environ)[1] == "https://gitlab.com/octo/shop/-/jobs/70"
    environ = {**SAID["GitHub Actions"][0], "GITHUB_TRIGGERING_ACTOR": " "}
    assert run_of_environment(environ)[0] == "github:ben"
