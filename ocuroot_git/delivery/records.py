"""What the documents of releases and runs look like, and where they lie: one object for each family of dialects.

The rest of the delivery model speaks of `Release`, `Run` and `Function` (see `model`), and asks these objects, by a
name for the thing, how they are kept:

                               dialect 1                        dialects 2 and 3 (`late_records`)
    status of a run            its last function, and a marker  the marker alone
    functions of a run         a document each                  listed in the run's document
    what is current            a link to the run                a link to the work, whose document names the run
    the newest release         a link, unless early Ocuroot     the highest number
                               works in the store as well
    what a deployment makes
    of its intent              its release, in the end; its     its release and inputs, when it starts
                               inputs too where early Ocuroot
                               works in the store as well
"""

from __future__ import annotations

from ..formats.documents import same
from ..formats.layout import OBJECT_FILE, REFS, StoredRef
from ..formats.refs import STATE, Ref, run_number
from . import model, vocabulary
from .addresses import environment_ref, package_of
from .model import Function, Intent, Run
from .package import Release
from .vocabulary import OWN_INTENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.documents import Document
    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef, WorkRef
    from .fields import Fields
    from .model import Environment, Input, Inputs


_STATE: Final = Ref(marker=STATE)


class Records:
    """Dialect 1. What reads takes documents, and raises ModelError for what is not of its shape.

    `queries.records_of` gives those of a store.
    """

    wants_at_start = False
    """Whether a deployment is what its intent wants from its start on, and not from its end on."""
    environments_go_last = True
    """Whether an environment that is to go stays until all that is deployed there is taken down."""
    records_dependants = True
    """Whether it is recorded on what deployments depend; else their inputs say it."""
    downs_leave_intents = True
    """Whether the original writes the intent of a deployment anew when it takes that down."""
    keeps_repositories = False
    """Whether a store has the `repo.ocu.star` of each commit that was released, for work on other machines."""
    counts_completions = False
    """Whether what a run depends on is met by as many completed runs as it depends on, and not by more."""
    functions_have_statuses = True
    """Whether each function of a run has a status, of which the last says that of the run; else a marker alone does."""

    # Releases

    def release(self, value: Document, ref: str) -> Release:
        """A release, from its document."""
        return Release.read(value, ref)

    def release_document(
        self, release: str, commit: str, definition: Document, known: dict[str, Environment], *, is_code: bool
    ) -> Fields:
        """The document of a release of what a package is defined by; `known` are the environments there are."""
        return {"commit": commit, "package": definition}

    def link_newest(self, tx: Transaction, release: str) -> None:
        """Let `P/@` lead to a release that is new, unless early Ocuroot works in the store as well."""
        package = package_of(release)
        if not self.unlink_newest(tx, package):
            tx.link(f"{package}/{STATE}", release)

    def unlink_newest(self, tx: Transaction, package: str) -> bool:
        """Take the link `P/@` away where early Ocuroot works in the store as well; whether that is so.

        It never makes that link, and is misled by it: what it takes down in a branch stays deployed there, since
        it looks for the file of the link that it removed behind `P/@`. Without it, the highest number is meant.
        """
        if not _early_ocuroot_works(tx, package):
            return False
        newest = f"{package}/{STATE}"
        found = tx.object(newest)
        if found is not None and found.kind == "link":
            tx.unlink(newest)
        return True

    # Runs

    def run(self, value: Document, ref: str) -> Run:
        """A run, from its document."""
        return Run.read(value, ref)

    def work(self, value: Document, ref: str) -> Run:
        """The last run of a piece of work that completed, from the document of the work."""
        return Run.read(value, ref)

    def function_ref(self, snapshot: Snapshot, run: RunRef, number: int) -> str:
        """The ref of the document that holds a function of a run, or is to hold the one after the last."""
        return run.step(_names_of_functions(snapshot, run, number)[number - 1])

    def function(self, value: Document, ref: str, number: int) -> Function:
        """A function of a run, from that document; without a status where only its marker says it."""
        return Function.read(value, ref)

    def last_number(self, snapshot: Snapshot, run: RunRef) -> int:
        """The number of the last function of a run, counted from 1."""
        return len(_names_of_functions(snapshot, run))

    def deployed_ref(self, snapshot: Snapshot, run: RunRef) -> str:
        """The ref of the document that says how a run was executed that is deployed."""
        return self.function_ref(snapshot, run, 1)

    def deployed_function(self, value: Document, ref: str) -> Function:
        """What is known of its function, from that document; what it had by default counts as its values."""
        function = Function.read(value, ref)
        model.take_defaults(function.inputs)
        return function

    def deployed_run(self, value: Fields, target: str) -> str:
        """The ref of the run that is deployed, from where the link of the deployment leads, and the document there."""
        return target

    # Changing what is there

    def create(self, tx: Transaction, run: RunRef, type_: str, function: Function) -> None:
        """Write a run that is new, but for its marker."""
        tx.create(run.ref, Run(type_, run.work.release, run.function, {}).to_document())
        tx.create(run.function, function.to_document())
        _mark(tx, run.function, function.status, _time_of(function))

    def put_function(self, tx: Transaction, run: RunRef, number: int, function: Function) -> None:
        """Write a function of a run that is new or was changed."""
        names = _names_of_functions(tx, run, number)
        document = function.to_document()
        document["current"]["id"] = str(names[number - 1])
        tx.set(run.step(names[number - 1]), document)
        # The document of the first says the run's status; to the original it is over once another follows.
        status = vocabulary.COMPLETE if number < len(names) else function.status
        _mark(tx, run.step(names[number - 1]), status, _time_of(function))

    def put_end(self, tx: Transaction, run: RunRef, document: Run, status: str) -> None:
        """Write a run that has ended, with its outputs."""
        tx.set(run.ref, document.to_document())
        if _markers(tx, run.work.ref):
            # Early Ocuroot marks the work as well, and takes a release for failed while any such marker says so.
            _mark(tx, run.work.ref, status, model.timestamp())

    def complete(self, tx: Transaction, run: RunRef, document: Run, function: Function) -> None:
        """Write what a piece of work came to."""
        tx.set(run.work.ref, document.to_document())

    def current_target(self, run: RunRef) -> str:
        """Where the link leads by which a run is current."""
        return run.ref

    def early_op(self, snapshot: Snapshot, release: str, name: str) -> StoredRef | None:
        """Where early Ocuroot looks for what is to be looked at, where it works in the store as well.

        It evaluates the package then, and so can do nothing with one that is no code.
        """
        from ..packages.evaluate import is_starlark  # late: it is asked for when environments change

        package = package_of(release)
        if not (is_starlark(package) and _early_ocuroot_works(snapshot, package)):
            return None
        return StoredRef(f"{release}/{snapshot.tree(_STATE).layout.early_op}/{name}")

    # Intents

    def intents_name_inputs(self, snapshot: Snapshot, package: str) -> bool:
        """Whether the intent of a deployment has to name all its inputs, whatever a person says of them.

        Early Ocuroot compares them with those that the deployment had, values included. Where they differ it deploys
        again, with just what the intent names.
        """
        return _early_ocuroot_works(snapshot, package)

    def intent_document(self, snapshot: Snapshot, run: RunRef, function: Function) -> Fields:
        """The intent that a deployment comes up to, by the function of its run."""
        if self.intents_name_inputs(snapshot, run.work.package):
            return Intent(run.work.release, model.write_inputs(function.inputs)).to_document()
        return Intent(run.work.release, function.overrides).to_document()

    def gives_the_same(self, snapshot: Snapshot, work: WorkRef, given: Fields, other: Fields) -> bool:
        """Whether two intents for the release of a deployment, of which these are the inputs, ask for the same."""
        return same(self.overriding(snapshot, work, given), self.overriding(snapshot, work, other))

    def own_inputs(self, snapshot: Snapshot, work: WorkRef) -> Inputs:
        """The inputs that a release gives a piece of its work; none where it does not define that."""
        package = self.release(snapshot.get(work.release), work.release).package
        where = None
        if any(spec.kind == work.kind and spec.selector is not None for spec in package.specs()):
            # Else it says nothing, and what was asked for depends on the package alone, so that it can be remembered.
            ref = environment_ref(work.name)
            where = model.Environment.read(snapshot.get(ref), ref) if snapshot.exists(ref) else None
        found = package.find(work.kind, work.name, where)
        return found[1].inputs(work.release) if found is not None else {}

    def overriding(self, snapshot: Snapshot, work: WorkRef, given: Fields) -> Fields:
        """Those of the inputs given for a deployment that its release does not have itself, without what refs led to.

        Early Ocuroot gives all of them; others than the release's own are what somebody asked for. Raises ModelError.
        """
        if not given:
            return {}
        read = model.read_inputs(given, f"'{work.intent}'", work.release)
        own = {name: one.unfilled() for name, one in self.own_inputs(snapshot, work).items()}
        unfilled = {name: one.unfilled() for name, one in read.items()}
        return {name: one.to_document() for name, one in unfilled.items() if not one.wants_the_same(own.get(name))}

    def is_as_wanted(self, snapshot: Snapshot, run: RunRef, wanted: Inputs, function: Function) -> bool:
        """Whether a deployment of the wanted release has the inputs that its intent gives, and no others of that kind.

        `wanted` are the inputs of the intent, and the function is that of the run that is deployed.
        """
        if not all(one.unfilled().wants_the_same(_had(function, name)) for name, one in wanted.items()):
            return False
        is_of_ours = _is_of_ours(function)
        given = function.overrides if is_of_ours else model.write_inputs(function.inputs)
        others = {name: one for name, one in given.items() if name not in wanted}
        if others and not is_of_ours:
            # Early Ocuroot does not say which were overridden. What the release does not have at all nobody asked for.
            own = self.own_inputs(snapshot, run.work)
            others = {name: one for name, one in others.items() if name in own}
        return not self.overriding(snapshot, run.work, others)

    def was_tried(self, snapshot: Snapshot, work: WorkRef, intent: Fields, intent_id: str, function: Function) -> bool:
        """Whether the last run of a release, which has ended, was begun for just the intent that there is.

        `intent_id` is the id of its document.
        """
        given = intent.get("input") or {}
        if function.intent == OWN_INTENT:
            return self.gives_the_same(snapshot, work, given, function.overrides)
        if _is_of_ours(function):
            return function.intent == intent_id
        return same(given, model.write_inputs(function.inputs))  # early Ocuroot makes it when a run starts


