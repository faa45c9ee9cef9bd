"""What the tests of `watch` share: its events as a command, and the same told by a naive replay of the history."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .repositories import Repo

ZEROS = "0" * 40
Events = list[dict[str, Any]]


def events(text: str) -> Events:
    return [json.loads(line) for line in text.splitlines()]


def watch_once(repo: Repo, *arguments: str, **options: Any) -> Events:
    """The events that `watch --once` prints, which must end well."""
    return events(repo.ocuroot("watch", "--once", *arguments, **options))


def brief(found: Events) -> list[tuple[str, str]]:
    """What became of which ref."""
    return [(event["change"], event["ref"]) for event in found]


def replay(repo: Repo, branch: str = "state", since: str = "") -> Events:
    """The events of a branch of dialect 1, found by comparing the whole trees of one commit after another.

    In each commit they are in no order.
    """
    found: Events = []
    span = f"{since}..{branch}" if since else branch
    before = objects(repo, since) if since else {}
    for commit in repo.git("rev-list", "--first-parent", "--reverse", span).split():
        after = objects(repo, commit)
        for ref in sorted(before.keys() | after.keys()):
            old, new = before.get(ref), after.get(ref)
            if old == new:
                continue
            if new is None:
                change = "unlinked" if old and old[0] == "link" else "deleted"
            elif new[0] == "link":
                change = "linked"
            else:
                change = "updated" if old and old[0] == "ref" else "created"
            body = {"old": old and old[1], "new": new and new[1]}
            found.append({"id": f"{commit}:{ref}", "commit": commit, "ref": ref, "change": change, **body})
        before = after
    return found


def objects(repo: Repo, commit: str) -> dict[str, tuple[str, Any]]:
    """The kind and the body of every document and link of a commit."""
    lines = repo.git("ls-tree", "-r", commit, "refs/").splitlines()
    oids = {line.partition("\t")[2]: line.split()[2] for line in lines if line.endswith("/@object.json")}
    asked = "".join(f"{oid}\n" for oid in oids.values()).encode()
    command = ["git", "cat-file", "--batch=%(objectsize)"]
    rest = subprocess.run(command, cwd=repo.path, input=asked, capture_output=True, check=True).stdout
    found = {}
    for path in oids:
        size, _, rest = rest.partition(b"\n")
        content = json.loads(rest[: int(size)])
        rest = rest[int(size) + 1 :]
        found[path[len("refs/") : -len("/@object.json")]] = (content["kind"], content["body"])
    return found


def same_as(found: Events, expected: Events) -> None:
    """Whether events are those expected: commit after commit, in each of them in any order."""
    known = [{key: event[key] for key in ("id", "commit", "ref", "change", "old", "new")} for event in found]
    commits = list(dict.fromkeys(event["commit"] for event in known))
    assert commits == list(dict.fromkeys(event["commit"] for event in expected))
    assert sorted(known, key=_key) == sorted(expected, key=_key)
    assert [event["commit"] for event in known] == sorted((e["commit"] for e in known), key=commits.index)


def _key(event: dict[str, Any]) -> str:
    return str(event["id"])
