"""The state of software delivery, kept in git: the library behind `git ocuroot`.

    >>> import ocuroot_git
    >>> stores = ocuroot_git.open()                               # of the repository in this directory
    >>> stores.get("@/environment/production")
    {'name': 'production', 'attributes': {'type': 'prod'}}
    >>> stores.get("@/environment/production#attributes/type")
    'prod'
    >>> stores.match("@/environment/*")
    ['@/environment/production', '@/environment/staging']
    >>> with stores.transaction("open the staging gate") as tx:   # one commit, or nothing
    ...     tx.set("+/custom/gate", {"open": True})
    >>> stores.get("+/custom/gate#open")
    True

Errors have one class per exit status of the command line: `NotFound` (1), `Conflict` (3) and `Fatal` (128), all of
them `Error`. What is imported here is loaded when it is first used, to keep `import ocuroot_git` cheap.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import Conflict, Error, Fatal, NotFound, UsageError
    from .formats.globs import Glob, GlobError
    from .formats.refs import Ref, RefError
    from .opening import open_stores as open
    from .store.snapshot import Found, Snapshot
    from .store.stores import Stores
    from .store.transaction import Transaction

__version__ = "0.1.0"

_HOMES = {
    "open": ("opening", "open_stores"),
    "Conflict": ("errors", "Conflict"),
    "Error": ("errors", "Error"),
    "Fatal": ("errors", "Fatal"),
    "NotFound": ("errors", "NotFound"),
    "UsageError": ("errors", "UsageError"),
    "Glob": ("formats.globs", "Glob"),
    "GlobError": ("formats.globs", "GlobError"),
    "Ref": ("formats.refs", "Ref"),
    "RefError": ("formats.refs", "RefError"),
    "Found": ("store.snapshot", "Found"),
    "Snapshot": ("store.snapshot", "Snapshot"),
    "Stores": ("store.stores", "Stores"),
    "Transaction": ("store.transaction", "Transaction"),
}
"""Where each public name comes from: (module, name there)."""

__all__ = [
    "Conflict",
    "Error",
    "Fatal",
    "Found",
    "Glob",
    "GlobError",
    "NotFound",
    "Ref",
    "RefError",
    "Snapshot",
    "Stores",
    "Transaction",
    "UsageError",
    "__version__",
    "open",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a type checker would take it to mean that every name is there

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _HOMES[name]
        home = __import__(f"{__name__}.{module}", fromlist=[attribute])
        value = globals()[name] = getattr(home, attribute)
        return value
