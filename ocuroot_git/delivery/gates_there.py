"""Whether there are gates at all in a commit of the state store (design 13): what is asked of every commit."""

from __future__ import annotations

from ..backends.base import node_at
from ..formats.layout import REFS
from ..formats.refs import INTENT, STATE
from .addresses import gate_ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..backends.base import Files, Node


class GatesThere:
    """Looks for gates in trees of a repository, in which the state store lies at a directory (`state/`, or empty)."""

    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._directory = directory
        self._known: dict[tuple[str, ...], bool] = {}

    def are_in(self, root: Node) -> bool:
        """Whether there are gates, or intents for some, in the tree of a commit."""
        files = self._files
        heads = [node_at(files, root, f"{self._directory}{REFS}/{marker}") for marker in (STATE, INTENT)]
        key = tuple("" if head is None else str(head.id) for head in heads)
        if key not in self._known:
            paths = [gate_ref(marker).removeprefix(f"{marker}/") for marker in (STATE, INTENT)]
            self._known[key] = any(
                head is not None and files.is_tree(head) and node_at(files, head, path) is not None
                for head, path in zip(heads, paths, strict=True)
            )
        return self._known[key]
