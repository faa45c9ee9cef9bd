"""Which configuration of the user's repository reaches git in the tool's own: as the user's git would read it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.git.config import Config, start_config
from ocuroot_git.git.environment import with_config, without_repository
from ocuroot_git.git.remote_access import RemoteLocation, carried

KEY = "http.extraheader"


def effective(values: list[str]) -> list[str]:
    """What is left of a list of headers after git has read it: an empty value takes back those before."""
    while "" in values:
        values = values[values.index("") + 1 :]
    return values


@pytest.mark.parametrize(
    ("everywhere", "included", "local"),
    [
        (["A: 1"], [], []),
        (["A: 1"], [], ["B: 2"]),
        (["A: 1"], [], ["", "B: 2"]),
        (["A: 1"], [], [""]),
        (["A: 1"], ["I: 3"], []),  # comes first for the user, and last if it is just added
        (["A: 1"], ["I: 3", ""], ["B: 2", "B: 2"]),
        (["", "A: 1"], ["I: 3"], ["", "B: 2", ""]),
        ([], ["I: 3"], []),
    ],
)
def test_headers_arrive_once_and_reset_as_for_the_user(
    repo: Repo,
    make_repo: Callable[..., Repo],
    tmp_path: Path,
    everywhere: list[str],
    included: list[str],
    local: list[str],
) -> None:
    def lines(values: list[str]) -> str:
        return "[http]\n" + "".join(f'\textraheader = "{value}"\n' for value in values)

    (tmp_path / "included").write_text(lines(included))
    (tmp_path / "everywhere").write_text(
        f'[includeIf "gitdir:{repo.path}/.git"]\n\tpath = {tmp_path}/included\n' + lines(everywhere)
    )
    for value in local:
        repo.git("config", "--add", KEY, value)
    own = make_repo("own", "--bare")
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "everywhere")}

    def read(path: Path, environ: dict[str, str]) -> list[str]:
        done = subprocess.run(
            ["git", "config", "-z", "--get-all", KEY], cwd=path, env=environ, capture_output=True, text=True
        )
        return done.stdout.split("\0")[:-1]

    target = RemoteLocation("https://example.com/r.git", "state", support_files={})
    theirs = Config.read(start_config(str(repo.path), environ))
    ours = Config.read(start_config(str(own.path), without_repository(environ)))
    told = with_config(without_repository(environ), carried(target, theirs, ours))
    assert effective(read(own.path, told)) == effective(read(repo.path, environ))


def test_a_key_without_a_value_stays_true(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    own = make_repo("own", "--bare")
    with (repo.path / ".git" / "config").open("a") as file:
        file.write("[http]\n\tsslVerify\n")
    configs = [Config.read(start_config(str(path), os.environ)) for path in (repo.path, own.path)]
    values = carried(RemoteLocation("https://example.com/r.git", "state", support_files={}), *configs)
    environ = with_config(os.environ, values)
    done = subprocess.run(
        ["git", "config", "--bool", "http.sslVerify"], cwd=own.path, env=environ, capture_output=True, text=True
    )
    assert done.stdout == "true\n", "verification of certificates was switched off"
