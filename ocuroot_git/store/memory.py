"""What was derived from trees, remembered under their ids: a cache that can never be stale (design 9).

An id names one content, so what a tree says is true for ever; only what the *program* makes of it may change, and
that is why every entry has a kind, with a number that is raised whenever the meaning changes. Everything here is
allowed to be lost: a file that is damaged, foreign, locked or cannot be written to costs time, and never an answer.

    memory = Memory(path, most=256 << 20)
    known = memory.get("package/1", ids)            # {id: bytes}, those that are known
    memory.put("package/1", {id: bytes, …})         # kept for the next process, if that can be done
"""

from __future__ import annotations

import _thread
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType
    from typing import Final, TypeVar

    Result = TypeVar("Result")

FILE: Final = "derived-1.sqlite"
"""Its number is that of the tables: another version of the program has a file of its own, and both can be used."""
MOST: Final = 256 << 20
"""Bytes that the file may have, unless `ocuroot.cacheSize` says otherwise."""

_APPLICATION: Final = 0x4F435531
"""What SQLite's header says the file is for: that of a foreign file differs."""
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS derived (
    kind TEXT NOT NULL, id BLOB NOT NULL, used INTEGER NOT NULL, check_sum INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (kind, id)
)
"""
"""The keys have an index of their own: `WITHOUT ROWID`, as files of former versions are, SQLite reads each entry whole
with which it compares a key, and a search in a store of large packages takes milliseconds."""
_PATIENCE: Final = 0.5
"""Seconds to wait for another process that writes."""
_DAY: Final = 86400
_BATCH: Final = 500
"""Ids asked for at once: SQLite bounds the parameters of a statement."""
_KEPT_WHEN_FULL: Final = 0.75
"""The share of the allowed size that remains after the least used entries went."""


class Memory:
    """The entries in one file, shared by all processes and work trees of a repository.

    Raises nothing but for a fault of its caller: where the file cannot be used, nothing is known and nothing is kept.
    """

    def __init__(self, path: str, most: int = MOST) -> None:
        self.path = path
        self.most = most
        self._database: sqlite3.Connection | None = None
        self._lock = _thread.allocate_lock()
        self._is_read_only = False
        self._is_useless = most <= 0

    def get(self, kind: str, ids: Iterable[str]) -> dict[str, bytes]:
        """Those entries of a kind that are known, by id (hexadecimal). A damaged entry counts as unknown."""
        wanted = list(ids)
        found: dict[str, bytes] = {}
        if wanted:
            self._try(lambda database: self._read(database, kind, wanted, found))
        return found

    def put(self, kind: str, entries: Mapping[str, bytes]) -> None:
        """Keep entries of a kind, by id, and let the least used ones go where there are too many."""
        if entries and not self._is_read_only:
            self._try(lambda database: self._write(database, kind, entries))

    def clear(self) -> None:
        """Forget everything. Raises OSError where the file cannot be removed."""
        self.close()
        _remove(self.path)
        self._is_useless = self.most <= 0

    def kinds(self) -> dict[str, int]:
        """How many entries of each kind there are."""
        counts: dict[str, int] = {}
        if not os.path.lexists(self.path):
            return counts  # to ask makes no file
        self._try(
            lambda database: counts.update(
                database.execute("SELECT kind, count(*) FROM derived GROUP BY kind ORDER BY kind").fetchall()
            )
        )
        return counts

    def has_yet_no(self, kind: str) -> bool:
        """Whether there are no entries of a kind, and those that are put now will be there for whoever asks next."""
        if not os.path.lexists(self.path):
            return not self._is_useless and os.access(os.path.dirname(self.path), os.W_OK)
        return kind not in self.kinds() and not (self._is_useless or self._is_read_only)

    @property
    def size(self) -> int:
        """How many bytes the file has; 0 where there is none."""
        try:
            return os.lstat(self.path).st_size
        except OSError:
            return 0

    def ids(self, kind: str) -> list[str]:
        """The ids of all entries of a kind, of damaged ones too, sorted."""
        found: list[str] = []
        self._try(
            lambda database: found.extend(
                row[0].hex() for row in database.execute("SELECT id FROM derived WHERE kind = ? ORDER BY id", (kind,))
            )
        )
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _try(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Do something with the database; where that cannot be done, throw a damaged file away and give None."""
        if self._is_useless:
            return None
        sqlite3 = _sqlite()
        try:
            with self._lock:  # threads of one process share the connection, and with it its transaction
                return work(self._open())
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                self._is_read_only = True
            elif not _is_busy(error):
                self._give_up()
        except (sqlite3.Error, _Foreign):
            # Not a database, a broken page, or the tables of something else: it is of no use to anybody.
            self._give_up()
        except (OSError, MemoryError):
            self._is_useless = True
        return None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            sqlite3 = _sqlite()
            exists = os.path.lexists(self.path)
            if exists and not _is_plain(self.path):
                raise OSError(f"'{self.path}' is not a plain file")
            is_writable = os.access(self.path if exists else os.path.dirname(self.path), os.W_OK)
            self._is_read_only = not is_writable
            uri = "file:" + "".join(
                c if c.isalnum() or c in "/-_." else "".join(f"%{b:02X}" for b in os.fsencode(c)) for c in self.path
            )
            # Python's own transactions are switched off (`isolation_level`): each statement below says what it is.
            database = sqlite3.connect(
                f"{uri}?mode={'rwc' if is_writable else 'ro'}",
                uri=True,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._prepare(database, exists)
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    def _prepare(self, database: sqlite3.Connection, exists: bool) -> None:
        # What is lost in a power cut is worked out again, and a file that is torn then is thrown away.
        database.execute("PRAGMA synchronous = OFF")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION:
            if exists and database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                raise _Foreign(self.path)
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(_TABLE)

    def _read(self, database: sqlite3.Connection, kind: str, wanted: list[str], found: dict[str, bytes]) -> None:
        today = _today()
        stale = []
        for start in range(0, len(wanted), _BATCH):
            batch = [bytes.fromhex(id_) for id_ in wanted[start : start + _BATCH]]
            marks = ",".join("?" * len(batch))
            rows = database.execute(
                f"SELECT id, used, check_sum, data FROM derived WHERE kind = ? AND id IN ({marks})", (kind, *batch)
            )
            for id_, used, check_sum, data in rows:
                if check_sum == _check_sum(kind, id_, data):
                    found[id_.hex()] = data
                    if used != today:
                        stale.append((today, kind, id_))
        if stale and not self._is_read_only:
            # Once a day for each entry that is used, so that reading does not always write.
            self._change(
                database, lambda: database.executemany("UPDATE derived SET used = ? WHERE kind = ? AND id = ?", stale)
            )

    def _write(self, database: sqlite3.Connection, kind: str, entries: Mapping[str, bytes]) -> None:
        today = _today()
        rows = []
        for id_, data in entries.items():
            raw = bytes.fromhex(id_)
            rows.append((kind, raw, today, _check_sum(kind, raw, data), data))

        def insert() -> None:
            database.executemany("INSERT OR REPLACE INTO derived VALUES (?, ?, ?, ?, ?)", rows)
            self._make_room(database)

        self._change(database, insert)

    def _change(self, database: sqlite3.Connection, change: Callable[[], object]) -> None:
        database.execute("BEGIN IMMEDIATE")
        try:
            change()
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")

    def _make_room(self, database: sqlite3.Connection) -> None:
        """Where the file is too large, let the least used entries go; of those used on one day, any."""
        (page,) = database.execute("PRAGMA page_size").fetchone()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        (free,) = database.execute("PRAGMA freelist_count").fetchone()
        if (pages - free) * page <= self.most:
            return
        (total,) = database.execute("SELECT coalesce(sum(length(data) + 64), 0) FROM derived").fetchone()
        excess = total - int(self.most * _KEPT_WHEN_FULL)
        doomed = []
        for kind, id_, size in database.execute("SELECT kind, id, length(data) + 64 FROM derived ORDER BY used"):
            if excess <= 0:
                break
            doomed.append((kind, id_))
            excess -= size
        database.executemany("DELETE FROM derived WHERE kind = ? AND id = ?", doomed)
        database.execute("PRAGMA incremental_vacuum").fetchall()

    def _give_up(self) -> None:
        """Throw away a file that is of no use, and do without it from here on: the next process makes a new one."""
        self.close()
        self._is_useless = True
        try:
            _remove(self.path)
        except OSError:
            pass  # then it stays, and is of no use to the next process either


def _sqlite() -> ModuleType:
    """The compiled half of `sqlite3`: the rest brings times with it, which would cost every command 2 ms."""
    try:
        import _sqlite3
    except ImportError:
        import sqlite3

        return sqlite3
    return _sqlite3


class _Foreign(Exception):
    """The file belongs to another program."""


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _is_plain(path: str) -> bool:
    """Whether there is a plain file: a link, a pipe or a directory in its place is none of ours."""
    import stat

    return stat.S_ISREG(os.lstat(path).st_mode)


def _remove(path: str) -> None:
    """Remove a database and what SQLite puts beside it. Raises OSError."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        try:
            os.unlink(path + suffix)
        except FileNotFoundError:
            continue


def _check_sum(kind: str, id_: bytes, data: bytes) -> int:
    """SQLite finds broken pages, but not a flipped bit within a value."""
    from zlib import crc32

    return crc32(data, crc32(id_, crc32(kind.encode())))


def _today() -> int:
    import time

    return int(time.time()) // _DAY
