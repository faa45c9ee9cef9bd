"""What packages that are code come to, and that a package which means harm does none."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from ocuroot_git.config.shell import shell_in
from ocuroot_git.packages.evaluate import Evaluated, PackageError, evaluate
from ocuroot_git.packages.files import DirectoryFiles
from ocuroot_git.packages.permissions import Permissions

ENVIRONMENTS = [
    {"name": "production", "attributes": {"type": "prod"}},
    {"name": "staging", "attributes": {"type": "staging"}},
]


def look_at(top: Path, path: str = "p.ocu.star", *, seconds: float | None = None, opened: bool = False) -> Evaluated:
    files = DirectoryFiles(str(top))
    permissions = Permissions({"CI": "1"}, str(top))
    if opened:
        permissions = Permissions({"CI": "1"}, str(top), shell_in(str(top), os.environ), files)
    return evaluate(files, path, environments=ENVIRONMENTS, permissions=permissions, seconds=seconds)


def of(top: Path, text: str, **others: str) -> Evaluated:
    """What a package of this text says; the others are files beside it, their names with `__` for a dot."""
    write(top, **{"p__ocu__star": text, **others})
    return look_at(top)


def write(top: Path, **files: str) -> None:
    for name, text in files.items():
        (top / name.replace("__", ".")).write_text(text, encoding="utf-8")


def problems(top: Path, text: str, **others: str) -> list[str]:
    with pytest.raises(PackageError) as caught:
        of(top, text, **others)
    return [str(problem) for problem in caught.value.problems]


TASKS = """
def build():
    return done(outputs = {"version": "1"})

def up(environment, version, count = 0):
    return done()

def down(environment, version, count = 0):
    return done()
"""

WHOLE = """
ocuroot("0.3.0")
load("./tasks.ocu.star", "build", "up", "down")

task(build, name = "build")

def setup(environment):
    return deploy(
        environment = environment,
        up = up,
        down = down,
        inputs = {
            "version": ref("./task/build#output/version"),
            "count": input(ref = "./@/deploy/{}#output/count".format(environment.name), default = 0),
        },
    )

phase("staging", tasks = [setup(e) for e in environments() if e.attributes["type"] == "staging"])
phase(name = "prod", work = [setup(e) for e in environments() if e.attributes["type"] == "prod"])

def last(text, more):
    return done()

task(last, "last", inputs = {"text": "x", "more": {"a": [1, 2.5, 10000000000000000000000, True]}})
"""


def test_a_whole_package(tmp_path: Path) -> None:
    said = of(tmp_path, WHOLE, tasks__ocu__star=TASKS)
    assert said.definition is not None
    phases = said.definition["phases"]
    assert [phase["name"] for phase in phases] == ["", "staging", "prod", ""]
    fn = {"name": "build", "pos": "./tasks.ocu.star:2:1"}
    assert phases[0]["work"] == [{"call": {"name": "build", "fn": fn, "inputs": {}}}]
    assert phases[1]["work"] == [
        {
            "deploy": {
                "environment": "staging",
                "up": {"name": "up", "pos": "./tasks.ocu.star:5:1"},
                "down": {"name": "down", "pos": "./tasks.ocu.star:8:1"},
                "inputs": {
                    "version": {"ref": "./call/build#output/version"},
                    "count": {"ref": "./@/deploy/staging#output/count", "default": 0},
                    "environment": {"ref": "@/environment/staging"},
                },
            }
        }
    ]
    assert phases[3]["work"][0]["call"]["inputs"] == {
        "text": {"value": "x"},
        "more": {"value": {"a": [1, 2.5, 10**22, True]}},
    }
    assert phases[3]["work"][0]["call"]["fn"] == {"name": "last", "pos": "p.ocu.star:21:1"}
    assert set(said.definition["functions"]) == {
        "build/./tasks.ocu.star:2:1",
        "up/./tasks.ocu.star:5:1",
        "down/./tasks.ocu.star:8:1",
        "last/p.ocu.star:21:1",
    }


def test_environments(tmp_path: Path) -> None:
    said = of(
        tmp_path, 'register_environment(environment("a.b_1", {"type": "x"}))\nregister_environment(environment("c"))'
    )
    assert said.definition is None
    assert said.environments == [{"name": "a.b_1", "attributes": {"type": "x"}}, {"name": "c", "attributes": {}}]


def test_what_is_left_over_belongs_to_a_phase_of_its_own(tmp_path: Path) -> None:
    said = of(
        tmp_path,
        """
