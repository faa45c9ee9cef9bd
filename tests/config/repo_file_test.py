"""repo.ocu.star: every documented form, `host.shell`, and every error with its place."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import types
from pathlib import Path

import pytest
from support.program import TOP
from support.starlark import FILE, error, read, run

from ocuroot_git.config.repo_file import RepoFile, StoreSpec, evaluate_value
from ocuroot_git.config.shell import ShellResult
from ocuroot_git.errors import Fatal

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = str(TOP)


def fields(record: RepoFile | StoreSpec) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}


# What a file can say.


def test_the_newer_form() -> None:
    said = read("""
ocuroot("0.3.0")
repo_alias("my_repo")
env_vars = host.env()
store.set(
    store.git(
        "https://github.com/example/ocuroot-state.git",
        branch="state",
        create_branch=False,
        path_prefix="deep/state",
        support_files={"README.md": "# State\\n", ".github/CODEOWNERS": ""},
    ),
    intent=store.git(env_vars["INTENT"], branch="intent"),
)
remotes(["https://a.example/x.git", "git@b.example:x.git"])
def again(commit):
    host.shell("curl " + commit)
    http.post("https://ci.example", headers={"Authorization": secrets.get("TOKEN")}, body=json.encode({"c": commit}))
trigger(again)
print("done", 1, [None], sep="-")
""", environ={"INTENT": "../intent.git"})  # fmt: skip
    assert said.requires == "0.3.0"
    assert said.repo_alias == "my_repo"
    assert said.state is not None
    assert fields(said.state) == {
        "kind": "git",
        "location": "https://github.com/example/ocuroot-state.git",
        "branch": "state",
        "create_branch": False,
        "path_prefix": "deep/state",
        "support_files": {"README.md": "# State\n", ".github/CODEOWNERS": ""},
    }
    assert said.intent is not None
    assert (said.intent.location, said.intent.branch, said.intent.support_files) == ("../intent.git", "intent", {})
    assert said.remotes == ("https://a.example/x.git", "git@b.example:x.git")
    assert said.has_trigger
    assert said.printed == ("done-1-[None]",)


def test_a_file_that_says_nothing() -> None:
    for text in ("", "# nothing\n", "x = 1", "\n\n"):
        said = read(text)
        assert isinstance(said, RepoFile)
        assert fields(said) == {
            "repo_alias": None,
            "state": None,
            "intent": None,
            "remotes": (),
            "requires": None,
            "release_ignore": (),
            "has_trigger": False,
            "printed": (),
        }


def test_stores_in_a_directory() -> None:
    said = read('store.set(store.fs("./.store/state"), intent=store.fs("/srv/intent"))')
    assert isinstance(said.state, StoreSpec)
    assert fields(said.state) == {
        "kind": "fs",
        "location": "./.store/state",
        "branch": None,
        "create_branch": None,
        "path_prefix": None,
        "support_files": {},
    }
    assert said.intent is not None
    assert (said.intent.kind, said.intent.location) == ("fs", "/srv/intent")


def test_one_store_for_both() -> None:
    for text in ('store.set(store.git("u"))', 'store.set(store.git("u"), None)', 'store.set(state=store.git("u"))'):
        said = read(text)
        assert said.state is not None
        assert (said.state.location, said.state.branch, said.intent) == ("u", None, None)


def test_the_older_form_assigns_to_our_own_names() -> None:
    said = read("""
repo_alias = "push"
repo_remotes = ["https://a.example/x.git"]
env_vars = host.env()
state_store = store.git(env_vars["REMOTE"], branch="state")
intent_store = store.fs("intent")
store = None
print(repo_alias)
""", environ={"REMOTE": "u"})  # fmt: skip
    assert said.repo_alias == "push"
    assert said.remotes == ("https://a.example/x.git",)
    assert said.state is not None
    assert said.intent is not None
    assert (said.state.kind, said.state.location, said.state.branch) == ("git", "u", "state")
    assert (said.intent.kind, said.intent.location) == ("fs", "intent")
    assert said.printed == ("push",)


def test_the_older_form_with_the_newer_alias_and_an_empty_intent() -> None:
    said = read('repo_alias("minimal/repo")\nstate_store = store.fs("s")\nintent_store = None\n')
    assert said.repo_alias == "minimal/repo"
    assert said.state is not None
    assert said.intent is None


def test_a_call_counts_for_more_than_an_assignment() -> None:
    said = read("""
