"""Most tests run the program in forks of an interpreter that is ready: they must see what a new one would show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forked_program import ForkServer
from support.program import PROGRAM, TOP, run_program, starting
from support.repositories import Repo
from support.waiting import wait_until_gone

LOOK = """
import gc, json, os, resource, signal, sys, threading
streams = [sys.stdin, sys.stdout, sys.stderr]
umask = os.umask(0)
seen = {
    "words": [os.fsencode(word).hex() for word in sys.argv],
    "environment": {os.fsencode(name).hex(): os.fsencode(value).hex() for name, value in os.environ.items()},
    "directory": os.getcwd(),
    "path": sys.path,
    "name": __name__,
    "file": __file__,
    "main": sys.modules["__main__"].__file__,
    "flags": list(sys.flags),
    "warnings": sys.warnoptions,
    "streams": [[one.encoding, one.errors, one.line_buffering, one.isatty()] for one in streams],
    "given": sys.stdin.read(),
    "open": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
    "signals": {one.name: str(signal.getsignal(one)) for one in signal.valid_signals() if hasattr(one, "name")},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if "RLIMIT_" in name},
    "group": [os.getpgid(0), os.getsid(0)],
    "umask": umask,
    "nice": os.nice(0),
    "threads": threading.active_count(),
    "collects": [gc.isenabled(), gc.get_threshold()],
    "recursion": sys.getrecursionlimit(),
    "profiled": [sys.gettrace(), sys.getprofile()],
}
print(json.dumps(seen, indent=1))
print("and an end", file=sys.stderr)
sys.stdout.flush()
os._exit(7)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In place of the program, one that does what its first word says."""
    path = tmp_path_factory.mktemp("forked") / "program"
    path.write_text("import sys\nexec(sys.argv[1])\n")
    return path


@pytest.fixture(scope="module")
def server(program: Path) -> Iterator[ForkServer]:
    made = ForkServer(program)
    yield made
    made.close()


def test_a_fork_is_what_a_new_interpreter_is(server: ForkServer, program: Path) -> None:
    words: list[str | bytes] = [LOOK, "a word", "-x", "ö", b"\xff"]
    environ = {**os.environ, "OCU_REPO": "ö\udcff", "EMPTY": ""}
    del environ["TERM"]
    command = [sys.executable, str(program), *words]
    anew = subprocess.run(command, cwd=TOP, env=environ, input=b"given\n", capture_output=True, check=False)
    assert anew.returncode == 7, anew.stderr
    status, out, err = server.run(words, TOP, environ, b"given\n", 60)
    assert json.loads(out) == json.loads(anew.stdout)
    assert (status, err) == (7, anew.stderr)


def test_how_a_process_ends_is_told(server: ForkServer, tmp_path: Path) -> None:
    ends = {
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": -signal.SIGTERM,
        "import os; os._exit(141)": 141,
        "raise ValueError": 1,
        "pass": 1,  # the launcher ends its process itself
    }
    for script, end in ends.items():
        status, _, err = server.run([script], tmp_path, os.environ, None, 60)
        assert status == end
        assert (b"ValueError" in err) == ("ValueError" in script)


def test_much_goes_in_and_out_at_once(server: ForkServer, tmp_path: Path) -> None:
    script = "import os, shutil, sys; shutil.copyfileobj(sys.stdin, sys.stdout); sys.stdout.flush(); os._exit(0)"
    given = b"0123456789abcde\n" * (1 << 16)
    assert server.run([script], tmp_path, os.environ, given, 60) == (0, given, b"")
    many = {**os.environ, **{f"OCU_{number}": "x" * 1000 for number in range(1000)}}
    assert server.run([script, "x" * 100_000], tmp_path, many, b"", 60)[:2] == (0, b"")


def test_an_input_that_is_not_read_harms_nothing(server: ForkServer, tmp_path: Path) -> None:
    assert server.run(["import os; os._exit(3)"], tmp_path, os.environ, b"x" * (1 << 20), 60) == (3, b"", b"")


def test_several_run_at_once_and_none_waits_for_another(server: ForkServer, tmp_path: Path) -> None:
    """Each waits until all three have begun; of the third nobody knew when the first was started."""
    script = "import os, sys, time\nopen(sys.argv[2], 'x').close()\n"
    script += "while len(os.listdir('.')) < 3: time.sleep(0.01)\nos._exit(int(sys.argv[2]))"
    ended = []

    def run(name: str) -> None:
        ended.append(server.run([script, name], tmp_path, os.environ, None, 60)[0])

    threads = [threading.Thread(target=run, args=(str(number),)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == [0, 1, 2]


def test_a_run_that_takes_too_long_is_ended(server: ForkServer, tmp_path: Path) -> None:
    script = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(subprocess.TimeoutExpired):
        server.run([script], tmp_path, os.environ, None, 3)
    pid = int((tmp_path / "pid").read_text())
    wait_until_gone(pid)


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "LC_ALL", "TZ", "PYTHONWARNINGS", "GIT_CONFIG_COUNT"])
def test_an_environment_that_is_read_early_asks_for_a_new_interpreter(server: ForkServer, name: str) -> None:
    assert server.suits(os.environ)
    assert server.suits({**os.environ, "GIT_AUTHOR_NAME": "Ada", "TERM": "xterm"})
    assert not server.suits({**os.environ, name: "other"})


LINES: list[tuple[list[str], str | None]] = [
    (["--version"], None),
    (["parse", "--json", "@/custom/x"], None),
    (["set", "-q", "+/custom/x", '{"a": 1}'], None),
    (["get", "+/custom/x#a"], None),
    (["get", "+/custom/missing"], None),
    (["get", "not a ref"], None),
    (["nonsense"], None),
    (["update", "--stdin", "-q"], "set @/custom/ö 1\n"),
    (["update", "--stdin"], "nonsense\n"),
    (["match", "**"], None),
    (["status"], None),
    (["deployments"], None),
]


def test_the_program_says_the_same_in_both(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, given in LINES:
        options = {} if given is None else {"input": given}
        monkeypatch.setattr(starting, "anew", True)
        anew = run_program(*words, cwd=store.path, **options)
        monkeypatch.setattr(starting, "anew", False)
        forked = run_program(*words, cwd=store.path, **options)
        assert forked == anew or vars(forked) == vars(anew)
    assert starting.server is not None


def test_tests_of_the_project_start_the_program_anew(store: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def forks() -> ForkServer:
        pytest.fail("it was forked")

    monkeypatch.setattr(starting, "forks", forks)
    assert store.ocuroot("--version").startswith("git-ocuroot version")
    assert PROGRAM.exists()


def test_the_server_is_no_child_of_the_tests(server: ForkServer) -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_server_ends_with_those_who_ask(program: Path) -> None:
    script = "import os, sys\nfrom pathlib import Path\nfrom support.forked_program import ForkServer\n"
    script += "server = ForkServer(Path(sys.argv[1]))\nwords = ['import os; os.write(1, b\"%d\" % os.getppid())']\n"
    script += "print(server.run(words, Path('.'), os.environ, None, 60)[1].decode(), flush=True)\nsys.stdin.read()"
    asking = subprocess.Popen(
        [sys.executable, "-c", script, str(program)],
        cwd=TOP / "tests",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert asking.stdout is not None
    pid = int(asking.stdout.readline())
    asking.kill()
    asking.communicate()
    wait_until_gone(pid)
