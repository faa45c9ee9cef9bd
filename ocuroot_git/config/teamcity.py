"""Who started a build of TeamCity. It tells commands so by no variable, but by the files of the build's parameters."""

from __future__ import annotations

import re

from ..formats.ci_systems import system_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_LARGEST_FILE: Final = 1 << 22
_ESCAPED: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))")


def starter_of_build(environ: Mapping[str, str]) -> str | None:
    """The user who started the build of TeamCity that an environment is of, as `teamcity:ann`.

    None for another environment, for a build that no user started, and where its files cannot be read, as in a
    container without them.
    """
    system = system_of(environ)
    if system is None or system.name != "TeamCity":
        return None
    # The first file has the system properties, one of which names that of the configuration parameters.
    file = _property(environ.get("TEAMCITY_BUILD_PROPERTIES_FILE", ""), "teamcity.configuration.properties.file")
    name = _property(file, "teamcity.build.triggeredBy.username")
    return f"{system.prefix}:{name}" if name else None


def _property(file: str, key: str) -> str:
    """The value of a key in a file as Java writes properties; empty for none, and where the file cannot be read."""
    try:
        with open(file, encoding="latin-1") as lines:
            text = lines.read(_LARGEST_FILE)
    except (OSError, ValueError):
        return ""
    found = re.search(rf"^{re.escape(key)}=(.*)$", text, re.M)
    return "" if found is None else _ESCAPED.sub(_unescaped, found[1]).strip()


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]
