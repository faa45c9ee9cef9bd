"""The document in which Ocuroot keeps the `repo.ocu.star` of a repository: its text in base 64, under `source`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .documents import Document


def source_of(document: Document) -> str | None:
    """The text that a document keeps; None where it names none. Raises ValueError where that is no text in base 64."""
    import base64

    source = document.get("source") if isinstance(document, dict) else None
    if source is None:
        return None
    if not isinstance(source, str):
        raise ValueError("the source is no string")
    return base64.b64decode(source, validate=True).decode()
