"""Git's configuration as git itself reads it, from one call of `git config`."""

from __future__ import annotations

import os

from ..errors import Fatal
from ..formats.urls import rewritten
from ..redaction import learn
from .program import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .program import Child

_TRUE: Final = ("true", "yes", "on")
_OWN_SCOPES: Final = ("system", "global", "command")
"""The scopes of configuration that belong to the user, and not to the repository."""
_SYNCED: Final = {
    **dict.fromkeys(("loose-object", "objects"), ("loose-object",)),
    "reference": ("reference",),
    **dict.fromkeys(("committed", "added", "all"), ("loose-object", "reference")),
}
"""The components of `core.fsync` that hold what we write ourselves; packs are written by git, which obeys by itself."""


def start_config(directory: str, environ: Mapping[str, str]) -> Child:
    """Start the one call of `git config` whose answer `Config.read` reads."""
    return start(["-C", directory, "config", "--list", "-z", "--show-scope"], environ)


class Config:
    """The configuration as git reads it: `-c`, includes and `GIT_CONFIG_*` included."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, list[tuple[str, str | None]]]) -> None:
        self._values = values

    @classmethod
    def read(cls, child: Child) -> Config:
        """Collect what `start_config` started. Raises GitError where git cannot read a file."""
        return cls.parse(child.output())

    @classmethod
    def parse(cls, listing: bytes) -> Config:
        """Read the output of `git config --list -z --show-scope`: pairs of a scope and `key LF value`."""
        fields = os.fsdecode(listing).split("\0")
        values: dict[str, list[tuple[str, str | None]]] = {}
        for scope, entry in zip(fields[::2], fields[1::2]):
            key, newline, value = entry.partition("\n")
            learn(key)  # the base of `url.<base>.insteadOf` may hold a token
            learn(value)
            values.setdefault(_fold(key), []).append((scope, value if newline else None))
        return cls(values)

    def get(self, key: str) -> str | None:
        """The last value of a key (`ocuroot.state.branch`; the case of the middle part counts), or None."""
        found = self._values.get(_fold(key))
        return (found[-1][1] or "") if found else None

    def values(self, key: str, *, own: bool = False) -> list[str]:
        """All values of a key, in git's order; `own`: where the repository's own configuration does not count."""
        return [value or "" for scope, value in self._values.get(_fold(key), ()) if not own or scope in _OWN_SCOPES]

    def remote_url(self, name: str) -> str | None:
        """The URL from which git fetches for a remote, as it is configured: the first, where there are several."""
        found: list[str] = []
        for value in self.values(f"remote.{name}.url"):
            found = [*found, value] if value else []  # an empty one takes back those before it
        return found[0] if found else None

    def rewritten(self, url: str) -> str:
        """A URL after the user's `url.<base>.insteadOf`."""
        keys = [key for key in self.keys("url") if key.endswith(".insteadof")]
        rules = [(prefix, key[4:].removesuffix(".insteadof")) for key in keys for prefix in self.values(key)]
        return rewritten(url, rules)

    def stored(self, key: str) -> list[str]:
        """All values of a key that stand in files, in git's order: what `-c` and the environment say is left out.

        A key without a value is true, which an empty one is not.
        """
        return [
            "true" if value is None else value
            for scope, value in self._values.get(_fold(key), ())
            if scope != "command"
        ]

    def get_bool(self, key: str, *, own: bool = False) -> bool:
        """Whether a key is set and true; `own`: where the repository's own configuration does not count."""
        found = [value for scope, value in self._values.get(_fold(key), ()) if not own or scope in _OWN_SCOPES]
        return bool(found) and _is_true(key, found[-1])

    def synced(self) -> frozenset[str]:
        """What git would see on the disk before it goes on: of `loose-object` and `reference`, the ones we write.

        `core.fsync`, read as git reads it: the last value alone counts, a name may be cut short, what is taken out
        gives way to what is named, and by default it is neither. `core.fsyncObjectFiles` still means loose objects.
        """
        names = (self.get("core.fsync") or "").replace("\t", " ").replace(",", " ").split()
        found = {
            part
            for name in names
            for component, parts in _SYNCED.items()
            if component.startswith(name)
            for part in parts
        }
        if self.get_bool("core.fsyncObjectFiles"):
            found.add("loose-object")
        return frozenset(found)

    def entries(self) -> list[tuple[str, str, str | None]]:
        """All there is: key, scope and value of each."""
        return [(key, scope, value) for key, found in self._values.items() for scope, value in found]

    def all_keys(self) -> list[str]:
        """Every key that is set."""
        return list(self._values)

    def keys(self, section: str) -> list[str]:
        """The keys that begin with `section` and a dot, as git lists them."""
        return [key for key in self._values if key.startswith(section + ".")]


def _is_true(key: str, value: str | None) -> bool:
    if value is None or value.lower() in _TRUE:
        return True
    if value.lower() in ("", "false", "no", "off"):
        return False
    try:
        return int(value) != 0
    except ValueError:
        raise Fatal(f"bad boolean config value '{value}' for '{key}'") from None


def _fold(key: str) -> str:
    """A key as git compares it: the first and last part without regard to case."""
    first, dot, rest = key.partition(".")
    middle, last_dot, last = rest.rpartition(".")
    return first.lower() + dot + middle + last_dot + last.lower()
