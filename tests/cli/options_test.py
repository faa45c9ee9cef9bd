"""The table of each command and the signature of its function agree: what is parsed is what is passed."""

from __future__ import annotations

import inspect
import re

import pytest

from ocuroot_git.cli.context import Context
from ocuroot_git.cli.main import COMMANDS, load
from ocuroot_git.cli.options import COMMON, Command, CommonOptions, Group, Option, Parsed

ALL: list[Command] = []
for _found in map(load, COMMANDS):
    ALL += _found.commands if isinstance(_found, Group) else [_found]


def types_of(command: Command) -> dict[str, object]:
    """The types of the parameters of a command's function."""
    namespace = {**vars(__import__(command.run.__module__, fromlist=["_"])), "Context": Context}
    signature = inspect.signature(command.run)
    return {
        name: eval(parameter.annotation, namespace, {"exec": None}) if parameter.annotation else None
        for name, parameter in signature.parameters.items()
    }


def type_of(option: Option) -> object:
    """What an option's value is, as its table says."""
    if not option.metavar:
        return bool
    value = int if option.number else str
    if option.many:
        return list[value]  # type: ignore[valid-type]
    return value if option.default is not None else value | None


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_options_are_the_parameters(command: Command) -> None:
    signature = inspect.signature(command.run)
    options = {option.name: option for option in command.options if option.name not in CommonOptions.__slots__}
    keywords = [name for name, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    assert keywords == list(options), "each option has its parameter, in the order of the table"
    found = types_of(command)
    assert {name: found[name] for name in keywords} == {name: type_of(option) for name, option in options.items()}
    assert all(signature.parameters[name].default is inspect.Parameter.empty for name in keywords), (
        "defaults are said in the table alone"
    )
    parsed = command.parse(["-h"])
    assert list(parsed.own()) == keywords


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_arguments_are_the_parameters(command: Command) -> None:
    first, *parameters = inspect.signature(command.run).parameters.values()
    assert types_of(command)[first.name] is Context
    named = [parameter for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    required = [parameter for parameter in named if parameter.default is parameter.empty]
    takes_more = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    if takes_more:
        assert command.most is None and command.least >= len(required)
    else:
        assert (command.least, command.most) == (len(required), len(named))
    assert inspect.signature(command.run).return_annotation == "int"


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_usage_shows_the_arguments(command: Command) -> None:
    """The line of usage has `...` where there may be any number, and `[...]` around what may be left out."""
    assert ("..." in command.arguments) == (command.most is None)
    required = re.sub(r"\[[^\]]*\]", "", command.arguments).replace("...", "").strip()
    assert required or not command.least
    assert "<" in command.arguments.replace("<options>", "").replace("-m <text>", "") or command.most == 0


def test_common_options_are_typed() -> None:
    typed = CommonOptions(ALL[0].defaults().values)
    for option in COMMON:
        value = getattr(typed, option.name)
        assert value == option.default
    assert {option.name for option in COMMON} | {"z"} == set(CommonOptions.__slots__)


def test_what_is_asked_for_leaves_out_how() -> None:
    """Two command lines that ask for the same by other means are one operation."""
    command = next(command for command in ALL if command.name == "apply")
    parsed: Parsed = command.parse(["-q", "--offline", "--max-age=3", "--operation", "x", "--all", "--package", "p"])
    assert parsed.request() == {"package": "p", "all": True, "arguments": []}
    assert parsed.own() == {"all": True, "dry_run": False, "cascade": False, "json": False}
