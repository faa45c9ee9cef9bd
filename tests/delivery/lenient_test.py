"""How refs are taken apart that may be any text."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ocuroot_git.delivery.lenient import WORDS, split_work

_SEGMENTS = st.sampled_from(["", "@", "@1", "@r2", "+", "a@1", "deploy", "call", "task", "custom", "1", "x"])


def _segment_by_segment(stored: str) -> tuple[str, str, str]:
    segments = stored.split("/")
    for at, segment in enumerate(segments):
        if segment.startswith("@"):
            if segments[at + 1 : at + 2] and segments[at + 1] in WORDS:
                return "/".join(segments[: at + 1]), segments[at + 1], "/".join(segments[at + 2 :])
            break
    return stored, "", ""


@given(st.lists(_SEGMENTS, max_size=7).map("/".join))
@example("@1/deploy/production/1")
@example("call/deploy/@1/call/deploy/@2/1")
@example("a/@/deploy")
def test_work_is_split_at_the_first_marker_of_state(stored: str) -> None:
    assert split_work(stored) == _segment_by_segment(stored)
