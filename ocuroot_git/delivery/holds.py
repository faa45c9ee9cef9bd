"""Holds: releases that are not deployed until they are let go (design 13). Reads only; `holding` makes them.

A hold is a custom document of a release, `P/+3/custom/hold` in intent and `P/@3/custom/hold` in state: either counts.
Whoever starts a deployment asks for it in the transaction of the start (`runs.start`), so that after the commit of a
hold in the state store nothing of the release starts. That there is a document is what counts: one that cannot be read
holds as well.
"""

from __future__ import annotations

from ..backends.base import node_at
from ..formats.layout import REFS
from ..formats.refs import INTENT, STATE, Ref
from .addresses import package_of
from .compare import state_ref
from .fields import Record
from .problems import BAD
from .queries import is_there, newest_release, require_absence, state_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..formats.documents import Document
    from ..git.objects import Node
    from ..store.snapshot import Snapshot
    from .fields import Fields
    from .problems import Problems

HOLD: Final = "hold"
"""The name of the custom document by which a release is held."""


class Hold(Record):
    """That a release (a ref) is held: why, by whom and since when (RFC 3339), empty where the document does not say."""

    __slots__ = ("by", "reason", "release", "time")

    def __init__(self, release: str, reason: str = "", by: str = "", time: str = "") -> None:
        self.release = release
        self.reason = reason
        self.by = by
        self.time = time

    @classmethod
    def read(cls, value: Document, release: str) -> Hold:
        """What the document of a hold says. What a person or another program wrote may be of any shape."""
        fields = value if isinstance(value, dict) else {"reason": value}
        reason, by, time = (fields.get(name) for name in ("reason", "by", "time"))
        return cls(release, *(text if isinstance(text, str) else "" for text in (reason, by, time)))

    def to_document(self) -> Fields:
        return {"reason": self.reason, "by": self.by, "time": self.time}

    @property
    def by_whom(self) -> str:
        """By whom it is held, in one line."""
        return " ".join(f"held by {self.by.removeprefix('local:')}".split()) if self.by else "held"

    @property
    def words(self) -> str:
        """By whom it is held, and why, in one line."""
        return " ".join(f"{self.by_whom}: {self.reason}".split()) if self.reason else self.by_whom


def state_of(release: str) -> Ref:
    """The ref at which state says that a release is held."""
    return Ref.parse(release).replace(type="custom", name=HOLD)


def intent_of(release: str) -> Ref:
    """The ref at which intent says so."""
    return state_of(release).replace(marker=INTENT)


def hold_on(snapshot: Snapshot, release: str, *, only_state: bool = False) -> Hold | None:
    """The hold on a numbered release; None where there is none. Raises what is `BAD` where damage may hide one.

    With `only_state` what intent says is not looked at.
    """
    for ref in (state_of(release),) if only_state else _places(snapshot, release):
        tree = snapshot.tree(ref)
        if any(is_there(tree, stored) for stored in tree.layout.spellings(ref)):
            return _read(snapshot, ref, release)
        require_absence(snapshot, ref)
    return None


def may_be_held(snapshot: Snapshot, release: str, *, only_state: bool = False, root: Node | None = None) -> bool:
    """Whether there is something where a hold on a release may lie, by the names alone: of few releases there is, and
    to look at what it is takes ten times as long.

    `root` is the tree of an earlier commit of state's branch, to be looked at instead.
    """
    for ref in may_lie_at(snapshot, release, only_state=only_state):
        tree = snapshot.tree(ref)
        directory = snapshot.backend_of(tree)[1]
        for path in (f"{REFS}/{stored}" for stored in tree.layout.spellings(ref)):
            node = tree.node(path) if root is None else node_at(tree.files, root, directory + path)
            if node is not None:
                return True
    return False


def may_lie_at(snapshot: Snapshot, release: str, *, only_state: bool = False) -> list[Ref]:
    """Where a document may be by which a release is held, if it is the newest one of its package too."""
    places = [state_of(release)]
    if not only_state and snapshot.has_intent():
        places += [intent_of(release), intent_of(release).replace(release="")]
    return places


def _places(snapshot: Snapshot, release: str) -> Iterator[Ref]:
    """Where a document may be by which a release is held."""
    yield state_of(release)
    if not snapshot.has_intent():
        return
    yield intent_of(release)
    is_of_newest = not state_tree(snapshot).layout.is_of_package("custom")
    if is_of_newest and newest_release(snapshot, package_of(release)) == release:
        yield intent_of(release).replace(release="")


def _read(snapshot: Snapshot, ref: Ref, release: str) -> Hold:
    try:
        return Hold.read(snapshot.get(ref), release)
    except BAD:
        return Hold(release, f"'{ref}' cannot be read")


def all_holds(snapshot: Snapshot, problems: Problems) -> list[Hold]:
    """The releases that are held, by their refs."""
    found: dict[str, Hold] = {}
    refs: list[str] = [*snapshot.match(f"**/{STATE}*/custom/{HOLD}", side="state")]
    if snapshot.has_intent():
        refs += snapshot.match(f"**/{INTENT}*/custom/{HOLD}", side="intent")
    for text in refs:
        with problems.leave_out(text):
            release = str(Ref.parse(state_ref(snapshot, Ref.parse(text))).replace(type="", name=""))
            if release not in found and snapshot.exists(release) and _is_numbered(snapshot, release):
                hold = hold_on(snapshot, release)
                if hold is not None:
                    found[release] = hold
    return [found[release] for release in sorted(found)]


def _is_numbered(snapshot: Snapshot, release: str) -> bool:
    return state_tree(snapshot).layout.release_number(release.rpartition("/")[2]) is not None
