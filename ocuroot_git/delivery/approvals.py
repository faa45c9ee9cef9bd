"""Approvals: who has approved a release for an environment, and which of them count for a gate (design 13).

An approval is an intent, `P/+N/custom/approval/<environment>/<actor>`. Whoever can write the intent store can write any
document there. So it counts for nobody but who made the commit that wrote it: the actor in its ref, the one in its
document and the one of that commit must be the same, and an actor of no CI system (`local:<email>`) is the author or
committer of the commit. Where the commit is not there to be asked, nobody has approved.
"""

from __future__ import annotations

from math import nan

from ..backends.base import node_at
from ..backends.remote import Remote
from ..errors import NotFound
from ..formats.commit_message import actor_of
from ..formats.layout import OBJECT_FILE, REFS, StoredRef, object_path
from ..formats.refs import INTENT, Ref
from ..formats.times import parse_seconds
from ..git.objects import ObjectError
from ..store.history import WRITE_AFTER, changed_files, changing_commits
from .fields import Record
from .problems import BAD
from .queries import read_release
from .vocabulary import shown_actor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..git.objects import Commit, Oid
    from ..git.repository import Repository
    from ..store.snapshot import Snapshot
    from .addresses import WorkRef
    from .fields import Fields

_DIRECTORY: Final = "approval"
_OF_ANOTHER: Final = "its document names another"
_SLACK: Final = 60.0
"""Seconds by which the clock of who approved may be ahead."""


class Approval(Record):
    """What an actor said of a release for an environment, when (seconds since the epoch), and why.

    `approves` is false where it was rejected. `problem` says why it counts for nobody, None where it does.
    `emails` are those of the author and the committer of the commit that wrote it.
    """

    __slots__ = ("actor", "approves", "emails", "problem", "reason", "time")

    def __init__(self, actor: str) -> None:
        self.actor = actor
        self.approves = False
        self.reason = ""
        self.time = 0.0
        self.emails: set[str] = set()
        self.problem: str | None = None


def intent_of(work: WorkRef, actor: str) -> Ref:
    """The ref at which an actor approves a deployment of a release, in intent."""
    return Ref.parse(work.release).replace(marker=INTENT, type="custom", name=f"{_below(work)}/{_quoted(actor)}")


def state_of(work: WorkRef, actor: str) -> Ref:
    """The ref in state that follows from it."""
    return Ref.parse(work.release).replace(type="custom", name=f"{_below(work)}/{_quoted(actor)}")


def _below(work: WorkRef) -> str:
    return f"{_DIRECTORY}/{work.name}"


def _quoted(actor: str) -> str:
    """An actor as one segment of a ref."""
    return actor.replace("%", "%25").replace("/", "%2F")


def document_of(actor: str, reason: str | None, time: str, *, approves: bool) -> Fields:
    """The document by which an actor approves, or rejects."""
    return {"approved": approves, "by": actor, "time": time, **({"reason": reason} if reason else {})}


def approvals_of(snapshot: Snapshot, work: WorkRef, *, trusts: bool = False) -> list[Approval]:
    """What was said of a release for an environment, by actor; that too which counts for nobody.

    With `trusts`, it is taken at its word, and no commit is asked who wrote it and when: for those who judge many runs
    of the past, and only want to know whether there was something to go by.
    """
    if not snapshot.has_intent():
        return []
    above = intent_of(work, "x")
    tree = snapshot.tree(above)
    stored = StoredRef(tree.layout.spellings(above)[0].rpartition("/")[0])
    names = sorted(name for name in tree.names(f"{REFS}/{stored}") if name != OBJECT_FILE)
    actors = [name.replace("%2F", "/").replace("%25", "%") for name in names]
    return [_read(snapshot, work, actor, trusts=trusts) for actor in actors]


