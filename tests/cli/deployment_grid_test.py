"""Deployments as a grid: all that there is to say of each stands in its cell (design 12)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ocuroot_git.cli.deployment_grid import grids, what_of
from ocuroot_git.cli.table import fits, laid_out
from ocuroot_git.delivery.holds import Hold
from ocuroot_git.ledger.deployment import Deployment
from ocuroot_git.ledger.held import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocuroot_git.cli.deployment_grid import Grid, Parts

STATUSES = ("complete", "failed", "pending", "wanted")


def deployment(package: str, environment: str, status: str, number: int, *, is_held: bool = False) -> Deployment:
    made = Deployment(package, environment, status, f"{package}/@{number}", "run")
    made.tags = [f"v{number}"]
    made.actor = f"local:{package[-1]}{number}@example.com"
    made.held = Held(Hold(made.release), True) if is_held else None
    return made


def parts(one: Deployment) -> Parts:
    return (
        what_of(one, "red"),
        f"{one.release.rpartition('@')[2]} days ago",
        one.actor,
        one.held.words if one.held else "",
    )


_DEPLOYMENTS = st.builds(
    deployment, st.sampled_from(["s/-/a", "s/-/b", "s/-/c"]), st.sampled_from(["dev", "live", "qa"]),
    st.sampled_from(STATUSES), st.integers(1, 12), is_held=st.booleans()
)  # fmt: skip


def made_for(width: int, found: list[Deployment]) -> list[Grid]:
    return grids(found, str, parts, lambda columns, rows: fits(columns, rows, width))


@given(st.lists(_DEPLOYMENTS, min_size=1, max_size=12), st.integers(16, 150))
def test_each_deployment_stands_in_full_below_its_environment(found: list[Deployment], width: int) -> None:
    made = made_for(width, found)
    if not made:
        assert width < len(f"package  {max((what_of(one, '')[0] for one in found), key=len)}") + 14
        return
    environments = sorted({one.environment for one in found})
    assert [column.title for columns, _ in made for column in columns if column.title != "package"] == environments
    shown: dict[tuple[str, str], str] = {}
    for columns, rows in made:
        title, *lines = laid_out(columns, rows, width, lambda text, _: text)
        assert all(len(line) <= width for line in (title, *lines))
        titles = [column.title for column in columns]
        starts = [*map(title.index, titles), width]
        package = ""
        for line in lines:
            package = line[: starts[1]].strip() or package
            for environment, start, end in zip(titles[1:], starts[1:], starts[2:]):
                key = (package, environment)
                shown[key] = f"{shown.get(key, '')} {' '.join(line[start:end].split())}".strip()
    expected: dict[tuple[str, str], str] = {}
    for one in found:
        text = " ".join([what_of(one, "")[0], *filter(None, parts(one)[1:])])
        key = (one.package, one.environment)
        expected[key] = f"{expected.get(key, '')} {text}".strip()
    assert {key: text for key, text in shown.items() if text} == expected


def test_the_widest_that_fits_is_taken_and_then_one_below_the_other() -> None:
    found = [deployment("s/-/a", "dev", "complete", 1), deployment("s/-/a", "live", "failed", 2)]
    heights = [[len(rows) for _, rows in made_for(width, found)] for width in (100, 75, 60, 50, 25)]
    assert heights == [[1], [2], [3], [3, 3], []]


def test_names_are_cut_only_where_no_environment_fits_beside_them() -> None:
    long = "github.com/example/shop/-/services/checkout"
    found = [deployment(long, "dev", "complete", 1), deployment(long, "live", "complete", 2)]
    may_cut = [[columns[0].may_cut for columns, _ in made_for(width, found)] for width in (90, 70, 60, 50)]
    assert may_cut == [[False], [False, False], [True], [True, True]]


def test_what_is_taken_down_names_no_release() -> None:
    one = Deployment("s/-/a", "dev", "running", "", "s/-/a/@1/deploy/dev/2")
    one.is_down = True
    assert what_of(one, "yellow") == ("running (down)", "yellow")
