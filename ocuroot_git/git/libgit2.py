"""How libgit2 is loaded, set up and made to open a repository. `objects` alone uses it; nothing else imports pygit2.

`import pygit2` takes several times the start of the interpreter, most of it for parts that are not used here, so
only its compiled core is loaded (design 9). Where the other half is needed, `other_half` loads it late.
"""

from __future__ import annotations

import os
import sys

from ..errors import Fatal
from .objects import RepositoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_NO_SEARCH: Final = 1
_FROM_ENV: Final = 1 << 4
_SET_EXTENSIONS: Final = 34
_CERTIFICATES: Final = "SSL_CERT_FILE"
"""The variable by which users tell OpenSSL, which libgit2 brings, where certificates are."""

# Global options that are switched.
CACHING: Final = 8
STRICT_OBJECT_CREATION: Final = 14
FSYNC: Final = 19
STRICT_HASH_VERIFICATION: Final = 22


def open_repository(directory: str, git_dir: str | None) -> tuple[Any, Any]:
    """pygit2's core, and its handle of the repository at `git_dir`, or else found from `directory` upwards.

    Raises RepositoryError.
    """
    core = load_core()
    path = os.path.join(directory, git_dir) if git_dir else directory
    try:
        return core, _open(core, path, _FROM_ENV | (_NO_SEARCH if git_dir else 0))
    except core.GitError as error:
        raise _explain(str(error), directory, git_dir) from None


def load_core() -> Any:
    """pygit2's compiled core, without the package around it."""
    loaded = sys.modules.get("pygit2._pygit2")
    if loaded is not None:
        return loaded
    before = os.environ.get(_CERTIFICATES)
    if before is None:
        return _load_part("_pygit2")
    # All that are there would be read now, which takes as long as all else, and we speak to no server with libgit2
    # (design 8.1). Who imports all of pygit2 later has them: that names them to libgit2 itself.
    os.putenv(_CERTIFICATES, os.devnull)
    try:
        return _load_part("_pygit2")
    finally:
        os.putenv(_CERTIFICATES, before)


def other_half() -> tuple[Any, Any]:
    """pygit2's other half, `(ffi, lib)`: libgit2's global options, and what the core leaves out."""
    loaded = sys.modules.get("pygit2._libgit2") or _load_part("_libgit2")
    return loaded.ffi, loaded.lib


def load_modes(core: Any) -> Any:
    """pygit2's enumeration of the modes of files: only once it is loaded do entries of trees tell theirs."""
    loaded = sys.modules.get("pygit2.enums") or _load_part("enums")
    core._cache_enums()
    return loaded.FileMode


def switch(option: int, on: bool) -> None:
    """Switch one of libgit2's global options."""
    ffi, lib = other_half()
    lib.git_libgit2_opts(option, ffi.cast("int", on))


def clean(error: Exception) -> str:
    """The message of an error of libgit2's, on one line."""
    return str(error).strip().replace("\n", " ") or type(error).__name__


def _load_part(part: str) -> Any:
    """Import one compiled module of pygit2 under a stand-in for the package, which is taken away again.

    So a program that imports all of pygit2 later, or has done so before, gets the real package.
    """
    name = f"pygit2.{part}"
    if "pygit2" in sys.modules:
        __import__(name)
        return sys.modules[name]
    for finder in sys.meta_path:
        spec = finder.find_spec("pygit2", None) if hasattr(finder, "find_spec") else None
        if spec is not None and spec.submodule_search_locations:
            break
    else:
        raise Fatal("the Python package 'pygit2' is not installed", hint="pip install pygit2")
    stand_in = type(sys)("pygit2")
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules["pygit2"] = stand_in
    try:
        __import__(name)
        return sys.modules[name]
    finally:
        del sys.modules["pygit2"]


def _open(core: Any, path: str, flags: int) -> Any:
    try:
        return core.Repository(core.init_file_backend(path, flags))
    except core.GitError as error:
        if "extensions.partialclone" not in str(error):
            raise
    # What is missing in a partial clone is a missing object, met where it is read; the repository is no obstacle.
    ffi, lib = other_half()
    name = ffi.new("char[]", b"partialclone")
    lib.git_libgit2_opts(_SET_EXTENSIONS, ffi.new("char *[]", [name]), ffi.cast("size_t", 1))
    return core.Repository(core.init_file_backend(path, flags))


def _explain(message: str, directory: str, git_dir: str | None) -> RepositoryError:
    """libgit2's reason why a repository cannot be opened, in terms of git."""
    cause = message.rpartition(": ")[2] if ": " in message else message
    if "not owned by current user" in message:
        path = message.partition("'")[2].rpartition("'")[0]
        return RepositoryError(
            f"detected dubious ownership in repository at '{path}'",
            hint=f"to trust it: git config --global --add safe.directory '{path}'",
        )
    if "object format" in message:
        return RepositoryError(
            f"the repository uses another object format than SHA-1 ({cause}), which libgit2 cannot read",
            hint="keep the state in a repository made with 'git init --object-format=sha1'",
        )
    if "extensions.refstorage" in message:
        return RepositoryError(
            "the repository keeps its references in another format (extensions.refStorage), which libgit2 cannot read",
            hint="convert it: git refs migrate --ref-format=files",
        )
    if "unsupported extension name" in message:
        return RepositoryError(f"the repository uses an extension that libgit2 does not know: {cause.split()[-1]}")
    if "not found" in message:
        if git_dir:
            return RepositoryError(f"not a git repository: '{git_dir}'")
        return RepositoryError(
            "not a git repository (or any of the parent directories): .git",
            hint="'git init' makes one; 'git -C <directory> ocuroot …' uses another",
        )
    return RepositoryError(f"cannot open the repository at '{git_dir or directory}': {cause}")
