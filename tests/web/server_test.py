"""`git ocuroot view` as a process: its port, its address, its end, and what it says without its extra."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.program import PROGRAM, run_program
from support.repositories import Repo
from support.viewing import tell_story, viewed
from support.waiting import LONG, comes_true


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return tell_story(tmp_path_factory.mktemp("view") / "shop")


def ask(address: str, path: str = "/", *, host: str = "") -> tuple[int, http.client.HTTPMessage, str]:
    """One request, sent again as a page does that says of itself that more is to come; gives status, headers and text.

    How much a page has at first depends on how busy the machine is.
    """
    authority = address.removeprefix("http://").rstrip("/")
    name, _, port = authority.rpartition(":")
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection(name.strip("[]"), int(port), timeout=30)
        try:
            connection.request("GET", path, headers={"Host": host or authority})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if not re.search(r'data-tip="[^"]*~', text):
            return answer.status, answer.headers, text
        assert time.monotonic() < deadline, "the page is not whole"
        time.sleep(0.05)


def test_it_prints_its_address_and_answers_there(told: Repo) -> None:
    with viewed(told) as (address, _):
        status, headers, text = ask(address)
        assert status == 200 and "backend/release.ocu.star" in text.replace("<wbr>", "")
        assert headers["Server"] is None and headers["Set-Cookie"] is None
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert ask(address, host="evil.example")[0] == 400


def test_it_listens_on_loopback_alone(told: Repo) -> None:
    with viewed(told) as (address, process):
        assert address.startswith("http://127.0.0.1:")
        port = int(address.rstrip("/").rpartition(":")[2])
        table = Path(f"/proc/{process.pid}/net/tcp").read_text() + Path(f"/proc/{process.pid}/net/tcp6").read_text()
        listening = [line.split()[1] for line in table.splitlines()[1:] if line.split()[3:4] == ["0A"]]
        assert [one for one in listening if one.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_a_taken_port_is_passed_over_unless_it_was_asked_for(told: Repo) -> None:
    with viewed(told) as (first, _), viewed(told) as (second, _):
        assert first != second
        assert ask(first)[0] == ask(second)[0] == 200
        port = first.rstrip("/").rpartition(":")[2]
        done = told.run("view", "--no-browser", "--port", port)
        assert done.returncode == 128
        assert done.stderr.startswith(f"fatal: cannot listen at 127.0.0.1, port {port}: ")
        assert done.stderr.endswith("hint: without --port a free one is taken\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_at_once_even_with_a_request_in_hand(told: Repo, number: signal.Signals) -> None:
    with viewed(told) as (address, process):
        port = int(address.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            assert ask(address)[0] == 200
            process.send_signal(number)
            assert process.wait(timeout=LONG) == -number
        assert process.stderr is not None and "Traceback" not in process.stderr.read()


def test_of_requests_that_wait_it_says_nothing(told: Repo) -> None:
    """Nobody reads what it prints: once a pipe is full of that, it would answer no more."""
    with viewed(told) as (address, process):
        assert ask(address)[0] == 200
        with ThreadPoolExecutor(40) as many:
            assert {status for status, _, _ in many.map(lambda _: ask(address, "/tip"), range(200))} == {200}
        process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == "Ctrl-C ends it\n"


def test_beyond_loopback_it_warns(told: Repo) -> None:
    with viewed(told, "--host", "0.0.0.0") as (address, process):
        assert ask(address)[0] == 200
        process.kill()
        assert process.stderr is not None
        assert process.stderr.readline().startswith("warning: whoever reaches '0.0.0.0' can read the stores")


def test_ipv6_loopback(told: Repo) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        # No IPv6 here: then it is said so in one line.
        done = told.run("view", "--no-browser", "--host", "::1")
        assert done.returncode == 128 and done.stderr.startswith("fatal: cannot listen at ")
        return
    with viewed(told, "--host", "::1") as (address, _):
        assert address.startswith("http://[::1]:")
        assert ask(address)[0] == 200


@pytest.mark.parametrize("of", ["no repository", "no store", "bad revision", "bad host", "bad port"])
def test_what_cannot_be_shown_is_said_before_it_listens(of: str, tmp_path: Path, repo: Repo, told: Repo) -> None:
    where, arguments, status = {
        "no repository": (tmp_path, (), 128),
        "no store": (repo.path, (), 128),
        "bad revision": (told.path, ("--at", "nothing"), 1),
        "bad host": (told.path, ("--host", "no.such.host.invalid"), 128),
        "bad port": (told.path, ("--port", "65536"), 129),
    }[of]
    done = run_program("view", "--no-browser", *arguments, cwd=where)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert "Traceback" not in done.stderr


def test_old_revision_and_bare_repository(told: Repo, make_repo: Callable[..., Repo]) -> None:
    first = told.git("rev-list", "--max-parents=0", "state")
    with viewed(told, "--at", first) as (address, _):
        assert "The store is empty" in ask(address)[2]
    bare = make_repo("bare.git", "--bare")
    bare.git("fetch", "-q", str(told.path), "refs/heads/state:refs/heads/state")
    with viewed(bare) as (address, _):
        assert "backend/release.ocu.star" in ask(address)[2].replace("<wbr>", "")


def test_change_is_seen_while_it_runs(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    with viewed(told) as (address, _):
        before = ask(address, "/tip")[2]
        told.ocuroot("set", "+/custom/banner", "Closed on Monday")
        assert ask(address, "/tip")[2] == told.git("rev-parse", "state") != before
        told.git("gc", "-q")  # what was loose is in a pack now, under the open repositories
        assert "Closed on Monday" in ask(address, "/custom")[2]


def test_remote_store_is_shown_and_followed(tmp_path: Path, make_repo: Callable[..., Repo]) -> None:
    told = tell_story(tmp_path / "shop")
    work = make_repo("work")
    work.git("remote", "add", "upstream", told.path.as_uri())
    with viewed(work, "--remote", "upstream", "--max-age", "0") as (address, _):
        assert "backend/release.ocu.star" in ask(address, "/deployments")[2].replace("<wbr>", "")
        told.ocuroot("set", "+/custom/banner", "Closed on Monday")
        assert ask(address, "/tip")[2] == told.git("rev-parse", "state")
        assert "Closed on Monday" in ask(address, "/custom")[2]
        assert "Create the store" in ask(address, "/commits")[2]  # the first commit, which was not fetched at first
    assert work.git("for-each-ref") == ""


@pytest.mark.parametrize("missing", ["flask", "waitress"])
def test_without_its_extra_it_says_how_to_get_it(told: Repo, tmp_path: Path, missing: str) -> None:
    """An import hook at start-up makes the package look as if it were not installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {missing!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    done = told.run("view", "--no-browser", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 128
    assert done.stderr == (
        f"fatal: the view needs the Python package '{missing}', which is not installed\n"
        "hint: pip install 'ocuroot-git[view]'\n"
    )


def test_other_commands_load_nothing_of_it(told: Repo) -> None:
    code = (
        "import sys; from ocuroot_git.cli.main import main; main(['get', '@/environment/staging']);"
        "print([name for name in ('flask', 'waitress', 'jinja2', 'ocuroot_git.web') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=told.path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_a_browser_is_opened_only_where_there_is_a_screen(told: Repo, tmp_path: Path) -> None:
    """With a terminal for stdout (a pseudo one) and a display; git is told of a browser that leaves a note."""
    import pty

    note = tmp_path / "note"
    environ = {**os.environ, "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "web.browser", "GIT_CONFIG_VALUE_0": "noter"}
    environ |= {"GIT_CONFIG_KEY_1": "browser.noter.cmd", "GIT_CONFIG_VALUE_1": f'sh -c \'echo "$1" >"{note}"\' -'}
    for display, opened in (("", False), (":0", True)):
        terminal, inside = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "view"],
            cwd=told.path,
            stdout=inside,
            stderr=subprocess.DEVNULL,
            env={**environ, "DISPLAY": display},
        )
        try:
            address = os.read(terminal, 200).decode().strip()
            assert ask(address)[0] == 200
            assert comes_true(lambda: note.exists() and note.read_text() != "", LONG if opened else 0) is opened
            if opened:
                assert note.read_text().strip() == address
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
            os.close(inside)


def test_repo_ocu_star_is_evaluated_before_there_are_threads(store: Repo) -> None:
    """Evaluating forks, which a process that has threads must not do."""
    (store.path / "repo.ocu.star").write_text(
        'ocuroot("0.3.0")\nrepo_alias("shop")\nhost.shell("echo once >> count")\n'
    )
    store.git("config", "--global", "ocuroot.allowShell", "true")
    try:
        with viewed(store) as (address, _):
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: ask(address), range(24)))
            assert {status for status, _, _ in answers} == {200}
    finally:
        store.git("config", "--global", "--unset", "ocuroot.allowShell")
    assert (store.path / "count").read_text() == "once\n"
