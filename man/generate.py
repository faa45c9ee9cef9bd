"""Make the manual page and the completions from the tables of the commands: `make docs`.

What a command takes is said once, in its table; a test keeps the files made here in step with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from ocuroot_git import __version__  # noqa: E402
from ocuroot_git.cli.main import COMMANDS, load  # noqa: E402
from ocuroot_git.cli.options import ALWAYS, COMMON, Command, Group, Option  # noqa: E402


def commands(name: str) -> tuple[Command, ...]:
    """The commands that go by a name: one, or those of a group."""
    found = load(name)
    return found.commands if isinstance(found, Group) else (found,)


def manual() -> str:
    """The manual page, in roff: the prose of page.txt with the commands put in."""
    prose = (TOP / "man" / "page.txt").read_text(encoding="utf-8")
    lines = [f'.TH GIT-OCUROOT 1 "" "git-ocuroot {__version__}" "Git Manual"']
    for block in prose.split("\n\n"):
        lines += _block(block.strip("\n"))
    return "\n".join(lines) + "\n"


def _block(block: str) -> list[str]:
    """A paragraph of page.txt: `# heading`, `* term: text`, indented literal text, `@commands`, `@common`, or prose."""
    if block.startswith("# "):
        return [f".SH {block[2:].upper()}"]
    if block == "@commands":
        return [line for name in COMMANDS for command in commands(name) for line in _command(command)]
    if block == "@common":
        return [line for option in COMMON for line in _option(option)]
    if block.startswith("    "):
        literal = [_escape(line[4:]) for line in block.split("\n")]
        return [".PP", ".RS 4", ".nf", *literal, ".fi", ".RE"]
    if block.startswith("* "):
        lines = []
        for item in ("\n" + block).split("\n* ")[1:]:
            term, _, text = item.partition(": ")
            lines += [".TP", f".B {_escape(term)}", _escape(" ".join(text.split()))]
        return lines
    return [".PP", _escape(" ".join(block.split()))]


def _command(command: Command) -> list[str]:
    lines = [".SS " + _escape(f"{command.name} {command.arguments}".rstrip()), _escape(command.summary)]
    for option in command.options:
        if option not in COMMON:
            lines += _option(option)
    common = [max(option.flags, key=len) for option in command.options if option in COMMON and option not in ALWAYS]
    if common:
        lines += [".PP", _escape(f"Of the common options: {', '.join(common)}.")]
    if command.notes:
        lines += [".PP", ".nf", *map(_escape, command.notes.strip("\n").splitlines()), ".fi"]
    return lines


def _option(option: Option) -> list[str]:
    flags = ", ".join(option.flags) + (f" {option.metavar}" if option.metavar else "")
    return [".TP", f".B {_escape(flags)}", _escape(option.help[:1].upper() + option.help[1:] + ".")]


def _escape(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped


def bash() -> str:
    """Completion for bash, which git's own completion finds by the name of the function."""
    cases = []
    for name in COMMANDS:
        for command in commands(name):
            flags = _long_flags(command.options)
            cases.append(f"    '{command.name}') __gitcomp \"{flags}\" ;;")
    groups = "|".join(name for name in COMMANDS if isinstance(load(name), Group))
    below = "\n".join(f"        {name}) __gitcomp '{_second_words(name)}' ;;" for name in groups.split("|"))
    made = BASH.replace("@names", " ".join(COMMANDS)).replace("@cases", "\n".join(cases))
    valued = "|".join(flag for option in COMMON if option.metavar for flag in option.flags)
    made = made.replace("@groups", groups).replace("@below", below)
    return made.replace("@common", _long_flags(COMMON)).replace("@valued", valued)


def _long_flags(options: tuple[Option, ...]) -> str:
    return " ".join(flag for option in options for flag in option.flags if flag.startswith("--"))


def _second_words(name: str) -> str:
    return " ".join(command.name.partition(" ")[2] for command in commands(name))


def zsh() -> str:
    """Completion for zsh."""
    listing = "\n".join(f"    {_zsh_quote(f'{name}:{summary}')}" for name, summary in COMMANDS.items())
    cases = []
    for name in COMMANDS:
        specs = []
        options = {option.name: option for command in commands(name) for option in command.options}
        if isinstance(load(name), Group):
            specs.append(f"'1:command:({_second_words(name)})'")
        specs += [spec for option in options.values() for spec in _zsh_specs(option)]
        arguments = " \\\n      ".join(["_arguments -S", *specs, "'*:ref:_git_ocuroot_refs'"])
        cases.append(f"  {name})\n    {arguments} ;;")
    common = " ".join(spec for option in COMMON for spec in _zsh_specs(option))
    return ZSH.replace("@commands", listing).replace("@cases", "\n".join(cases)).replace("@common", common)


def _zsh_specs(option: Option) -> list[str]:
    specs = []
    for flag in option.flags:
        value = f":{option.metavar.strip('<>')}:" if option.metavar else ""
        if option.choices:
            value = f":{option.name}:({' '.join(option.choices)})"
        end = "=" if option.metavar and flag.startswith("--") else ""
        if "<" not in flag:
            specs.append(_zsh_quote(f"{flag}{end}[{option.help.replace('[', '(').replace(']', ')')}]{value}"))
    return specs


def _zsh_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


BASH = r"""# bash completion for git ocuroot; found by git's own completion. Made by man/generate.py.

_git_ocuroot ()
{
    local cur words cword prev
    # Refs hold '@', and may hold ':', which readline takes for the end of a word.
    _get_comp_words_by_ref -n @:= cur words cword prev
    local i=2 command
    # Common options, and 'state', may stand before the command.
    while ((i < cword)) && [[ ${words[i]} == -* || ${words[i]} == state ]]; do
        case ${words[i]} in
        @valued) ((i += 2)) ;;
        *) ((i += 1)) ;;
        esac
    done
    command=${words[i]}
    if ((cword <= i)); then
        case $cur in
        -*) __gitcomp "@common" ;;
        *) __gitcomp "@names" ;;
        esac
        return
    fi
    case $command in
    @groups)
        if ((cword == i + 1)); then
            case $command in
@below
            esac
            return
        fi
        command="$command ${words[i + 1]}"
    esac
    if [[ $cur != -* ]]; then
        local IFS=$'\n'
        local refs=$(git ocuroot match --limit 1000 -- "${cur//[\\*?\[\]\{\}]/}**" 2>/dev/null)
        COMPREPLY=($(compgen -W "$refs" -- "$cur"))
        __ltrim_colon_completions "$cur" 2>/dev/null
        return
    fi
    case $command in
@cases
    esac
}
"""

ZSH = r"""#compdef git-ocuroot
#description keep the state of software delivery in git
# zsh completion for git ocuroot. Made by man/generate.py.

_git_ocuroot_refs () {
  local -a refs
  refs=(${(f)"$(git ocuroot match --limit 1000 -- "${PREFIX//[\\*?\[\]\{\}]/}**" 2>/dev/null)"})
  compadd -Q -a refs
}

local -a commands
commands=(
@commands
)

_arguments -C @common '1:command:->command' '*::argument:->argument' && return
case $state in
command) _describe command commands ;;
argument)
  case $words[1] in
@cases
  esac ;;
esac
"""

FILES = {"man/git-ocuroot.1": manual, "completion/git-ocuroot.bash": bash, "completion/_git-ocuroot": zsh}

if __name__ == "__main__":
    for name, make in FILES.items():
        (TOP / name).write_text(make(), encoding="utf-8")
