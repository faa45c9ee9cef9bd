"""What files of a store hold, in the forms that it is written in."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from ocuroot_git.formats.layout import LONGEST_READ, Damaged, StoredObject, link_target


def _as_read_in_full(data: bytes) -> str | None:
    try:
        return StoredObject.read(data, "").target
    except Damaged as error:
        return f"damaged: {error}"


def _told(data: bytes) -> str | None:
    try:
        return link_target(data, "")
    except Damaged as error:
        return f"damaged: {error}"


@given(st.text(max_size=12), st.booleans())
@example("", False)
@example('a"b', False)
@example("a\\", False)
@example('a",\n  "x": "', True)
@example("github.com/org/shop/-/a/@1/deploy/production/1#output/url", True)
@example("a" * (LONGEST_READ + 1), True)
@example("a\n", True)
@example("ä", True)
def test_the_target_of_a_link_is_what_the_whole_file_says(target: str, is_raw: bool) -> None:
    files = [b'{\n  "kind": "link",\n  "body": "' + target.encode(errors="surrogatepass") + b'"\n}\n']
    if not is_raw:
        content = {"kind": "link", "body": target}
        files = [json.dumps(content, indent=2).encode() + b"\n", json.dumps(content).encode()]
        if target:
            files.append(StoredObject("link", target).to_bytes())
    for data in files:
        assert _told(data) == _as_read_in_full(data)