def only_added(snapshot: Snapshot, work: WorkRef) -> bool:
    """Whether all that was ever said of a release for an environment is there now, as it was said; false where the
    history that is here does not tell."""
    if not snapshot.has_intent():
        return False
    above = intent_of(work, "x")
    backend, directory = snapshot.backend_of(snapshot.tree(above))
    repository, tip = backend.repository, snapshot.version(backend).oid
    if repository is None or tip is None or repository.is_partial or repository.history_ends():
        return False
    stored = snapshot.tree(above).layout.spellings(above)[0].rpartition("/")[0]
    path = f"{directory}{REFS}/{stored}"
    graph = snapshot.surroundings.commit_graph
    try:
        for commit, before in changing_commits(repository, tip, [path], graph=graph, write_after=WRITE_AFTER):
            ends = [None if root is None else node_at(repository, root, path) for root in (before, commit.root)]
            if any(letter != "A" for letter, _, _ in changed_files(repository, *ends)):
                return False
    except ObjectError:
        return False
    return True


def _read(snapshot: Snapshot, work: WorkRef, actor: str, *, trusts: bool) -> Approval:
    approval = Approval(actor)
    ref = intent_of(work, actor)
    try:
        found = snapshot.object(ref)
        value = found.body if found is not None and found.kind == "ref" else None
        if not isinstance(value, dict) or not isinstance(value.get("approved"), bool):
            approval.problem = "it does not say whether it approves"
            return approval
        approval.approves = value["approved"]
        approval.reason = value["reason"] if isinstance(value.get("reason"), str) else ""
        if trusts:
            said = parse_seconds(value.get("time"))
            approval.time = nan if said is None else said  # which has not expired, nor is it to come
            approval.problem = None if value.get("by") == actor else _OF_ANOTHER
            return approval
        commit = _who_wrote(snapshot, ref)
        approval.time = float(commit.committer.time)
        approval.emails = {commit.author.email.casefold(), commit.committer.email.casefold()}
        approval.problem = _is_another(actor, value.get("by"), commit, approval.emails)
    except BAD as error:
        approval.problem = error.message
    return approval


def _is_another(actor: str, by: object, commit: Commit, emails: set[str]) -> str | None:
    """Why an approval is not that of the actor whose name it bears; None where it is."""
    wrote = actor_of(commit.message) or f"local:{commit.author.email or commit.author.name}"
    if by != actor:
        return _OF_ANOTHER
    if wrote != actor:
        return f"{shown_actor(wrote)} wrote it"
    system, _, name = actor.partition(":")
    if system == "local" and name.casefold() not in emails:
        return f"{commit.author.email} made the commit"
    return None


def _who_wrote(snapshot: Snapshot, ref: Ref) -> Commit:
    """The commit that made the document of an intent what it is. Raises NotFound where it is not to be found here."""
    tree = snapshot.side("intent")
    backend, directory = snapshot.backend_of(tree)
    repository, tip = backend.repository, snapshot.version(backend).oid
    if repository is None or tip is None:
        raise NotFound("a store without history does not say who wrote it")
    path = directory + object_path(tree.layout.spellings(ref)[0])
    known = snapshot.surroundings.derived.setdefault("writers", {})
    key = f"{tip} {path}"
    if key not in known:
        known[key] = _newest(snapshot, repository, tip, path)
        if known[key] is None and isinstance(backend, Remote):
            backend.need_history()
            known[key] = _newest(snapshot, backend.repository, tip, path)
    commit: Commit | None = known[key]
    if commit is None:
        raise NotFound("the history that is here does not say who wrote it")
    return commit


def _newest(snapshot: Snapshot, repository: Repository, tip: Oid, path: str) -> Commit | None:
    """The newest commit that changed a file; None where the history that is here ends before it."""
    graph = snapshot.surroundings.commit_graph
    try:
        commit, _ = next(changing_commits(repository, tip, [path], graph=graph, write_after=WRITE_AFTER), (None, None))
    except ObjectError:
        return None  # of a shallow clone
    return None if commit is None or commit.oid in repository.history_ends() else commit


