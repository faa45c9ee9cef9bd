"""The one door to the `git` program: how it is started, what it says, and its configuration.

Small questions (`git config`, `git var`) are asked through `start`, which spawns without the `subprocess` module:
that import alone costs as much as starting the interpreter, and `get` must not pay it. A child that was started
runs while the caller goes on; `Child.finish` collects it.
"""

from __future__ import annotations

import os
import time

from ..errors import Fatal
from ..formats.redaction import learn, redact
from ..formats.urls import rewritten
from .repository import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from subprocess import Popen
    from typing import Any, Final


_TRUE: Final = ("true", "yes", "on")
_OWN_SCOPES: Final = ("system", "global", "command")
"""The scopes of configuration that belong to the user, and not to the repository."""


SIGKILL: Final = 9
"""As in the module `signal`, which is no import for a start."""
_SYNCED: Final = {
    **dict.fromkeys(("loose-object", "objects"), ("loose-object",)),
    "reference": ("reference",),
    **dict.fromkeys(("committed", "added", "all"), ("loose-object", "reference")),
}
"""The components of `core.fsync` that hold what we write ourselves; packs are written by git, which obeys by itself."""


class GitError(Fatal):
    """The `git` program failed; the message holds its own words and the command that was run, without passwords."""

    def __init__(self, arguments: Sequence[str], status: int, words: str) -> None:
        said = words.strip() or f"it ended with status {status}"
        super().__init__(f"'git {' '.join(arguments)}' failed: {' / '.join(said.splitlines())}")
        self.exit_status = status
        self.words = redact(words)


class Child:
    """A running `git` process whose output is collected by `finish`."""

    __slots__ = ("_arguments", "_err", "_out", "_pid")

    def __init__(self, arguments: Sequence[str], pid: int, out: int, err: int) -> None:
        self._arguments = arguments
        self._pid = pid
        self._out = out
        self._err = err

    def finish(self) -> tuple[int, bytes, str]:
        """Wait for the end; gives the exit status, stdout, and stderr as text."""
        out, err = _read_all(self._out), _read_all(self._err)
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return status, out, err.decode(errors="replace")

    def drop(self) -> None:
        """End it, whose answer is no longer wanted, and leave neither a process nor a descriptor behind."""
        os.close(self._out)
        os.close(self._err)
        os.kill(self._pid, SIGKILL)
        os.waitpid(self._pid, 0)

    def output(self) -> bytes:
        """Wait for the end; gives stdout. Raises GitError unless the status is 0."""
        status, out, err = self.finish()
        if status != 0:
            raise GitError(self._arguments, status, err)
        return out


