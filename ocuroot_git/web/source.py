"""Commits of the source that releases were made of: where their host shows them, and what is known of them here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import Error
from ..formats.refs import Ref, RefError
from ..formats.times import format_seconds
from ..git.objects import Oid, is_whole_id

if TYPE_CHECKING:
    from .facts import Facts

_HOST = re.compile(r"[a-z0-9.-]+\.[a-z]+", re.ASCII)
_PATHS = {"gitlab": "-/commit", "bitbucket": "commits"}
_PATHS |= dict.fromkeys(
    ("github", "codeberg", "gitea", "forgejo", "git.sr.ht", "dev.azure.com", "visualstudio.com"), "commit"
)
"""How kinds of hosts address commits, by a word in the host's name."""
_AZURE = re.compile(r"(?:ssh\.dev\.azure\.com|vs-ssh\.visualstudio\.com)/v3/([^/]+)/([^/]+)/([^/]+)")
"""What Azure calls a repository that is fetched by ssh: organization, project and repository."""


def address_of_commit(repository: str, commit: str) -> str:
    """The page of a commit at the host that a repository's name begins with; empty where that is of no known kind."""
    host, _, path = _AZURE.sub(r"dev.azure.com/\1/\2/_git/\3", repository).partition("/")
    kind = next((kind for kind in _PATHS if kind in host), None)
    if kind is None or not is_whole_id(commit) or _HOST.fullmatch(host) is None or not path.isprintable():
        return ""
    return f"https://{host}/{path}/{_PATHS[kind]}/{commit}"


def source_commit(facts: Facts, package: str, commit: str) -> dict[str, Any] | None:
    """A commit of the source: its id, the address of its page, and who made it, when, and why, as far as that is known.

    None where a release names no commit. The commit is looked for in the repository one is in, whatever its name is: an
    id means the same everywhere.
    """
    if not commit:
        return None
    try:
        address = address_of_commit(Ref.parse(package).repo, commit)
    except RefError:
        address = ""
    known = {"commit": commit, "address": address, "author": None, "time": None, "subject": None}
    repository = facts.snapshot.surroundings.code
    if not is_whole_id(commit):
        return known
    facts.note_source(commit)
    if repository is None:
        return known
    try:
        if not repository.has(Oid(commit)):
            return known
        found = repository.commit(Oid(commit))
    except Error:
        return known
    subject = found.message.partition("\n")[0]
    return {**known, "author": found.author.name, "time": format_seconds(found.author.time), "subject": subject}