def f():
    return done()
a = task(f, "a")
b = call(f, "b")
c = task(f, "c")
phase("two", [b])
task(f, "d")
""",
    )
    assert said.definition is not None
    names = [[work["call"]["name"] for work in phase["work"]] for phase in said.definition["phases"]]
    assert names == [["a"], ["c"], ["b"], ["d"]]


def test_a_phase_made_by_a_module(tmp_path: Path) -> None:
    """What a module's functions register belongs to the package that calls them."""
    module = "def _f():\n    return done()\ndef make(name):\n    phase(name, tasks = [task(_f, name)])\n"
    said = of(tmp_path, 'load("m.star", "make")\nmake("x")\nmake("y")', m__star=module)
    assert said.definition is not None
    assert [phase["name"] for phase in said.definition["phases"]] == ["x", "y"]
    assert said.definition["phases"][0]["work"][0]["call"]["fn"] == {"name": "_f", "pos": "m.star:1:1"}


def test_modules_are_known_by_their_paths(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lib.star").write_text(f"def f():\n    return done()\nNAME = '{name}'\n")
        (tmp_path / name / "m.star").write_text(f"load('./lib.star', 'f', 'NAME')\n{name} = f\n{name}_name = NAME\n")
    said = of(
        tmp_path,
        'load("a/m.star", "a", "a_name")\nload("b/m.star", "b", "b_name")\ntask(a, a_name)\ntask(b, b_name)\n',
    )
    assert said.definition is not None
    given = [phase["work"][0]["call"] for phase in said.definition["phases"]]
    assert [one["name"] for one in given] == ["a", "b"]
    assert [one["fn"]["pos"] for one in given] == ["./lib.star:1:1", "./b/lib.star:1:1"]


def test_what_the_package_prints_is_kept_with_its_place(tmp_path: Path) -> None:
    said = of(tmp_path, 'x = 1\nprint("a", x, [None])\n')
    assert said.printed == [{"message": "a 1 [None]", "file": "p.ocu.star", "line": 2, "column": 6}]


def test_own_names_in_the_place_of_the_sdk(tmp_path: Path) -> None:
    said = of(
        tmp_path,
        'env = host.env()\nenvironment = environments()\nstruct = env["CI"]\njson = {}\nshell = 1\n'
        'print(env["CI"], [e.name for e in environment], host.os() == os())\n',
    )
    assert said.printed[0]["message"] == '1 ["production", "staging"] True'


def test_files_are_read_below_the_package(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "v.txt").write_text("1.2")
    (tmp_path / "services" / "p.ocu.star").write_text('print(read("v.txt"), read_dir("../services"), is_dir("."))')
    said = look_at(tmp_path, "services/p.ocu.star")
    assert said.printed[0]["message"] == '1.2 ["p.ocu.star", "v.txt"] True'


WRONG = {
    "syntax": ("x = = 1", "p.ocu.star:1:5: parse error: unexpected symbol '=' here"),
    "no such name": ("\nx = nothing", "p.ocu.star:2:5: variable `nothing` not found"),
    "if at the top": ("if True:\n    x = 1", "p.ocu.star:1:1: `if` cannot be used outside `def` in this dialect"),
    "set twice": ("x = 1\ndef x():\n    pass", "p.ocu.star:2:1: cannot reassign global 'x', which is set in line 1"),
    "fail": ('def f():\n    fail("no", 1)\nf()', "p.ocu.star:2:5: fail: no 1"),
    "version": ('ocuroot("0.4.0")', "p.ocu.star:1:1: version 0.4.0 not found; the SDK is known as 0.3.0"),
    "no text": ("ocuroot(1)", "p.ocu.star:1:1: ocuroot call must have a string literal as its argument"),
    "no version": ("ocuroot()", "p.ocu.star:1:1: ocuroot call must have exactly one argument"),
    "two versions": ('ocuroot("0.3.0")\nocuroot("0.3.0")', "p.ocu.star:2:1: multiple ocuroot calls"),
    "unknown input": (
        'def f():\n    pass\ntask(f, name = "t", inputs = {"a": 1})',
        "p.ocu.star:3:1: Input 'a' is not in function parameters for 'f' at p.ocu.star:1:1",
    ),
    "missing input": (
        'def f(i, missing, j = 1):\n    pass\nt = task(f, name = "t", inputs = {"i": 1, "j": 2})',
        "p.ocu.star:3:5: Function parameter 'missing' is not present in inputs and has no default value for 'f'",
    ),
    "input name": (
        'def f(ctx):\n    pass\ntask(f, name = "t", inputs = {"bad-input": 1})',
        "p.ocu.star:3:1: task 't': bad input name 'bad-input'",
    ),
    "empty input": ("input()", "p.ocu.star:1:1: fail: input must have either ref or default"),
    "bad ref": ('ref("a//b/@/x")', "p.ocu.star:1:1: bad ref 'a//b/@/x'"),
    "inner function": (
        'def g():\n    def f():\n        return done()\n    return f\ntask(g(), name = "t")',
        "p.ocu.star:5:1: function 'f' must be defined with def at the top level of a file",
    ),
    "lambda": ('task(lambda: done(), "t")', "p.ocu.star:1:1: function 'lambda' must be defined with def"),
    "two of one name": (
        'def g():\n    def f():\n        return done()\n    return f\ndef f():\n    pass\ntask(g(), name = "t")',
        "p.ocu.star:7:1: 'p.ocu.star' has two functions named 'f'",
    ),
    "a function of the SDK": ('task(done, "t")', "p.ocu.star:1:1: 'done' is a function of the SDK"),
    "no function": ('task("f", "t")', "p.ocu.star:1:1: value `f` of type `string` does not match the type annotation"),
    "reserved": (
        'def u():\n    pass\ndeploy(environment("a"), up = u, down = u, inputs = {"environment": 1})',
        "p.ocu.star:3:1: environment is a reserved input for deployments",
    ),
    "no environment": (
        'deploy("a")',
        "p.ocu.star:1:1: fail: deploy: the environment must be what environment(…) gives",
    ),
    "environment name": ('register_environment(environment("a/b"))', "p.ocu.star:1:1: environment name 'a/b' is not"),
    "both": (
        'def f():\n    pass\ntask(f, "t")\nregister_environment(environment("a"))',
        "p.ocu.star: environments and packages should not be declared in the same file",
    ),
    "twice": (
        'def f():\n    pass\ntask(f, "t")\ntask(f, "t")',
        "p.ocu.star:4:1: task 't' is used more than once, should be used in exactly one phase",
    ),
    "no task": ('phase("p", tasks = ["x"])', "p.ocu.star:1:1: phase: a task is what task(…) or deploy(…) gives"),
    "secret": ("secret(1)", "p.ocu.star:1:1: fail: secret value must be a string"),
    "shell": ('x = host.shell("true")', "p.ocu.star:1:5: host.shell is closed at the top level of a package"),
    "http": ('http.get("http://127.0.0.1")', "p.ocu.star:1:1: http.get is closed at the top level of a package"),
    "write": ('write("x", "y")', "p.ocu.star:1:1: host.write_file is closed at the top level of a package"),
    "read outside": ('read("../../etc/passwd")', "p.ocu.star:1:1: '../../etc/passwd' leads out of the repository"),
    "read nothing": ('read("/etc/passwd")', "p.ocu.star:1:1: there is no file 'etc/passwd'"),
    "git's own": ('read(".git/config")', "p.ocu.star:1:1: '.git/config' is git's own"),
    "load outside": ('load("../../etc/passwd", "x")', "p.ocu.star:1:1: cannot load '../../etc/passwd': "),
    "load absolute": ('load("/etc/passwd", "x")', "p.ocu.star:1:1: cannot load '/etc/passwd': "),
    "load itself": ('load("p.ocu.star", "x")', "cycle in load graph: p.ocu.star -> p.ocu.star"),
    "load nothing": (
        'load("other.star", "x")',
        "p.ocu.star:1:1: cannot load 'other.star': there is no file 'other.star'",
    ),
    "json": ("json.decode('{')", "p.ocu.star:1:1: "),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert message in found[0]
    assert "\n" not in found[0] and "Traceback" not in found[0] and "builtin" not in found[0]


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        'def f(a):\n    pass\ntask(f, "t", inputs = {"b": 1, "0": 2})\n'
        'deploy(environment("e"), up = f, down = f)\nregister_environment(environment("-"))\n',
    )
    assert [text.partition(": ")[0] for text in found[:3]] == ["p.ocu.star:3:1"] * 3
    assert len(found) >= 7


def test_what_is_wrong_in_a_module_is_told_where_it_is(tmp_path: Path) -> None:
    module = "x = 1\ndef f():\n    y = [x]\n    y.append(x + '')\n"
    assert problems(tmp_path, 'load("m.star", "f")\nf()', m__star=module)[0].startswith("m.star:4:14: ")
    assert problems(tmp_path, 'load("m.star", "f")', m__star="y = (")[0].startswith("m.star:1:6: parse error")
    found = problems(tmp_path, 'load("a.star", "x")', a__star='load("b.star", "x")', b__star='load("a.star", "x")')
    assert found == ["b.star:1:1: cycle in load graph: a.star -> b.star -> a.star"]


HOSTILE = {
    "endless loop": (
        "def f():\n    for i in range(1000000000):\n        for j in range(1000000000):\n            pass\nf()"
    ),
    "one long step": 'x = "a" * 100000000\ny = [x + str(i) for i in range(1000)]',
    "memory": "def f():\n    x = ['a']\n    for i in range(40):\n        x = x + x\n    return x\nf()",
    "a large number": "x = 1 << 4000000000",
    "deep recursion": "def f(n):\n    return f(n + 1)\nf(0)",
    "deep nesting": "x = " + "(" * 20000 + ")" * 20000,
    "deep lists": (
        "def f():\n    x = []\n    for i in range(100000):\n        x = [x]\n    task(f, 't', inputs = {'x': x})\nf()"
    ),
    "a list of itself": "def f(x):\n    pass\nx = []\nx.append(x)\ntask(f, 't', inputs = {'x': x})",
    "a list of too many": "x = list(range(2000000000))",
    "a long sum": "x = 1" + " + 1" * 50000,
    "a huge output": "def f():\n    for i in range(100000):\n        print('x' * 1000)\nf()",
    "a huge package": (
        "def f(x):\n    pass\ndef g():\n    for i in range(100):\n"
        "        task(f, 't%d' % i, inputs = {'x': 'y' * 100000})\ng()"
    ),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_package_that_means_harm_is_bounded(tmp_path: Path, text: str) -> None:
    write(tmp_path, p__ocu__star=text)
    before = time.monotonic()
    with pytest.raises(PackageError) as caught:
        look_at(tmp_path, seconds=1.0)
    assert time.monotonic() - before < 30  # the bound is a second; the machine may be busy
    assert caught.value.message.startswith("p.ocu.star") and "\n" not in caught.value.message
    assert not re.search("Error|Exception", caught.value.message)


def test_symbolic_links_do_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "secret.star").write_text("x = 'hidden'")
    (tmp_path / "r" / "link.star").symlink_to("../secret.star")
    (tmp_path / "r" / "up").symlink_to("..")
    (tmp_path / "r" / "in.star").symlink_to("real.star")
    (tmp_path / "r" / "real.star").write_text("x = 'seen'")
    for text in ('load("link.star", "x")', 'read("link.star")', 'read("up/secret.star")', 'read_dir("up")'):
        assert "leads out of the repository" in problems(tmp_path / "r", text)[0]
    assert of(tmp_path / "r", 'load("in.star", "x")\nprint(x)').printed[0]["message"] == "seen"
    os.mkfifo(tmp_path / "r" / "fifo")
    assert "is no regular file" in problems(tmp_path / "r", 'read("fifo")')[0]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "p.ocu.star").write_bytes(b"x = 1\ny = '\xff'\n")
    with pytest.raises(PackageError, match="is not UTF-8 in line 2"):
        look_at(tmp_path)
    with pytest.raises(PackageError, match="there is no file"):
        look_at(tmp_path, "q.star")


