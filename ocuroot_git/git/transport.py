"""Talking to remotes by `git fetch`, `git push` and `git ls-remote`: what they answer, and what went wrong (design 8).

The parsers and the classification are pure; `tests/sharing_words_test.py` feeds them what git and its servers said.
A failure is classified by what git prints for programs (`--porcelain`, exit statuses) first, and by words only
where there is nothing else. What stays open is decided by whether the tip moved: see `remote.py` and `sync.py`.
"""

from __future__ import annotations

import time

from ..errors import RemoteError
from ..formats.redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from .deadline import Done

NO_REPOSITORY: Final = "no repository"
LOGIN: Final = "login"
HOST_KEY: Final = "host key"
READ_ONLY: Final = "read only"
NO_PROGRAM: Final = "no program"
UNREACHABLE: Final = "unreachable"
BUSY: Final = "busy"
SILENT: Final = "silent"
CUT: Final = "cut"
RACE: Final = "race"
LOCKED: Final = "locked"
POLICY: Final = "policy"
REFUSED: Final = "refused"
UNWANTED: Final = "unwanted"
OTHER: Final = "other"

HANDLING: Final = {
    RACE: "retry",
    LOCKED: "retry",
    CUT: "retry",
    BUSY: "retry",
    SILENT: "retry",
    UNREACHABLE: "retry",
    LOGIN: "login",
    HOST_KEY: "login",
    READ_ONLY: "login",
    POLICY: "policy",
    NO_PROGRAM: "stop",
    NO_REPOSITORY: "stop",
    UNWANTED: "stop",
    REFUSED: "stop",
    OTHER: "stop",
}
"""What to do about each kind of failure. REFUSED, a refusal in unknown words, is a lost race where the tip moved."""
MAY_HAVE_ARRIVED: Final = (CUT, BUSY, SILENT, UNREACHABLE)
"""The failures of a push that leave open whether it was carried out, and pass."""
_TRIES: Final = {CUT: 5, BUSY: 5, UNREACHABLE: 3, LOCKED: 8}
"""How often a fetch is tried that failed in a way that may pass."""
_MOST: Final = 10
"""How many times longer than a silence a transfer may take that goes on."""

_SAYINGS: Final = {
    NO_REPOSITORY: "there is no repository at '{}'",
    LOGIN: "'{}' refused the login",
    HOST_KEY: "ssh does not trust the host of '{}'",
    READ_ONLY: "this login may read '{}', but not write to it",
    NO_PROGRAM: "git cannot start the program that connects to '{}'",
    UNREACHABLE: "cannot reach '{}'",
    BUSY: "'{}' is busy",
    SILENT: "'{}' does not answer",
    CUT: "the connection to '{}' was cut",
    RACE: "the branch at '{}' was moved by another writer",
    LOCKED: "another process holds a lock that is needed for '{}'",
    POLICY: "'{}' refuses the push by its own rules",
    REFUSED: "'{}' refused the push",
    UNWANTED: "'{}' does not give single objects",
    OTHER: "cannot talk to '{}'",
}
_HINTS: Final = {
    NO_REPOSITORY: "check the address, and whether this login may see the repository",
    LOGIN: "check the credentials; git itself must be able to: git ls-remote <url>",
    HOST_KEY: "compare the key of the host with the one that its owner publishes, and add it to known_hosts",
    READ_ONLY: "ask whoever runs the server for the right to push; trying again does not help",
    NO_PROGRAM: "install it, or name another: core.sshCommand, GIT_SSH_COMMAND",
    UNREACHABLE: "'--offline' reads what was fetched before",
    SILENT: "if it is only slow, give it longer: git config ocuroot.timeout <seconds>",
    POLICY: "ask whoever runs the server to let this login push to the branch; trying again does not help",
}

