"""What git printed when it talked to a remote → the kind of failure → whether to try again (design 8).

All of it is pure; `tests/git/failures_test.py` feeds it what git and its servers said. A failure is classified by
what git prints for programs (`--porcelain`, exit statuses) first, and by words only where there is nothing else. What
stays open is decided by whether the tip moved: see `backends/remote` and `sync/branch_sync`.
"""

from __future__ import annotations

from ..errors import RemoteError
from .objects import Oid, is_whole_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

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
UNFILTERED: Final = "unfiltered"
NOT_TOGETHER: Final = "not together"
OTHER: Final = "other"

RETRY: Final = "retry"
STOP: Final = "stop"
"""What to do about a failure: try again, or end. LOGIN and POLICY are for people to do something about."""

MAY_HAVE_ARRIVED: Final = (CUT, BUSY, SILENT, UNREACHABLE)
"""The failures of a push that leave open whether it was carried out, and pass."""


class Kind:
    """A kind of failure: its message (`{}` is the remote), what to do about it, a hint for people, and its marks.

    `tries` is how often a fetch is tried that fails so. `transfer` are the marks in stderr of a transfer that failed,
    `rejection` those in what a server says of one branch behind `[remote rejected]`; all in lower case.
    """

    __slots__ = ("handling", "hint", "message", "rejection", "transfer", "tries")

    def __init__(
        self,
        message: str,
        handling: str,
        *,
        hint: str | None = None,
        tries: int = 1,
        transfer: tuple[str, ...] = (),
        rejection: tuple[str, ...] = (),
    ) -> None:
        self.message = message
        self.handling = handling
        self.hint = hint
        self.tries = tries
        self.transfer = transfer
        self.rejection = rejection


