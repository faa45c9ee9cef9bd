"""Command lines in git's style (gitcli(7)): one table per command gives parser, usage text and completion.

Own code, and short, because `argparse` costs a fifth of the start of the interpreter on every `get`, exits with 2,
and knows neither stuck short values with `=` nor git's usage format.
"""

from __future__ import annotations

from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

_WIDTH: Final = 24
_HOW: Final = ("offline", "max_age", "operation", "quiet", "verbose", "help")
"""Options that say how something is done, not what."""
_OF_GIT: Final = {
    "-C": "git takes it, before the command: git -C <directory> ocuroot …",
    "-c": "git takes it, before the command: git -c <name>=<value> ocuroot …",
}
"""Where options go that people know from git."""


class Option:
    """One option: its spellings (`-f`, `--format`), and `metavar` where it takes a value.

    `choices` bounds the value, `number` makes it an integer, `many` collects every use in a list. The spelling `-<n>`
    stands for the value itself behind a dash. `name` is that of the parameter that gets the value: the longest
    spelling, unless said otherwise.
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
        name: str = "",
    ) -> None:
        self.flags = flags
        self.help = help
        self.metavar = metavar or ("|".join(choices) if choices else "")
        self.choices = choices
        self.many = many
        self.number = number
        self.default = default if self.metavar else False
        self.name = name or max(flags, key=len).lstrip("-").replace("-", "_")


class Command:
    """A command: its name, a line about it, its arguments as usage shows them, options, and the function to run.

    The function is called with a Context, each argument, and the command's own options by name; it gives the exit
    status. A test checks that it takes just these, and of which types.
    `common` are those of the common options that mean something to it. `least` and `most` bound the number of
    arguments (`most` None: no bound); `negatives` says whether one may be a negative number. `instead` has, by flag,
    what to do in the place of an option that one might look for here, and that is left out on purpose.
    """

    __slots__ = ("arguments", "instead", "least", "most", "name", "negatives", "notes", "options", "run", "summary")

    def __init__(
        self,
        name: str,
        summary: str,
        arguments: str,
        run: Callable[..., int],
        options: tuple[Option, ...] = (),
        *,
        common: tuple[Option, ...] = (),
        least: int = 0,
        most: int | None = None,
        negatives: bool = False,
        notes: str = "",
        instead: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.summary = summary
        self.arguments = arguments
        self.run = run
        self.options = (*options, *(option for option in COMMON if option in common or option in ALWAYS))
        self.least = least
        self.most = most
        self.negatives = negatives
        self.notes = notes
        self.instead = instead or {}

    def select(self, words: list[str]) -> Command:
        """The command that `words` are for: this one. See `Group.select`."""
        return self

    def _line(self) -> str:
        """How the command is written, in one line."""
        return f"git ocuroot {self.name} {self.arguments}".rstrip()

    def usage(self) -> str:
        """The usage text, as git prints it."""
        lines = [f"usage: {self._line()}", "", *_wrap(self.summary), ""]
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
        parsed = self.defaults()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in ("--", "--end-of-options"):
                parsed.arguments += rest
                break
            if word.startswith("-") and word != "-" and not (self.negatives and _is_negative_number(word)):
                self.take(parsed, word, rest)
            else:
                parsed.arguments.append(word)
        if not parsed.values["help"]:
            count = len(parsed.arguments)
            if count < self.least:
                raise UsageError("an argument is missing", hint=self._line())
            if self.most is not None and count > self.most:
                raise UsageError(f"too many arguments: '{parsed.arguments[self.most]}'")
        return parsed

    def defaults(self) -> Parsed:
        """What is so unless the command line says otherwise: also common options that the command does not take."""
        values = {option.name: option.default for option in COMMON}
        values.update((option.name, [] if option.many else option.default) for option in self.options)
        return Parsed(values)

    def take(self, parsed: Parsed, word: str, rest: list[str]) -> None:
        """Read one word of options, and the value after it off `rest` where it needs one. Raises UsageError."""
        if word.startswith("--"):
            self._long(parsed, word, rest)
        else:
            self._short(parsed, word, rest)

    def _long(self, parsed: Parsed, word: str, rest: list[str]) -> None:
        flag, equals, value = word.partition("=")
        flags = {flag: option for option in self.options for flag in option.flags if flag.startswith("--")}
        candidates = [flag] if flag in flags else [known for known in flags if known.startswith(flag)]
        if not candidates:
            raise self._unknown(flag, flags)
        if len(candidates) > 1:
            raise UsageError(f"ambiguous option '{flag}' (could be {' or '.join(candidates)})")
        self._take(parsed, flags[candidates[0]], candidates[0], value if equals else None, rest)

    def _unknown(self, flag: str, flags: dict[str, Option]) -> UsageError:
        if flag in self.instead:
            return UsageError(f"'{self.name}' takes no '{flag}'", hint=self.instead[flag])
        if any(flag in option.flags for option in COMMON):
            return UsageError(f"'{self.name}' takes no '{flag}': it would mean nothing to it")
        from ..formats.spelling import nearest

        return UsageError(f"unknown option '{flag}'", hint=nearest(flag, flags))

    def _short(self, parsed: Parsed, word: str, rest: list[str]) -> None:
        letters = word[1:]
        numeric = next((option for option in self.options if "-<n>" in option.flags), None)
        if numeric is not None and letters.isascii() and letters.isdigit():
            self._take(parsed, numeric, "-<n>", letters, rest)
            return
        while letters:
            flag, letters = "-" + letters[0], letters[1:]
            option = next((option for option in self.options if flag in option.flags), None)
            if option is None:
                long = f"-{word}"
                is_long = any(long in option.flags for option in self.options)
                hint = f"did you mean '{long}' (with two dashes)?" if is_long else _OF_GIT.get(flag)
                raise UsageError(f"unknown switch '{flag}'", hint=hint)
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
            parsed.values[option.name].append(taken)
        else:
            parsed.values[option.name] = taken


class Group:
    """A command that has commands of its own, each named in full: `run start`."""

    __slots__ = ("commands", "name", "summary")

    def __init__(self, name: str, summary: str, commands: tuple[Command, ...]) -> None:
        self.name = name
        self.summary = summary
        self.commands = commands

    def select(self, words: list[str]) -> Command:
        """Take the first word for the command it names. Raises UsageError; `-h` gives a command that asks for help.

        Options before that word are left for the command.
        """
        front = leading(words)
        if words[:1] in (["-h"], ["--help"]):
            return Command(self.name, self.summary, "<command> [<options>]", _nothing, notes=self._listing())
        names = [command.name.partition(" ")[2] for command in self.commands]
        if not words:
            raise UsageError(f"'{self.name}' needs a command", hint=f"one of {', '.join(names)}")
        name = words.pop(0)
        for command in self.commands:
            if command.name == f"{self.name} {name}":
                words[:0] = front
                return command
        from ..formats.spelling import nearest

        raise UsageError(f"'{self.name}' has no command '{name}'", hint=nearest(name, names))

    def usage(self) -> str:
        """The usage text: the commands."""
        return f"usage: git ocuroot {self.name} <command> [<options>]\n\n{self._listing()}"

    def _listing(self) -> str:
        return "".join(f"    git ocuroot {command.name} {command.arguments}\n" for command in self.commands)


def _nothing() -> int:
    raise UsageError("a command is missing")


class CommonOptions:
    """The options that mean the same to every command that takes them. A command finds them in its Context."""

    __slots__ = ("help", "max_age", "message", "offline", "operation", "package", "quiet", "release", "verbose", "z")

    def __init__(self, values: dict[str, Any]) -> None:
        self.package: str = values["package"]
        self.release: str = values["release"]
        self.offline: bool = values["offline"]
        self.max_age: int | None = values["max_age"]
        self.operation: str | None = values["operation"]
        self.message: str | None = values["message"]
        self.quiet: bool = values["quiet"]
        self.verbose: bool = values["verbose"]
        self.help: bool = values["help"]
        self.z: bool = values.get("z", False)


class Parsed:
    """What a command line said: `arguments`, and in `values` each option by its name (`--no-links` is `no_links`)."""

    __slots__ = ("arguments", "values")

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.arguments: list[str] = []

    def own(self) -> dict[str, Any]:
        """The options of the command alone, for its function."""
        return {name: value for name, value in self.values.items() if name not in CommonOptions.__slots__}

    def request(self) -> dict[str, Any]:
        """What is asked for: the arguments, and the options that were given and say what is done, not how."""
        given = {name: value for name, value in self.values.items() if value and name not in _HOW}
        return {**given, "arguments": list(self.arguments)}


RELATIVE: Final = (
    Option("--package", metavar="<path>", default="", help="the package that relative refs are relative to"),
    Option("--release", metavar="<n>", default="", help="the release that relative refs are relative to"),
)
"""For commands that take refs."""
READING: Final = (
    Option("--offline", help="read what was fetched of remote stores before"),
    Option("--max-age", metavar="<seconds>", number=True, help="fetch only if the last contact is longer ago"),
)
"""For commands that may read without writing: a write asks the remote anyway."""
MESSAGE: Final = Option(
    "-m", "--message", metavar="<text>", help="why; the commit keeps it as the reason of the change"
)
"""For commands that write, in one change or in many."""
WRITING: Final = (
    MESSAGE,
    Option("--operation", metavar="<id>", help="the name of this write: run again under it, it has no second effect"),
)
"""For commands that make one change, as far as the user sees."""
ALWAYS: Final = (
    Option("-q", "--quiet", help="print results only, no remarks"),
    Option("-v", "--verbose", help="say more about what is done"),
    Option("-h", "--help", help="show this text"),
)
COMMON: Final = (*RELATIVE, *READING, *WRITING, *ALWAYS)
"""What several commands take, each those that mean something to it. All may stand before the command."""


def leading(words: list[str]) -> list[str]:
    """Take the common options that stand before a command off `words`, and give them. Raises UsageError."""
    front = Command("", "", "", _nothing, common=COMMON)
    taken: list[str] = []
    while words and words[0].startswith("-") and words[0] not in ("-", "--", "-h", "--help", "--version"):
        rest = words[1:]
        front.take(front.defaults(), words[0], rest)
        taken += words[: len(words) - len(rest)]
        words[:] = rest
    return taken


def _is_negative_number(word: str) -> bool:
    return word[:1] == "-" and word[1:].removeprefix(".")[:1].isdigit()


def _number(flag: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise UsageError(f"option '{flag}' takes a number, not '{value}'")
    return int(value)


def _wrap(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 80)
