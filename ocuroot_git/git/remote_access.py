"""What a remote store is, and how git is told to reach it from a repository of the tool's own (design 4.3, 8.1).

The user's credentials, proxies and the like are configured for the user's repository, which git does not see when it
works in another one: `carried` is what has to be passed on. What must not be: see `environment`.
"""

from __future__ import annotations

import os

from ..redaction import learn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .config import Config

REMOTE: Final = "store"
"""What the remote is called in the tool's own repository. Its URL is passed in, and written nowhere."""
OUTBOX: Final = "refs/ocuroot/outbox/"
"""Where changes to a branch wait for another writer, at the remote (design 8.10)."""
_CARRIED: Final = (
    "http.",
    "credential.",
    "url.",
    "ssh.",
    "protocol.",
    "core.sshcommand",
    "core.askpass",
    "core.gitproxy",
)
"""The configuration that decides how git reaches a remote: it holds for the tool's own repository too."""
_CARRIED_OF_REMOTE: Final = ("pushurl", "proxy", "proxyauthmethod", "uploadpack", "receivepack", "vcs")
_RESET_BY_EMPTY: Final = ("helper", "extraheader", "curloptresolve", "proxyauthmethod")


class RemoteLocation:
    """What a remote store is: its URL, the remote's name in the user's configuration if it has one, and its branch.

    `may_create` and `support_files` are for making the branch: whether, and with which files at its top.
    `is_trusted` says whether the user chose the URL; one that a file of the work tree names is not (`trust.py`).
    """

    __slots__ = ("branch", "is_trusted", "may_create", "name", "support_files", "url")

    def __init__(
        self,
        url: str,
        branch: str,
        *,
        name: str | None = None,
        may_create: bool = True,
        support_files: Mapping[str, str],
        is_trusted: bool = True,
    ) -> None:
        learn(url)
        self.url = url
        self.branch = branch
        self.name = name
        self.may_create = may_create
        self.support_files = support_files
        self.is_trusted = is_trusted

    def directory(self) -> str:
        """The name of the tool's own repository for this URL: readable, and never two URLs the same."""
        from hashlib import sha1

        from ..redaction import without_secrets

        bare = without_secrets(self.url)  # a new token is no new remote
        last = bare.partition("?")[0].rstrip("/").rpartition("/")[2]
        readable = "".join(c if c.isalnum() or c in "-_." else "-" for c in last)
        return f"{readable.removesuffix('.git').lstrip('.-')[:40]}-{sha1(os.fsencode(bare)).hexdigest()[:10]}.git"


def carried(location: RemoteLocation, config: Config, own: Config) -> list[tuple[str, str]]:
    """The configuration of the user's repository that the tool's own (`own`) does not see by itself, as (key, value).

    So credentials reach git whichever way they are configured there: in the repository's own file, or in one
    that is included for this repository only.
    """
    values = [(f"remote.{REMOTE}.url", location.url)]
    for key in config.all_keys():
        if not key.startswith(_CARRIED):
            continue
        wanted, present = config.stored(key), own.stored(key)
        if wanted[: len(present)] == present:
            missing = wanted[len(present) :]
        else:
            missing = ["", *wanted] if key.endswith(_RESET_BY_EMPTY) else wanted
        values += [(key, value) for value in missing]
    for name in _CARRIED_OF_REMOTE if location.name else ():
        found = config.get(f"remote.{location.name}.{name}")
        if found:
            values.append((f"remote.{REMOTE}.{name}", found))
    return values