KINDS: Final = {
    UNWANTED: Kind(
        "'{}' does not give what it is asked for",
        STOP,
        transfer=(
            "does not allow request for unadvertised object",
            "not our ref",
            "want without filter",
        ),
    ),
    UNFILTERED: Kind(
        "'{}' does not leave out what it is asked to",
        STOP,
        transfer=(
            "tree filter allows max depth",
            "filter 'tree' not supported",
            "filter 'blob:none' not supported",
            "filter 'blob:limit' not supported",
        ),
    ),
    NO_PROGRAM: Kind(
        "git cannot start the program that connects to '{}'",
        STOP,
        hint="install it, or name another: core.sshCommand, GIT_SSH_COMMAND",
        transfer=(
            "cannot run ",
            "cannot exec ",
            "cannot spawn ",
            "is not a git command",
            ": command not found",
            ": not found\n",
        ),
    ),
    POLICY: Kind(
        "'{}' refuses the push by its own rules",
        POLICY,
        hint="ask whoever runs the server to let this login push to the branch; trying again does not help",
        rejection=(
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
    LOCKED: Kind(
        "another process holds a lock that is needed for '{}'",
        RETRY,
        tries=8,
        transfer=(
            "cannot lock ref",
            ".lock': file exists",
        ),
        rejection=(
            "cannot lock ref",
            "failed to lock",
            "unable to lock",
            "failed to update ref",
            "unable to create",
            "locked",
        ),
    ),
    NO_REPOSITORY: Kind(
        "there is no repository at '{}'",
        STOP,
        hint="check the address, and whether this login may see the repository",
        transfer=(
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
    HOST_KEY: Kind(
        "ssh does not trust the host of '{}'",
        LOGIN,
        hint="compare the key of the host with the one that its owner publishes, and add it to known_hosts",
        transfer=("host key verification failed",),
    ),
    LOGIN: Kind(
        "'{}' refused the login",
        LOGIN,
        hint="check the credentials; git itself must be able to: git ls-remote <url>",
        transfer=(
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
    RACE: Kind(
        "the branch at '{}' was moved by another writer",
        RETRY,
        rejection=(
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
    BUSY: Kind(
        "'{}' is busy",
        RETRY,
        tries=5,
        transfer=(
            "returned error: 5",
            "returned error: 429",
            "service unavailable",
            "too many requests",
        ),
        rejection=(
            "internal server error",
            "service unavailable",
            "try again",
        ),
    ),
    UNREACHABLE: Kind(
        "cannot reach '{}'",
        RETRY,
        hint="'--offline' reads what was fetched before",
        tries=3,
        transfer=(
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
    CUT: Kind(
        "the connection to '{}' was cut",
        RETRY,
        tries=5,
        transfer=(
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
        rejection=(
            "remote failed to report",
            "timeout",
        ),
    ),
    SILENT: Kind(
        "'{}' does not answer",
        RETRY,
        hint="if it is only slow, give it longer: git config ocuroot.timeout <seconds>",
    ),
    READ_ONLY: Kind(
        "this login may read '{}', but not write to it",
        LOGIN,
        hint="ask whoever runs the server for the right to push; trying again does not help",
    ),
    NOT_TOGETHER: Kind(
        "'{}' does not take several references in one push, or not these",
        STOP,
    ),
    REFUSED: Kind(
        "'{}' refused the push",
        STOP,
    ),
    OTHER: Kind(
        "cannot talk to '{}'",
        STOP,
    ),
}
"""Every kind of failure. The first one counts of which a mark is found: POLICY before what a hook may say besides.

REFUSED, a refusal in unknown words, is a lost race where the tip moved.
"""

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
    """A remote did not do what was asked. `kind` says why; the message has the lines that tell, `stderr` all of them.

    Which command it was is for the trace: see `GIT_TRACE_OCUROOT`.
    """

    def __init__(self, kind: str, url: str, stderr: str) -> None:
        row = KINDS[kind]
        summary = summarize_stderr(stderr, kind) or "git said nothing"
        super().__init__(f"{row.message.format(url)}: {summary}", hint=row.hint)
        self.kind = kind
        self.stderr = stderr

    @property
    def is_before_sending(self) -> bool:
        """Whether a push was refused by git here, because a reference does not stand where it should at the remote."""
        return self.kind == RACE and self.stderr.startswith("! [rejected]")

    @property
    def handling(self) -> str:
        """What to do about it: RETRY, STOP, LOGIN or POLICY."""
        return KINDS[self.kind].handling


class PushResult:
    """What `git push --porcelain` said about one branch: its flag, the summary, and the reason in brackets."""

    __slots__ = ("flag", "reason", "summary")

    def __init__(self, flag: str, summary: str, reason: str) -> None:
        self.flag = flag
        self.summary = summary
        self.reason = reason


def parse_push(out: str, branch: str) -> PushResult | None:
    """The line about a branch (full name) in what `git push --porcelain` printed; None where there is none.

    Lines are `<flag> TAB <from>:<to> TAB <summary> [(<reason>)]`; the summary of a rejection is in square brackets.
    """
    for line in out.splitlines():
        flag, tab, rest = line.partition("\t")
        names, second_tab, summary_and_reason = rest.partition("\t")
        if not (tab and second_tab) or len(flag) != 1 or names.rpartition(":")[2] != branch:
            continue
        if summary_and_reason.startswith("["):
            summary, _, reason = summary_and_reason[1:].partition("]")
            return PushResult(flag, summary, reason.strip().removeprefix("(").removesuffix(")"))
        return PushResult(flag, summary_and_reason, "")
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
        kind = SILENT if status is None else classify_transfer(err)
        return CUT if kind == OTHER and _was_under_way(status, err) else kind
    if answer.summary == "rejected":
        return RACE
    if answer.summary == "remote rejected":
        return _first_kind(answer.reason, is_rejection=True) or REFUSED
    if answer.summary == "remote failure":
        return CUT
    return REFUSED


def _was_under_way(status: int | None, err: str) -> bool:
    """Whether a push that said nothing of its outcome may have sent all of it: so it is where git was killed."""
    return (status is not None and status < 0) or "writing objects" in err.lower()


def classify_atomic_push(status: int | None, out: str, err: str, branch: str) -> str | None:
    """As `classify_push`, of a push of several references of which all or none are moved.

    Where one stands in the way, the others are said to have failed with it.
    """
    answer = parse_push(out, branch)
    if answer is None and status is not None and "does not support --atomic" in err:
        return NOT_TOGETHER
    if answer is None or answer.flag != "!" or not answer.reason.startswith("atomic "):
        return classify_push(status, out, err, branch)
    if answer.summary == "rejected":
        return RACE
    reasons = [line.rpartition("\t")[2] for line in out.splitlines() if line.startswith("!\t")]
    if any("(atomic " not in reason for reason in reasons):
        return NOT_TOGETHER
    return LOCKED if ".lock': file exists" in err.lower() else RACE


def classify_transfer(err: str) -> str:
    """The kind of failure of a transfer that ended before anything was said about a branch."""
    return _first_kind(err, is_rejection=False) or OTHER


def _first_kind(text: str, *, is_rejection: bool) -> str | None:
    """The first kind of the table of which one of the marks stands in a text; None where none does."""
    text = text.lower()
    for kind, row in KINDS.items():
        if any(mark in text for mark in (row.rejection if is_rejection else row.transfer)):
            return kind
    return None


def lost_object(err: str) -> Oid | None:
    """The object for want of which git gave up, in a repository that lacks some on purpose; None where it was not that.

    See `upkeep`: it is one that the remote has.
    """
    oid, _, rest = err.partition("could not fetch ")[2].partition(" ")
    return Oid(oid) if rest.startswith("from promisor remote") and is_whole_id(oid) else None


def summarize_stderr(err: str, kind: str = OTHER) -> str:
    """What counts in git's stderr, in one line: the lines that decided for `kind` first, and no chatter."""
    lines = [line.strip() for line in err.replace("\r", "\n").splitlines()]
    lines = [line for line in dict.fromkeys(lines) if line not in ("", "remote:", "error:")]
    telling = [line for line in lines if not line.lower().startswith(_CHATTER)]
    exact = [line for line in telling if not any(vague in line.lower() for vague in _VAGUE)]
    marks = (*KINDS[kind].transfer, *KINDS[kind].rejection)

    def is_minor(line: str) -> bool:
        return not line.startswith("!") and not any(mark.rstrip("\n") in line.lower() for mark in marks)

    kept = sorted(exact or telling or lines, key=is_minor)[:_MOST_LINES]
    return " / ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in kept)
