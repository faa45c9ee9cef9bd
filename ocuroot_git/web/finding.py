"""What plain words find: packages, environments, tags, commits of the source and of the store, and who made them.

A query with a wildcard in it is a pattern of refs, as `match` takes it; every other is words as well, all of which must
stand in what is found, in any case and order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..errors import Error
from ..formats.refs import STATE
from . import addresses
from .changes import commit_of_id, describe
from .environments import environment_names
from .masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Facts

Group = dict[str, Any]

MOST = 20
"""Of each kind, as many are shown."""
_COMMITS_LOOKED_AT = 2000
_RELEASES_LOOKED_AT = 50
_WILDCARDS = frozenset("*?[{")
_ID = re.compile("[0-9a-f]{4,40}", re.ASCII)


def found_by_words(facts: Facts, query: str) -> list[Group] | None:
    """What the words of a query find, if that is known by now; nothing for a pattern."""
    if not query.strip() or set(query) & _WILDCARDS:
        return []
    return facts.later(f"words {query}", lambda others: find(others, query))


def find(facts: Facts, query: str) -> list[Group]:
    """What words find, by kind: `name`, and `items` with `text`, `detail` and `address`, the first of each kind."""
    words = query.casefold().split()
    groups = (
        ("Packages", _packages(facts, words)),
        ("Environments", _environments(facts, words)),
        ("Releases by tag or commit", _releases(facts, words)),
        ("Commits of the store", _commits(facts, words)),
    )
    found = []
    for name, items in groups:
        first = [item for item, _ in zip(items, range(MOST))]
        if first:
            found.append({"name": name, "items": first})
    return found


def _holds(text: str, words: list[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)


def _item(text: str, address: str, detail: str = "") -> Group:
    return {"text": text, "detail": detail, "address": address}


def _packages(facts: Facts, words: list[str]) -> Iterator[Group]:
    return (_item(name, addresses.of_ref(name)) for name in facts.package_names() if _holds(name, words))


def _environments(facts: Facts, words: list[str]) -> Iterator[Group]:
    for name in environment_names(facts):
        attributes = masked(lenient.fields(lenient.fields(facts.body(f"{STATE}/environment/{name}")).get("attributes")))
        detail = " ".join(f"{key}={value}" for key, value in attributes.items())
        if _holds(f"{name} {detail}", words):
            yield _item(name, addresses.of_ref(f"{STATE}/environment/{name}"), detail)


def _releases(facts: Facts, words: list[str]) -> Iterator[Group]:
    """Releases by the tags of any, and by the source commits of the newest, of each package."""
    segment = facts.state.layout.release_segment
    is_id = len(words) == 1 and _ID.fullmatch(words[0]) is not None
    for name, package in facts.packages().items():
        for tag in facts.names(facts.state, name):
            text = tag.removeprefix(STATE)
            if tag[:1] == STATE and text and facts.state.layout.release_number(tag) is None and _holds(text, words):
                yield _item(f"{name}/{tag}", addresses.of_ref(f"{name}/{tag}"), "tag")
        for number in package.numbers[-_RELEASES_LOOKED_AT:][::-1] if is_id else ():
            release = f"{name}/{segment(number)}"
            for commit in facts.names(facts.state, f"{release}/commit"):
                if commit.startswith(words[0]):
                    yield _item(release, addresses.of_ref(release), f"of commit {commit[:10]}")


def _commits(facts: Facts, words: list[str]) -> Iterator[Group]:
    """A commit by the beginning of its id; and the newest by their subjects, authors and actors."""
    backend, _ = facts.snapshot.backend_of(facts.state)
    repository, oid = backend.repository, facts.snapshot.version(backend).oid
    if repository is None or oid is None:
        return
    named = commit_of_id(backend, words[0]) if len(words) == 1 and _ID.fullmatch(words[0]) else None
    for number in range(_COMMITS_LOOKED_AT + (named is not None)):
        try:
            commit = repository.commit(named if named is not None and not number else oid)
        except Error:
            return  # a shallow clone ends here
        told = masked(describe(commit))
        told_of = f"{told['subject']} {told['author']} {told['email']} {told['actor'] or ''}"
        if (named is not None and not number) or _holds(told_of, words):
            yield _item(told["subject"], addresses.of_commit(commit.oid), f"{told['who']} · {commit.oid[:10]}")
        if named is None or number:
            if not commit.parents:
                return
            oid = commit.parents[0]
