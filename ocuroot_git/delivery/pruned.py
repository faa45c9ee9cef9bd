"""Releases that were pruned: the record that each package keeps of them, and where they went (design 7).

It is the document `repo/-/path/@pruned`, in state alone. What it says counts only where the release is not there: one
that was made again by hand is a release like any other.
"""

from __future__ import annotations

from ..errors import Error, NotFound
from ..formats.layout import object_path
from ..formats.pruned import PrunedRecord, RecordError
from ..formats.refs import STATE, Ref, number_in
from .problems import BadDocument
from .vocabulary import PRUNED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.layout import Layout
    from ..formats.pruned import Pruned
    from ..store.snapshot import Snapshot

    Records = dict[str, PrunedRecord | None]


def record_ref(package: str) -> str:
    """Where the record of a package lies."""
    return f"{package}/{STATE}{PRUNED}"


def record_of(snapshot: Snapshot, package: str) -> PrunedRecord | None:
    """What was pruned of a package; None where nothing was. Raises BadDocument.

    A link of that name is a tag, made before there were records.
    """
    ref = record_ref(package)
    found = snapshot.object(ref)
    if found is None or found.kind == "link":
        return None
    try:
        return PrunedRecord.read(found.body)
    except RecordError as error:
        raise BadDocument(ref, error.message) from None


def entry_of(snapshot: Snapshot, ref: Ref, records: Records | None = None) -> Pruned | None:
    """The entry of the pruned release that a ref of state or intent is in; None for any other. Raises BadDocument.

    Who asks for many refs of one moment keeps the `records` by package: they can be large.
    """
    tree = snapshot.tree(Ref(marker=STATE))
    number = number_of(ref, tree.layout)
    if number is None or not ref.repo:
        return None
    package = str(ref.replace(marker="", release="", type="", name="", fragment=""))
    if tree.file(object_path(tree.layout.release(package, number))) is not None:
        return None
    records = {} if records is None else records
    if package not in records:
        records[package] = record_of(snapshot, package)
    record = records[package]
    return record.find(number) if record is not None else None


def number_of(ref: Ref, layout: Layout) -> int | None:
    """The number of the release that a ref is in, be it spelled as the store does or by digits alone; else None."""
    digits = ref.release
    number = number_in(digits)
    if number is None:
        number = layout.release_number(f"{STATE}{digits}")
    return number if number is not None and number < 10**9 else None


def was_pruned(snapshot: Snapshot, ref: Ref) -> NotFound | None:
    """The error for a ref below a release that was pruned, which says where it went; None for any other ref."""
    try:
        entry = entry_of(snapshot, ref)
        return None if entry is None else NotFound(f"'{ref}' was pruned", hint=_where(snapshot, ref, entry))
    except Error:
        return None  # where it went cannot be told; that it is not there can


def _where(snapshot: Snapshot, ref: Ref, entry: Pruned) -> str:
    """The next step for whoever asked for what was pruned."""
    backend, _ = snapshot.surroundings.backend("intent" if ref.is_intent else "state")
    commit = entry.of(ref.is_intent)
    if backend.repository is not None and not backend.files.is_partial:
        try:
            backend.repository.resolve(commit)
        except NotFound:
            return (
                f"it is in commit {commit}, which is not here: 'git fetch --unshallow' gets the history of a shallow "
                f"clone, 'git ocuroot log {ref.without_fragment()}' finds it in one that was replayed"
            )
    return f"git ocuroot get --at {commit[:12]} {ref}"
