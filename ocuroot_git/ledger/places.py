"""Which packages and environments are asked about, and whether what was asked for is there at all (design 12)."""

from __future__ import annotations

from ..delivery.overview import package_names
from ..formats.globs import Glob
from .deployments import no_package, require_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..delivery.problems import Problems
    from ..store.snapshot import Snapshot


class Places:
    """The packages that match patterns (all for none), in an environment (None: in any)."""

    def __init__(self, globs: Sequence[str] = (), environment: str | None = None) -> None:
        self._globs = {glob: Glob(glob) for glob in globs}
        self._environment = environment
        self._unseen = set(globs)
        self._saw_environment = environment is None
        self._known: dict[tuple[str, str], bool] = {}

    def has(self, cell: tuple[str, str]) -> bool:
        """Whether a package and an environment are asked about. What was ever asked here has been seen."""
        if cell not in self._known:
            package, environment = cell
            matching = {glob for glob, compiled in self._globs.items() if compiled.matches(package)}
            self._unseen -= matching
            is_here = self._environment in (None, environment)
            self._saw_environment = self._saw_environment or is_here
            self._known[cell] = is_here and (bool(matching) or not self._globs)
        return self._known[cell]

    def require_found(self, snapshot: Snapshot, problems: Problems) -> None:
        """Raise NotFound for a pattern that matches no package, and for an environment that there is not: neither now,
        nor among what was seen."""
        for glob in sorted(self._unseen):
            if not any(map(self._globs[glob].matches, package_names(snapshot))):
                raise no_package(glob)
        if self._environment is not None and not self._saw_environment:
            require_environment(snapshot, self._environment, problems)
