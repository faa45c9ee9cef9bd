"""Talking to remotes by `git fetch`, `git push` and `git ls-remote`: how they are run, and how often (design 8).

What their failures mean stands in `failures`.
"""

from __future__ import annotations

import os
import time

from ..redaction import redact
from .failures import (
    KINDS,
    LOCKED,
    LOGIN,
    MAY_HAVE_ARRIVED,
    NO_REPOSITORY,
    READ_ONLY,
    SILENT,
    TransportError,
    classify_atomic_push,
    classify_push,
    classify_transfer,
    parse_push,
)
from .objects import Oid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final

    from .deadline import GitResult

_MOST: Final = 10
"""How many times longer than a silence a transfer may take that goes on."""
MOST_TRIES: Final = 8
"""How often a transfer is tried at most, whatever its failure."""
_APPEARING: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Seconds to wait before each fetch of a branch that is there when asked for, but was not there for the fetch."""


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
        self,
        refspecs: Sequence[str],
        *options: str,
        wanted: Sequence[Oid] = (),
        lock: int | None = None,
        most_tries: int = MOST_TRIES,
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
        answered: TransportError | None = None
        while True:
            tries += 1
            result = self._run(arguments, data=data, lock=lock)
            if result.status == 0:
                return self._answered()
            failure = self._failure(_kind_of(result), result)
            if failure.kind != SILENT:
                answered = failure
            elif answered is not None:
                failure = answered  # the last try had what was left of the time: what was said before tells more
            left = self._left()
            if tries >= min(KINDS[failure.kind].tries, most_tries) or left <= 0:
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
            if "find remote ref" not in failure.stderr:
                break
            if self.tip(branch) is None:
                return False
        raise failure

    def push(
        self, source: str, branch: str, *, delete: Mapping[str, str] | None = None, git_dir: str | None = None
    ) -> TransportError | None:
        """Push a commit to a branch (full name), fast-forward only; gives the failure, if it is one of those.

        `delete` are references that go with it (full names), each with the id at which it must stand; then all of that
        is done or nothing. An empty `source` pushes nothing else. `git_dir` is another repository that holds what is
        pushed; from there all or nothing is done too, so that a server which cannot do that says so.

        Where the push is not let in, but reading is, the failure says so: servers word it as if nothing were there.
        """
        plain = ("--progress", "--porcelain", "--no-follow-tags", "--recurse-submodules=no")
        # A lease holds for the one reference it names: without it git lets a deletion of what is not there succeed.
        leases = [f"--force-with-lease={name}:{oid}" for name, oid in (delete or {}).items()]
        together = ("--atomic", *leases) if delete or git_dir is not None else ()
        refspecs = [f"{source}:{branch}"] if source else []
        refspecs += [f":{name}" for name in delete or ()]
        result = self._run(("push", *plain, *together, "--", self.remote, *refspecs), git_dir=git_dir)
        out = result.out.decode(errors="replace")
        classify = classify_atomic_push if together else classify_push
        kind = classify(result.status, out, result.err, branch)
        if kind is None:
            self._answered()
            return None
        answer = parse_push(out, branch)
        if answer is not None and answer.flag == "!":
            result.err = f"! [{answer.summary}] {answer.reason}\n" + result.err
        if kind not in MAY_HAVE_ARRIVED:
            self._answered()
        if kind in (LOGIN, NO_REPOSITORY):
            try:
                self.tip(branch)
                kind = READ_ONLY
            except TransportError:
                pass  # reading is refused too: it is what it seemed to be
        return self._failure(kind, result)

    def tip(self, branch: str) -> Oid | None:
        """Where a branch (full name) stands on the remote now; None where there is none. Raises TransportError.

        The exit status tells a missing branch from every other failure.
        """
        return self.references(branch).get(branch)

    def references(self, *patterns: str) -> dict[str, Oid]:
        """The references of the remote that match one of some patterns, and their ids. Raises TransportError."""
        result = self._run(("ls-remote", "--exit-code", "--", self.remote, *patterns))
        self._answered()
        if result.status == 2:
            return {}
        if result.status != 0:
            raise self._failure(_kind_of(result), result)
        lines = (line.partition("\t") for line in result.out.decode(errors="replace").splitlines())
        return {name: Oid(oid) for oid, _, name in lines}

    def default_branch(self, url: str, directory: str) -> str | None:
        """The branch that `git clone` would check out (its short name), also where nothing was pushed to it yet.

        `url` is that of the remote, and `directory` does not exist: where the remote has no commit at its HEAD, a clone
        without files is made there, for to no other command git tells what HEAD names then. None where HEAD names no
        branch. Raises TransportError.
        """
        result = self._run(("ls-remote", "--symref", "--", self.remote, "HEAD"))
        self._answered()
        if result.status != 0:
            raise self._failure(_kind_of(result), result)
        head = result.out.decode(errors="replace")
        if not head:
            clone = ("clone", "--quiet", "--bare", "--no-tags", "--depth=1", "--filter=tree:0", "--template=")
            result = self._run((*clone, "--", url, directory))
            self._answered()
            if result.status != 0:
                raise self._failure(_kind_of(result), result)
            with open(os.path.join(directory, "HEAD"), encoding="utf-8", errors="replace") as file:
                head = file.read()
        _, prefix, name = head.partition("\n")[0].partition("ref: refs/heads/")
        return name.partition("\t")[0] if prefix else None

    def retry(self, failure: TransportError) -> None:
        """Say, to whoever wants to know, that something is tried again, and why."""
        if self._tell is not None:
            self._tell(f"trying again: {failure.message}")

    def _failure(self, kind: str, result: GitResult) -> TransportError:
        """The error for a command that failed, as people read it. Raises Conflict for a lock that nobody holds."""
        if kind == LOCKED:
            from .locks import refuse_left_in

            refuse_left_in(result.err)  # to try again would be in vain
        words = result.err if result.status is not None else f"it said nothing for {self._seconds:g} s\n{result.err}"
        return TransportError(kind, self.shown, words)

    def _run(
        self,
        arguments: Sequence[str],
        *,
        data: bytes | None = None,
        lock: int | None = None,
        git_dir: str | None = None,
    ) -> GitResult:
        from .deadline import execute  # late: some commands load this module only to know what a remote store is
        from .tracing import trace

        command = ("-c", "protocol.version=2", *arguments)
        began = time.monotonic()
        if self._until is None or self._until <= began:
            self._until = began + self._seconds
        trace(self._environ, f"run: git {' '.join(command)}")
        result = execute(
            command,
            self._environ if git_dir is None else {**self._environ, "GIT_DIR": git_dir},
            directory=self._directory,
            seconds=self._until - began,
            most=self._seconds * _MOST,
            data=data,
            keep=() if lock is None else (lock,),
        )
        ended = "was ended" if result.status is None else f"ended with {result.status}"
        trace(self._environ, f"git {arguments[0]} {ended} after {time.monotonic() - began:.3f} s")
        return result

    def _answered(self) -> None:
        """The remote said something, or nothing more is asked: a wait that begins now is a new one."""
        self._until = None

    def _left(self) -> float:
        """Seconds for which an answer is still waited for."""
        return 0.0 if self._until is None else self._until - time.monotonic()


def _kind_of(result: GitResult) -> str:
    """The kind of failure of a command that is no push."""
    return SILENT if result.status is None else classify_transfer(result.err)
