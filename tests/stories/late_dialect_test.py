"""What is written in dialect 3, beside what late Ocuroot (0.3.17) wrote in the same story, document by document.

`fixtures/conformance/lifecycle` has the packages, and what the original had changed after each step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.program import CONFORMANCE
from support.repositories import Repo

LIFECYCLE = CONFORMANCE / "lifecycle"
WEB = "example.com/shop/-/web.ocu.star"
CANARY = '{"name": "canary", "attributes": {"type": "prod"}}'

STEPS: dict[str, list[list[str]]] = {
    "released": [["release", "new", "environments.ocu.star"], ["release", "new", "web.ocu.star"], ["work", "any"]],
    "staged": [["set", f"{WEB}/+r1/custom/note/staging", "hi"], ["work", "any"]],
    "failed": [["set", "+/custom/region", "bad"], ["set", f"{WEB}/+r1/custom/note/production", "bye"], ["work", "any"]],
    "retried": [
        ["set", "+/custom/region", "us"],
        ["apply", "+/custom/region"],
        ["run", "retry", f"{WEB}/@r1"],
        ["work", "any"],
    ],
    "to-be-taken-down": [["delete", f"{WEB}/+/deploy/production"], ["apply", "--all"]],
    "taken-down": [["work", "any"]],
    "environment-deleted": [["delete", "+/environment/staging"], ["apply", "--all"]],
    "environment-left": [["work", "any"]],
    "environment-added": [["set", "-f=json", "+/environment/canary", CANARY], ["apply", "--all"]],
    "environment-checked": [["work", "any"]],
}
"""What is done with ours, by the name of the step."""

LATER = {"environment-deleted", "environment-left", "environment-added", "environment-checked"}
OTHERWISE: dict[str, set[str]] = {
    # What was put up is taken down with the inputs that it had; the original fills them anew.
    f"state {WEB}/@r1/deploy/staging/2": LATER,
    f"state {WEB}/@r1/deploy/staging": LATER,
    # Intents of an environment go with it, and not when its deployments begin to be taken down.
    f"intent {WEB}/@/deploy/staging": {"environment-deleted"},
}
"""Where ours differs on purpose, by ref: the steps after which it does."""


@pytest.fixture
def shop(repo: Repo) -> Repo:
    for file in LIFECYCLE.glob("*.star"):
        (repo.path / file.name).write_bytes(file.read_bytes())
    (repo.path / ".gitignore").write_text(".store\n")
    repo.git("add", ".")
    repo.git("commit", "-q", "-m", "first")
    repo.git("remote", "add", "origin", "https://example.com/shop.git")
    (repo.path / ".store").mkdir()
    repo.ocuroot("init", "-q", "--dialect=3")
    return repo


def objects(top: Path, commit: str) -> Iterator[tuple[str, Any]]:
    """The documents and links of both stores, by side and stored ref, without what is new each time."""
    for side in ("state", "intent"):
        refs = top / side / "refs"
        for file in refs.rglob("@object.json"):
            content = json.loads(file.read_text(encoding="utf-8").replace(commit, "COMMIT"))
            ref = str(file.parent.relative_to(refs)).replace(commit, "COMMIT")
            if content["kind"] == "link":
                yield f"{side} {ref}", {"link": content["body"]}
            elif content["body"] is not None or not ref.endswith("/logs"):  # ours writes no log where nothing was said
                body = without_times(content["body"])
                if ref.endswith("repo.ocu.star/@COMMIT"):
                    body["source"] = "SOURCE"
                links = {"links": content["links"]} if content.get("links") else {}
                yield f"{side} {ref}", {"body": body, **links}


def without_times(value: Any, key: str = "") -> Any:
    """A document without times, without what ours adds, and with logs as the original keeps them."""
    if isinstance(value, dict):
        ours = ("cause", "ended_by", "history")
        return {name: without_times(one, name) for name, one in value.items() if name not in ours}
    if isinstance(value, list):
        entries = [without_times(one) for one in value]
        own = [one for one in entries if isinstance(one, dict) and str(one.get("message")).startswith("[git-ocuroot: ")]
        return [one for one in entries if one not in own]
    if key == "stream":
        return 0  # the original does not tell them apart
    return "TIME" if key in ("time", "timestamp") else value


def as_ours_keeps_them(expected: dict[str, Any]) -> dict[str, Any]:
    """The documents that the original left: no empty logs, and no links that it had taken away and forgot to strike."""
    found = {ref: value for ref, value in expected.items() if value not in (None, {"body": None})}
    for ref, value in found.items():
        side = ref.partition(" ")[0]
        links = [link for link in value.get("links", []) if "link" in found.get(f"{side} {link}", {})]
        if "body" in value:
            found[ref] = {"body": value["body"], **({"links": links} if links else {})}
    return found


def test_each_step_leaves_what_the_original_leaves(shop: Repo) -> None:
    expected: dict[str, Any] = {}
    changes = json.loads((LIFECYCLE / "steps.json").read_text(encoding="utf-8"))
    assert changes.keys() == STEPS.keys()
    commit = shop.git("rev-parse", "HEAD")
    for step, commands in STEPS.items():
        for command in commands:
            done = shop.run(*command)
            assert done.returncode == (step == "failed" and command == ["work", "any"]), (command, done.stderr)
        expected.update(changes[step])
        written = dict(objects(shop.path / ".store", commit))
        wanted = as_ours_keeps_them(expected)
        different = {ref for ref in written.keys() | wanted.keys() if written.get(ref) != wanted.get(ref)}
        allowed = {ref for ref, steps in OTHERWISE.items() if step in steps}
        for ref in sorted(different - allowed):
            assert written.get(ref) == wanted.get(ref), (step, ref)
    assert shop.run("fsck").returncode == 0
    assert shop.ocuroot("diff") == ""
