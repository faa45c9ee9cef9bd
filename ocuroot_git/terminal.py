"""The one writer to the terminal: results to stdout as bytes, all else to stderr, in git's manner.

Data never goes through rich, which wraps lines, drops `[abc]` as markup and turns `:key:` into a picture. Colour
follows git's rules: `color.ocuroot`, `color.ui`, `NO_COLOR`, and whether stdout is a terminal.
"""

from __future__ import annotations

import os
import sys

from .errors import Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Final

    from .git import Config

_COLOURS: Final = {
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "cyan": "\x1b[36m",
}
_BATCH: Final = 10_000
"""Records that are written at once."""


class Terminal:
    """Where a command writes. `end` is what ends a record: a newline, or NUL under `-z`."""

    def __init__(self, environ: Mapping[str, str], *, quiet: bool = False, verbose: bool = False) -> None:
        self.environ = environ
        self.quiet = quiet
        self.verbose = verbose
        self.end = "\n"
        self._colour: bool | None = None
        self._pager: Any = None

    @property
    def is_interactive(self) -> bool:
        """Whether a person reads stdout."""
        return sys.stdout is not None and sys.stdout.isatty()

    def record(self, text: str) -> None:
        """Print one record of a result. Bytes that came in as no UTF-8 go out as they came."""
        self.write((text + self.end).encode(errors="surrogateescape"))

    def write(self, data: bytes) -> None:
        """Print bytes of a result. Raises Fatal where stdout takes none, BrokenPipeError where its reader has gone."""
        if self._pager is not None:
            self._pager.stdin.write(data)
        elif sys.stdout is None:
            raise Fatal("cannot write to standard output: it is closed")
        else:
            try:
                sys.stdout.buffer.write(data)
            except OSError as error:
                raise _unwritable(error) from None

    def flush(self) -> None:
        """Let the reader have all that was printed so far. Raises as `write` does."""
        if sys.stdout is not None:
            try:
                sys.stdout.flush()
            except OSError as error:
                raise _unwritable(error) from None

    def name(self, ref: str) -> str:
        """A ref as a record of its own: quoted as git quotes paths where it would break the line; not under `-z`."""
        if self.end == "\0" or not any(char < " " or char in '"\\\x7f' for char in ref):
            return ref
        escapes = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
        quoted = (escapes.get(c) or (f"\\{ord(c):03o}" if c < " " or c == "\x7f" else c) for c in ref)
        return '"' + "".join(quoted) + '"'

    def names(self, refs: list[str]) -> None:
        """Print many refs, each as `name` gives it. Few need quotes, so whole batches are asked whether one does."""
        for first in range(0, len(refs), _BATCH):
            batch = refs[first : first + _BATCH]
            text = "".join(batch)
            if not text.isprintable() or '"' in text or "\\" in text:
                batch = [self.name(ref) for ref in batch]
            self.record(self.end.join(batch))

    def remark(self, text: str) -> None:
        """Say something about what was done; not under `--quiet`."""
        if not self.quiet:
            self.complain("", text)

    def detail(self, text: str) -> None:
        """Say something that only `--verbose` asks for."""
        if self.verbose:
            self.complain("", text)

    def warning(self, text: str) -> None:
        """Warn of something that does not stop the command."""
        self.complain("warning: ", text)

    def error(self, prefix: str, message: str, hint: str | None) -> None:
        """Report the error that ends the command: one line, and the next step where there is one."""
        self.complain(prefix, message.replace("\n", " "))
        if hint and self.environ.get("GIT_ADVICE") != "0":
            self.complain("hint: ", hint)

    def complain(self, prefix: str, text: str) -> None:
        """Write a line to stderr, after all that went to stdout."""
        if sys.stderr is None:
            return
        try:
            self.flush()
        except (Fatal, OSError):
            pass  # the command meets it too, or did already
        try:
            line = f"{prefix}{text}\n"
            sys.stderr.buffer.write(line.encode(errors="backslashreplace"))
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody listens

    def colour(self, config: Config | None) -> bool:
        """Whether to colour what goes to stdout; git's configuration is asked once."""
        if self._colour is None:
            self._colour = self._wants_colour(config)
        return self._colour

    def _wants_colour(self, config: Config | None) -> bool:
        for key in ("color.ocuroot", "color.ui"):
            value = (config.get(key) or "").lower() if config is not None else ""
            if value in ("always",):
                return True
            if value in ("never", "false", "no", "off", "0"):
                return False
        if self.environ.get("NO_COLOR") or self.environ.get("TERM", "dumb") == "dumb":
            return False
        return self.is_interactive or self.environ.get("GIT_PAGER_IN_USE") == "true"

    def paint(self, text: str, *styles: str) -> str:
        """Text in a colour, where `colour` said so."""
        if not self._colour or not text:
            return text
        return "".join(_COLOURS[style] for style in styles) + text + "\x1b[m"

    def start_pager(self) -> None:
        """Let a long listing on a terminal go through git's pager, if git says that there is one."""
        if not self.is_interactive or self._pager is not None or self.environ.get("GIT_PAGER_IN_USE"):
            return
        from .git import start_pager

        self._pager = start_pager(self.environ)

    def finish(self) -> None:
        """Flush, and wait for the reader to leave the pager."""
        if self._pager is not None:
            try:
                self._pager.stdin.close()
            except BrokenPipeError:
                pass  # the reader has seen enough
            self._pager.wait()
            self._pager = None
        self.flush()

    def read_records(self) -> Iterator[str]:
        """The records on stdin, one after the other as they come: lines, or between NULs under `-z`.

        Raises Fatal where stdin is closed.
        """
        source = self.stdin()
        if self.end == "\n":
            for line in source:
                yield line.removesuffix(b"\n").decode(errors="surrogateescape")
            return
        waiting = b""
        while piece := source.read1(1 << 16):
            *complete, waiting = (waiting + piece).split(b"\0")
            for record in complete:
                yield record.decode(errors="surrogateescape")
        if waiting:
            yield waiting.decode(errors="surrogateescape")

    def stdin(self) -> Any:
        """The bytes of stdin. Raises Fatal where it is closed."""
        if sys.stdin is None:
            raise Fatal("cannot read from standard input: it is closed")
        return sys.stdin.buffer


def silence_stdout() -> None:
    """Where stdout can take no more: keep the interpreter from finding that out again, and saying so, at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)


def _unwritable(error: OSError) -> Exception:
    """What to raise for an error of stdout: a closed pipe stays what it is, since it ends the program quietly."""
    if isinstance(error, BrokenPipeError):
        return error
    silence_stdout()
    return Fatal(f"cannot write to standard output: {error.strerror}")
