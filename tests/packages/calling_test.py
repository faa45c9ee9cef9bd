"""Functions of packages, called as runs call them: in a process of their own, at a commit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.repositories import Repo

from ocuroot_git.packages.calling import Answers, command


@contextmanager
def begun(
    repo: Repo, name: str, inputs: dict[str, Any], line: int = 1, path: str = "p.ocu.star", **asked: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """The process that calls a function; whatever it left is gone at the end."""
    position = f"{path.rpartition('/')[2]}:{line}:1"
    request = {
        "repository": str(repo.path),
        "commit": repo.oid("HEAD"),
        "path": path,
        "top": str(repo.path),
        "function": {"name": name, "pos": position},
        "inputs": inputs,
        "environments": [{"name": "e", "attributes": {}}],
        "work_id": "1",
        "visible": ["CI"],
        "shell": False,
        **asked,
    }
    process = subprocess.Popen(
        command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=repo.path,
        env={**os.environ, "CI": "1", "TOKEN": "t0ken-value"},
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode())
    process.stdin.close()
    assert process.stdout is not None
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


def line_of(process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


Entries = list[tuple[str, int, dict[str, str]]]


def ask(repo: Repo, name: str, /, *, line: int = 1, path: str = "p.ocu.star", **inputs: Any) -> tuple[Any, Entries]:
    """What a function gives, and what was printed on the way."""
    entries: Entries = []
    answers = Answers(lambda messages, *about: entries.extend((message, *about) for message in messages))
    with begun(repo, name, inputs, line, path) as process:
        assert process.stdout is not None
        answers.feed(1, process.stdout.read())
        status = process.wait()
    assert answers.result is not None and status == (1 if "error" in answers.result else 0)
    return answers.result, entries


def commit(repo: Repo, text: str, path: str = "p.ocu.star") -> Repo:
    (repo.path / path).parent.mkdir(exist_ok=True)
    (repo.path / path).write_text(text)
    repo.git("add", "-A")
    repo.git("commit", "-qm", "x")
    return repo


def test_inputs_and_outputs(repo: Repo) -> None:
    commit(repo, 'def f(a, b = 2):\n    print("a", a)\n    return done(outputs = {"a": a, "b": b}, tags = ["v1"])\n')
    given = {"x": [1, 2.5, 10**20, None, True, "a"]}
    result, entries = ask(repo, "f", a=given)
    assert result == {"done": {"outputs": {"a": given, "b": 2}, "tags": ["v1"], "watch": []}}
    attributes = {"thread": "f", "filename": "p.ocu.star", "line": "2", "col": "10"}
    assert entries == [('a {"x": [1, 2.5, 100000000000000000000, None, True, "a"]}', 1, attributes)]


def test_keys_of_inputs_are_in_order(repo: Repo) -> None:
    commit(repo, 'def f(a):\n    return done(outputs = {"text": str(a)})\n')
    result, _ = ask(repo, "f", a={"name": "x", "attributes": [{"b": 1, "a": 2}]})
    assert result["done"]["outputs"]["text"] == '{"attributes": [{"a": 2, "b": 1}], "name": "x"}'


def test_a_function_of_the_older_kind(repo: Repo) -> None:
    commit(repo, 'def f(ctx):\n    return done(outputs = {"x": ctx.inputs.x, "id": ctx.work_id})\n')
    assert ask(repo, "f", x=1)[0]["done"]["outputs"] == {"x": 1, "id": "1"}


def test_the_lines_of_a_command_come_together(repo: Repo) -> None:
    commit(repo, 'def f():\n    print("a")\n    host.shell("seq 20000")\n')
    with begun(repo, "f", {}) as process:
        assert process.stdout is not None
        *reports, _ = map(json.loads, process.stdout)
    assert len(reports) < 100, "a report for each line takes ten times as long"
    assert [line for report in reports for line in report["messages"]] == ["a", *map(str, range(1, 20001))]


def test_a_line_may_come_in_many_pieces() -> None:
    entries: Entries = []
    answers = Answers(lambda messages, *about: entries.extend((message, *about) for message in messages))
    reports = [{"messages": ["é" * 1000, "b"], "stream": 1, "attributes": {}}, {"done": {}}]
    data = "".join(json.dumps(report, ensure_ascii=False) + "\n" for report in reports).encode()
    for at in range(0, len(data), 7):
        answers.feed(1, data[at : at + 7])
    assert entries == [("é" * 1000, 1, {}), ("b", 1, {})] and answers.result == {"done": {}}


def test_next(repo: Repo) -> None:
    commit(
        repo,
        "def g(a, b, c):\n    return done()\n\ndef f():\n"
        '    return next(g, inputs = {"a": 1, "b": ref("./custom/x"), "c": input(ref = "@/custom/y", default = 2)})\n',
    )
    result, _ = ask(repo, "f", line=4)
    inputs = {"a": {"value": 1}, "b": {"ref": "./custom/x"}, "c": {"ref": "@/custom/y", "default": 2}}
    assert result == {"next": {"fn": {"name": "g", "pos": "p.ocu.star:1:1"}, "inputs": inputs}}


def test_anything_else_is_done(repo: Repo) -> None:
    commit(repo, "def f():\n    pass\n")
    assert ask(repo, "f")[0] == {"done": {"outputs": {}, "tags": [], "watch": []}}


def test_the_function_is_that_of_the_commit(repo: Repo) -> None:
    commit(repo, 'V = read("v.txt")\ndef f():\n    return done(outputs = {"top": V, "here": read("v.txt")})\n')
    commit(repo, "1", "v.txt")
    (repo.path / "p.ocu.star").write_text("broken(")
    (repo.path / "v.txt").write_text("2")
    assert ask(repo, "f", line=2)[0]["done"]["outputs"] == {"top": "1", "here": "2"}


def test_a_private_function_of_a_module(repo: Repo) -> None:
    commit(repo, "def _f(x):\n    return done(outputs = {'x': x})\ng = _f\n", "lib/m.star")
    commit(repo, 'load("lib/m.star", "g")\ntask(g, "t", inputs = {"x": 1})\n')
    result, _ = ask(repo, "_f", path="p.ocu.star", x=5)
    assert "function _f/p.ocu.star:1:1 not found" in result["error"]
    with begun(repo, "_f", {"x": 5}, function={"name": "_f", "pos": "lib/m.star:1:1"}) as process:
        assert line_of(process)["done"]["outputs"] == {"x": 5}


def test_what_fails(repo: Repo) -> None:
    for text, words in {
        'def f():\n    fail("no")\n': "p.ocu.star:2:5: fail: no",
        "def f():\n    return [1][5]\n": "p.ocu.star:2:12: ",
        'def f():\n    host.shell("exit 3")\n': "p.ocu.star:2:5: host.shell: 'exit 3': exit status 3",
        "def f():\n    return done(outputs = {'x': f})\n": "a value of type function has no JSON form",
        "def f():\n    x = []\n    x.append(x)\n    return x\n": "cycle detected",
        "def f():\n    return done(outputs = [1])\n": "the outputs of done(…) must be a dict",
        "def f():\n    return done(tags = [1])\n": "the tags of done(…) must be a list of strings",
        "def f():\n    return done(outputs = {'x': 'y' * 2000000})\n": "is over 1 MiB",
        "def f():\n    return next(f, inputs = {'bad-name': 1})\n": "p.ocu.star:2:12: next: bad input name 'bad-name'",
        "def f():\n    read('../../etc/passwd')\n": "leads out of the repository",
        "def f():\n    def g():\n        pass\n    return next(g)\n": "must be defined with def at the top level",
        "def f():\n    http.get('file:///etc/passwd')\n": "is no http or https URL",
        "def f():\n    pass\nhost.shell('true')\n": "host.shell is closed at the top level",
    }.items():
        commit(repo, text)
        result, _ = ask(repo, "f")
        assert words in result["error"], text


def test_files(repo: Repo) -> None:
    commit(
        repo,
        "def f():\n"
        '    write(".build/out.txt", "x")\n'
        '    if not is_dir(".build"):\n        fail("none")\n'
        '    return done(outputs = {"names": read_dir(".build"), "out": read(".build/out.txt"), "pwd": pwd()})\n',
        "sub/p.ocu.star",
    )
    outputs = ask(repo, "f", path="sub/p.ocu.star")[0]["done"]["outputs"]
    assert outputs == {"names": ["out.txt"], "out": "x", "pwd": str(repo.path / "sub")}
    (repo.path / "sub" / "link").symlink_to("/etc")
    commit(repo, 'def f():\n    read("link/passwd")\n', "sub/p.ocu.star")
    assert "leads out of the repository" in ask(repo, "f", path="sub/p.ocu.star")[0]["error"]


def test_commands(repo: Repo) -> None:
    commit(
        repo,
        "def f():\n"
        '    r = host.shell("echo out; echo err >&2; echo $X $TOKEN; exit 2", env = {"X": "1"}, '
        "continue_on_error = True)\n"
        '    q = shell("pwd", dir = "sub", mute = True)\n'
        '    b = shell("echo $0", shell = "bash", mute = True)\n'
        '    return done(outputs = {"r": [r.stdout, r.stderr, r.exit_code], "q": q.stdout, "b": b.stdout})\n',
    )
    commit(repo, "", "sub/x")
    result, entries = ask(repo, "f")
    assert result["done"]["outputs"] == {
        "r": ["out\n1 t0ken-value\n", "err\n", 2],
        "q": f"{repo.path / 'sub'}\n",
        "b": "bash\n",
    }
    assert [(message, stream) for message, stream, _ in entries if stream == 1] == [("out", 1), ("1 t0ken-value", 1)]
    assert ("err", 2) in [(message, stream) for message, stream, _ in entries]
    assert {(entry[2]["line"], entry[2]["col"]) for entry in entries} == {("2", "19")}


def test_secrets_are_told_nowhere(repo: Repo) -> None:
    commit(
        repo,
        "def f(how):\n"
        '    s = secret(host.env()["TOKEN"])\n'
        "    print(s)\n"
        '    host.shell("printf t0ken; sleep 0.3; printf -- -va; sleep 0.3; echo lue; echo $TOKEN >&2")\n'
        '    host.shell("printf %s $TOKEN")\n'
        '    if how == "fail":\n        fail("with " + s)\n'
        '    if how == "shell":\n        host.shell("false " + s)\n'
        '    if how == "next":\n        return next(f, inputs = {"how": [s]})\n'
        '    return done(outputs = {"x": ["a" + s], s: 1}, tags = [])\n',
    )
    for how in ("done", "fail", "shell", "next"):
        result, entries = ask(repo, "f", how=how)
        assert "t0ken" not in json.dumps([result, entries]), how
        assert [message for message, _, _ in entries if message].count("<secret>") == 4
        if how == "done":
            assert result["done"]["outputs"] == {"x": ["a<secret>"], "<secret>": 1}
        else:
            assert "secret" in result["error"]


def test_output_comes_while_the_function_runs(repo: Repo) -> None:
    commit(repo, 'def f():\n    host.shell("echo now; sleep 30")\n')
    with begun(repo, "f", {}) as process:
        before = time.monotonic()
        assert line_of(process)["messages"] == ["now"]
        assert time.monotonic() - before < 20
        os.killpg(process.pid, signal.SIGTERM)
        assert line_of(process) == {"error": "it was ended by SIGTERM", "hint": None}
        assert process.wait() == 1


def test_an_endless_function_can_be_ended(repo: Repo) -> None:
    commit(repo, "def f():\n    for i in range(1000000000):\n        if i == 1:\n            print('begun')\n")
    with begun(repo, "f", {}) as process:
        line_of(process)
        os.killpg(process.pid, signal.SIGTERM)
        assert "SIGTERM" in line_of(process)["error"]
        process.wait(60)


def test_what_is_left_in_the_background_is_not_waited_for(repo: Repo) -> None:
    commit(repo, 'def f():\n    r = host.shell("sleep 60 & echo done")\n    return done(outputs = {"x": r.stdout})\n')
    before = time.monotonic()
    with begun(repo, "f", {}) as process:
        said = [line_of(process) for _ in range(2)]
        assert said[1]["done"]["outputs"] == {"x": "done\n"} and time.monotonic() - before < 30


class Echo(BaseHTTPRequestHandler):
    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = {"method": self.command, "path": self.path, "x": self.headers.get("X"), "body": body.decode()}
        login = self.headers.get("Authorization")
        data = json.dumps({**said, **({"login": login} if login else {})}).encode()
        _, asked, *to = self.path.split("/", 2)
        if asked.startswith("30"):
            self.send_response(int(asked))
            self.send_header("Location", to[0])
        else:
            self.send_response(404 if self.path == "/none" else 200)
        self.send_header("X-Two", "a")
        self.send_header("X-Two", "b")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_redirections(repo: Repo, address: str) -> None:
    """As Go follows them: what a POST becomes depends on the status, and another server is not logged in at."""
    elsewhere = address.replace("127.0.0.1", "localhost")
    commit(
        repo,
        "def f(way, to, method):\n"
        '    answer = getattr(http, method)(way + to, headers = {"X": "1", "Authorization": "a"}, body = "b")\n'
        '    return done(outputs = {"status": answer.status_code, "said": answer.body})\n',
    )
    for code, method, seen in ((301, "post", "GET"), (303, "put", "GET"), (307, "post", "POST"), (308, "put", "PUT")):
        for to, login in ((address, {"login": "a"}), (elsewhere, {})):
            result, _ = ask(repo, "f", way=f"{address}/{code}/", to=f"{to}/x", method=method)
            said = json.loads(result["done"]["outputs"]["said"])
            body = "" if seen == "GET" else "b"
            assert said == {"method": seen, "path": "/x", "x": "1", "body": body, **login}, (code, method, to)
    for to in ("ftp://127.0.0.1/x", "file:///etc/passwd"):
        result, _ = ask(repo, "f", way=f"{address}/302/", to=to, method="post")
        assert result["done"]["outputs"]["status"] == 302, "that is not followed"


def test_what_is_wrong_with_a_request_is_told_without_passwords(repo: Repo, address: str) -> None:
    commit(repo, "def f(at, header = 'x'):\n    return done(outputs = json.decode(http.get(at, {'X': header}).body))\n")
    host = address.removeprefix("http://")
    result, _ = ask(repo, "f", at=f"http://me:pass%20word@{host}/", header=["1", "2"])
    assert result["done"]["outputs"]["login"] == "Basic bWU6cGFzcyB3b3Jk"
    assert result["done"]["outputs"]["x"] == "1, 2"
    for at in ("http://me:p4ss/w0rd@host/", "http://me:p4ssw0rd@127.0.0.1:1/", "http://127.0.0.1:1/?token=p4ssw0rd"):
        result, _ = ask(repo, "f", at=at)
        assert result["error"].startswith("p.ocu.star:2:") and "p4ss" not in result["error"], result
    result, _ = ask(repo, "f", at=address, header="p4ss\nw0rd")
    assert "the header 'X' holds the end of a line" in result["error"]


def test_http(repo: Repo, address: str, tmp_path: Path) -> None:
    commit(
        repo,
        "def f(at):\n"
        '    got = http.get(at + "/none", headers = {"X": "1"})\n'
        '    posted = http.post(at + "/a", headers = {"X": ["2"]}, body = "ä")\n'
        "    others = [g(at).status_code for g in (http.head, http.put, http.patch, http.delete)]\n"
        '    said = [got.status_code, got.status_text, got.headers["X-Two"], json.decode(got.body)]\n'
        '    return done(outputs = {"got": said,\n'
        '        "posted": json.decode(posted.body), "others": others})\n',
    )
    result, _ = ask(repo, "f", at=address)
    outputs = result["done"]["outputs"]
    said = {"method": "GET", "path": "/none", "x": "1", "body": ""}
    assert outputs["got"] == [404, "404 Not Found", ["a", "b"], said]
    assert outputs["posted"] == {"method": "POST", "path": "/a", "x": "2", "body": "ä"}
    assert outputs["others"] == [200] * 4
    result, _ = ask(repo, "f", at="http://127.0.0.1:1")
    assert "p.ocu.star:2:11: http.get: 'http://127.0.0.1:1/none': " in result["error"]
