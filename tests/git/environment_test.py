"""The environments that git is started with."""

from __future__ import annotations

from ocuroot_git.git.environment import with_config


def test_configuration_is_added_before_what_the_environment_says() -> None:
    environ = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "user"}
    changed = with_config(environ, [("a.b", "ours")])
    assert changed["GIT_CONFIG_COUNT"] == "2"
    assert [changed[f"GIT_CONFIG_VALUE_{n}"] for n in range(2)] == ["ours", "user"]
