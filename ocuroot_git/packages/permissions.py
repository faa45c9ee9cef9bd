"""What the user lets packages do while they are evaluated, by their own configuration (design 14.3)."""

from __future__ import annotations

from .files import DirectoryFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..config.settings import Settings
    from ..config.shell import ShellResult


class Permissions:
    """`environ` is what a package sees of the environment, `top` the directory from which its files are named.

    `shell` runs its commands, and `writable` takes what it writes; both are None where the user has not opened that.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        top: str,
        shell: Callable[[str], ShellResult] | None = None,
        writable: DirectoryFiles | None = None,
    ) -> None:
        self.environ = environ
        self.top = top
        self.shell = shell
        self.writable = writable

    def at(self, top: str, environ: Mapping[str, str]) -> Permissions:
        """The same for files below another directory, where commands run then, in an environment."""
        from ..config.shell import shell_in

        return Permissions(self.environ, top, shell_in(top, environ), DirectoryFiles(top))

    def closed(self) -> Permissions:
        """The same, but for commands and writing."""
        return Permissions(self.environ, self.top)


def permissions_of(settings: Settings) -> Permissions:
    """What the user's configuration lets a package of a repository do; its commands run where its paths begin."""
    from ..config.trust import visible_environment

    top = settings.repository.work_tree or settings.directory
    visible = visible_environment(settings.environ, settings.config)
    if not settings.config.get_bool("ocuroot.allowShell", own=True):
        return Permissions(visible, top)
    from ..config.shell import shell_in

    return Permissions(visible, top, shell_in(settings.root or top, settings.environ), DirectoryFiles(top))
