"""How a run that has not ended stands, in one word, and in which order runs are shown."""

from __future__ import annotations

import pytest

from ocuroot_git.delivery.overview import Unfinished
from ocuroot_git.web.standing import rank, standing


def run(state: str, *reasons: str, status: str = "pending") -> Unfinished:
    return Unfinished("r/-/p/@1/call/x/1", "r/-/p/@1", 1, "call", "x", status, state, reasons, "")


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (run("running", status="running"), "running"),
        (run("ready", "whose claim ran out", status="running"), "ready"),
        (run("ready"), "ready"),
        (run("waiting", "'r/-/p/@1/call/build'"), "waiting"),
        (run("waiting", "'r/-/approvals/@1/call/approval'"), "waiting"),  # work of that name is work
        (run("waiting", "input 'ok' (r/-/p/@1/custom/approve)"), "approval"),
        (run("waiting", "'r/-/p/@1/call/build'", "input 'ok' (./@/custom/approval/ann#by)"), "approval"),
        (run("waiting", "input 'image' (r/-/q/@/call/build#output/image)", status="paused"), "input"),
        (run("blocked", "'r/-/p/@1/call/build/1', which failed"), "blocked"),
        (run("failed", status="failed"), "failed"),
        (run("", status="pending"), "waiting"),  # nothing more is known of it
    ],
)
def test_standing(one: Unfinished, word: str) -> None:
    assert standing(one) == word


def test_what_waits_for_people_comes_first() -> None:
    runs = [run("waiting", "'x'"), run("running", status="running"), run("waiting", "input 'a' (@/custom/approve)")]
    assert [standing(one) for one in sorted(runs, key=rank)] == ["approval", "running", "waiting"]
