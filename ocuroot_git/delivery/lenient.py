"""Releases and runs as any version of either program wrote them, read as far as names and fields allow. Never raises.

`model` reads what this program writes, and refuses the rest; the page shows whatever is in a store, that of early
Ocuroot (`work`, `call`, functions in documents of their own) and of the late one (`tasks`, `task`, functions within
the run) among it.
"""

from __future__ import annotations

from ..formats.layout import OBJECT_FILE, REFS, Damaged, StoredRef
from ..formats.refs import STATE, number_in, run_number, version_key
from ..git.objects import ObjectError
from .fields import Record
from .vocabulary import CALL, DEPLOY, PAUSED, PENDING, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from ..backends.base import Node
    from ..formats.documents import Document
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .fields import Fields


def fields(value: Document) -> Fields:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Document) -> str:
    """The value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def line(value: Document) -> str:
    """The value where it is a string, as one printable line; else an empty text."""
    found = text(value)
    return found if found.isprintable() else "".join(char for char in found if char.isprintable())


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
    history = [fields(step) for step in listed(fields(run).get("history"))]
    within = [
        Function(fields(one), [] if at else history) for at, one in enumerate(listed(fields(run).get("functions")))
    ]
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


# What the names in a tree say. Refs are stored refs; what cannot be read is as if it were not there.

STATUSES: Final = ("running", "paused", "pending", "failed", "cancelled", "failed_retried", "complete")
"""By which a run is called that bears several markers, as a crash of the original program can leave it."""
WORDS: Final = ("call", "task", "deploy")
"""The directories of a release that hold work."""


class Work(Record):
    """A piece of work of a release: its directory's name, its own, the number of its newest run, and that status."""

    __slots__ = ("name", "run", "status", "word")

    def __init__(self, word: str, name: str, run: int, status: str) -> None:
        self.word = word
        self.name = name
        self.run = run
        self.status = status

    @property
    def below(self) -> str:
        """The ref below the release."""
        return f"{self.word}/{self.name}"

    @property
    def newest(self) -> str:
        """The ref of the newest run below the release; that of the work where it has no runs of its own."""
        return f"{self.below}/{self.run}" if self.run else self.below


class Release(Record):
    """What the names below a release say: its work, and its custom documents."""

    __slots__ = ("custom", "work")

    def __init__(self, work: tuple[Work, ...], custom: tuple[str, ...]) -> None:
        self.work = work
        self.custom = custom


def body(tree: StoreTree, stored: str) -> Document:
    """The document at just this ref; None where there is none."""
    try:
        found = tree.object(StoredRef(stored))
    except (Damaged, ObjectError):
        return None
    return found.body if found is not None and found.kind == "ref" else None


def moment(tree: StoreTree, stored: str) -> str:
    """The time in a marker (`{"time": …}`), or an empty text."""
    return text(fields(body(tree, stored)).get("time"))


def names(tree: StoreTree, stored: str) -> list[str]:
    """The names of the directories below a ref that are valid text, in byte order."""
    return sorted(name for name, _ in _directories(tree, _node(tree, stored)))


def release(tree: StoreTree, stored: str) -> Release:
    """What the names below a release say."""
    work: list[Work] = []
    custom: tuple[str, ...] = ()
    for word, directory in _directories(tree, _node(tree, stored)):
        if word in WORDS:
            work += [_work(tree, word, name, node) for name, node in _directories(tree, directory)]
        elif word == "custom":
            custom = _customs(tree, directory)
    return Release(tuple(sorted(work, key=lambda one: (one.word, one.name))), custom)


def customs(tree: StoreTree, release: str) -> tuple[str, ...]:
    """The names of the custom documents of a release, in byte order."""
    return _customs(tree, _node(tree, f"{release}/custom"))


def run_numbers(tree: StoreTree, work: str) -> list[int]:
    """The numbers of the runs of a piece of work, rising."""
    return sorted(number for name in names(tree, work) if (number := run_number(name)) is not None)


def status_of(tree: StoreTree, run: str) -> str:
    """The status of a run; empty where it has none."""
    return _status(tree, _node(tree, run))


def functions_of(tree: StoreTree, run: str) -> list[Function]:
    """The functions of a run."""
    numbers = sorted(names(tree, f"{run}/functions"), key=version_key)
    return functions(body(tree, run), [body(tree, f"{run}/functions/{number}") for number in numbers])


