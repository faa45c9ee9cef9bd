"""Command lines in git's style (gitcli(7)): one table per command gives parser, usage text and completion.

Own code, and short, because `argparse` costs a fifth of the start of the interpreter on every `get`, exits with 2,
and knows neither stuck short values with `=` nor git's usage format.
"""

from __future__ import annotations

from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

    from .context import Context

_WIDTH: Final = 24


class Option:
    """One option: its spellings (`-f`, `--format`), and `metavar` where it takes a value.

    `choices` bounds the value, `number` makes it an integer, `many` collects every use in a list.
    """

    __slots__ = ("choices", "default", "flags", "help", "many", "metavar", "name", "number")

    def __init__(
        self,
        *flags: str,
        help: str,
        metavar: str = "",
        choices: tuple[str, ...] = (),
        default: Any = None,
        many: bool = False,
        number: bool = False,
    ) -> None:
        self.flags = flags
        self.help = help
        self.metavar = metavar or ("|".join(choices) if choices else "")
        self.choices = choices
        self.many = many
        self.number = number
        self.default = default if self.metavar else False
        self.name = max(flags, key=len).lstrip("-").replace("-", "_")


class Command:
    """A command: its name, a line about it, its arguments as usage shows them, options, and the function to run.

    `least` and `most` bound the number of arguments (`most` None: no bound).
    """

    __slots__ = ("arguments", "least", "most", "name", "notes", "options", "run", "summary")

    def __init__(
        self,
        name: str,
        summary: str,
        arguments: str,
        run: Callable[[Context, Parsed], int],
        options: tuple[Option, ...] = (),
        *,
        least: int = 0,
        most: int | None = None,
        notes: str = "",
    ) -> None:
        self.name = name
        self.summary = summary
        self.arguments = arguments
        self.run = run
        names = {option.name for option in options}
        self.options = (*options, *(option for option in COMMON if option.name not in names))
        self.least = least
        self.most = most
        self.notes = notes

    def select(self, words: list[str]) -> Command:
        """The command that `words` are for: this one. See `Group.select`."""
        return self

    def usage(self) -> str:
        """The usage text, as git prints it."""
        lines = [f"usage: git ocuroot {self.name} {self.arguments}".rstrip(), "", *_wrap(self.summary), ""]
        for option in self.options:
            left = ", ".join(option.flags) + (f" {option.metavar}" if option.metavar else "")
            if len(left) > _WIDTH:
                lines += [f"    {left}", " " * (_WIDTH + 6) + option.help]
            else:
                lines.append(f"    {left:<{_WIDTH}}  {option.help}")
        if self.notes:
            lines += ["", *self.notes.strip("\n").splitlines()]
        return "\n".join(lines) + "\n"

    def parse(self, words: Sequence[str]) -> Parsed:
        """The options and arguments in `words`. Raises UsageError."""
        parsed = Parsed({option.name: [] if option.many else option.default for option in self.options})
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in ("--", "--end-of-options"):
                parsed.arguments += rest
                break
            if word.startswith("--"):
                self._long(parsed, word, rest)
            elif word.startswith("-") and word != "-":
                self._short(parsed, word, rest)
            else:
                parsed.arguments.append(word)
        if not parsed.help:
            count = len(parsed.arguments)
            if count < self.least:
                raise UsageError("an argument is missing")
            if self.most is not None and count > self.most:
                raise UsageError(f"too many arguments: '{parsed.arguments[self.most]}'")
        return parsed

    def _long(self, parsed: Parsed, word: str, rest: list[str]) -> None:
        flag, equals, value = word.partition("=")
        flags = {flag: option for option in self.options for flag in option.flags if flag.startswith("--")}
        candidates = [flag] if flag in flags else [known for known in flags if known.startswith(flag)]
        if not candidates:
            raise UsageError(f"unknown option '{flag}'")
        if len(candidates) > 1:
            raise UsageError(f"ambiguous option '{flag}' (could be {' or '.join(candidates)})")
        self._take(parsed, flags[candidates[0]], candidates[0], value if equals else None, rest)

    def _short(self, parsed: Parsed, word: str, rest: list[str]) -> None:
        letters = word[1:]
        while letters:
            flag, letters = "-" + letters[0], letters[1:]
            option = next((option for option in self.options if flag in option.flags), None)
            if option is None:
                raise UsageError(f"unknown switch '{flag}'")
            if option.metavar:
                # `-f json`, `-fjson` as git does, and `-f=json` as Ocuroot's documentation writes it.
                self._take(parsed, option, flag, letters.removeprefix("=") if letters else None, rest)
                return
            self._take(parsed, option, flag, None, rest)

    def _take(self, parsed: Parsed, option: Option, flag: str, value: str | None, rest: list[str]) -> None:
        taken: Any = True
        if not option.metavar:
            if value is not None:
                raise UsageError(f"option '{flag}' takes no value")
        else:
            if value is None:
                if not rest:
                    raise UsageError(f"option '{flag}' requires a value")
                value = rest.pop(0)
            if option.choices and value not in option.choices:
                raise UsageError(f"option '{flag}' is one of {', '.join(option.choices)}, not '{value}'")
            taken = _number(flag, value) if option.number else value
        if option.many:
            parsed.given[option.name].append(taken)
        else:
            parsed.given[option.name] = taken


class Group:
    """A command that has commands of its own, each named in full: `run start`."""

    __slots__ = ("commands", "name", "summary")

    def __init__(self, name: str, summary: str, commands: tuple[Command, ...]) -> None:
        self.name = name
        self.summary = summary
        self.commands = commands

    def select(self, words: list[str]) -> Command:
        """Take the first word for the command it names. Raises UsageError; `-h` gives a command that asks for help."""
        if words[:1] in (["-h"], ["--help"]):
            return Command(self.name, self.summary, "<command> [<options>]", _nothing, notes=self._listing())
        if not words:
            raise UsageError(f"'{self.name}' needs a command")
        name = words.pop(0)
        for command in self.commands:
            if command.name == f"{self.name} {name}":
                return command
        raise UsageError(f"'{self.name}' has no command '{name}'")

    def usage(self) -> str:
        """The usage text: the commands."""
        return f"usage: git ocuroot {self.name} <command> [<options>]\n\n{self._listing()}"

    def _listing(self) -> str:
        return "".join(f"    git ocuroot {command.name} {command.arguments}\n" for command in self.commands)


def _nothing(context: Context, options: Parsed) -> int:
    raise UsageError("a command is missing")


class Parsed:
    """What a command line said: `arguments`, and each option by its longest name (`--no-links` is `no_links`)."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.given = values
        self.arguments: list[str] = []

    def __getattr__(self, name: str) -> Any:
        try:
            return self.given[name]
        except KeyError:
            raise AttributeError(name) from None


COMMON: Final = (
    Option("--package", metavar="<path>", default="", help="the package that relative refs are relative to"),
    Option("--release", metavar="<n>", default="", help="the release that relative refs are relative to"),
    Option("--offline", help="read what was fetched of remote stores before"),
    Option("--max-age", metavar="<seconds>", number=True, help="fetch only if the last contact is longer ago"),
    Option("--operation", metavar="<id>", help="the name of this write: run again under it, it has no second effect"),
    Option("-q", "--quiet", help="print results only, no remarks"),
    Option("-v", "--verbose", help="say more about what is done"),
    Option("-h", "--help", help="show this text"),
)


def _number(flag: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise UsageError(f"option '{flag}' takes a number, not '{value}'")
    return int(value)


def _wrap(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 80)
