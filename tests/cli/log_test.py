"""`git ocuroot log`, its whole output."""

from __future__ import annotations

import json

import pytest
from support.golden import check_golden, plain
from support.repositories import SHOP, Repo

pytestmark = pytest.mark.usefixtures("fixed_dates")


@pytest.fixture
def history(shop: Repo) -> Repo:
    shop.ocuroot("set", "-m", "raise the gate", "+/custom/gate", "1")
    shop.ocuroot("set", "+/custom/gate", "2")
    shop.ocuroot("delete", "+/custom/gate")
    shop.ocuroot("update", "--stdin", input=f"link {SHOP}/@ {SHOP}/@2\n")
    return shop


def test_log(history: Repo) -> None:
    check_golden("log.txt", plain(history.ocuroot("log")) + "\n")
    check_golden("log.json", plain(history.ocuroot("log", "--json")) + "\n")


@pytest.mark.parametrize(
    ("words", "subjects"),
    [
        (["+/custom/gate"], ["delete +/custom/gate", "set +/custom/gate", "raise the gate"]),
        (["-n", "1", "+/custom/gate"], ["delete +/custom/gate"]),
        (["-2", "+/custom/*"], ["delete +/custom/gate", "set +/custom/gate"]),
        (["-n2", "+/custom/*"], ["delete +/custom/gate", "set +/custom/gate"]),
        (["--limit=0"], []),
        (["@/environment/production"], ["open the shop"]),
        (["--at", "state~2", "-n", "1"], ["set +/custom/gate"]),
        ([f"{SHOP}/@"], [f"update {SHOP}/@", "open the shop"]),
        (["nothing/**"], []),
        (
            ["@/custom/freeze", "+/custom/g?te"],
            ["delete +/custom/gate", "set +/custom/gate", "raise the gate", "open the shop"],
        ),
    ],
)
def test_log_of_some(history: Repo, words: list[str], subjects: list[str]) -> None:
    lines = history.ocuroot("log", "--json", *words).splitlines()
    found = [json.loads(line)["subject"] for line in lines]
    if words == [f"{SHOP}/@"]:
        found = [subject if subject == "open the shop" else f"update {SHOP}/@" for subject in found]
    assert found == subjects
    assert history.ocuroot("log", "--json", "-z", *words) == "".join(line + "\0" for line in lines)