def start(arguments: Sequence[str], environ: Mapping[str, str]) -> Child:
    """Start `git` with these arguments and a closed stdin. For small output only: nothing reads it meanwhile."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    null = os.open(os.devnull, os.O_RDONLY)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((null, out_write, err_write))]
    try:
        pid = os.posix_spawnp("git", ["git", *arguments], dict(environ), file_actions=actions)
    except FileNotFoundError:
        os.close(out_read)
        os.close(err_read)
        raise Fatal("the program 'git' is not on PATH", hint="git-ocuroot needs git 2.26 or newer") from None
    finally:
        for fd in (null, out_write, err_write):
            os.close(fd)
    return Child(arguments, pid, out_read, err_read)


def run(arguments: Sequence[str], environ: Mapping[str, str], *, data: bytes | None = None) -> bytes:
    """Run `git` to its end with `data` on stdin; gives stdout. Raises GitError unless the status is 0."""
    import subprocess

    done = subprocess.run(
        ["git", *arguments],
        env=dict(environ),
        input=data,
        stdin=subprocess.DEVNULL if data is None else None,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise GitError(arguments, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout


def with_config(environ: Mapping[str, str], values: Sequence[tuple[str, str]]) -> dict[str, str]:
    """An environment with configuration added, which gives way to what `-c` and `GIT_CONFIG_*` say there already.

    Raises Fatal for a GIT_CONFIG_COUNT that git would refuse too.
    """
    try:
        count = int(environ.get("GIT_CONFIG_COUNT") or 0)
    except ValueError:
        raise Fatal(f"bad value '{environ['GIT_CONFIG_COUNT']}' for GIT_CONFIG_COUNT") from None
    known = [(environ[f"GIT_CONFIG_KEY_{n}"], environ[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]
    changed = {**environ, "GIT_CONFIG_COUNT": str(len(values) + count)}
    for number, (key, value) in enumerate([*values, *known]):
        changed[f"GIT_CONFIG_KEY_{number}"] = key
        changed[f"GIT_CONFIG_VALUE_{number}"] = value
    return changed


def start_config(directory: str, environ: Mapping[str, str]) -> Child:
    """Start the one call of `git config` whose answer `Config.read` reads."""
    return start(["-C", directory, "config", "--list", "-z", "--show-scope"], environ)


class Identities:
    """Author and committer as git would choose them, asked of `git var` once; the time moves on unless it is set."""

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._children = {
            role: start(["-C", directory, "var", f"GIT_{role}_IDENT"], environ) for role in ("AUTHOR", "COMMITTER")
        }
        self._known: list[Identity] = []

    def now(self) -> tuple[Identity, Identity]:
        """Author and committer of a commit made now; `Ocuroot <ocuroot@localhost>` where git knows none."""
        if not self._known:
            self._known = [self._read(role, self._children.pop(role)) for role in ("AUTHOR", "COMMITTER")]
        author, committer = (
            known
            if f"GIT_{role}_DATE" in self._environ
            else Identity(known.name, known.email, int(time.time()), known.offset)
            for role, known in zip(("AUTHOR", "COMMITTER"), self._known)
        )
        return author, committer

    def drop(self) -> bool:
        """End what still runs because nobody asked for its answer; whether there was such."""
        dropped = bool(self._children)
        while self._children:
            self._children.popitem()[1].drop()
        return dropped

    def _read(self, role: str, child: Child) -> Identity:
        status, out, words = child.finish()
        if status == 0:
            return _parse_identity(out)
        if (
            f"GIT_{role}_DATE" in self._environ
        ):  # it is more likely wrong than that nobody is known, and must not be lost
            raise GitError(["var", f"GIT_{role}_IDENT"], status, words)
        return Identity("Ocuroot", "ocuroot@localhost", int(time.time()), 0)


def _parse_identity(out: bytes) -> Identity:
    """Read what `git var GIT_AUTHOR_IDENT` said: `Name <email> seconds +0100`."""
    text = out.decode(errors="replace").strip()
    who, _, when = text.rpartition("> ")
    name, _, email = who.partition(" <")
    seconds, _, zone = when.partition(" ")
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return Identity(name, email, int(seconds), -minutes if zone.startswith("-") else minutes)


class Config:
    """The configuration as git reads it: `-c`, includes and `GIT_CONFIG_*` included."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, list[tuple[str, str | None]]]) -> None:
        self._values = values

    @classmethod
    def read(cls, child: Child) -> Config:
        """Collect what `start_config` started. Raises GitError where git cannot read a file."""
        return cls.parse(child.output())

    @classmethod
    def parse(cls, listing: bytes) -> Config:
        """Read the output of `git config --list -z --show-scope`: pairs of a scope and `key LF value`."""
        fields = os.fsdecode(listing).split("\0")
        values: dict[str, list[tuple[str, str | None]]] = {}
        for scope, entry in zip(fields[::2], fields[1::2]):
            key, newline, value = entry.partition("\n")
            learn(key)  # the base of `url.<base>.insteadOf` may hold a token
            learn(value)
            values.setdefault(_fold(key), []).append((scope, value if newline else None))
        return cls(values)

    def get(self, key: str) -> str | None:
        """The last value of a key (`ocuroot.state.branch`; the case of the middle part counts), or None."""
        found = self._values.get(_fold(key))
        return (found[-1][1] or "") if found else None

    def values(self, key: str, *, own: bool = False) -> list[str]:
        """All values of a key, in git's order; `own`: where the repository's own configuration does not count."""
        return [value or "" for scope, value in self._values.get(_fold(key), ()) if not own or scope in _OWN_SCOPES]

    def remote_url(self, name: str) -> str | None:
        """The URL from which git fetches for a remote, as it is configured: the first, where there are several."""
        found: list[str] = []
        for value in self.values(f"remote.{name}.url"):
            found = [*found, value] if value else []  # an empty one takes back those before it
        return found[0] if found else None

    def rewritten(self, url: str) -> str:
        """A URL after the user's `url.<base>.insteadOf`."""
        keys = [key for key in self.keys("url") if key.endswith(".insteadof")]
        rules = [(prefix, key[4:].removesuffix(".insteadof")) for key in keys for prefix in self.values(key)]
        return rewritten(url, rules)

    def stored(self, key: str) -> list[str]:
        """All values of a key that stand in files, in git's order: what `-c` and the environment say is left out.

        A key without a value is true, which an empty one is not.
        """
        return [
            "true" if value is None else value
            for scope, value in self._values.get(_fold(key), ())
            if scope != "command"
        ]

    def get_bool(self, key: str, *, own: bool = False) -> bool:
        """Whether a key is set and true; `own`: where the repository's own configuration does not count."""
        found = [value for scope, value in self._values.get(_fold(key), ()) if not own or scope in _OWN_SCOPES]
        return bool(found) and _is_true(key, found[-1])

    def synced(self) -> frozenset[str]:
        """What git would see on the disk before it goes on: of `loose-object` and `reference`, the ones we write.

        `core.fsync`, read as git reads it: the last value alone counts, a name may be cut short, what is taken out
        gives way to what is named, and by default it is neither. `core.fsyncObjectFiles` still means loose objects.
        """
        names = (self.get("core.fsync") or "").replace("\t", " ").replace(",", " ").split()
        found = {
            part
            for name in names
            for component, parts in _SYNCED.items()
            if component.startswith(name)
            for part in parts
        }
        if self.get_bool("core.fsyncObjectFiles"):
            found.add("loose-object")
        return frozenset(found)

    def all_keys(self) -> list[str]:
        """Every key that is set."""
        return list(self._values)

    def keys(self, section: str) -> list[str]:
        """The keys that begin with `section` and a dot, as git lists them."""
        return [key for key in self._values if key.startswith(section + ".")]