state_store = store.git("u", branch="state")
intent_store = store.git("u", branch="intent")
store.set(store.fs("here"))
""")
    assert said.state is not None
    assert (said.state.location, said.intent) == ("here", None)


IN_CI = """
ocuroot("0.3.14")

# The token decides how the state is reached
def remote():
    env_vars = env()
    if "CI_TOKEN" not in env_vars:
        return host.shell("echo git@git.example:team/app.git").stdout.strip()
    return "https://x-access-token:{}@git.example/team/app.git".format(env_vars["CI_TOKEN"])

url = remote()
remotes([url])
store.set(store.git(url, branch="state"), intent=store.git(url, branch="intent"))
"""

LOCAL_OR_NOT = '''
"""Where the state of this repository lives."""
ocuroot(">=0.3")
owner, name = "team", "app"
repo_alias("git.example/{}/{}".format(owner, name))

def choose():
    variables = host.env()
    local = variables.get("LOCAL_MODE", "").lower() in ["1", "true", "yes"]
    if local:
        print("📁 local mode")
        state, intent = [store.fs("./.ocuroot/" + part) for part in ("state", "intent")]
        store.set(state, intent=intent)
        return
    env = variables.get("STAGE", "staging")
    print("stage: %s, state: %s" % (env, store.git("u")))
    store.set(store.git("ssh://git@git.example/{}/{}-state.git".format(owner, name), branch=env))

choose()

def do_trigger(commit):
    token = host.env()["CI_TOKEN"]
    body = json.encode({"ref": "main", "inputs": {"commit": commit}})
    answer = http.post(url="https://git.example/api", body=body, headers={"Authorization": "token " + token})
    if answer["status_code"] != 204:
        print("failed: " + str(answer["status_code"]))

trigger(do_trigger)
'''

WITH_FALLBACK = """
repo_alias("ci/repo")
settings = struct(branches = ["state", "intent"], limit = len("abc"))
def setup_store():
    found = host.shell("echo origin; exit 2", continue_on_error=True)
    if found.exit_code != 0 or found.stdout.strip().startswith("git@"):
        store.set(store.fs("./.state"))
    else:
        state, intent = [store.git(found.stdout, branch=b) for b in settings.branches]
        store.set(state, intent = intent)
setup_store()
defaults = json.decode('{"retries": [1, 2.5]}')
for number in defaults["retries"]:
    if number > 1:
        print(number)
