"""Commit messages: a subject, the refs, and trailers (design 5.2). The one place that writes and reads them.

Only the last paragraph can hold trailers, by the rules of git-interpret-trailers(1); what is written here always ends
with trailers of its own, so that no other text of a message can be taken for one.
"""

from __future__ import annotations

from ..errors import Fatal
from ..redaction import redact
from .documents import DocumentError, dump, parse
from .operation import Operation, Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

MOST_LISTED: Final = 1000
"""Refs named in a commit message; the commit's own changes name them all."""
_COMMAND: Final = "Ocuroot-Command"
_OPERATION: Final = "Ocuroot-Operation"
_ACTOR: Final = "Ocuroot-Actor"
_RUN: Final = "Ocuroot-Run"
_REASON: Final = "Ocuroot-Reason"
_REQUEST: Final = "Ocuroot-Request"
_RESULT: Final = "Ocuroot-Result"
_MADE_BY_GIT: Final = ("Signed-off-by: ", "(cherry picked from commit ")


def compose(
    touched: Iterable[str], command: str, operations: Sequence[Operation], subject: str | None, *, besides: int = 0
) -> str:
    """The message of a commit that changed some refs: subject (None: made of the refs), refs one a line, trailers.

    `besides` are refs that are only counted: nobody needs to hold a million of them to name the first. Several
    operations in one commit each have their trailers, one operation after the other.
    """
    refs = list(touched)
    count = len(refs) + besides
    if subject is not None:
        subject = _checked_subject(subject)
    else:
        subject = f"{command} {refs[0]}" if count == 1 else f"{command} {count} refs"
    refs.sort()
    listed = refs[:MOST_LISTED]
    if count > len(listed):
        listed.append(f"… and {count - len(listed)} more")
    lines = [subject, "", *listed, "", f"{_COMMAND}: {command}"]
    for operation in operations:
        operation.origin.check()
        lines.append(operation_line(operation.name))
        for key, value in zip((_ACTOR, _RUN, _REASON), operation.origin.values()):
            if value is not None:
                lines.append(f"{key}: {value}")
        if operation.request is not None:
            lines.append(f"{_REQUEST}: {operation.request}")
        if operation.result is not None:
            lines.append(f"{_RESULT}: {operation.result}")
    return "\n".join(lines) + "\n"


def operation_line(name: str) -> str:
    """The line by which a commit that carries an operation is looked for."""
    return f"{_OPERATION}: {name}"


def only_records_a_log(message: str) -> bool:
    """Whether a commit does no more than record what a run printed: readers of history pass it over."""
    return command_of(message) == "run log"


def command_of(message: str) -> str | None:
    """The command that made a commit, or None."""
    return next((value for key, value in reversed(trailers(message)) if key == _COMMAND), None)


def operations_of(message: str) -> list[Operation]:
    """The operations that a commit carries, as they stand there."""
    found: list[Operation] = []
    for key, value in trailers(message):
        if key == _OPERATION:
            found.append(Operation(value))
        elif found and key == _REQUEST:
            found[-1].request = value
        elif found and key == _RESULT:
            found[-1].result = value
        elif found and key == _ACTOR:
            found[-1].origin.actor = value
        elif found and key == _RUN:
            found[-1].origin.run = value
        elif found and key == _REASON:
            found[-1].origin.reason = value
    for operation in found:
        operation.origin = Origin.kept(*operation.origin.values())  # whoever wrote it
    return found


def origin_of(message: str) -> Origin:
    """Where the change of a commit comes from, as its trailers say."""
    return agreed_origin(operations_of(message))


def agreed_origin(operations: Sequence[Operation]) -> Origin:
    """Where all of some operations come from.

    Where a commit carries several, as one that replays many does, what they do not agree on is None.
    """
    values = [operation.origin.values() for operation in operations]
    agreed = (set(column) for column in zip(*values))
    return Origin(*(column.pop() if len(column) == 1 else None for column in agreed))


def actor_of(message: str) -> str | None:
    """Who asked for the change of a commit (`github:ann`, `local:ann@example.org`); None where no trailer says it.

    Then its author is as good a guess as there is.
    """
    return origin_of(message).actor


def run_of(message: str) -> str | None:
    """The URL of the run of a CI system in which a commit was made, or None."""
    return origin_of(message).run


def reason_of(message: str) -> str | None:
    """Why the change of a commit was made, as its `-m` said, or None."""
    return origin_of(message).reason


def operation_name(message: str) -> str | None:
    """The name of the last operation that a commit carries, or None."""
    names = [operation.name for operation in operations_of(message)]
    return names[-1] if names else None


def trailers(message: str) -> list[tuple[str, str]]:
    """The trailers of a commit message, as `git log --format=%(trailers)` finds them: names and values, in order.

    They are the last paragraph, unless it is the first. It holds nothing else, or a line that git itself adds and at
    least one trailer in four lines. Lines that begin with a space go on with the one before.
    """
    lines = message.split("\n")
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    start = len(lines)
    while start and lines[start - 1].strip():
        start -= 1
    if not any(line.strip() for line in lines[:start]):
        return []
    found: list[tuple[str, str]] = []
    count, others, by_git, goes_on = 0, 0, False, False
    for number, line in enumerate(lines[start:]):
        name, colon, value = line.partition(":")
        if line.startswith("#"):
            continue
        if number and line[0] in " \t":
            if goes_on:
                found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}".strip())
            else:
                others += 1
            continue
        by_git = by_git or line.startswith(_MADE_BY_GIT)
        goes_on = bool(colon) and _is_token(name)
        if goes_on:
            found.append((name.rstrip(), value.strip()))
        if goes_on or line.startswith(_MADE_BY_GIT):
            count += 1
        else:
            others += 1
    return found if not others or (by_git and 3 * count >= others) else []


def _is_token(name: str) -> bool:
    """Whether a text can be the name of a trailer: letters, digits and dashes, then perhaps spaces."""
    token = name.rstrip(" \t")
    return bool(token) and token.isascii() and token.replace("-", "a").isalnum()


def recorded(result: object) -> str | None:
    """What a change gave as a trailer holds it; None for None. Raises DocumentError for what is no JSON document."""
    return None if result is None else dump(result, None)


def result_of(operation: Operation) -> object:
    """What a change gave, read from its trailer. Raises Fatal where it was damaged."""
    try:
        return None if operation.result is None else parse(operation.result)
    except DocumentError:
        raise Fatal(f"operation '{operation.name}' was carried out, but its recorded result is damaged") from None


def _checked_subject(text: str) -> str:
    """A message that somebody gave, as a commit holds it: without secrets, as the reason that is made of it."""
    subject = redact(text.strip())
    if not subject:
        raise Fatal("the message is empty")
    try:
        subject.encode()
    except UnicodeEncodeError:
        raise Fatal("the message is not UTF-8") from None
    return subject