def _is_true(key: str, value: str | None) -> bool:
    if value is None or value.lower() in _TRUE:
        return True
    if value.lower() in ("", "false", "no", "off"):
        return False
    try:
        return int(value) != 0
    except ValueError:
        raise Fatal(f"bad boolean config value '{value}' for '{key}'") from None


def _fold(key: str) -> str:
    """A key as git compares it: the first and last part without regard to case."""
    first, dot, rest = key.partition(".")
    middle, last_dot, last = rest.rpartition(".")
    return first.lower() + dot + middle + last_dot + last.lower()


def _read_all(fd: int) -> bytes:
    pieces = []
    while piece := os.read(fd, 1 << 16):
        pieces.append(piece)
    os.close(fd)
    return b"".join(pieces)


class ShellResult:
    """What a command of `host.shell` wrote, and how it ended."""

    __slots__ = ("combined_output", "exit_code", "stderr", "stdout")

    def __init__(self, stdout: str, stderr: str, combined_output: str, exit_code: int) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.combined_output = combined_output
        self.exit_code = exit_code


def shell_in(directory: str, environ: Mapping[str, str]) -> Callable[[str], ShellResult]:
    """What `host.shell` of `repo.ocu.star` runs, where the user has opened it: commands in the file's directory."""

    def shell(command: str) -> ShellResult:
        import subprocess

        done = subprocess.run(
            ["sh", "-c", command],
            cwd=directory,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return ShellResult(out, err, out + err, done.returncode)

    return shell


def start_pager(environ: Mapping[str, str]) -> Popen[bytes] | None:
    """Start the pager that git would use, with its defaults for less; None where there is to be none."""
    import subprocess

    command = run(["var", "GIT_PAGER"], environ).decode().strip()
    if command in ("", "cat"):
        return None
    defaults = {"LESS": "FRX", "LV": "-c"}
    return subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env={**defaults, **environ})


def browse(address: str, environ: Mapping[str, str]) -> None:
    """Open an address in the browser that git would use (`web.browser`), and do not wait for it."""
    import subprocess

    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen(["git", "web--browse", address], env=dict(environ), start_new_session=True, **quiet)
