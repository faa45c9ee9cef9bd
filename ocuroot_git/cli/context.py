"""What every command is given: the stores, the terminal, and the environment it was started in."""

from __future__ import annotations

import os

from ..errors import Fatal
from ..store.stores import Stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from ..backends.operations import Carried
    from ..config.settings import Settings
    from ..delivery.code import Code
    from ..formats.documents import Document
    from ..formats.operation import Operation
    from ..git.objects import Oid
    from ..store.snapshot import Snapshot
    from .options import CommonOptions
    from .progress import Meter
    from .terminal import Terminal

LARGE = 1 << 20
"""Bytes from which a document is better kept elsewhere (design 5.4)."""


class Context:
    """The stores are opened when they are first asked for, so that `parse` needs none.

    `options` are those that many commands take; a command is given its own by name. `request` is what the command line
    asks for, as `Parsed.request` has it. What `writes` makes the directories for which `repo.ocu.star` asks.
    """

    def __init__(
        self,
        options: CommonOptions,
        request: dict[str, Document],
        terminal: Terminal,
        environ: Mapping[str, str],
        *,
        writes: bool,
    ) -> None:
        self.options = options
        self._request = request
        self._writes = writes
        self.terminal = terminal
        self.environ = environ
        self._settings: Settings | None = None
        self._stores: Stores | None = None
        self._warned = False
        self._meter: Meter | None = None

    @property
    def stores(self) -> Stores:
        """The stores of the repository in the current directory. Raises RepositoryError."""
        if self._stores is None:
            from ..opening import make_named_directories, stores_of

            for where in make_named_directories(self.settings) if self._writes else ():
                self.terminal.remark(f"Made a store on {where}")
            self._stores = stores_of(self.settings)
            self._stores.repeated = self._tell_repeated
            if self._writes:
                self._stores.surroundings.before_waiting = self._expect_signals
            if self.terminal.shows_progress:
                self._stores.surroundings.progress = self._show_progress
        return self._stores

    @property
    def settings(self) -> Settings:
        """What the user said of the repository in the current directory. Raises RepositoryError."""
        if self._settings is None:
            from ..backends.base import Access
            from ..config.settings import Settings

            options = self.options
            access = Access(
                offline=options.offline,
                max_age=options.max_age,
                operation=options.operation,
                reason=options.message,
                tell=self.terminal.detail,
            )
            self._settings = Settings(".", self.environ, options.package, options.release, access)
            self.terminal.config = self._settings.config
            self.terminal.quotes_non_ascii = self.terminal.config.get_bool("core.quotePath")
        return self._settings

    def operation(self, command: str, *, of_job: bool = True, **asked: Document) -> Operation:
        """The operation that a command carries out. What it was asked for are its options and arguments, and `asked`.

        `asked` holds what stdin held, and takes the place of an option of that name whose meaning it tells better.
        What a command brings about until it holds is no operation of a job (`of_job`): asked for again later in the
        job, it has to look again, and twice it does no harm.
        """
        request = {**self._request, **asked}
        return self.settings.operation([command, dict(sorted(request.items()))], of_job=of_job)

    def top_directory(self) -> str:
        """Where the commands of releases run: where packages' paths begin, or here where there is no work tree."""
        return self.settings.root or os.getcwd()

    def commit_here(self) -> Oid:
        """The commit that is checked out, or the one that `OCU_REPO_COMMIT_OVERRIDE` names. Raises NotFound."""
        return self.settings.repository.resolve(self.environ.get("OCU_REPO_COMMIT_OVERRIDE") or "HEAD")

    def file_at(self, commit: Oid | str, path: str) -> bytes | None:
        """A file in a commit of this repository, from where the paths of packages begin; None where there is none."""
        from ..backends.base import file_at
        from ..git.objects import Oid

        repository = self.settings.repository
        path = f"{self.settings.root_below_top}/{path.removeprefix('//')}".strip("/")
        return file_at(repository, repository.root(Oid(commit)), path)

    def code(self, *, elsewhere: bool = False) -> AbstractContextManager[Code | None]:
        """A block with what evaluates and calls the packages of this repository that are code; None without one.

        With `elsewhere`, those of other repositories as well, where the store says where they are.
        """
        from contextlib import contextmanager

        @contextmanager
        def block() -> Iterator[Code | None]:
            if self.settings.repository_or_none is None:
                yield None  # the stores are directories
                return
            from ..delivery.code import Code
            from ..packages.permissions import permissions_of

            settings = self.settings
            directory = settings.repository.work_tree or settings.directory
            root = settings.root_below_top
            permissions = permissions_of(settings)
            others = None
            if elsewhere:
                from ..delivery.elsewhere import Elsewhere

                others = Elsewhere(settings, permissions)
            code = Code(settings.name.text, directory, root, self.environ, permissions, others)
            try:
                yield code
            finally:
                code.close()

        return block()

    @property
    def are_stores_open(self) -> bool:
        """Whether a command has asked for the stores."""
        return self._stores is not None

    def snapshot(self, at: str | None = None) -> Snapshot:
        """Both stores as they are now, or at a revision."""
        return self.stores.snapshot(at)

    def warn_of_name(self) -> None:
        """Warn where the name that relative refs begin with is another than when this repository last wrote."""
        former = self.stores.former_name
        if former is not None:
            name = self.settings.name
            self.terminal.warning(
                f"in refs this repository is called '{name.text}' now (by {name.source}); when it last wrote it was "
                f"'{former}', which 'git config ocuroot.repoAlias {former}' would keep"
            )

    def _tell_repeated(self, carried: Carried) -> None:
        name, commit = carried.operation.name, carried.commit[:12]
        self.terminal.remark(f"operation '{name}' was carried out before, in commit {commit}")

    def _expect_signals(self) -> None:
        from .signals import interrupt_by_signals  # late: mostly nothing comes to wait

        interrupt_by_signals()

    def _show_progress(self, done: int, total: int) -> None:
        from .progress import Meter

        if self._meter is None:
            self._meter = Meter(self.terminal, "Reading the stores")
        if done < total:
            self._meter(done, total)
        else:
            self._meter.__exit__()
            self._meter = None

    def check_size(self, text: str) -> None:
        """Warn, once, of a document that is better kept elsewhere (design 5.4)."""
        if not self._warned and len(text.encode(errors="surrogateescape")) > LARGE:
            self._warned = True
            self.terminal.warning(
                "the value is over 1 MiB: state is not the place for artifacts; keep a reference to one"
            )

    def read_value(self, value: str) -> str:
        """A value from the command line; `-` reads it from stdin, which ends with one newline that does not count."""
        if value != "-":
            return value
        data: bytes = self.terminal.stdin().read()
        try:
            return data.removesuffix(b"\n").decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise Fatal(f"cannot read the value from standard input: line {line} is not UTF-8") from None