def test_what_the_user_opens(tmp_path: Path) -> None:
    write(
        tmp_path,
        p__ocu__star='r = host.shell("echo a$X; echo b >&2; exit 3", env = {"X": "1"}, continue_on_error = True)\n'
        'print(r.stdout, r.stderr, r.exit_code)\nwrite("d/out.txt", "x")\nshell("exit 4")\n',
    )
    with pytest.raises(PackageError) as caught:
        look_at(tmp_path, opened=True)
    assert str(caught.value.problems[0]) == "p.ocu.star:4:1: host.shell: 'exit 4': exit status 4"
    assert (tmp_path / "d" / "out.txt").read_text() == "x"


def test_a_secret_of_several_lines_in_what_a_command_prints(tmp_path: Path) -> None:
    write(tmp_path, p__ocu__star='secret("ab\\ncd\\nef")\nshell("printf \'x ab\\\\ncd\\\\nef y\\\\n\'")\n')
    assert [one["message"] for one in look_at(tmp_path, opened=True).printed] == ["x <secret> y"]


def test_secrets_are_told_nowhere(tmp_path: Path) -> None:
    said = of(tmp_path, 's = secret("hunter2")\nprint("a", s, {"x": s})')
    assert said.printed[0]["message"] == 'a <secret> {"x": "<secret>"}'
    assert problems(tmp_path, 's = secret("hunter2")\nfail(s)') == ["p.ocu.star:2:1: fail: <secret>"]
    found = problems(tmp_path, 'def f(p):\n    pass\ntask(f, "t", inputs = {"p": ["x" + secret("hunter2")]})')
    assert found[0].startswith("p.ocu.star:3:1: task 't': input 'p' holds a secret, which the store would keep")
    assert "hunter2" not in found[0]


