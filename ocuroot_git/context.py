"""What every command is given: the stores, the terminal, and the environment it was started in."""

from __future__ import annotations

from .errors import Error, Fatal
from .store import Stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .options import Parsed
    from .snapshot import Snapshot
    from .terminal import Terminal


class Context:
    """The stores are opened when they are first asked for, so that `parse` needs none."""

    def __init__(self, options: Parsed, terminal: Terminal, environ: Mapping[str, str]) -> None:
        self.options = options
        self.terminal = terminal
        self.environ = environ
        self._stores: Stores | None = None

    @property
    def stores(self) -> Stores:
        """The stores of the repository in the current directory. Raises RepositoryError."""
        if self._stores is None:
            from .config import open_stores

            self._stores = open_stores(
                ".", environ=self.environ, package=self.options.package, release=self.options.release
            )
        return self._stores

    @property
    def are_stores_open(self) -> bool:
        """Whether a command has asked for the stores."""
        return self._stores is not None

    def snapshot(self, at: str | None = None) -> Snapshot:
        """Both stores as they are now, or at a revision."""
        return self.stores.snapshot(at)

    def read_value(self, value: str) -> str:
        """A value from the command line; `-` reads it from stdin, which ends with one newline that does not count."""
        if value != "-":
            return value
        try:
            data: bytes = self.terminal.stdin().read()
            return data.removesuffix(b"\n").decode()
        except (OSError, ValueError) as error:
            why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is closed"
            raise Fatal(f"cannot read the value from standard input: {why}") from None


__all__ = ["Context", "Error"]
