"""Runs the program in forks of one interpreter, which has loaded what the program may load. See `forked_program`.

Run as a script, with the number of the socket that requests come through and the path of the program. It ends when
the other end of the socket is closed.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import marshal
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
import types
from typing import Final, NoReturn

LENGTH: Final = 4
"""How many bytes say how long a request is; with the first of them come `HANDED` file descriptors."""
HANDED: Final = 4
"""The stdin, stdout and stderr of the program, and a pipe for its process id and then its wait status, each packed
as `NUMBER`: four bytes."""


def load() -> None:
    """Import all of the program but its entry and its page: what the page needs is much, and seldom wanted."""
    import ocuroot_git
    from ocuroot_git.git import libgit2

    for module in pkgutil.walk_packages(ocuroot_git.__path__, "ocuroot_git."):
        if not module.name.startswith(("ocuroot_git.__main__", "ocuroot_git.web")):
            importlib.import_module(module.name)
    libgit2.other_half()
    libgit2.load_modes(libgit2.load_core())
    # What modules of the program import only where they need it.
    plain = ("_sqlite3", "base64", "datetime", "hashlib", "json", "re", "resource", "shlex", "subprocess", "tempfile")
    for name in (*plain, "starlark"):
        importlib.import_module(name)


def load_page() -> None:
    """Import what the page needs, once somebody wants it."""
    if "ocuroot_git.web" not in sys.modules:
        import ocuroot_git.web

        for module in pkgutil.walk_packages(ocuroot_git.web.__path__, "ocuroot_git.web."):
            importlib.import_module(module.name)
        gc.collect()
        gc.freeze()


class Request:
    """One run of the program: its words, its environment, its directory, and the file descriptors handed over."""

    def __init__(self, text: bytes, descriptors: list[int]) -> None:
        self.words, self.environ, self.directory = marshal.loads(text)
        self.descriptors = descriptors


def receive(control: socket.socket) -> Request | None:
    """The next request; none where the other end is closed."""
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(HANDED * descriptors.itemsize)
    head, ancillary, _, _ = control.recvmsg(LENGTH, space)
    if not head:
        return None
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    while len(head) < LENGTH:
        head += control.recv(LENGTH - len(head))
    text = bytearray()
    while len(text) < int.from_bytes(head, "big"):
        text += control.recv(int.from_bytes(head, "big") - len(text))
    return Request(bytes(text), descriptors.tolist())


def become_the_program(request: Request, launcher: types.CodeType) -> NoReturn:
    """Be in a fresh child what an interpreter is that was started for the program."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for standard, descriptor in enumerate(request.descriptors[:3]):
            os.dup2(descriptor, standard)
        os.closerange(3, 1024)
        os.chdir(request.directory)
        for name in set(os.environb) - set(request.environ):
            del os.environb[name]
        os.environb.update(request.environ)
        sys.argv = [launcher.co_filename, *map(os.fsdecode, request.words)]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        main.__dict__["__file__"] = launcher.co_filename
        exec(launcher, main.__dict__)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(1)  # the launcher ends the process itself


def serve(control: socket.socket, program: str) -> None:
    """Start what is asked for, several at once, and say of each how it ended."""
    with open(program, "rb") as file:
        launcher = compile(file.read(), program, "exec")
    told: dict[int, int] = {}  # the process of each run → the pipe to whoever waits for it
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the tests, which close the socket
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    while True:
        readable, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            for pid in list(told):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    tell(told[pid], status)
                    os.close(told.pop(pid))
        if control.fileno() in readable:
            request = receive(control)
            if request is None:
                return
            if request.words[:1] in ([b"site"], [b"view"]):
                load_page()
            pid = os.fork()
            if pid == 0:
                become_the_program(request, launcher)
            told[pid] = request.descriptors.pop()
            tell(told[pid], pid)
            for descriptor in request.descriptors:
                os.close(descriptor)


def tell(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        os.write(pipe, number.to_bytes(LENGTH, "big"))


if __name__ == "__main__":
    # Whoever started this has no child of it: some tests look whether the program left any behind.
    if os.fork():
        os._exit(0)
    # What the launcher finds in its own directory it shall find here too, and nothing of the tests'.
    sys.path[0] = os.path.dirname(sys.argv[2])
    sys.path.insert(0, os.path.dirname(sys.path[0]))
    load()
    del sys.path[0]
    with socket.socket(fileno=int(sys.argv[1])) as control:
        serve(control, sys.argv[2])
