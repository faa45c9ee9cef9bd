"""What several commands make of their arguments."""

from __future__ import annotations

import os

from ..errors import Fatal, UsageError
from ..formats.globs import absolute
from ..formats.refs import INTENT, Ref
from ..git.objects import ABSENT, SHORTEST_ID
from .options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Pattern
    from typing import Final

    from ..sync.merge import Choice
    from .context import Context

CHOICES: Final = (
    Option("--ours", help="where both sides changed a document, take the one here"),
    Option("--theirs", help="where both sides changed a document, take the one there"),
)
"""For commands that may replay what was written here on what others wrote."""


def intent_ref(context: Context, text: str) -> Ref:
    """A ref that people may write. Raises Fatal for one of the state store.

    Where the intent store is a tree of its own, in which `@` stands for intents, they may be named so as well.
    """
    ref = Ref.parse(text)
    if not ref.is_intent and ref.marker and context.snapshot().side("intent").layout.spells_intents_as_state:
        ref = ref.replace(marker=INTENT)
    if not ref.is_intent:
        raise Fatal(
            f"'{ref}' is no intent: only refs with '+' are set and deleted by hand",
            hint="intents become state by 'git ocuroot apply'; pipelines write state with 'git ocuroot update --stdin'",
        )
    if ref.is_relative:
        return ref.absolute(context.stores.base)
    if ref.repo or not ref.path:
        return ref
    return context.snapshot().named(str(ref))  # which looks into the store


def path_below(top: str, file: str) -> str:
    """The path from a directory to a file in it, which is given as seen from here. Raises Fatal for one elsewhere."""
    top = os.path.realpath(top)
    here = os.path.realpath(os.path.dirname(file) or ".")
    path = os.path.relpath(os.path.join(here, os.path.basename(file)), top)
    if path.split(os.sep)[0] == "..":
        raise Fatal(f"'{file}' lies outside of '{top}'")
    return path


def package_path(context: Context, text: str) -> str:
    """The path that names a package of this repository.

    `//x`, `./-/x` and a mere `x` say it; `./x`, `../x` and absolute paths are those of a file. Raises Fatal for one
    that lies elsewhere.
    """
    if text.startswith(("//", "./-/")):
        return "//" + text.removeprefix("./-").lstrip("/")
    is_of_file = text.startswith("/") or {".", ".."} & set(text.split("/"))
    return path_below(context.top_directory(), text) if is_of_file else text


def moment_of(context: Context, date: str) -> int:
    """The moment that a date names (`2026-11-20`, `yesterday`, `30d`), in seconds. Raises UsageError for no date."""
    from ..git import moments  # late: it takes regular expressions, and most who ask name no date

    return moments.moment_of(date, context.environ)


def checked_oid(oid: str | None) -> str | None:
    """An id as `--if-match` takes it: whole, its first digits, or `absent`. Raises UsageError."""
    if oid == "absent":
        return ABSENT
    if oid is not None and (not SHORTEST_ID <= len(oid) <= 40 or set(oid.lower()) - set("0123456789abcdef")):
        raise UsageError(
            f"'{oid}' is no id: give at least {SHORTEST_ID} of its hexadecimal digits, "
            "as 'git ocuroot match --json' prints them"
        )
    return oid


def absolute_glob(context: Context, glob: str) -> str:
    """A pattern as it is matched: `//…` and `./-/…` begin with this repository's name."""
    return absolute(glob, context.stores.base.repo) if glob.startswith(("//", "./-/")) else glob


def pattern_of(option: str, text: str) -> Pattern[str]:
    """A regular expression that an option takes. Raises UsageError."""
    import re

    try:
        return re.compile(text)
    except re.error as problem:
        raise UsageError(f"{option} takes a pattern, not '{text}': {problem}") from None


def need_history(context: Context) -> None:
    """Let remote stores fetch the commits before those that are here."""
    from ..backends.remote import Remote
    from ..formats.layout import SIDES

    for side in SIDES:
        backend, _ = context.stores.backend(side)
        if isinstance(backend, Remote):
            backend.need_history()


def choice_of(*, ours: bool, theirs: bool) -> Choice:
    """Whose document is taken where both sides changed one. Raises UsageError where both are."""
    if ours and theirs:
        raise UsageError("--ours and --theirs exclude each other")
    return "ours" if ours else "theirs" if theirs else None
