"""Real servers on the loopback interface, and a proxy in front of them that counts bytes and cuts connections."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

USER, PASSWORD = "job", "s3cret-token"


@contextlib.contextmanager
def kept_port() -> Iterator[int]:
    """A port where nobody listens and that nobody else is given; a server that is told to reuse it may listen there."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield int(kept.getsockname()[1])


@contextlib.contextmanager
def git_daemon(directory: Path, *options: str) -> Iterator[int]:
    """`git daemon` that serves all repositories below a directory; gives its port.

    It takes pushes, unless `options` say otherwise.
    """
    command = [
        "git",
        "daemon",
        "--export-all",
        "--enable=receive-pack",
        f"--base-path={directory}",
        "--reuseaddr",
        *options,
    ]
    with kept_port() as port, tied([*command, "--listen=127.0.0.1", f"--port={port}", str(directory)]):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def tied(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server that ends with the tests, also when they are killed: a shell waits until the pipe to it is closed."""
    # A `git` that is ended passes the signal on to the program it started.
    script = '"$@" </dev/null & cat >/dev/null; kill $! && wait $!'
    process = subprocess.Popen(
        ["sh", "-c", script, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)


def end_accepting(listener: socket.socket, thread: threading.Thread) -> None:
    """Close a socket at which a thread accepts connections, which ends the thread."""
    # Woken before its socket is closed: else it might take a connection of whatever opens the same descriptor next.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def body_of(request: http.server.BaseHTTPRequestHandler) -> bytes:
    """The body of a request, also one that comes in chunks, as git sends what is large."""
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline().strip(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


class _Backend(http.server.BaseHTTPRequestHandler):
    """`git http-backend` as a CGI program behind basic authentication."""

    protocol_version = "HTTP/1.1"
    server: HttpServer

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(body_of(self))

    def log_message(self, *arguments: object) -> None:
        pass

    def _serve(self, body: bytes) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"who are you?\n")
            return
        if self.server.unavailable > 0:
            self.server.unavailable -= 1
            self._answer(503, [], b"later\n")
            return
        time.sleep(self.server.delay)
        path, _, query = self.path.partition("?")
        environ = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n")]
        headers = [(name, value) for name, colon, value in lines if colon]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self._answer(status, [(name, value) for name, value in headers if name != "Status"], content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class HttpServer(http.server.ThreadingHTTPServer):
    """Serves the repositories below a directory; the next `unavailable` requests are answered with 503, others late.

    `delay` is in seconds.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Backend)
        self.directory = directory
        self.unavailable = 0
        self.delay = 0.0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextlib.contextmanager
def http_server(directory: Path) -> Iterator[HttpServer]:
    server = HttpServer(directory)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Proxy:
    """Passes connections on to a port. `bytes` counts both ways.

    `cut_after`: close each connection after so many bytes from the server. `lose_answers`: so many pushes reach the
    server and are carried out to their end, but what it answers after it has the pack is thrown away.
    """

    def __init__(self, port: int) -> None:
        self.bytes = 0
        self.connections = 0
        self.lost = 0
        self.cut_after: int | None = None
        self.lose_answers = 0
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        end_accepting(self._listener, self._thread)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        sent_pack = threading.Event()
        forward = threading.Thread(target=self._forward, args=(client, server, sent_pack), daemon=True)
        forward.start()
        received, losing = 0, False
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                received += len(data)
                self._count(len(data))
                if sent_pack.is_set() and not losing:
                    with self._lock:
                        losing = self.lose_answers > 0
                        self.lose_answers -= losing
                        self.lost += losing
                if losing:
                    continue
                if self.cut_after is not None and received > self.cut_after:
                    break
                client.sendall(data)
        for side in (client, server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _forward(self, client: socket.socket, server: socket.socket, sent_pack: threading.Event) -> None:
        tail = b""
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                self._count(len(data))
                if b"PACK" in tail + data:
                    sent_pack.set()
                tail = data[-3:]
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _count(self, number: int) -> None:
        with self._lock:
            self.bytes += number


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    made = Proxy(port)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    taken = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        end_accepting(listener, thread)
        for connection in taken:
            connection.close()


class _Relay(http.server.BaseHTTPRequestHandler):
    """Passes one request after the other of a kept connection on, and repeats pushes or leaves them unanswered."""

    protocol_version = "HTTP/1.1"
    server: Relay
    asked = 0

    def do_GET(self) -> None:
        self._relay(None)

    def do_POST(self) -> None:
        self._relay(body_of(self))

    def log_message(self, *arguments: object) -> None:
        pass

    def _relay(self, body: bytes | None) -> None:
        self.asked += 1
        is_push = body is not None and self.path.endswith("/git-receive-pack") and b"PACK" in body
        answer = self._ask(body)
        if is_push and self.server.take("repeat"):
            self.server.between()
            answer = self._ask(body)
        elif is_push and self.asked > 1 and self.server.take("close"):
            self.server.between()
            self.close_connection = True
            return
        status, headers, content = answer
        if is_push and self.server.deny and self.server.take("replace"):
            status, headers, content = self.server.deny, [], b"no\n"
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, body: bytes | None) -> tuple[int, list[tuple[str, str]], bytes]:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=60)
        dropped = ("transfer-encoding", "content-length", "connection", "host", "expect")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content


class Relay(http.server.ThreadingHTTPServer):
    """An HTTP proxy before a server, which keeps connections, and carries pushes out in ways that happen.

    `repeat`: so many pushes are sent on twice, and the second answer is given. `close`: so many, on a connection that
    served before, are carried out and not answered, so that curl sends them again by itself. `replace`: so many are
    carried out and answered with the status `deny`. `between` is called before the repetition.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.target = target
        self.left = {"repeat": 0, "close": 0, "replace": 0}
        self.done = {"repeat": 0, "close": 0, "replace": 0}
        self.deny = 0
        self.between: Callable[[], object] = lambda: None
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def take(self, what: str) -> bool:
        """Whether the next push is to be treated so."""
        with self._lock:
            is_next = self.left[what] > 0
            self.left[what] -= is_next
            self.done[what] += is_next
            return is_next


@contextlib.contextmanager
def relay(port: int) -> Iterator[Relay]:
    made = Relay(port)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
