"""Releases and runs as late Ocuroot keeps them (dialects 2 and 3): what the original program writes, field by field.

It reads documents into structures of its own, and drops fields that it does not know when it writes one again. So what
this program adds is never needed: `cause`, `ended_by` and `history` of a run, `definition` of a release, which says
more than its `package` where that selects environments by their attributes.
"""

from __future__ import annotations

from ..formats.documents import MISSING, brief, same
from ..formats.refs import Ref
from . import vocabulary
from .fields import TakenFields, fields_of
from .model import WATCH, Function, Input, Run, read_inputs, take_defaults, watched_paths
from .package import Package, Release
from .records import Records
from .vocabulary import CALL, DEPLOY, DOWN, UP, ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.documents import Document
    from ..formats.layout import Layout, StoredRef
    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef, WorkRef
    from .fields import Fields
    from .model import Environment, Inputs
    from .package import WorkSpec

_TASK: Final = "task"
_ADDED: Final = ("cause", "ended_by", "history", "reason")
"""What this program adds to the document of a run."""


class LateRecords(Records):
    """Dialects 2 and 3."""

    wants_at_start = True
    environments_go_last = False
    records_dependants = False
    keeps_repositories = True
    counts_completions = True
    functions_have_statuses = False

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.downs_leave_intents = layout.intents_have_types

    # Releases

    def release(self, value: Document, ref: str) -> Release:
        fields = fields_of(value, f"'{ref}'")
        definition = fields.get("definition")
        if definition is None:
            definition = _definition(fields.get("package"), f"'{ref}': package")
        return Release.read({"commit": fields.get("commit"), "package": definition}, ref)

    def release_document(
        self, release: str, commit: str, definition: Document, known: dict[str, Environment], *, is_code: bool
    ) -> Fields:
        package = Package.read(definition, "the package")
        phases = []
        for phase in package.phases:
            tasks = [self._task(spec, name, release) for spec in phase.work for name in spec.names(known)]
            phases.append({"name": phase.name, "tasks": tasks})
        kept = {"functions": definition.get("functions") or {}, "phases": phases}
        # What code comes to is all there; it is evaluated anew where environments change.
        return {"commit": commit, "package": kept, **({} if is_code else {"definition": definition})}

    def link_newest(self, tx: Transaction, release: str) -> None:
        """Nothing: the highest number is meant."""

    def unlink_newest(self, tx: Transaction, package: str) -> bool:
        return True

    def _task(self, spec: WorkSpec, name: str, release: str) -> Fields:
        inputs = self._inputs(spec.inputs(release))
        if spec.kind == CALL:
            return {_TASK: {"name": name, "inputs": inputs, "fn": _function(spec, CALL)}}
        return {
            DEPLOY: {"environment": name, "up": _function(spec, UP), "down": _function(spec, DOWN), "inputs": inputs}
        }

    def _own_inputs(self, release: Document, name: str) -> Document:
        """The inputs that a release gives a deployment itself, from the release's document."""
        package = Package.read(_definition(fields_of(release, "the release").get("package"), "package"), "package")
        found = package.find(DEPLOY, name, None)
        return found[1].fields.get("inputs") if found is not None else {}

    # Runs

    def run(self, value: Document, ref: str) -> Run:
        fields = fields_of(value, f"'{ref}'")
        type_ = fields.get("type")
        names_type = type_ != ""
        if not names_type:
            type_ = CALL if Ref.parse(ref).type == CALL else UP
        elif type_ == _TASK:
            type_ = CALL
        if type_ not in (CALL, UP, DOWN):
            raise ModelError(f"'{ref}': the type is {brief(fields.get('type'))}, not task, up or down")
        release, output = fields.get("release"), fields.get("output") or {}
        if not (isinstance(release, str) and isinstance(output, dict)):
            raise ModelError(f"'{ref}': release or output is not of its type")
        return Run(type_, release, "", output, None, names_type, watched_paths(fields.get(WATCH), ref))

    def work(self, value: Document, ref: str) -> Run:
        if not isinstance(fields_of(value, f"'{ref}'").get("run_ref"), str):
            raise ModelError(f"'{ref}': the run_ref is {brief(value.get('run_ref'))}, not a ref")
        return self.run(value, ref)

    def function_ref(self, snapshot: Snapshot, run: RunRef, number: int) -> str:
        return run.ref

    def function(self, value: Document, ref: str, number: int) -> Function:
        outer = fields_of(value, f"'{ref}'")
        listed = outer.get("functions")
        if not isinstance(listed, list) or len(listed) < number:
            raise ModelError(f"'{ref}': it has no function {number}")
        where = f"'{ref}': functions/{number - 1}"
        fields = fields_of(listed[number - 1], where)
        taken = TakenFields(fields, where)
        inputs = _read_inputs(taken.fields("inputs"), where)
        function = Function(taken.fields("fn"), "", taken.items("dependencies", str), inputs, others=fields)
        if number == 1:
            added = TakenFields(outer, f"'{ref}'")
            function.cause, function.ended_by = added.text("cause"), added.text("ended_by")
            function.history = added.items("history", dict)
            function.reason = added.text("reason")
        return function

    def last_number(self, snapshot: Snapshot, run: RunRef) -> int:
        listed = snapshot.get(f"{run.ref}#functions", None)
        return max(len(listed), 1) if isinstance(listed, list) else 1

    def deployed_ref(self, snapshot: Snapshot, run: RunRef) -> str:
        return run.work.ref

    def deployed_function(self, value: Document, ref: str) -> Function:
        fields = fields_of(value, f"'{ref}'")
        taken = TakenFields(fields, f"'{ref}'").fields("input")
        return Function({}, vocabulary.COMPLETE, [], _read_inputs(taken, f"'{ref}'"))

    def deployed_run(self, value: Fields, target: str) -> str:
        run = value.get("run_ref")
        return run if isinstance(run, str) else target

    # Changing what is there

    def create(self, tx: Transaction, run: RunRef, type_: str, function: Function) -> None:
        document: Fields = {
            "type": _TASK if type_ == CALL else type_,
            "release": run.work.release,
            "functions": [self._function_document(function)],
            "output": None,
            WATCH: None,
        }
        tx.create(run.ref, {**document, **_added(function)})

    def put_function(self, tx: Transaction, run: RunRef, number: int, function: Function) -> None:
        document = dict(tx.get(run.ref))
        functions = list(document["functions"])
        functions[number - 1 : number] = [self._function_document(function)]
        document["functions"] = functions
        if number == 1:
            document = {name: value for name, value in document.items() if name not in _ADDED}
            document.update(_added(function))
        tx.set(run.ref, document)

    def put_end(self, tx: Transaction, run: RunRef, document: Run, status: str) -> None:
        is_complete = status == vocabulary.COMPLETE
        written = dict(tx.get(run.ref))
        written["output"] = document.output or ({} if is_complete else None)
        if is_complete:
            written[WATCH] = document.watch
        tx.set(run.ref, written)

    def complete(self, tx: Transaction, run: RunRef, document: Run, function: Function) -> None:
        type_ = _TASK if document.type == CALL else document.type
        work: Fields = {"run_ref": run.ref, "type": type_ if document.names_type else "", "release": run.work.release}
        tx.set(run.work.ref, {**work, "input": self._inputs(function.inputs), "output": document.output})

    def current_target(self, run: RunRef) -> str:
        return run.work.ref

    def early_op(self, snapshot: Snapshot, release: str, name: str) -> StoredRef | None:
        return None

    # Intents

    def intents_name_inputs(self, snapshot: Snapshot, package: str) -> bool:
        return False  # where one does not, the release's own are meant, and what is written names them

    def intent_document(self, snapshot: Snapshot, run: RunRef, function: Function) -> Fields:
        return self._intent_document(run.work.release, function)

    def _intent_document(self, release: str, function: Function) -> Fields:
        type_ = {"type": UP} if self._layout.intents_have_types else {}
        return {**type_, "release": release, "input": self._inputs(function.inputs)}

    def gives_the_same(self, snapshot: Snapshot, work: WorkRef, given: Fields, other: Fields) -> bool:
        return same(given, other)

    def is_as_wanted(self, snapshot: Snapshot, run: RunRef, wanted: Inputs, function: Function) -> bool:
        # The original names all inputs, with their values. Where people leave some out, those are the release's own.
        if wanted.keys() < function.inputs.keys():
            own = self._own_inputs(snapshot.get(run.work.release), run.work.name)
            wanted = {**read_inputs(own, f"'{run.work.release}'", run.work.release), **wanted}
        return wanted.keys() == function.inputs.keys() and all(
            _is_same(one, function.inputs[name]) for name, one in wanted.items()
        )

    def was_tried(self, snapshot: Snapshot, work: WorkRef, intent: Fields, intent_id: str, function: Function) -> bool:
        typed = {"type": UP}  # of the programs of dialect 2 some say it, and some do not
        return same({**intent, **typed}, {**self._intent_document(work.release, function), **typed})

    # How things are spelled

    def _function_document(self, function: Function) -> Fields:
        dependencies = {"dependencies": function.dependencies} if function.dependencies else {}
        return {"fn": function.fn, **dependencies, "inputs": self._inputs(function.inputs), **function.others}

    def _inputs(self, inputs: Inputs) -> Fields:
        return {name: self._input(given) for name, given in inputs.items()}

    def _input(self, given: Input) -> Fields:
        document = given.to_document()
        if given.is_by_default:
            document.pop("value", None)
        if given.ref is not None:
            ref = Ref.parse(given.ref)
            stored = self._layout.spellings(ref)[0]
            document["ref"] = f"{stored}#{ref.fragment}" if ref.fragment else stored
        return document


