"""What the search of a site looks through: a script that a page can load from a disk as well (design 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delivery import lenient
from ..formats.documents import dump, to_bytes
from ..formats.layout import Damaged, StoredRef
from ..formats.refs import STATE
from . import addresses
from .changes import describe
from .environments import environment_names
from .masking import masked
from .releases import tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .facts import Facts
    from .site_plan import Plan

INDEX = "search-index.js"
_GROUPS = ("Packages", "Environments", "Releases", "Commits of the store")
_PACKAGE, _ENVIRONMENT, _RELEASE, _COMMIT = range(len(_GROUPS))

Entry = tuple[int, str, str, str]


def index(facts: Facts, plan: Plan, releases: Mapping[str, set[int]]) -> bytes:
    """The script: for each entry the number of its group, its text, what is said of it, and its file in the site.

    `releases` are those that have pages, by package.
    """
    entries = [
        *_packages(plan, releases),
        *_environments(facts, plan),
        *_releases(facts, plan, releases),
        *_commits(facts, plan),
    ]
    lines = ",\n".join(dump([number, masked(text), masked(said), file], None) for number, text, said, file in entries)
    return to_bytes(f'window.ocurootIndex = {{"groups": {dump(list(_GROUPS), None)}, "entries": [\n{lines}\n]}};\n')


def _packages(plan: Plan, packages: Mapping[str, set[int]]) -> Iterator[Entry]:
    for name in packages:
        if addresses.is_addressable(name):
            yield _PACKAGE, name, "", plan.file_of(addresses.of_ref(name))


def _environments(facts: Facts, plan: Plan) -> Iterator[Entry]:
    for name in environment_names(facts):
        ref = f"{STATE}/environment/{name}"
        attributes = lenient.fields(lenient.fields(facts.body(ref)).get("attributes"))
        yield (
            _ENVIRONMENT,
            name,
            " ".join(f"{key}={value}" for key, value in attributes.items()),
            plan.file_of(addresses.of_ref(ref)),
        )


def _releases(facts: Facts, plan: Plan, releases: Mapping[str, set[int]]) -> Iterator[Entry]:
    for name, numbers in releases.items():
        for number in sorted(numbers, reverse=True):
            ref = facts.state.layout.release(name, number)
            file = plan.file_of(addresses.of_ref(ref)) if addresses.is_addressable(ref) else ""
            if file:
                yield _RELEASE, ref, " ".join([*_tags(facts, ref), *facts.names(facts.state, f"{ref}/commit")]), file


def _tags(facts: Facts, ref: StoredRef) -> list[str]:
    try:
        return tags(ref, facts.state.object(ref))
    except Damaged:
        return []


def _commits(facts: Facts, plan: Plan) -> Iterator[Entry]:
    repository = facts.snapshot.backend_of(facts.state)[0].repository
    for oid in plan.commits if repository is not None else ():
        assert repository is not None
        told = describe(repository.commit(oid))
        yield _COMMIT, told["subject"], f"{told['who']} {oid[:10]}", plan.file_of(addresses.of_commit(oid))