_APPEARING: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Seconds to wait before each fetch of a branch that is there when asked for, but was not there for the fetch."""

# Words in stderr of a transfer that failed, in lower case; the first kind of which one is found is taken.
_TRANSFER_WORDS: Final = (
    (UNWANTED, ("does not allow request for unadvertised object", "not our ref", "want without filter")),
    (
        NO_PROGRAM,
        (
            "cannot run ",
            "cannot exec ",
            "cannot spawn ",
            "is not a git command",
            ": command not found",
            ": not found\n",
        ),
    ),
    (LOCKED, ("cannot lock ref", ".lock': file exists")),
    (
        NO_REPOSITORY,
        (
            "repository not exported",
            "no such repository",
            "does not appear to be a git repository",
            "repository not found",
            "not a git repository",
            "' not found",
            "could not be found",
            "returned error: 404",
            "returned error: 410",
            "no such file or directory",
            "does not exist",
        ),
    ),
    (HOST_KEY, ("host key verification failed",)),
    (
        LOGIN,
        (
            "authentication failed",
            "could not read username",
            "could not read password",
            "permission denied",
            "denied to ",
            "marked as read only",
            "returned error: 401",
            "returned error: 403",
            "returned error: 407",
            "invalid credentials",
            "access denied",
            "not authorized",
            "service not enabled",
        ),
    ),
    (BUSY, ("returned error: 5", "returned error: 429", "service unavailable", "too many requests")),
    (
        UNREACHABLE,
        (
            "could not resolve",
            "name or service not known",
            "name resolution",
            "nodename nor servname",
            "connection refused",
            "no route to host",
            "network is unreachable",
            "unable to look up",
            "timed out",
            "failed to connect",
            "couldn't connect",
            "unable to connect",
            "port 22: ",
        ),
    ),
    (
        CUT,
        (
            "hung up",
            "early eof",
            "unexpected disconnect",
            "unexpected eof",
            "unexpectedly",
            "rpc failed",
            "connection reset",
            "connection closed",
            "broken pipe",
            "empty reply",
            "recv failure",
            "send failure",
            "transfer closed",
            "bad pack header",
            "expected flush",
            "invalid server response",
            "http2",
            "http/2",
            "gnutls",
            "ssl_read",
            "pack has bad object",
        ),
    ),
)
# What a server says of one branch behind `[remote rejected]`: policy first, since a hook may say anything besides.
_REJECTION_WORDS: Final = (
    (
        POLICY,
        (
            "hook declined",
            "protected",
            "prohibited",
            "not permitted",
            "not allowed",
            "permission denied",
            "denied",
            "denying",
            "declined",
            "violation",
            "quota",
            "read-only",
            "read only",
            "checked out",
            "you must use a pull request",
            "pull request",
            "too large",
            "exceed",
            "funny refname",
            "hidden ref",
            "no new changes",
        ),
    ),
    (
        LOCKED,
        ("cannot lock ref", "failed to lock", "unable to lock", "failed to update ref", "unable to create", "locked"),
    ),
    (
        RACE,
        (
            "fetch first",
            "non-fast-forward",
            "incorrect old value",
            "stale info",
            "already exists",
            "needs force",
            "reference changed",
            "expected old",
            "lock_failure",
        ),
    ),
    (BUSY, ("internal server error", "service unavailable", "try again")),
    (CUT, ("remote failed to report", "timeout")),
)
_CHATTER: Final = (
    *("remote: enumerating ", "remote: counting ", "remote: compressing ", "remote: total ", "remote: resolving "),
    *("enumerating objects", "counting objects", "compressing objects", "writing objects", "receiving objects"),
    *("resolving deltas", "unpacking objects", "updating files", "delta compression", "total ", "from ", "to "),
    *("hint:", "please make sure you have", "and the repository exists", "warning: permanently added", "@"),
    *("error: failed to push some refs", "everything up-to-date", "the most similar command"),
)
"""How lines of git's stderr begin, in lower case, that say nothing of a failure: progress, and general advice."""
_VAGUE: Final = ("could not read from remote repository", "remote end hung up", "unable to fork")
"""What git says after the line that tells why."""
_MOST_LINES: Final = 5


class TransportError(RemoteError):
    """A remote did not do what was asked. `kind` says why; the message has the words that tell, `words` all of them.

    Which command it was is for the trace: see `GIT_TRACE_OCUROOT`.
    """

    def __init__(self, kind: str, url: str, words: str) -> None:
        said = essence(words, kind) or "git said nothing"
        super().__init__(f"{_SAYINGS[kind].format(url)}: {said}", hint=_HINTS.get(kind))
        self.kind = kind
        self.words = words

    @property
    def handling(self) -> str:
        """`retry`, `stop`, `login` or `policy`."""
        return HANDLING[self.kind]


