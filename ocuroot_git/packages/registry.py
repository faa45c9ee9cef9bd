"""What a package has said of itself while it was evaluated: phases of tasks, and environments.

As in the original: a task belongs to the phase it is given to; one that no phase has taken by the time the next phase
is made, or by the end, is a phase of its own.
"""

from __future__ import annotations

import re

from ..formats.refs import Ref, RefError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, NoReturn, Protocol

    from .masking import Secrets
    from .problem import Problem
    from .source import FunctionDef, Source

    Fields = dict[str, Any]

    class Evaluation(Protocol):
        """What the registry asks of the evaluation it belongs to."""

        secrets: Secrets

        def wrong(self, message: str, hint: str | None = None) -> NoReturn: ...
        def problem(self, stack: str, message: str) -> Problem: ...
        def find(self, shown: str) -> tuple[Source, FunctionDef] | str: ...


INPUT_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ENVIRONMENT_NAME: Final = re.compile(r"[a-zA-Z0-9_.]+")


class Registry:
    """Documents are in the shape that dialect 1 gives to packages: `call`, `deploy`, `work`."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self.problems: list[Problem] = []
        self.environments: list[Fields] = []
        """Those that exist, as `environments()` lists them."""
        self.registered: list[Fields] = []
        self.phases: list[Fields] = []
        self.functions: Fields = {}
        self._tasks: dict[str, tuple[Fields, str]] = {}
        self._loose: list[str] = []

    # What the SDK calls

    def task(self, fn: str, name: object, inputs: object, stack: str) -> Fields:
        if not isinstance(name, str) or not name:
            self._evaluation.wrong(f"task: the name must be a string that is not empty, not {name!r}")
        checked = self._inputs(inputs, stack, f"task '{name}'")
        work = {"name": name, "fn": self._function(fn, checked, stack), "inputs": checked}
        return {"task_id": self._add({"call": work}, stack), "task": work}

    def deploy(self, environment: object, up: str | None, down: str | None, inputs: object, stack: str) -> Fields:
        if not isinstance(environment, str):
            self._evaluation.wrong("deploy: the name of the environment must be a string")
        if up is None:
            self._evaluation.wrong("deploy: 'up' is missing: the function that deploys")
        if isinstance(inputs, dict) and "environment" in inputs:
            self._evaluation.wrong("environment is a reserved input for deployments")
        checked = self._inputs(inputs, stack, f"deployment to '{environment}'")
        checked["environment"] = {"ref": f"@/environment/{environment}"}
        work: Fields = {"environment": environment, "up": self._function(up, checked, stack)}
        if down is not None:
            work["down"] = self._function(down, checked, stack)
        work["inputs"] = checked
        return {"task_id": self._add({"deploy": work}, stack), "deploy": work}

    def phase(self, name: object, tasks: object, stack: str) -> Fields:
        if not isinstance(name, str):
            self._evaluation.wrong(f"phase: the name must be a string, not {name!r}")
        if not isinstance(tasks, list):
            self._evaluation.wrong(f"phase: the tasks must be a list, not a {type(tasks).__name__}")
        taken = [one.get("task_id") if isinstance(one, dict) else None for one in tasks]
        for given, identifier in zip(tasks, taken):
            if identifier not in self._tasks:
                self._evaluation.wrong(f"phase: a task is what task(…) or deploy(…) gives, not {given!r:.60}")
        self._release_loose([identifier for identifier in self._loose if identifier not in taken])
        self.phases.append({"name": name, "work": [self._tasks[identifier][0] for identifier in taken if identifier]})
        return {"phase": {"name": name, "tasks": tasks}}

    def next(self, fn: str, inputs: object, stack: str) -> Fields:
        checked = self._inputs(inputs, stack, "next")
        return {"next": {"fn": self._function(fn, checked, stack), "inputs": checked}}

    def ref(self, ref: object) -> str:
        if not isinstance(ref, str):
            self._evaluation.wrong(f"a ref is a string, not a {type(ref).__name__}")
        try:
            return str(Ref.parse(ref))
        except RefError as error:
            self._evaluation.wrong(error.message, error.hint)

    def register(self, name: object, attributes: object, stack: str) -> None:
        if not isinstance(name, str) or not _ENVIRONMENT_NAME.fullmatch(name):
            message = f"environment name {name!r} is not made of letters, digits, '_' and '.'"
            self.problems.append(self._evaluation.problem(stack, message))
            return
        if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
            message = f"environment '{name}': the attributes must be a dict of strings"
            self.problems.append(self._evaluation.problem(stack, message))
            return
        self.registered.append({"name": name, "attributes": attributes})

    # What comes of it

    def finish(self) -> None:
        """Give each task that no phase has taken one of its own, and check the whole."""
        self._release_loose(self._loose)
        self._refuse_secrets_anywhere()
        if self.phases and self.registered:
            message = "environments and packages should not be declared in the same file"
            self.problems.append(self._evaluation.problem("", message))
        first: dict[tuple[str, str], str] = {}
        for phase in self.phases:
            for work in phase["work"]:
                kind, name = next((kind, _name(work[kind])) for kind in ("call", "deploy") if kind in work)
                what = f"environment '{name}'" if kind == "deploy" else f"task '{name}'"
                if (kind, name) in first:
                    stack = next((at for one, at in self._tasks.values() if one is work), "")
                    message = f"{what} is used more than once, should be used in exactly one phase"
                    self.problems.append(self._evaluation.problem(stack, message))
                first[kind, name] = what

    def definition(self) -> Fields | None:
        """The package; None where the file defines none."""
        return {"functions": self.functions, "phases": self.phases} if self.phases else None

    def _add(self, work: Fields, stack: str) -> str:
        identifier = str(len(self._tasks) + 1)
        self._tasks[identifier] = work, stack
        self._loose.append(identifier)
        return identifier

    def _release_loose(self, identifiers: list[str]) -> None:
        self.phases += [{"name": "", "work": [self._tasks[identifier][0]]} for identifier in identifiers]
        self._loose = []

    def _function(self, fn: str, inputs: Fields, stack: str) -> Fields:
        """A function as documents have it, once it is known to take these inputs."""
        found = self._evaluation.find(fn)
        if isinstance(found, str):
            self.problems.append(self._evaluation.problem(stack, found))
            return {"name": fn.rpartition(".")[2], "pos": ""}
        source, function = found
        named = {"name": function.name, "pos": source.position(function)}
        for message in _misfits(function, inputs, f"'{function.name}' at {named['pos']}"):
            self.problems.append(self._evaluation.problem(stack, message))
        self.functions[f"{named['name']}/{named['pos']}"] = {"function": named}
        return named

    def _inputs(self, inputs: object, stack: str, what: str) -> Fields:
        """Inputs as documents have them: a ref, with or without a default, or a value."""
        if not isinstance(inputs, dict):
            self._evaluation.wrong(f"{what}: the inputs must be a dict, not a {type(inputs).__name__}")
        checked: Fields = {}
        for name, given in inputs.items():
            if not isinstance(name, str) or not INPUT_NAME.fullmatch(name):
                message = f"{what}: bad input name {name!r}: it must be made of letters, digits and '_'"
                self.problems.append(self._evaluation.problem(stack, message))
            is_input = isinstance(given, dict) and not {"ref", "default", "value"}.isdisjoint(given)
            found = {key: given.get(key) for key in ("ref", "default", "value")} if is_input else {"value": given}
            if found.get("ref") is None and found.get("value") is None and found.get("default") is not None:
                found = {"value": found["default"]}  # no ref leads anywhere else
            kept = {key: value for key, value in found.items() if value is not None}
            if "ref" in kept:
                kept["ref"] = self.ref(kept["ref"])
            checked[name] = kept or {"value": None}
        self._refuse_secrets(checked, stack, what)
        return checked

    def _refuse_secrets(self, inputs: Fields, stack: str, what: str) -> None:
        for name, given in inputs.items():
            if self._evaluation.secrets.holds({name: given}):
                message = f"{what}: input '{name}' holds a secret, which the store would keep: read it in the function"
                self.problems.append(self._evaluation.problem(stack, message))

    def _refuse_secrets_anywhere(self) -> None:
        """Look for secrets in all that the store would keep, also what was named before they were known for secrets."""
        holds = self._evaluation.secrets.holds
        names = [(phase["name"], "", "the name of a phase") for phase in self.phases]
        for work, stack in self._tasks.values():
            for kind, fields in work.items():
                name = _name(fields)
                names.append((name, stack, "the name of a task" if kind == "call" else "the name of an environment"))
                what = f"task '{name}'" if kind == "call" else f"deployment to '{name}'"
                own = {one: given for one, given in fields["inputs"].items() if kind == "call" or one != "environment"}
                self._refuse_secrets(own, stack, what)
        names += [(environment, "", f"environment '{environment['name']}'") for environment in self.registered]
        for value, stack, what in names:
            if holds(value):
                message = f"{what} holds a secret, which the store would keep"
                self.problems.append(self._evaluation.problem(stack, message))


def _misfits(function: FunctionDef, inputs: Fields, where: str) -> list[str]:
    if function.takes_context:
        return []
    parameters = {*function.required, *function.optional}
    unknown = [f"Input '{name}' is not in function parameters for {where}" for name in inputs if name not in parameters]
    missing = [
        f"Function parameter '{name}' is not present in inputs and has no default value for {where}"
        for name in function.required
        if name not in inputs
    ]
    return unknown + missing


def _name(fields: Fields) -> str:
    return str(fields.get("name") or fields.get("environment"))
