"""Releases and runs as any version of either program wrote them, read as far as their fields allow. Never raises.

`model` reads what this program writes, and refuses the rest; the page shows whatever is in a store, that of early
Ocuroot (`work`, `call`, functions in documents of their own) and of the late one (`tasks`, `task`, functions within
the run) among it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .vocabulary import CALL, DEPLOY

if TYPE_CHECKING:
    from ..formats.documents import Document

Fields = dict[str, Any]


def fields(value: Document) -> Fields:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Document) -> str:
    """The value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def listed(value: Document) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


class Spec:
    """A piece of work as a release's document defines it; `selector` where it stands for several deployments."""

    __slots__ = ("fields", "kind", "name", "selector")

    def __init__(self, kind: str, name: str, selector: Fields | None, given: Fields) -> None:
        self.kind = kind
        self.name = name
        self.selector = selector
        self.fields = given

    def matches(self, environment: Document) -> bool:
        """Whether the selector selects an environment, by its document."""
        attributes = fields(fields(environment).get("attributes"))
        wanted = fields(fields(self.selector).get("attributes"))
        return all(attributes.get(key) == value for key, value in wanted.items())


def phases(release: Document) -> list[tuple[str, list[Spec]]]:
    """The phases of a release's document, by name, with their work."""
    found = []
    for phase in map(fields, listed(fields(fields(release).get("package")).get("phases"))):
        work = [spec for item in listed(phase.get("work") or phase.get("tasks")) if (spec := _spec(fields(item)))]
        found.append((text(phase.get("name")), work))
    return found


def is_release(body: Document) -> bool:
    """Whether a document is that of a release of a package."""
    return isinstance(fields(body).get("package"), dict)


def _spec(item: Fields) -> Spec | None:
    call = fields(item.get("call") or item.get("task"))
    if call:
        return Spec(CALL, text(call.get("name")), None, call)
    deploy = fields(item.get("deploy"))
    if not deploy:
        return None
    selector = deploy.get("environments")
    name = text(deploy.get("environment"))
    return Spec(DEPLOY, name, fields(selector) if selector is not None and not name else None, deploy)


class Function:
    """How a run executes: its function, inputs, outputs, what it waits for, and the moments of its statuses."""

    __slots__ = ("command", "dependencies", "ended_by", "history", "inputs", "name", "outputs", "position")

    def __init__(self, current: Fields, history: list[Fields]) -> None:
        function = fields(current.get("fn"))
        self.name = text(function.get("name"))
        self.position = text(function.get("pos"))
        self.command = text(function.get("run"))
        self.inputs = fields(current.get("inputs"))
        self.outputs = current.get("outputs")
        self.dependencies = [text(one) for one in listed(current.get("dependencies")) if text(one)]
        self.ended_by = text(current.get("ended_by"))
        self.history = [
            {"status": text(one.get("status")), "time": text(one.get("time"))} for one in history if one.get("status")
        ]


def functions(run: Document, documents: list[Document]) -> list[Function]:
    """The functions of a run: those within its document, else those of the documents below it."""
    within = [Function(fields(one), []) for one in listed(fields(run).get("functions"))]
    return within or [
        Function(fields(fields(one).get("current")), [fields(step) for step in listed(fields(one).get("history"))])
        for one in documents
    ]


def output(run: Document) -> Document:
    """What a run put out, where its document says; else None."""
    return fields(run).get("output", fields(run).get("outputs"))


def release_of(body: Document) -> str:
    """The release that a run or a deploy intent names, or an empty text."""
    return text(fields(body).get("release"))


def log_entries(body: Document) -> list[Fields]:
    """The entries of a log: time, message, stream (2 is that of errors) and attributes. Other shapes become text."""
    found = []
    for entry in body if isinstance(body, list) else [] if body is None else [body]:
        known = fields(entry)
        message = known.get("message", None if known else entry)
        found.append(
            {
                "time": text(known.get("timestamp") or known.get("time")),
                "message": message if isinstance(message, str) else "" if message is None else str(message),
                "stream": known.get("stream") if isinstance(known.get("stream"), int) else 1,
                "attributes": fields(known.get("attributes")),
            }
        )
    return found
