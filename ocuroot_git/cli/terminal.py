"""The one writer to the terminal: results to stdout as bytes, all else to stderr, in git's manner.

Data never goes through rich, which wraps lines, drops `[abc]` as markup and turns `:key:` into a picture. Colour
follows git's rules: `color.ocuroot`, `color.ui`, `NO_COLOR`, and whether stdout is a terminal.

What comes from a store, a remote or a file may hold characters that control a terminal. Here, and nowhere else, they
are made visible: everything on stderr, lines for people, names in listings (quoted as git quotes paths), and JSON on
a terminal (by JSON's own escapes). Records under `-z`, JSON elsewhere and `result` give what there is.
"""

from __future__ import annotations

import os
import sys
import time

from ..errors import Fatal
from ..formats.printable import escaped, is_harmless
from ..redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Final

    from ..git.config import Config
    from .table import Cell, Column

_COLOURS: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_C_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
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
        self.quotes_non_ascii = False
        """Whether names in listings show other characters than ASCII as bytes, as `core.quotePath` may ask for."""
        self.config: Config | None = None
        """Git's configuration, once it is known: `paint` asks it for colours."""
        self._colour: bool | None = None
        self._mark = ""
        self._pager: Any = None

    @property
    def ends_with_nul(self) -> bool:
        """Whether records end with NUL, on stdin and stdout, as `-z` asks for."""
        return self.end == "\0"

    @property
    def is_interactive(self) -> bool:
        """Whether a person reads stdout."""
        return sys.stdout is not None and sys.stdout.isatty()

    def record(self, text: str) -> None:
        """Print one record for people, a line of its own: what controls a terminal is shown escaped, not under `-z`.

        Bytes that came in as no UTF-8 go out as they came under `-z`.
        """
        shown = self.visible(text) if self.end == "\n" else self._plain(text)
        self.write(_encoded(shown + self.end))

    def result(self, text: str) -> None:
        """Print the one result that a script takes over, as it is; to a person, as `record` does."""
        if self.is_interactive:
            self.record(text)
        else:
            self.write(_encoded(text + self.end))

    def json(self, text: str) -> None:
        """Print a JSON text as a record. A person sees escapes in it, which mean the same, instead of controls."""
        from ..formats.documents import to_bytes

        if self.is_interactive and not text.isprintable():
            text = "".join(char if char == "\n" or is_harmless(char) else _json_escape(char) for char in text)
        self.write(to_bytes(text + self.end))

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

    def pass_on(self, stream: int, data: bytes) -> None:
        """Write what a command prints to where this program prints (1 stdout, 2 stderr), byte by byte the same.

        A reader may leave early: the command goes on, whoever listens.
        """
        out = sys.stdout if stream == 1 else sys.stderr
        if out is None:
            return
        try:
            out.buffer.write(data)
            out.buffer.flush()
        except BrokenPipeError:
            if stream == 1:
                silence_stdout()

    def wait(self, seconds: float) -> None:
        """Wait. Raises BrokenPipeError where the reader of stdout leaves meanwhile, or has left."""
        if sys.stdout is None:
            time.sleep(seconds)
            return
        import select

        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # what is told then is only that the other end is gone
        if not poll.poll(seconds * 1000):
            return
        if not self.is_interactive:
            raise BrokenPipeError
        time.sleep(seconds)  # a terminal that hangs up says so by a signal

    def flush(self) -> None:
        """Let the reader have all that was printed so far. Raises as `write` does."""
        if sys.stdout is not None:
            try:
                sys.stdout.flush()
            except OSError as error:
                raise _unwritable(error) from None

    def name(self, ref: str) -> str:
        """A ref in a listing: quoted as git quotes paths where it holds more than plain characters; not under `-z`.

        Unlike git's paths, refs are text and known to be UTF-8, so that letters beyond ASCII are quoted only where
        `core.quotePath` is set to true.
        """
        if self.ends_with_nul or not self._needs_quotes(ref):
            return ref
        return '"' + "".join(map(self._c_quoted, ref)) + '"'

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        """Print rows, each with a cell for each column: a text, or `(text, colour)` as `paint` takes it.

        A person gets a table with titles that is no wider than the terminal: columns that `may_cut` lose the middle of
        their texts, but never so much that two that differ look alike; where that is not enough, each row becomes a
        paragraph. Elsewhere, and under `-z`, a row is a record without titles, all of it, its cells between tabs.
        Cells are shown as they are, escaped: pass refs through `name`, and moments through `time`.

        >>> terminal.table([Column("package", may_cut=True), Column("release")], [["shop/-/web", ("@2", "green")]])
        """
        texts = [cell if isinstance(cell, str) else cell[0] for row in rows for cell in row]
        if self.is_interactive and not self.ends_with_nul:
            from .table import laid_out

            for line in laid_out(columns, rows, self.width, self.paint):
                self.record(line)
            return
        cells = [escaped(text).replace("\t", "\\t") for text in texts]
        for first in range(0, len(cells), len(columns)):
            self.record("\t".join(cells[first : first + len(columns)]))

    def fits(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> bool:
        """Whether `table` prints these for a person as a table: no wider than the terminal, and no paragraphs."""
        from .table import fits

        return self.is_interactive and not self.ends_with_nul and fits(columns, rows, self.width)

    @property
    def width(self) -> int:
        """How many characters a line of stdout holds: as `COLUMNS` says, else the terminal; 80 where nobody knows."""
        columns = self.environ.get("COLUMNS", "")
        if columns.isascii() and columns.isdigit() and int(columns) > 0:
            return int(columns)
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or 80
        except (AttributeError, OSError, ValueError):
            return 80

    def names(self, refs: Sequence[str]) -> None:
        """Print many refs, each as `name` gives it. Few need quotes, so whole batches are asked whether one does."""
        for first in range(0, len(refs), _BATCH):
            batch: Sequence[str] = refs[first : first + _BATCH]
            if self.end == "\n" and self._needs_quotes("".join(batch)):
                batch = [self.name(ref) for ref in batch]
            self.write(_encoded(self.end.join(batch) + self.end))

    def _needs_quotes(self, name: str) -> bool:
        if '"' in name or "\\" in name or (self.quotes_non_ascii and not name.isascii()):
            return True
        return not name.isprintable() and not all(map(is_harmless, name))

    def _c_quoted(self, char: str) -> str:
        if char in _C_ESCAPES:
            return _C_ESCAPES[char]
        if is_harmless(char) and (char.isascii() or not self.quotes_non_ascii):
            return char
        return "".join(f"\\{byte:03o}" for byte in _encoded(char))

    def remark(self, text: str) -> None:
        """Say something about what was done; not under `--quiet`."""
        if not self.quiet:
            self.complain("", text)

    def detail(self, text: str) -> None:
        """Say something that only `--verbose` asks for."""
        if self.verbose:
            self.complain("", text)

    def warning(self, text: str, hint: str | None = None) -> None:
        """Warn of something that does not stop the command."""
        self.error("warning: ", text, hint)

    def error(self, prefix: str, message: str, hint: str | None) -> None:
        """Report what is wrong: one line, and the next step where there is one."""
        self.complain(prefix, message.replace("\n", " "))
        if hint and self.environ.get("GIT_ADVICE") != "0":
            self.complain("hint: ", hint)

    def complain(self, prefix: str, text: str) -> None:
        """Write a line to stderr, after all that went to stdout; what controls a terminal is shown escaped."""
        if sys.stderr is None:
            return
        try:
            self.flush()
        except (Fatal, OSError):
            pass  # the command meets it too, or did already
        try:
            line = f"{prefix}{self.visible(redact(text))}\n"
            sys.stderr.buffer.write(line.encode(errors="backslashreplace"))
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody listens

    @property
    def shows_progress(self) -> bool:
        """Whether a person reads stderr, and has not asked for silence: as git, we draw progress for nobody else."""
        return not self.quiet and sys.stderr is not None and sys.stderr.isatty()

    def redraw(self, text: str) -> None:
        """Put a text in the place of the line on stderr that was drawn so before; empty: take it away."""
        if self.shows_progress:
            try:
                sys.stderr.buffer.write(f"\r{self.visible(text)}\x1b[K".encode(errors="backslashreplace"))
                sys.stderr.flush()
            except (OSError, ValueError):
                pass  # nobody listens

    @property
    def is_coloured(self) -> bool:
        """Whether what goes to stdout is coloured; asked once."""
        if self._colour is None:
            self._colour = self._wants_colour()
        return self._colour

    def _wants_colour(self) -> bool:
        for key in ("color.ocuroot", "color.ui"):
            value = (self.config.get(key) or "").lower() if self.config is not None else ""
            if value in ("always",):
                return True
            if value in ("never", "false", "no", "off", "0"):
                return False
        if self.environ.get("NO_COLOR") or self.environ.get("TERM", "dumb") == "dumb":
            return False
        return self.is_interactive or self.environ.get("GIT_PAGER_IN_USE") == "true"

    def paint(self, text: str, *styles: str) -> str:
        """Text in a colour, where `is_coloured`, for `record` to print."""
        if not text or not self.is_coloured:
            return text
        mark = self._paint_mark()
        return "".join(f"{mark}[{_COLOURS[style]}m" for style in styles) + text + f"{mark}[m"

    def coloured_line(self, text: str) -> str:
        """A line that a program printed, for `remark`: its colours stay, as in what git passes on of a remote's."""
        head, *pieces = text.split("\x1b[")
        mark = self._paint_mark() if pieces else ""
        shown = head
        for piece in pieces:
            is_colour = piece.lstrip("0123456789;:")[:1] == "m"
            shown += f"{mark if is_colour else chr(27)}[{piece}"
        return f"{shown}{mark}[m" if mark and mark in shown else shown

    def time(self, seconds: float) -> str:
        """A moment as text, in the zone of the person at a terminal, else in UTC; a float to the microsecond there."""
        from ..formats.times import format_local, format_seconds, format_time

        if self.is_interactive:
            return format_local(seconds)
        return format_seconds(seconds) if isinstance(seconds, int) else format_time(seconds)

    def time_of(self, text: object, otherwise: str) -> str:
        """A moment that a document has as text, as `time` has it; `otherwise` where that is no moment."""
        from ..formats.times import parse_seconds

        seconds = parse_seconds(text)
        return otherwise if seconds is None else self.time(seconds)

    def _paint_mark(self) -> str:
        """What stands for ESC before a colour of ours until a line is printed: no text can hold it, being random."""
        self._mark = self._mark or f"\x1b{os.urandom(8).hex()}\x1b"
        return self._mark

    def visible(self, text: str) -> str:
        """A line as it is printed: colours of ours become ESC, what else would control a terminal is escaped."""
        if self._mark and self._mark in text:
            return "\x1b".join(map(escaped, text.split(self._mark)))
        return escaped(text)

    def _plain(self, text: str) -> str:
        return text.replace(self._mark, "\x1b") if self._mark else text

    def start_pager(self) -> None:
        """Let a long listing on a terminal go through git's pager, if git says that there is one."""
        if not self.is_interactive or self._pager is not None or self.environ.get("GIT_PAGER_IN_USE"):
            return
        from ..git.program import start_pager

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

        Raises Fatal where stdin is closed, or begins with a byte order mark.
        """
        first = True
        for record in self._records(self.stdin()):
            if first and record.startswith(b"\xef\xbb\xbf"):
                raise Fatal("standard input begins with a byte order mark (BOM)", hint="save it as UTF-8 without one")
            first = False
            yield record.decode(errors="surrogateescape")

    def _records(self, source: Any) -> Iterator[bytes]:
        if self.end == "\n":
            for line in source:
                yield line.removesuffix(b"\n")
            return
        waiting = b""
        while piece := source.read1(1 << 16):
            *complete, waiting = (waiting + piece).split(b"\0")
            yield from complete
        if waiting:
            yield waiting

    def stdin(self) -> Any:
        """The bytes of stdin. Raises Fatal where it is closed."""
        if sys.stdin is None:
            raise Fatal("cannot read from standard input: it is closed")
        return sys.stdin.buffer


def _json_escape(char: str) -> str:
    code = ord(char)
    if code > 0xFFFF:
        high, low = divmod(code - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
    return f"\\u{code:04x}"


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


def _encoded(text: str) -> bytes:
    """Text as UTF-8; what came in as no UTF-8 as it came, and half of a surrogate pair as JSON spells it."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        chars = (c if c < "\ud800" or "\udc80" <= c <= "\udcff" or c > "\udfff" else f"\\u{ord(c):04x}" for c in text)
        return "".join(chars).encode(errors="surrogateescape")
