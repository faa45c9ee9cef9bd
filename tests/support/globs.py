"""Patterns of every kind, and an oracle that turns each into a regular expression, token by token."""

from __future__ import annotations

import re

from hypothesis import strategies as st

TOKEN = re.compile(
    r"/\*\*/|\*\*|\*|\?|\[(?P<not>!?)(?P<class>(?:\\.|[^]\\])+)\]|\\(?P<escaped>.)|(?P<other>.)", re.DOTALL
)
WILD = {"/**/": "/(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def oracle(pattern: str) -> re.Pattern[str]:
    parts, depth = [], 0
    for token in TOKEN.finditer(pattern):
        text, other = token[0], token["other"]
        if text in WILD:
            parts.append(WILD[text])
        elif token["class"]:
            inside = re.sub(
                r"\\?(.)(?:-\\?(.))?", lambda m: "-".join(map(re.escape, filter(None, m.groups()))), token["class"]
            )
            parts.append(f"[{'^' if token['not'] else ''}{inside}]")
        elif other == "{":
            parts.append("(?:")
            depth += 1
        elif other == "," and depth:
            parts.append("|")
        elif other == "}" and depth:
            parts.append(")")
            depth -= 1
        else:
            parts.append(re.escape(token["escaped"] or text))
    return re.compile("".join(parts), re.DOTALL)


plain = st.sampled_from(["a", "b", "/", "@", "1", "-", "ab", "a/b", "}", ",", "\\*", "\\{", "\\a"])
wild = st.sampled_from(["*", "**", "?", "/**/", "[ab]", "[!a]", "[a-b1]", "[!@-]", "[\\]a]", "[a\\-z]"])
patterns = st.recursive(
    st.lists(st.one_of(plain, wild), max_size=4).map("".join),
    lambda inner: st.tuples(
        inner.filter(lambda text: "}" not in text),
        st.lists(inner, min_size=1, max_size=3).map(lambda those: "{" + ",".join(those) + "}"),
        inner,
    ).map("".join),
    max_leaves=5,
)