"""


def test_a_file_for_ci() -> None:
    said = read(IN_CI, environ={"CI_TOKEN": "t0k"})
    assert said.state is not None
    assert said.intent is not None
    assert said.state.location == said.intent.location == "https://x-access-token:t0k@git.example/team/app.git"
    assert said.remotes == (said.state.location,)
    assert read(IN_CI, shell=run).remotes == ("git@git.example:team/app.git",)
    assert error(IN_CI).message.startswith(f"{FILE}:8:16: host.shell is closed")


def test_a_file_that_chooses_by_the_environment() -> None:
    said = read(LOCAL_OR_NOT, environ={"LOCAL_MODE": "Yes"})
    assert said.requires == ">=0.3"
    assert said.repo_alias == "git.example/team/app"
    assert said.state is not None
    assert said.intent is not None
    assert (said.state.location, said.intent.location) == ("./.ocuroot/state", "./.ocuroot/intent")
    assert said.has_trigger
    assert said.printed == ("📁 local mode",)
    said = read(LOCAL_OR_NOT)
    assert said.state is not None
    assert (said.state.location, said.state.branch) == ("ssh://git@git.example/team/app-state.git", "staging")
    assert said.printed[0].startswith('stage: staging, state: {"git": {"remote_url": "u", "branch": None')


def test_a_file_that_asks_git() -> None:
    said = read(WITH_FALLBACK, shell=run)
    assert said.state is not None
    assert (said.state.kind, said.state.location, said.printed) == ("fs", "./.state", ("2.5",))


def test_the_environment_is_the_one_given_and_fresh_each_time() -> None:
    text = 'first = host.env()\nfirst["A"] = "changed"\nprint(host.env())\nprint("HOME" in env())'
    assert read(text, environ={"A": "a"}).printed == ('{"A": "a"}', "False")
    assert read("print(host.env()['A�'])", environ={"A\udcff": "é\udc80😀"}).printed == ("é�😀",)


def test_the_host() -> None:
    assert read("print(host.os(), host.arch())").printed[0].startswith(platform.system().lower() + " ")


def test_a_value_that_stands_alone_is_no_error() -> None:
    for text in ("trigger", "store", "def f(): pass\nf", "lambda x: x"):
        assert read(text).state is None


def test_byte_order_mark_windows_line_ends_and_tabs() -> None:
    assert read('\ufeffrepo_alias("x")\r\nremotes(["y"])\r\n').remotes == ("y",)
    text = 'def f():\n\tif True:\n\t\treturn [\t"a\tb",\t# c\td\n\t\t]\nprint(f()[0])\t\n'
    assert read(text).printed == ("a\tb",)
    assert (
        error(text + "if True:\n\tif True:\n\t\tq()\n").message
        == f"{FILE}:8:3: variable `q` not found, did you mean `f`?"
    )


def test_f_strings() -> None:
    assert read('x = 3\nprint(f"{x}")').printed == ("3",)


# host.shell


def test_the_shell_is_closed_unless_given() -> None:
    for text, place in (
        ('x = [\n  host.shell("touch pwned").stdout]', "2:3"),
        ("host.shell()", "1:1"),
        ('__run__("touch pwned", "sh", ".", {}, True)', "1:1"),
    ):
        caught = error(text)
        assert caught.message == f"{FILE}:{place}: host.shell is closed: this file may run no commands"
        assert caught.hint is not None
        assert "git config --global ocuroot.allowShell true" in caught.hint
    assert not os.path.exists("pwned")


def test_the_shell_gives_a_struct() -> None:
    said = read(
        'r = host.shell("echo out; echo err >&2; exit 3", continue_on_error=True, mute=True)\n'
        "print(type(r), r.stdout, r.stderr, r.combined_output, r.exit_code)",
        shell=run,
    )
    assert said.printed == ("struct out\n err\n out\nerr\n 3",)


def test_the_shell_takes_a_directory_an_environment_and_another_shell(tmp_path: Path) -> None:
    (tmp_path / "it's").mkdir()
    text = """
