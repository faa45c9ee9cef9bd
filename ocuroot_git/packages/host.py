"""What a package may do to the machine it is evaluated on: what `host.*` and `http.*` call.

`Closed` is for evaluation: a package says what is to be done, and does nothing, unless the user opened it in their own
configuration (`ocuroot.allowShell`). Functions of a package run in a process of their own (see `calling`).
"""

from __future__ import annotations

import os

from .files import HostError
from .masking import Secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, Protocol

    from ..config.sandbox import Bounds
    from .files import PackageFiles
    from .permissions import Permissions

    Place = tuple[str, int, int]
    """A file as positions call it, line and column."""

    class Host(Protocol):
        """Raises FilesError and HostError, which are reported at the place of the call."""

        secrets: Secrets

        def print(self, text: str, place: Place) -> None: ...
        def shell(
            self, command: str, program: str, folder: str, env: dict[str, str], mute: bool, go_on: bool, place: Place
        ) -> dict[str, Any]: ...
        def request(self, method: str, url: str, headers: dict[str, Any], body: str) -> dict[str, Any]: ...
        def os(self) -> str: ...
        def arch(self) -> str: ...
        def env(self) -> dict[str, str]: ...
        def pwd(self) -> str: ...
        def read(self, path: str) -> str: ...
        def write(self, path: str, content: str) -> None: ...
        def names(self, path: str) -> list[str]: ...
        def is_directory(self, path: str) -> bool: ...


MOST_PRINTED: Final = 1 << 20
"""Characters that a package may print while it is evaluated."""


class Machine:
    """What is the same for evaluation and for calls."""

    def __init__(self, files: PackageFiles, environ: Mapping[str, str], directory: str) -> None:
        self.secrets = Secrets()
        self._files = files
        self._environ = environ
        self._directory = directory

    def os(self) -> str:
        return os.uname().sysname.lower()

    def arch(self) -> str:
        machine = os.uname().machine  # by Go's names, which packages expect
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)

    def env(self) -> dict[str, str]:
        from ..config.starlark import utf8

        return {utf8(name): utf8(value) for name, value in self._environ.items()}

    def pwd(self) -> str:
        return self._directory

    def read(self, path: str) -> str:
        return self._files.read(path)

    def names(self, path: str) -> list[str]:
        return self._files.names(path)

    def is_directory(self, path: str) -> bool:
        return self._files.is_directory(path)


class Closed(Machine):
    """The machine while a package is evaluated: nothing but what the user opened can be done to it."""

    def __init__(self, files: PackageFiles, permissions: Permissions, directory: str, bounds: Bounds | None) -> None:
        super().__init__(files, permissions.environ, directory)
        self.printed: list[dict[str, Any]] = []
        self._size = 0
        self._shell = permissions.shell
        self._writable = permissions.writable
        self._bounds = bounds

    def print(self, text: str, place: Place) -> None:
        self._keep(self.secrets.mask(text), place)

    def _keep(self, text: str, place: Place) -> None:
        self._size += len(text) + 1
        if self._size > MOST_PRINTED:
            raise HostError(f"the package prints more than {MOST_PRINTED >> 20} MiB while it is evaluated")
        file, line, column = place
        self.printed.append({"message": text, "file": file, "line": line, "column": column})

    def shell(
        self, command: str, program: str, folder: str, env: dict[str, str], mute: bool, go_on: bool, place: Place
    ) -> dict[str, Any]:
        if self._shell is None:
            raise _closed("host.shell")
        from contextlib import nullcontext

        from ..config.shell import ShellError, script
        from ..config.starlark import utf8

        try:
            text = script(command, program, folder, env)
            with self._bounds.off() if self._bounds is not None else nullcontext():
                result = self._shell(text)
        except ShellError as error:
            raise HostError(str(error)) from None
        stdout, stderr = utf8(result.stdout), utf8(result.stderr)
        for text in () if mute else (stdout, stderr):
            for line in self.secrets.mask(text).removesuffix("\n").split("\n") if text else ():
                self._keep(line, place)
        return answer(command, result.exit_code, stdout, stderr, go_on)

    def request(self, method: str, url: str, headers: dict[str, Any], body: str) -> dict[str, Any]:
        if self._shell is None:
            raise _closed(f"http.{method.lower()}")
        from .http import request

        return request(method, url, headers, body)

    def write(self, path: str, content: str) -> None:
        if self._writable is None:
            raise _closed("host.write_file")
        self._writable.write(path, content)


def _closed(what: str) -> HostError:
    return HostError(
        f"{what} is closed at the top level of a package: it runs whenever the package is looked at",
        "call it in a function; or, if you trust this repository: git config --global ocuroot.allowShell true",
    )


def answer(command: str, status: int, stdout: str, stderr: str, go_on: bool) -> dict[str, Any]:
    """What `host.shell` gives. Raises HostError for a command that failed, unless the package goes on."""
    if status and not go_on:
        raise HostError(f"host.shell: '{command}': exit status {status}", "continue_on_error=True goes on")
    return {"stdout": stdout, "stderr": stderr, "exit_code": status, "combined_output": stdout + stderr}
