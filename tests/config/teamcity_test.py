"""Who started a build of TeamCity, as the files of its parameters say (design 12)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.repositories import Repo

from ocuroot_git.config.teamcity import starter_of_build

NAME = "teamcity.build.triggeredBy.username"


def build(where: Path, parameters: str) -> dict[str, str]:
    """The environment of a build with files as Java writes them."""
    odd = where / "a=b c"
    odd.mkdir()
    (odd / "config").write_text(f"#Mon Nov 24 10:00:00 UTC 2025\n{parameters}", encoding="latin-1")
    escaped = f"{odd}/config".replace("=", "\\=")
    (odd / "system").write_text(f"agent.name=x\nteamcity.configuration.properties.file={escaped}\n")
    return {"TEAMCITY_VERSION": "2023.05", "TEAMCITY_BUILD_PROPERTIES_FILE": f"{odd}/system"}


@pytest.mark.parametrize(
    ("parameters", "actor"),
    [
        (f"a=b\n{NAME}=ann\nz=1\n", "teamcity:ann"),
        (f"{NAME}=DOMAIN\\\\ann\\:b \r\n", "teamcity:DOMAIN\\ann:b"),
        (f"{NAME}=\\u00e4nn\n", "teamcity:änn"),
        (f"x{NAME}=eve\nx={NAME}=eve\n{NAME.replace('.', '_')}=eve\n#{NAME}=eve\n", None),
        (f"{NAME}=\n", None),
        ("teamcity.build.triggeredBy=Schedule Trigger\n", None),
    ],
)
def test_the_user_is_read_from_its_files(tmp_path: Path, parameters: str, actor: str | None) -> None:
    environ = build(tmp_path, parameters)
    assert starter_of_build(environ) == actor
    assert starter_of_build({**environ, "BUILDKITE": "true"}) is None  # an agent of another system in the build
    assert starter_of_build({**environ, "TEAMCITY_VERSION": ""}) is None


def test_files_that_are_missing_say_nothing(tmp_path: Path) -> None:
    environ = build(tmp_path, f"{NAME}=ann\n")
    for file in ("", "\0", str(tmp_path), str(tmp_path / "none")):
        assert starter_of_build({**environ, "TEAMCITY_BUILD_PROPERTIES_FILE": file}) is None
    (tmp_path / "a=b c" / "config").unlink()
    assert starter_of_build(environ) is None


def test_a_change_in_its_build_is_by_that_user(store: Repo, tmp_path: Path) -> None:
    store.ocuroot("set", "+/custom/a", "1", env={**os.environ, **build(tmp_path, f"{NAME}=ann\n")})
    assert "Ocuroot-Actor: teamcity:ann" in store.git("log", "-1", "--format=%B", "state")