command = "pwd; echo $A ${BASH_VERSION:+bash}; printf '\\\\377'"
r = host.shell(command, dir="it's", env={"A": "it's", "B": ""}, shell="bash")
print(r.stdout)
"""
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert read(text, shell=run).printed == (f"{tmp_path}/it's\nit's bash\n�",)
        assert ":3:5: host.shell: 'pwd; echo" in error(text.replace('"it\'s",', '"no",'), shell=run).message
    finally:
        os.chdir(here)


def test_a_command_that_fails_ends_the_evaluation() -> None:
    text = 'x = 1\ny = x + len(host.shell("echo why >&2; exit 3").stdout)\n'
    caught = error(text, shell=run)
    assert caught.message == f"{FILE}:2:13: host.shell: 'echo why >&2; exit 3' ended with status 3: why"
    assert caught.hint == "with continue_on_error=True the file can go on"
    caught = error('sh = host.shell\ndef f():\n  return sh("exit 4")\nf()', shell=run)
    assert caught.message == f"{FILE}:3:3: host.shell: 'exit 4' ended with status 4"


def test_wrong_arguments_of_the_shell() -> None:
    for call, what in (
        ("host.shell(3)", "value `3` of type `int` does not match the type annotation `str` for argument `command`"),
        ("host.shell()", "missing parameter `command` for call to `host.shell`"),
        ('host.shell("x", nope=1)', "found `nope` extra named parameter(s) for call to host.shell"),
        ('host.shell("x", env={"A;b": ""})', "host.shell: 'A;b' cannot be the name of an environment variable"),
    ):
        assert error("x = 1 + " + call, shell=run).message == f"{FILE}:1:9: {what}"


def test_commands_run_unbounded_and_write_to_no_stdout_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    limits = "ulimit -v; ulimit -t; ulimit -c"
    ours = run(limits).stdout
    assert read(f"print(host.shell({limits!r}).stdout)", shell=run).printed == (ours,)

    def loud(command: str) -> ShellResult:
        return ShellResult("", "", "", subprocess.run(command, shell=True, check=False).returncode)

    read('host.shell("echo to stdout; echo to stderr >&2; cat")', shell=loud)  # and has no stdin to wait for
    assert capfd.readouterr() == ("", "to stdout\nto stderr\n")


def test_a_shell_that_raises() -> None:
    def broken(command: str) -> ShellResult:
        raise OSError(2, "no such shell", command)

    assert error('host.shell("x")', shell=broken).message.startswith(f"{FILE}:1:1: ")


# Errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # the language
        ("x = \ny = 2", "1:5: parse error: unexpected new line here"),
        ("x = 1\ndef f(:\n  pass", "2:7: parse error: unexpected symbol ':' here"),
        ("x = 1\nstore.set(\n  store.git(\n\n", "3:13: parse error: unexpected end"),
        ("import os", "1:1: parse error: cannot use reserved keyword `import`"),
        ("x = 'abc", "1:5: parse error: unfinished string literal"),
        ('load("x.star", "y")', "1:1: `load` is not allowed in this dialect"),
        ('print("日本", zz)', "1:13: variable `zz` not found"),
        ("def f():\n  return zz\n", "2:10: variable `zz` not found"),
        ("x = 1\ny = x + 'a'", "2:5: operation `+` not supported for types `int` and `string`"),
        ("def f(x):\n  return x['k']\n\nf({})", '2:10: key `"k"` was not found'),
        ("fail('No\\nway\\x1b[0m --> a:1:1')", "1:1: fail: No way?[0m --> a:1:1"),
        ("def f():\n  return f()\nf()", "2:10: starlark call stack overflow"),
        ("host.shel()", "1:1: object of type `struct` has no attribute `shel`, did you mean `shell`?"),
        ("x = json.decode('{')", "1:5: expecting property name enclosed in double quotes: line 1 column 2"),
        ("json.decode('1E400')", "1:1: json.decode: 1E400 is too large"),
        ("json.decode('[NaN]')", "1:1: json.decode: NaN is no JSON"),
        ("json.decode()", "1:1: json.decode() missing 1 required positional argument: 'text'"),
        ("json.encode(trigger)", "1:1: this cannot take a value of type `function`"),
        # what the file calls
        ("ocuroot()", "1:1: ocuroot() missing 1 required positional argument: 'version'"),
        ("ocuroot(3)", "1:1: ocuroot: the version must be a string, not int"),
        ("repo_alias(None)", "1:1: repo_alias: the alias must be a string, not None"),
        ("repo_alias(' ')", "1:1: repo_alias: the alias is empty"),
        ("repo_alias('x', 'y')", "1:1: repo_alias() takes 1 positional argument but 2 were given"),
        ("repo_alias(trigger)", "1:1: this cannot take a value of type `function`"),
        ("remotes('x')", "1:1: remotes must be a list, not string"),
        ("remotes(['x', 1])", "1:1: remotes: each entry must be a string, not int"),
        ("trigger()", "1:1: missing parameter `fn` for call to `trigger`"),
        ("x = [trigger(3)]", "1:6: value `3` of type `int` does not match the type annotation `typing.Callable`"),
        ("http.get('https://x')", "1:1: http and secrets can only be used in a function given to trigger"),
        # stores
        ("store.git()", "1:1: store.git() missing 1 required positional argument: 'remote_url'"),
        ("store.git('')", "1:1: store.git: remote_url is empty"),
        ("store.git(3)", "1:1: store.git: remote_url must be a string, not int"),
        ("store.git('--upload-pack=x')", "1:1: store.git: remote_url begins with '-' or holds a control character"),
        ("store.git('a\\nb')", "1:1: store.git: remote_url begins with '-' or holds a control character"),
        ("x = 1\ny = [\n  store.git('u', branch=3)]", "3:3: store.git: branch must be a string, not int"),
        ("store.git('u', branch='')", "1:1: store.git: branch is empty"),
        ("store.git('u', create_branch='no')", "1:1: store.git: create_branch must be a bool, not string"),
        ("store.git('u', create_branch=1)", "1:1: store.git: create_branch must be a bool, not int"),
        ("store.git('u', brnch='x')", "1:1: store.git() got an unexpected keyword argument 'brnch'"),
        ("store.git('u', path_prefix='a/../b')", "1:1: store.git: path_prefix must be a path below the top of the"),
        ("store.git('u', support_files=['x'])", "1:1: store.git: support_files must be a dict, not list"),
        ("store.git('u', support_files={'x': 3})", "1:1: store.git: what support_files has for 'x' must be a string"),
        ("store.git('u', support_files={3: 'x'})", "1:1: store.git: a key of support_files must be a string, not int"),
        ("store.fs()", "1:1: store.fs() missing 1 required positional argument: 'path'"),
        ("store.fs('')", "1:1: store.fs: path is empty"),
        ("store.set()", "1:1: store.set() missing 1 required positional argument: 'state'"),
        ("store.set('x')", "1:1: store.set: the state store is neither store.git(…) nor store.fs(…)"),
        ("store.set(None)", "1:1: store.set: the state store is neither store.git(…) nor store.fs(…)"),
        ("store.set({'s3': {}})", "1:1: store.set: the state store is neither store.git(…) nor store.fs(…)"),
        ("store.set({'fs': 3})", "1:1: store.set: the state store is neither store.git(…) nor store.fs(…)"),
        ("store.set({'fs': {'path': 'x', 'a': 1}})", "1:1: store.set: the state store is neither store.git(…) nor"),
        ("store.set({'fs': {'path': 3}})", "1:1: store.set: the state store: path must be a string, not int"),
        ("store.set(store.fs('x'), intent=3)", "1:1: store.set: the intent store is neither store.git(…) nor"),
        ("store.set(store.fs('x'))\n\nstore.set(store.fs('x'))", "3:1: store.set is called a second time"),
        # the older form
        ("repo_alias = 3", "1:1: repo_alias must be a string, not int"),
        ("x = 1\nstate_store = 's'\n", "2:1: state_store is neither store.git(…) nor store.fs(…)"),
        ("state_store = trigger\n", "1:1: state_store is neither store.git(…) nor store.fs(…)"),
        ("intent_store = None\nintent_store  = []", "2:1: intent_store is neither store.git(…) nor store.fs(…)"),
        ("repo_remotes = 'x'", "1:1: repo_remotes must be a list, not string"),
    ],
)
def test_errors_name_the_place(text: str, expected: str) -> None:
    message = error(text).message
    assert message.startswith(f"{FILE}:{expected}"), message


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../../x", "a/..", "./x", "a//b", "a/", "", ".git/config", ".GIT/x"]
)
def test_support_files_stay_below_the_top(path: str) -> None:
    message = error(f"store.git('u', support_files={{'ok': '', {path!r}: 'x'}})").message
    assert message.startswith(f"{FILE}:1:1: store.git: a key of support_files ")


def test_the_library_is_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlark", None)
    for call in (lambda: read(""), lambda: evaluate_value("1")):
        with pytest.raises(Fatal, match="needs the Python package starlark-pyo3") as caught:
            call()
        assert caught.value.hint == "pip install 'starlark-pyo3>=2026.1.2'"
    monkeypatch.setitem(sys.modules, "starlark", types.ModuleType("starlark"))
    with pytest.raises(Fatal, match=r"needs starlark-pyo3 2026\.1\.2 or newer"):
        read("")


def test_importing_the_module_is_cheap() -> None:
    script = f"import sys; sys.path.insert(0, {ROOT!r}); import ocuroot_git.config.repo_file; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True)
    heavy = {"dataclasses", "typing", "enum", "re", "subprocess", "json", "inspect", "starlark", "signal", "shlex"}
    assert not heavy & set(done.stdout.split())
