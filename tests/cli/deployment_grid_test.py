"""Deployments as a grid: all that there is to say of each stands in its cell (design 12)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocuroot_git.cli.deployment_grid import grids, what_of
from ocuroot_git.cli.table import fits, laid_out
from ocuroot_git.ledger.deployment import Deployment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocuroot_git.cli.deployment_grid import Parts

STATUSES = ("complete", "failed", "pending", "wanted")


def deployment(package: str, environment: str, status: str, number: int) -> Deployment:
    made = Deployment(package, environment, status, f"{package}/@{number}", "run")
    made.tags = [f"v{number}"]
    made.actor = f"local:{package[-1]}{number}@example.com"
    return made


def parts(one: Deployment) -> Parts:
    return what_of(one, "red"), f"{one.release.rpartition('@')[2]} days ago", one.actor


_DEPLOYMENTS = st.builds(
    deployment, st.sampled_from(["s/-/a", "s/-/b", "s/-/c"]), st.sampled_from(["dev", "live", "qa"]),
    st.sampled_from(STATUSES), st.integers(1, 12)
)  # fmt: skip


@given(st.lists(_DEPLOYMENTS, max_size=12), st.integers(20, 150))
def test_each_deployment_stands_in_full_below_its_environment(found: list[Deployment], width: int) -> None:
    environments = sorted({one.environment for one in found})
    made = list(grids(found, str, parts))
    assert len(made) == (3 if len(environments) > 1 else 0)
    for columns, rows in made:
        assert [column.title for column in columns] == ["package", *environments]
        if not fits(columns, rows, width):
            continue
        title, *lines = laid_out(columns, rows, width, lambda text, _: text)
        starts = [*map(title.index, ["package", *environments]), width]
        shown: dict[tuple[str, str], str] = {}
        package = ""
        for line in lines:
            package = line[: starts[1]].strip() or package
            for environment, start, end in zip(environments, starts[1:], starts[2:]):
                key = (package, environment)
                shown[key] = f"{shown.get(key, '')} {' '.join(line[start:end].split())}".strip()
        expected: dict[tuple[str, str], str] = {}
        for one in found:
            what = what_of(one, "")[0]
            text = f"{what} {parts(one)[1]} {one.actor}"
            key = (one.package, one.environment)
            expected[key] = f"{expected.get(key, '')} {text}".strip()
        assert {key: text for key, text in shown.items() if text} == expected


def test_the_widest_comes_first() -> None:
    found = [deployment("s/-/a", "dev", "complete", 1), deployment("s/-/a", "live", "failed", 2)]
    heights = [len(rows) for _, rows in grids(found, str, parts)]
    assert heights == [1, 2, 3]


def test_what_is_taken_down_names_no_release() -> None:
    one = Deployment("s/-/a", "dev", "running", "", "s/-/a/@1/deploy/dev/2")
    one.is_down = True
    assert what_of(one, "yellow") == ("running (down)", "yellow")