def test_tabs_and_a_byte_order_mark(tmp_path: Path) -> None:
    said = of(tmp_path, '\ufeffdef f():\n\treturn done()\ntask(f, "ä") # ä\n')
    assert said.definition is not None
    assert said.definition["phases"][0]["work"][0]["call"]["fn"]["pos"] == "p.ocu.star:1:1"


SECRET = 's = secret("hunter2hunter2")\ndef b(x = 1):\n    return done()\n'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("task(b, name = s)", "4:1: the name of a task"),
        ('phase(s, tasks = [task(b, name = "t")])', "the name of a phase"),
        ('register_environment(environment("e", {"x": s}))', "environment 'e'"),
        ('deploy(up = b, environment = environment(s), inputs = {"x": 1})', "the name of an environment"),
        ('task(b, name = "t", inputs = {"x": s})', "4:1: task 't': input 'x'"),
        ('task(b, name = "t", inputs = {"x": {"a": [s]}})', "4:1: task 't': input 'x'"),
    ],
)
def test_nothing_that_the_store_keeps_holds_a_secret(tmp_path: Path, text: str, what: str) -> None:
    found = [one for one in problems(tmp_path, SECRET + text) if "secret, which the store would keep" in one]
    assert len(found) == 1 and what in found[0] and "hunter2" not in found[0], found


def test_what_becomes_known_for_a_secret_late_is_found(tmp_path: Path) -> None:
    text = (
        'def b(x):\n    return done()\ntask(b, name = "t", inputs = {"x": "hunter2hunter2"})\nsecret("hunter2hunter2")'
    )
    assert ["4:1" in one and "input 'x' holds a secret" in one for one in problems(tmp_path, f"\n{text}")] == [True]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("1e308 * 10", "+inf has no JSON form"),
        ("{1: 2}", "the keys of a JSON object are strings"),
        ("[len]", "a value of type function has no JSON form"),
        ("1 << 20000", "an integer has more than 4300 digits"),
        ('json.decode("1" * 5000)', "an integer has more than 4300 digits"),
        ('json.decode("[" * 100000)', "json.decode: it nests too deeply"),
    ],
)
def test_inputs_are_kept_as_they_are_or_refused(tmp_path: Path, value: str, why: str) -> None:
    found = problems(tmp_path, f'def b(x):\n    return done()\ntask(b, name = "t", inputs = {{"x": {value}}})')
    assert len(found) == 1 and found[0].startswith("p.ocu.star:3:") and why in found[0], found