def steps_of(tree: StoreTree, run: str, document: Document) -> list[Fields]:
    """The moments of the statuses of a run, whose document is given, as its first function has them."""
    return first_steps(run, document, lambda ref: body(tree, ref), lambda ref: names(tree, ref))


def first_steps(
    run: str, document: Document, body_at: Callable[[str], Document], names_at: Callable[[str], list[str]]
) -> list[Fields]:
    """As `steps_of`, where `body` and `names` are told by others.

    The first function is the one within the run, else the one called 1, and only where there is none such it is looked
    for among all: no program begins to count anywhere else.
    """
    within = functions(document, [])
    if within:
        return within[0].history
    first = body_at(f"{run}/functions/1")
    if first is None:
        number = min(names_at(f"{run}/functions"), key=version_key, default=None)
        if number is None:
            return []
        first = body_at(f"{run}/functions/{number}")
    return functions(None, [first])[0].history


def is_met(snapshot: Snapshot, glob: str) -> bool:
    """Whether any ref of the state store matches a pattern found in a document; a malformed one matches nothing."""
    try:
        return next(iter(snapshot.entries([glob], side="state")), None) is not None
    except (ValueError, ObjectError):
        return False


def split_work(stored: str) -> tuple[str, str, str]:
    """The release, the directory's name and the rest of a ref of work; all is the release where it is none.

    The marker says where the package's path ends, in which `call` and `deploy` are names like others.
    """
    start = 0 if stored.startswith(STATE) else stored.find(f"/{STATE}") + 1
    end = stored.find("/", start)
    if end < 0 or not stored.startswith(STATE, start):
        return stored, "", ""
    word, _, rest = stored[end + 1 :].partition("/")
    return (stored[:end], word, rest) if word in WORDS else (stored, "", "")


def _work(tree: StoreTree, word: str, name: str, node: Node) -> Work:
    newest, of_newest = 0, node
    for child_name, child in _directories(tree, node):
        number = number_in(child_name)
        if number is not None and number > newest:
            newest, of_newest = number, child
    return Work(word, name, newest, _status(tree, of_newest))


def _status(tree: StoreTree, run: Node | None) -> str:
    below = dict(_directories(tree, run))
    found = _marked(tree, below.get("status"))
    if found not in (PENDING, PAUSED) or "functions" not in below:
        return found
    # Early Ocuroot leaves the marker of a run as it is until the last of its functions has ended.
    functions = sorted(_directories(tree, below["functions"]), key=lambda one: version_key(one[0]))
    last = dict(_directories(tree, functions[-1][1])) if functions else {}
    if _marked(tree, last.get("status")) == RUNNING:
        return RUNNING
    return PAUSED if len(functions) > 1 else found


def _marked(tree: StoreTree, directory: Node | None) -> str:
    """The status that the names in a directory of markers say; empty where there is none."""
    found = sorted(name for name, _ in _directories(tree, directory))
    return next((status for status in STATUSES if status in found), found[0] if found else "")


def _node(tree: StoreTree, stored: str) -> Node | None:
    try:
        return tree.node(f"{REFS}/{stored}")
    except ObjectError:
        return None


def _directories(tree: StoreTree, node: Node | None) -> Iterator[tuple[str, Node]]:
    """The directories in a directory, with their names; those whose name is no UTF-8 have no address, and no page."""
    files = tree.files
    if node is None or not files.is_tree(node):
        return
    try:
        for child in files.children(node):
            if files.is_tree(child):
                name = files.name(child)
                if name.isascii() or _is_text(name):
                    yield name, child
    except ObjectError:
        return  # a tree that cannot be read: `queries` names it, and `git ocuroot fsck`


def _customs(tree: StoreTree, top: Node | None) -> tuple[str, ...]:
    """The names of documents below a directory; they may have several segments, as those of approvals.

    A directory without a file is none, unless there is nothing below it either: then its document is missing.
    """
    found: list[str] = []
    todo = list(_directories(tree, top))
    while todo:
        name, directory = todo.pop()
        below = [(f"{name}/{segment}", node) for segment, node in _directories(tree, directory)]
        if not below or _has_document(tree, directory):
            found.append(name)
        todo += below
    return tuple(sorted(found))


def _has_document(tree: StoreTree, directory: Node) -> bool:
    try:
        return tree.files.child(directory, OBJECT_FILE) is not None
    except ObjectError:
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