def _read_inputs(fields: Fields, where: str) -> Inputs:
    """The inputs of a run, which have their values from their defaults where they say none."""
    inputs = {name: Input.read(one, f"{where}: input '{name}'") for name, one in fields.items()}
    take_defaults(inputs)
    return inputs


def _is_same(wanted: Input, had: Input) -> bool:
    """Whether an input is what is wanted: with the same value where one is said, be it that of a ref."""
    if wanted.ref is not None and wanted.value is MISSING:
        return wanted.unfilled().wants_the_same(had.unfilled())
    return wanted.wants_the_same(had) and same(wanted.value, had.value)


def _added(function: Function) -> Fields:
    found = {name: getattr(function, name) for name in _ADDED}
    return {name: value for name, value in found.items() if value}


def _function(spec: WorkSpec, type_: str) -> Fields:
    """A function, which has a name: the original takes a run without one for damaged."""
    given = spec.function(type_)
    return {"name": given.pop("name", "") or (spec.name if type_ == CALL else type_), **given}


def _definition(package: Document, where: str) -> Fields:
    """What a package is defined by, as dialect 1 has it, from how these dialects do."""
    outer = fields_of(package, where)
    listed = outer.get("phases")
    phases = [_phase(given) for given in listed] if isinstance(listed, list) else listed
    return {**outer, "phases": phases}


def _phase(given: Document) -> Document:
    """A phase with `work` for `tasks`; left as it is where that is bad, for those to say so who read it."""
    if not isinstance(given, dict):
        return given
    fields = dict(given)
    tasks = fields.pop("tasks", None)
    if tasks is None:
        tasks = fields.pop("work", None)
    if isinstance(tasks, list):
        tasks = [
            {CALL if kind == _TASK else kind: fn for kind, fn in task.items()} if isinstance(task, dict) else task
            for task in tasks
        ]
    return {**fields, "work": tasks}
