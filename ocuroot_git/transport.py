"""Talking to remotes by `git fetch`, `git push` and `git ls-remote`: what they answer, and what went wrong (design 8).

The parsers and the classification are pure; `tests/sharing_words_test.py` feeds them what git and its servers said.
A failure is classified by what git prints for programs (`--porcelain`, exit statuses) first, and by words only
where there is nothing else. What stays open is decided by whether the tip moved: see `remote.py` and `sync.py`.
"""

from __future__ import annotations

import time

from .errors import RemoteError
from .git import Done, execute
from .redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

NO_REPOSITORY: Final = "no repository"
LOGIN: Final = "login"
UNREACHABLE: Final = "unreachable"
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
    UNREACHABLE: "retry",
    LOGIN: "login",
    POLICY: "policy",
    NO_REPOSITORY: "stop",
    UNWANTED: "stop",
    REFUSED: "stop",
    OTHER: "stop",
}
"""What to do about each kind of failure. REFUSED, a refusal in unknown words, is a lost race where the tip moved."""

_SAYINGS: Final = {
    NO_REPOSITORY: "there is no repository at '{}'",
    LOGIN: "'{}' refused the login",
    UNREACHABLE: "cannot reach '{}'",
    CUT: "the connection to '{}' was cut",
    RACE: "the branch at '{}' was moved by another writer",
    LOCKED: "the branch at '{}' is locked by another writer",
    POLICY: "'{}' refuses the push by its own rules",
    REFUSED: "'{}' refused the push",
    UNWANTED: "'{}' does not give single objects",
    OTHER: "cannot talk to '{}'",
}
_HINTS: Final = {
    NO_REPOSITORY: "check the address, and whether this login may see the repository",
    LOGIN: "check the credentials; git itself must be able to: git ls-remote <url>",
    UNREACHABLE: "'--offline' reads what was fetched before",
    POLICY: "ask whoever runs the server to let this login push to the branch; trying again does not help",
}

_APPEARING: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Seconds to wait before each fetch of a branch that is there when asked for, but was not there for the fetch."""

# Words in stderr of a transfer that failed, in lower case; the first kind of which one is found is taken.
_TRANSFER_WORDS: Final = (
    (UNWANTED, ("does not allow request for unadvertised object", "not our ref", "want without filter")),
    (
        NO_REPOSITORY,
        (
            "repository not exported",
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
    (
        LOGIN,
        (
            "authentication failed",
            "could not read username",
            "could not read password",
            "permission denied",
            "host key verification failed",
            "returned error: 401",
            "returned error: 403",
            "returned error: 407",
            "invalid credentials",
            "access denied",
            "not authorized",
            "service not enabled",
        ),
    ),
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
            "returned error: 5",
            "returned error: 429",
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
    (CUT, ("internal server error", "service unavailable", "try again", "remote failed to report", "timeout")),
)


class TransportError(RemoteError):
    """A remote did not do what was asked. `kind` says why; the message has git's words and the command."""

    def __init__(self, kind: str, url: str, arguments: Sequence[str], words: str) -> None:
        said = essence(words) or "git said nothing"
        super().__init__(
            f"{_SAYINGS[kind].format(url)}: {said} ('{' '.join(('git', *arguments))}')", hint=_HINTS.get(kind)
        )
        self.kind = kind

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
        return CUT if status is None else classify_transfer(err)
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


def essence(err: str) -> str:
    """What counts in git's stderr, in one line: the lines of errors and of the server, without the chatter."""
    lines = [line.strip() for line in err.replace("\r", "\n").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!", "ssh:")) or "ssh" in line]
    chosen = [line.removeprefix("fatal: ").removeprefix("error: ") for line in telling or lines]
    kept = [line for line in dict.fromkeys(chosen) if line != "remote:" and "failed to push some refs" not in line]
    return " / ".join(kept[:6])


class Transport:
    """Runs git's network commands for one remote, from one directory, in one environment."""

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        remote: str,
        shown: str,
        seconds: float,
        options: Sequence[str] = (),
    ) -> None:
        self.remote = remote
        """The remote as git is told it: a name it has configuration for, or a URL."""
        self.shown = redact(shown)
        """The remote as people are told it."""
        self._directory = directory
        self._environ = environ
        self._seconds = seconds
        self._options = ("-c", "protocol.version=2", *options)

    def fetch(
        self,
        refspecs: Sequence[str],
        *options: str,
        wanted: Sequence[str] = (),
        large: bool = False,
        lock: int | None = None,
    ) -> str:
        """Fetch branches, or the objects `wanted`; gives what git said. Raises TransportError.

        `large` allows ten times as long; `lock` is a descriptor that git holds while it runs.
        """
        plain = ("--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--no-auto-maintenance")
        configured = ("-c", "fetch.negotiationAlgorithm=noop") if wanted else ()
        source = ("--stdin",) if wanted else ()
        arguments = (*self._options, *configured, "fetch", *plain, *options, *source, "--", self.remote, *refspecs)
        data = "".join(f"{oid}\n" for oid in wanted).encode() if wanted else None
        done = self._run(arguments, data=data, seconds=self._seconds * (10 if large else 1), lock=lock)
        if done.status != 0:
            raise self.failure(CUT if done.status is None else classify_transfer(done.err), arguments, done)
        return done.err

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
            if "find remote ref" not in failure.message:
                break
            if self.tip(branch) is None:
                return False
        raise failure

    def push(self, source: str, branch: str) -> TransportError | None:
        """Push a commit to a branch (full name), fast-forward only; gives the failure, if it is one of those."""
        plain = ("--porcelain", "--no-follow-tags", "--recurse-submodules=no")
        arguments = (*self._options, "push", *plain, "--", self.remote, f"{source}:{branch}")
        done = self._run(arguments, seconds=self._seconds)
        out = done.out.decode(errors="replace")
        kind = classify_push(done.status, out, done.err, branch)
        if kind is None:
            return None
        answer = parse_push(out, branch)
        if answer is not None and answer.flag == "!":
            done.err = f"! [{answer.summary}] {answer.reason}\n" + done.err
        return self.failure(kind, arguments, done)

    def tip(self, branch: str) -> str | None:
        """Where a branch (full name) stands on the remote now; None where there is none. Raises TransportError.

        The exit status tells a missing branch from every other failure.
        """
        arguments = (*self._options, "ls-remote", "--exit-code", "--", self.remote, branch)
        done = self._run(arguments, seconds=self._seconds)
        if done.status == 2:
            return None
        if done.status != 0:
            raise self.failure(CUT if done.status is None else classify_transfer(done.err), arguments, done)
        for line in done.out.decode(errors="replace").splitlines():
            oid, _, name = line.partition("\t")
            if name == branch:
                return oid
        return None

    def failure(self, kind: str, arguments: Sequence[str], done: Done) -> TransportError:
        """The error for a command that failed, as people read it."""
        words = done.err if done.status is not None else f"no answer within {self._seconds:g} s\n{done.err}"
        shown = [self.shown if word == self.remote else word for word in arguments]
        return TransportError(kind, self.shown, shown, words)

    def _run(
        self, arguments: Sequence[str], *, seconds: float, data: bytes | None = None, lock: int | None = None
    ) -> Done:
        keep = () if lock is None else (lock,)
        return execute(arguments, self._environ, directory=self._directory, seconds=seconds, data=data, keep=keep)