class Answer:
    """What `git push --porcelain` said about one branch: its flag, the summary, and the reason in brackets."""

    __slots__ = ("flag", "reason", "summary")

    def __init__(self, flag: str, summary: str, reason: str) -> None:
        self.flag = flag
        self.summary = summary
        self.reason = reason


def parse_push(out: str, branch: str) -> Answer | None:
    """The line about a branch (full name) in what `git push --porcelain` printed; None where there is none.

    Lines are `<flag> TAB <from>:<to> TAB <summary> [(<reason>)]`; the summary of a rejection is in square brackets.
    """
    for line in out.splitlines():
        flag, tab, rest = line.partition("\t")
        names, second_tab, said = rest.partition("\t")
        if not (tab and second_tab) or len(flag) != 1 or names.rpartition(":")[2] != branch:
            continue
        if said.startswith("["):
            summary, _, reason = said[1:].partition("]")
            return Answer(flag, summary, reason.strip().removeprefix("(").removesuffix(")"))
        return Answer(flag, said, "")
    return None


def classify_push(status: int | None, out: str, err: str, branch: str) -> str | None:
    """The kind of failure of a push, or None where it was done.

    `[rejected]` is git's own comparison, before it sends anything: a lost race in every language. `[remote rejected]`
    is the server's word, and `[remote failure]` or no line at all after a cut connection leaves open what happened.
    """
    answer = parse_push(out, branch)
    if status == 0 and answer is not None and answer.flag != "!":
        return None
    if answer is None or answer.flag != "!":
        return SILENT if status is None else classify_transfer(err)
    if answer.summary == "rejected":
        return RACE
    if answer.summary == "remote rejected":
        return _first_kind(answer.reason.lower(), _REJECTION_WORDS) or REFUSED
    if answer.summary == "remote failure":
        return CUT
    return REFUSED


def classify_transfer(err: str) -> str:
    """The kind of failure of a transfer that ended before anything was said about a branch."""
    return _first_kind(err.lower(), _TRANSFER_WORDS) or OTHER


def _first_kind(words: str, table: tuple[tuple[str, tuple[str, ...]], ...]) -> str | None:
    return next((kind for kind, marks in table if any(mark in words for mark in marks)), None)


def essence(err: str, kind: str = OTHER) -> str:
    """What counts in git's stderr, in one line: the lines that decided for `kind` first, and no chatter."""
    lines = [line.strip() for line in err.replace("\r", "\n").splitlines()]
    lines = [line for line in dict.fromkeys(lines) if line not in ("", "remote:", "error:")]
    telling = [line for line in lines if not line.lower().startswith(_CHATTER)]
    exact = [line for line in telling if not any(vague in line.lower() for vague in _VAGUE)]
    marks = [mark for table in (_TRANSFER_WORDS, _REJECTION_WORDS) for of, some in table if of == kind for mark in some]

    def is_minor(line: str) -> bool:
        return not line.startswith("!") and not any(mark.rstrip("\n") in line.lower() for mark in marks)

    kept = sorted(exact or telling or lines, key=is_minor)[:_MOST_LINES]
    return " / ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in kept)


