"""Where the documents of the delivery model lie (design 7): the refs of work, of runs, and of environments.

R = repo/-/path/@N                       a release
W = R/call/<name>, R/deploy/<env>        WorkRef
W/<n>                                    RunRef

Those of a store are spelled as it spells them: `…/@r1/task/build` in dialects 2 and 3.
"""

from __future__ import annotations

from ..formats.layout import work_type
from ..formats.refs import INTENT, STATE, Ref, number_in
from .fields import Record
from .vocabulary import CALL, DEPLOY, ModelError


class WorkRef(Record):
    """A piece of work in a release: `kind` is `call` or `deploy`, `name` that of the call or the environment."""

    __slots__ = ("kind", "name", "release")

    def __init__(self, release: str, kind: str, name: str) -> None:
        self.release = release
        self.kind = kind
        self.name = name

    def __hash__(self) -> int:
        return hash((self.release, self.kind, self.name))

    @property
    def word(self) -> str:
        """The kind as it is spelled in refs."""
        return work_type(self.kind, self.release)

    @property
    def ref(self) -> str:
        return f"{self.release}/{self.word}/{self.name}"

    @property
    def package(self) -> str:
        return package_of(self.release)

    @property
    def current(self) -> str:
        """The link to the run that is current for the package (design 5.3)."""
        return f"{self.package}/{STATE}/{self.word}/{self.name}"

    @property
    def intent(self) -> str:
        """The intent of a deployment."""
        return f"{self.package}/{INTENT}/{DEPLOY}/{self.name}"

    def run(self, number: int) -> RunRef:
        return RunRef(self, number)

    def __str__(self) -> str:
        return self.ref


class RunRef(Record):
    """A run of a piece of work."""

    __slots__ = ("number", "work")

    def __init__(self, work: WorkRef, number: int) -> None:
        self.work = work
        self.number = number

    def __hash__(self) -> int:
        return hash((self.work, self.number))

    @classmethod
    def parse(cls, text: str) -> RunRef:
        """Read the ref of a run, `R/deploy/production/2`. Raises ModelError."""
        work, number = parse_work(text)
        if number is None:
            raise ModelError(f"'{text}' is no run", hint="a run has a number, as in …/@1/call/build/1")
        return cls(work, number)

    @property
    def ref(self) -> str:
        return f"{self.work.ref}/{self.number}"

    @property
    def function(self) -> str:
        return self.step(1)

    def step(self, number: int) -> str:
        """The ref of a function of the run; there is more than one where the first went on with another."""
        return f"{self.ref}/functions/{number}"

    @property
    def logs(self) -> str:
        return f"{self.ref}/logs"

    def status(self, status: str) -> str:
        """The ref of the marker of a status."""
        return f"{self.ref}/status/{status}"

    def __str__(self) -> str:
        return self.ref


def parse_work(ref: Ref | str) -> tuple[WorkRef, int | None]:
    """The work, and the number of the run if there is one, that a ref names. Raises ModelError."""
    parsed = Ref.parse(ref) if isinstance(ref, str) else ref
    name, _, rest = parsed.name.partition("/")
    number = number_in(rest)
    if parsed.type not in (CALL, DEPLOY) or parsed.marker != STATE or (rest and number is None):
        raise ModelError(
            f"'{ref}' is neither work nor a run",
            hint="work is …/@1/call/build or …/@1/deploy/production, a run has a number after it",
        )
    release = str(parsed.replace(type="", name="", fragment=""))
    return WorkRef(release, parsed.type, name), number


def package_of(release: str) -> str:
    """The package of a release: `repo/-/path` of `repo/-/path/@1`."""
    return release.rpartition("/")[0]


def release_number(release: str) -> int:
    """The number of a release, from its ref in any dialect; 0 for a tag."""
    return number_in(release.rpartition("/")[2].removeprefix(STATE).removeprefix("r")) or 0


def gate_ref(marker: str, name: str = "") -> str:
    """The ref of a gate in state (`@`), or of the intent for it (`+`); without a name, that above all of them."""
    return f"{marker}/custom/gate/{name}" if name else f"{marker}/custom/gate"


def environment_ref(name: str) -> str:
    """The ref of an environment."""
    return f"{STATE}/environment/{name}"