class Authors(Record):
    """Who has a part in a release and so does not approve it: `emails` of the author of its commit, and `actors`.

    `problem` says why that is not known.
    """

    __slots__ = ("actors", "emails", "problem")

    def __init__(self) -> None:
        self.emails: set[str] = set()
        self.actors: set[str] = set()
        self.problem: str | None = None

    def include(self, approval: Approval) -> bool:
        """Whether an approval is by one of them."""
        system, _, name = approval.actor.casefold().partition(":")
        emails = approval.emails | ({name} if system == "local" else set())
        names = {email.partition("@")[0].rpartition("+")[2] for email in self.emails if _is_noreply(email, system)}
        return bool(emails & self.emails) or approval.actor.casefold() in self.actors or name in names


def _is_noreply(email: str, system: str) -> bool:
    """Whether an address is one by which a CI system's host hides an account's: `1+ann@users.noreply.github.com`."""
    return email.partition("@")[2].startswith("users.noreply.") and system in email


def authors_of(snapshot: Snapshot, work: WorkRef) -> Authors:
    """Who wrote the commit of a release, as the repository says that one is in."""
    found = Authors()
    try:
        oid = read_release(snapshot, work.release).commit
        code = snapshot.surroundings.code
        if code is None or not oid:
            raise NotFound("there is no repository here that has its commit")
        author = code.commit(code.resolve(oid)).author
        found.emails.add(author.email.casefold())
    except (*BAD, ObjectError) as error:
        found.problem = error.message
    return found


class Rules(Record):
    """What a gate asks of approvals: how many, `whom` it takes them from (None: anybody), and for how many seconds.

    With `not_author`, not from who wrote the commit of the release.
    """

    __slots__ = ("count", "not_author", "seconds", "whom")

    def __init__(self, count: int, whom: list[str] | None, seconds: float | None, *, not_author: bool) -> None:
        self.count = count
        self.whom = whom
        self.seconds = seconds
        self.not_author = not_author


class Verdict(Record):
    """Whether a release is approved: by whom, why others do not count, who `rejected` it, and until when that holds."""

    __slots__ = ("approved", "by", "rejected", "until", "without")

    def __init__(self) -> None:
        self.approved = False
        self.by: list[str] = []
        self.without: list[str] = []
        self.rejected: list[str] = []
        self.until: float | None = None


def judge(rules: Rules, approvals: list[Approval], authors: Authors | None, moment: float) -> Verdict:
    """What some rules make of approvals at a moment. `authors` are asked for where the rules exclude them."""
    verdict = Verdict()
    counting: dict[str, Approval] = {}
    for approval in approvals:
        why = approval.problem or _why_not(rules, approval, authors, moment)
        if not approval.approves and approval.problem is None:
            reason = f": {' '.join(approval.reason.split())}" if approval.reason else ""
            verdict.rejected.append(f"{shown_actor(approval.actor)}{reason}")
        elif why is not None:
            verdict.without.append(f"that of {shown_actor(approval.actor)} does not count: {why}")
        else:
            counting.setdefault(approval.actor.casefold(), approval)
    verdict.by = [approval.actor for approval in counting.values()]
    verdict.approved = len(counting) >= rules.count and not verdict.rejected
    if verdict.approved and rules.seconds is not None:
        times = sorted((approval.time for approval in counting.values()), reverse=True)
        verdict.until = times[rules.count - 1] + rules.seconds
    return verdict


def _why_not(rules: Rules, approval: Approval, authors: Authors | None, moment: float) -> str | None:
    if rules.whom is not None and approval.actor not in rules.whom:
        return "the gate does not ask them"
    if approval.time > moment + _SLACK:
        return "it is dated later than now"
    if rules.seconds is not None and moment >= approval.time + rules.seconds:
        return "it has expired"
    if rules.not_author and (authors is None or authors.problem is not None):
        why = authors.problem if authors is not None else "it was not looked for"
        return f"who wrote the commit is not known ({why})"
    if rules.not_author and authors is not None and authors.include(approval):
        return "they wrote the commit"
    return None