def _early_ocuroot_works(snapshot: Snapshot, package: str) -> bool:
    """Whether early Ocuroot works in the store as well.

    It leaves a document of the repository, which is a global one where its first command named a global ref.
    """
    repository = f"{package.partition('/-/')[0]}/-/repo.ocu.star/{STATE}"
    return snapshot.object(repository) is not None or snapshot.object(STATE) is not None


def _is_of_ours(function: Function) -> bool:
    """Whether a function is as this program left it: early Ocuroot drops what it does not know."""
    return bool(function.cause or function.intent)


def _names_of_functions(snapshot: Snapshot, run: RunRef, least: int = 1) -> list[int]:
    """By which numbers the functions of a run go, rising; if there are fewer than `least`, of those to come as well.

    They begin at 1, but where early Ocuroot tried a function again that had followed others: it begins with that one.
    """
    names = snapshot.tree(_STATE).names(f"{REFS}/{run.ref}/functions")
    numbers = sorted(number for name in names if (number := run_number(name)) is not None)
    while len(numbers) < least:
        numbers.append(numbers[-1] + 1 if numbers else 1)
    return numbers


def _mark(tx: Transaction, ref: str, status: str, time: str) -> None:
    """Keep a marker of the status of a function beside that of the run: early Ocuroot finds by it what to execute.

    Stores of our first version lack it, and that version leaves it alone: what it left behind is taken away.
    """
    for name in _markers(tx, ref):
        if name != status:
            tx.delete(f"{ref}/status/{name}")
    tx.set(f"{ref}/status/{status}", {"time": time})


def _markers(tx: Transaction, ref: str) -> list[str]:
    names = sorted(tx.tree(_STATE).names(f"{REFS}/{ref}/status"))
    return [name for name in names if name != OBJECT_FILE and tx.exists(f"{ref}/status/{name}")]


def _time_of(function: Function) -> str:
    time = function.history[-1].get("time") if function.history else None
    return str(time) if time else model.timestamp()


def _had(function: Function, name: str) -> Input | None:
    given = function.inputs.get(name)
    return given.unfilled() if given is not None else None


OWN: Final = Records()
