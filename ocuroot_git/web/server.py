"""The server around the view: waitress on a port of this machine, until Ctrl-C (design 10)."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from typing import TYPE_CHECKING

from waitress.server import create_server

from ..errors import Fatal

if TYPE_CHECKING:
    from typing import Any

    from flask import Flask

DEFAULT_PORT = 3000
_NEXT_PORTS = 10
_THREADS = 6
_MOST_CONNECTIONS = 500
_IDLE = 10
"""Seconds after which a connection on which nothing happens is closed: opening many and saying nothing must not keep
the page from its reader. A request in hand is not cut off."""


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens at a port: the one asked for, or 3000 or where that is taken the next free one.

    Raises Fatal where the host is not of this machine, or the port asked for is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise Fatal(f"cannot listen at '{host}': {error.strerror}") from None
    ports = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + _NEXT_PORTS), 0]
    for one in ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        # A port that a server of ours used a minute ago is free; one where another listens is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], one))
            listener.listen(64)
            return listener
        except (OSError, OverflowError) as error:
            listener.close()
            if port is not None or getattr(error, "errno", None) != errno.EADDRINUSE:
                why = getattr(error, "strerror", None) or str(error)
                hint = "without --port a free one is taken" if port is not None else None
                raise Fatal(f"cannot listen at {host}, port {one}: {why}", hint=hint) from None
    raise Fatal(f"no port is free at {host}")


def address_of(listener: socket.socket) -> str:
    """The address of the first page, for people: a name that the guard of the view answers to."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(app: Flask, listener: socket.socket) -> None:
    """Answer requests until the process ends."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        # Nothing needs an orderly end, as a commit is made as a whole or not at all: Ctrl-C ends the process at once,
        # whatever the threads are at, and the shell sees what happened.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A line for each request that has to wait would stop the server, once nobody reads them from a pipe.
    logging.getLogger("waitress.queue").setLevel(logging.CRITICAL)
    settings: dict[str, Any] = {
        "sockets": [listener],
        "threads": _THREADS,
        "ident": None,
        "connection_limit": _MOST_CONNECTIONS,
        "backlog": 1024,
        "channel_timeout": _IDLE,
        "cleanup_interval": 2,
        "asyncore_use_poll": True,
        "max_request_body_size": 1 << 16,
        "max_request_header_size": 1 << 15,
        "clear_untrusted_proxy_headers": True,
    }
    create_server(app, **settings).run()