class Transport:
    """Runs git's network commands for one remote, from one directory, in one environment.

    `seconds` is how long a remote may say nothing, over all tries until it answers; `tell` is told what is tried again.
    """

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        remote: str,
        shown: str,
        seconds: float,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.remote = remote
        """The remote as git is told it: a name it has configuration for, or a URL."""
        self.shown = redact(shown)
        """The remote as people are told it."""
        self._directory = directory
        self._environ = environ
        self._seconds = seconds
        self._tell = tell
        self._until: float | None = None
        """When the wait for an answer is over; None while none is waited for."""

    def fetch(
        self, refspecs: Sequence[str], *options: str, wanted: Sequence[str] = (), lock: int | None = None
    ) -> None:
        """Fetch branches, or the objects `wanted`; what may pass is tried again a few times. Raises TransportError.

        `lock` is a descriptor that git holds while it runs.
        """
        plain = ("--progress", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--no-auto-maintenance")
        configured = ("-c", "fetch.negotiationAlgorithm=noop") if wanted else ()
        source = ("--stdin",) if wanted else ()
        arguments = (*configured, "fetch", *plain, *options, *source, "--", self.remote, *refspecs)
        data = "".join(f"{oid}\n" for oid in wanted).encode() if wanted else None
        tries = 0
        while True:
            tries += 1
            done = self._run(arguments, data=data, lock=lock)
            if done.status == 0:
                return self._answered()
            failure = self._failure(_kind_of(done), done)
            left = self._left()
            if tries >= _TRIES.get(failure.kind, 1) or left <= 0:
                self._answered()
                raise failure
            self.retry(failure)
            time.sleep(min(left, 0.2 * 2**tries * (0.5 + time.monotonic() % 0.5)))

    def fetch_branch(self, branch: str, fetch: Callable[[], object]) -> bool:
        """Call `fetch`, which fetches a branch (full name); whether the remote has it. Raises TransportError.

        A branch that another makes just now may be missing for the fetch, and be there for the look that tells a
        missing branch from every other failure. It is fetched again then.
        """
        for pause in _APPEARING:
            time.sleep(pause)
            try:
                fetch()
                return True
            except TransportError as error:
                failure = error
            if "find remote ref" not in failure.words:
                break
            if self.tip(branch) is None:
                return False
        raise failure

    def push(self, source: str, branch: str) -> TransportError | None:
        """Push a commit to a branch (full name), fast-forward only; gives the failure, if it is one of those.

        Where the push is not let in, but reading is, the failure says so: servers word it as if nothing were there.
        """
        plain = ("--progress", "--porcelain", "--no-follow-tags", "--recurse-submodules=no")
        done = self._run(("push", *plain, "--", self.remote, f"{source}:{branch}"))
        out = done.out.decode(errors="replace")
        kind = classify_push(done.status, out, done.err, branch)
        if kind is None:
            self._answered()
            return None
        answer = parse_push(out, branch)
        if answer is not None and answer.flag == "!":
            done.err = f"! [{answer.summary}] {answer.reason}\n" + done.err
        if kind not in MAY_HAVE_ARRIVED:
            self._answered()
        if kind in (LOGIN, NO_REPOSITORY):
            try:
                self.tip(branch)
                kind = READ_ONLY
            except TransportError:
                pass  # reading is refused too: it is what it seemed to be
        return self._failure(kind, done)

    def tip(self, branch: str) -> str | None:
        """Where a branch (full name) stands on the remote now; None where there is none. Raises TransportError.

        The exit status tells a missing branch from every other failure.
        """
        done = self._run(("ls-remote", "--exit-code", "--", self.remote, branch))
        self._answered()
        if done.status == 2:
            return None
        if done.status != 0:
            raise self._failure(_kind_of(done), done)
        for line in done.out.decode(errors="replace").splitlines():
            oid, _, name = line.partition("\t")
            if name == branch:
                return oid
        return None

    def retry(self, failure: TransportError) -> None:
        """Say, to whoever wants to know, that something is tried again, and why."""
        if self._tell is not None:
            self._tell(f"trying again: {failure.message}")

    def _failure(self, kind: str, done: Done) -> TransportError:
        """The error for a command that failed, as people read it."""
        words = done.err if done.status is not None else f"it said nothing for {self._seconds:g} s\n{done.err}"
        return TransportError(kind, self.shown, words)

    def _run(self, arguments: Sequence[str], *, data: bytes | None = None, lock: int | None = None) -> Done:
        from .deadline import execute  # late: some commands load this module only to know what a remote store is
        from .tracing import trace

        command = ("-c", "protocol.version=2", *arguments)
        began = time.monotonic()
        if self._until is None or self._until <= began:
            self._until = began + self._seconds
        trace(self._environ, f"run: git {' '.join(command)}")
        done = execute(
            command,
            self._environ,
            directory=self._directory,
            seconds=self._until - began,
            most=self._seconds * _MOST,
            data=data,
            keep=() if lock is None else (lock,),
        )
        ended = "was ended" if done.status is None else f"ended with {done.status}"
        trace(self._environ, f"git {arguments[0]} {ended} after {time.monotonic() - began:.3f} s")
        return done

    def _answered(self) -> None:
        """The remote said something, or nothing more is asked: a wait that begins now is a new one."""
        self._until = None

    def _left(self) -> float:
        """Seconds for which an answer is still waited for."""
        return 0.0 if self._until is None else self._until - time.monotonic()


def _kind_of(done: Done) -> str:
    """The kind of failure of a command that is no push."""
    return SILENT if done.status is None else classify_transfer(done.err)
