"""Properties that hold for whatever is generated: round trips, an oracle for globs, a model for transactions."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from support.repositories import SHOP_INSTRUCTIONS, Repo, unpack

import ocuroot_git
from ocuroot_git.errors import Conflict, Error, Fatal, NotFound
from ocuroot_git.formats.documents import Document, DocumentError, dump, parse, parse_bytes, same, to_bytes
from ocuroot_git.formats.layout import SIDES, StoredRef, edge_files
from ocuroot_git.formats.refs import TYPES, Ref, RefError
from ocuroot_git.store.fsck import Checker

often = settings(max_examples=400, deadline=None, derandomize=True, database=None)
seldom = settings(
    max_examples=70,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


# Refs

segments = st.text(st.sampled_from("ab19.-_~ é中%:*?[]{}\\!$"), min_size=1, max_size=4).filter(
    lambda text: text not in ("-", ".", "..")
)
names = st.lists(segments, min_size=1, max_size=3).map("/".join)
fragments = st.lists(st.text(st.sampled_from("ab0#@+. "), min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@st.composite
def refs(draw: st.DrawFn) -> Ref:
    marker = draw(st.sampled_from(["", "@", "+"]))
    repo = draw(st.one_of(st.just(""), st.just("."), names))
    path = draw(st.one_of(st.just(""), names))
    release = draw(st.one_of(st.just(""), st.integers(1, 20).map(str), st.just("v1.0"))) if marker else ""
    type_ = draw(st.sampled_from(["", *sorted(TYPES)])) if marker else ""
    name = draw(names) if type_ else ""
    fragment = draw(st.one_of(st.just(""), fragments)) if marker else ""
    assume(repo or path or marker)
    assume(repo or not path.startswith(".") or path.startswith(".a"))
    return Ref(repo, path, marker, release, type_, name, fragment)


@often
@given(refs())
def test_a_formatted_ref_is_parsed_to_itself(ref: Ref) -> None:
    assert Ref.parse(str(ref)) == ref
    assert Ref.parse(str(ref.without_fragment()) + "/") == ref.without_fragment()


@settings(often, max_examples=3000)
@given(st.text(st.sampled_from("ab1@+-./#~ gitGIT\n\u200c"), max_size=14))
@example("a/-/b/@1/task/x#y/")
@example("//x/@")
@example("./@/call/b")
@example("-/a/-/-/b")
@example(".")
def test_any_text_is_refused_or_has_one_normal_form(text: str) -> None:
    try:
        ref = Ref.parse(text)
    except RefError as error:
        assert str(error).startswith("bad ref ") and "\n" not in str(error)
        return
    normal = str(ref)
    again = Ref.parse(normal)
    assert (again, str(again)) == (ref, normal)
    for segment in normal.partition("#")[0].split("/"):
        assert segment and segment.lower() not in ("..", ".git")
        assert segment.isprintable() or "\u200c" in segment


@often
@given(refs(), refs())
def test_absolute_refs_are_absolute(ref: Ref, base: Ref) -> None:
    assume(base.repo and not base.is_relative)
    absolute = ref.absolute(base)
    assert not absolute.is_relative
    assert absolute.absolute(base) == absolute
    if not ref.is_relative:
        assert absolute == ref


# Globs: the oracle turns the tokens of a pattern into a regular expression, one after the other.

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
texts = st.text(st.sampled_from("ab1/@-*]}z,"), max_size=8)


@settings(often, max_examples=1200)
@given(patterns, st.lists(texts, min_size=1, max_size=12))
@example("a/**/b", ["a/b", "a//b", "a/x/b", "a/b/b", "ab"])
@example("/**/**/", ["/", "//", "///", "/a/", "/a/b/"])
@example("{a,b{1,**}}*", ["a", "b", "b1", "b//a", "ba/1"])
def test_globs_agree_with_regular_expressions(pattern: str, those: list[str]) -> None:
    expected = oracle(pattern)
    glob = ocuroot_git.Glob(pattern)
    for text in those:
        assert glob.matches(text) == bool(expected.fullmatch(text)), (pattern, text, expected.pattern)


@often
@given(st.lists(patterns, min_size=1, max_size=3), texts)
def test_several_globs_are_alternatives(several: list[str], text: str) -> None:
    assert ocuroot_git.Glob(*several).matches(text) == any(oracle(one).fullmatch(text) for one in several)


@pytest.fixture(scope="module")
def stores_of_all_kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, list[str]]]:
    """Stores on a branch, in a directory, and of the original's dialect, each with the refs that plain files say."""
    made = {}
    path = tmp_path_factory.mktemp("match")
    repo = Repo(path)
    repo.git("init", "-q")
    repo.ocuroot("init", "-q")
    short = "".join(
        f"set {ref} 1\n"
        for ref in ("@/custom/a", "+/custom/b", "a/-/b/@1", "a/-/b/@2/call/a", "a/-/b/+1", "b/-/a/@/deploy/1")
    )
    repo.ocuroot("update", "--stdin", input=SHOP_INSTRUCTIONS + short)
    repo.ocuroot("export", "-q", "files")
    listed = repo.git("ls-tree", "-r", "-z", "--name-only", "state").split("\0")
    made["branch"] = (ocuroot_git.open(str(path)), refs_in(listed))
    environ = {**os.environ, "OCUROOT_STATE": str(path / "files")}
    made["directory"] = (ocuroot_git.open(str(path), environ=environ), refs_in(listed))
    unpack("v3", path / "original")
    environ = {**os.environ, "OCUROOT_STATE": str(path / "original")}
    listed = [str(file.relative_to(path / "original/state")) for file in (path / "original/state").rglob("*")]
    wanted = [str(file.relative_to(path / "original/intent")) for file in (path / "original/intent").rglob("*")]
    as_intent = [re.sub(r"(^|/)@", r"\1+", ref, count=1) for ref in refs_in(wanted)]
    made["dialect 3"] = (ocuroot_git.open(str(path), environ=environ), sorted(refs_in(listed) + as_intent))
    return made


def marker_of(ref: str) -> str:
    return next((segment[0] for segment in ref.split("/") if segment[0] in "@+"), "")


def refs_in(paths: list[str]) -> list[str]:
    return sorted(path[len("refs/") : -len("/@object.json")] for path in paths if path.endswith("/@object.json"))


@st.composite
def patterns_for(draw: st.DrawFn, known: list[str]) -> str:
    """Patterns that have something to do with refs that exist: some of their segments are replaced by wildcards."""
    segments_ = draw(st.sampled_from(known)).split("/")
    kept = list(segments_)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(kept) - 1))
        some = segments_[at]
        wildcards = ["*", "**", f"{{{some},x}}", f"{some[0]}*", "?" * len(some), f"*{some[-1]}", f"[!{some[0]}]*"]
        kept[at] = draw(st.sampled_from([*wildcards, f"{{**/,}}{some}"]))
    if len(kept) > 2 and draw(st.booleans()):
        begin = draw(st.integers(1, len(kept) - 1))
        kept[begin : draw(st.integers(begin, len(kept)))] = ["**"]
    return "/".join(kept)


@pytest.mark.parametrize("kind", ["branch", "directory", "dialect 3"])
def test_match_agrees_with_a_filter_over_all_refs(
    stores_of_all_kinds: dict[str, tuple[Any, list[str]]], kind: str
) -> None:
    stores, known = stores_of_all_kinds[kind]
    assert stores.match("**") == known
    snapshot = stores.snapshot()

    @settings(often, max_examples=250)
    @given(st.lists(st.one_of(patterns_for(known), patterns), min_size=1, max_size=2), patterns_for(known))
    def check(several: list[str], excluded: str) -> None:
        expected = [ref for ref in known if any(oracle(one).fullmatch(ref) for one in several)]
        assert snapshot.match(*several) == expected, several
        assert snapshot.match(*several, exclude=[excluded]) == [
            r for r in expected if not oracle(excluded).fullmatch(r)
        ]
        for side, marker in zip(SIDES, "@+", strict=True):
            of_side = [ref for ref in expected if (marker_of(ref) or "@") == marker]
            assert snapshot.match(*several, side=side) == of_side, several
        no_links = [ref for ref in expected if snapshot.object(ref).kind == "ref"]
        assert snapshot.match(*several, links=False) == no_links

    check()


# Documents: JSON is generated as text, so that every digit is known.

numbers = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
strings = st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False))
scalars = st.one_of(numbers, strings, st.sampled_from(["null", "true", "false"]))


def _object(items: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in dict(items).items()) + "}"


canonical = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(strings, inner), max_size=4).map(_object),
    ),
    max_leaves=12,
)
spaces = st.text(st.sampled_from(" \n\t\r"), max_size=3)


@often
@given(canonical, spaces, spaces)
def test_documents_keep_what_they_were_given(text: str, before: str, after: str) -> None:
    value = parse(before + text + after)
    assert dump(value, None) == text
    indented = dump(value)
    assert dump(parse(indented), None) == text
    assert dump(parse_bytes(to_bytes(indented)), None) == text
    assert same(value, parse(indented))
    # What Python's own module makes of it, apart from the digits that it drops.
    own = json.loads(text)
    assert json.loads(dump(value, None)) == own or "e" in text.lower()
    if not re.search(r"[0-9][.eE][0-9+-]|-0", text):
        assert indented == json.dumps(own, indent=2, ensure_ascii=False)


@often
@given(canonical, canonical)
def test_documents_are_the_same_when_their_text_is(one: str, other: str) -> None:
    assert same(parse(one), parse(one))
    assert same(parse(one), parse(other)) == (one == other)


def _reversed(value: Document) -> Document:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@often
@given(canonical)
def test_the_order_of_keys_says_nothing(text: str) -> None:
    value = parse(text)
    assert same(value, _reversed(value)) and same(_reversed(value), value)


@often
@given(st.lists(st.tuples(strings, canonical), min_size=1, max_size=4, unique_by=lambda item: item[0]), st.data())
def test_duplicate_keys_are_refused_where_they_stand(items: list[tuple[str, str]], data: st.DataObject) -> None:
    twice = data.draw(st.sampled_from(items))[0]
    lines = [f"{key}: {value}," for key, value in items]
    at = len(items)
    text = "[1, {\n" + "\n".join([*lines, f"  {twice}: 0"]) + "}]"
    with pytest.raises(DocumentError) as caught:
        parse(text)
    line = text[: text.rindex(f"  {twice}: 0")].count("\n") + 1
    assert line == at + 2 + sum(value.count("\n") for _, value in items)
    assert str(caught.value).startswith(f"bad JSON: line {line}, column 3: "), (text, str(caught.value))


@settings(often, max_examples=1500)
@given(st.text(st.sampled_from('[]{},:"\\ntrue10.eE-+NaIfiy \n'), max_size=12))
def test_any_text_is_a_document_or_an_error_with_a_place(text: str) -> None:
    try:
        value = parse(text)
    except DocumentError as error:
        assert re.match(r"bad JSON: line \d+, column \d+: ", str(error)), str(error)
        with pytest.raises(ValueError):
            json.loads(text, parse_constant=_refuse, object_pairs_hook=_refuse_duplicates)
        return
    assert same(parse(dump(value)), value)
    json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("duplicate")
    return dict(pairs)


# Transactions: a model made of plain dicts, beside a store on a branch and one in a directory.


class Model:
    """What a store holds: documents, links and dependencies by ref, and what each operation does to them."""

    def __init__(self) -> None:
        self.documents: dict[str, object] = {}
        self.links: dict[str, str] = {}
        self.edges: set[tuple[str, str]] = set()
        self.before = self

    def copy(self) -> Model:
        made = Model()
        made.documents, made.links, made.edges = dict(self.documents), dict(self.links), set(self.edges)
        made.before = self
        return made

    def resolve(self, ref: str) -> str:
        passed = []
        while True:
            if ref in passed:
                raise Fatal("a cycle")
            passed.append(ref)
            segments = ref.split("/")
            prefixes = ["/".join(segments[:length]) for length in range(len(segments), 0, -1)]
            link = next((prefix for prefix in prefixes if prefix in self.links), None)
            if link is not None:
                ref = self.links[link] + ref[len(link) :]
                continue
            newest = self.newest(ref)
            if newest is None:
                return ref
            ref = newest

    def newest(self, ref: str) -> str | None:
        package, at, rest = ref.partition("/@")
        if not at or package == "" or (rest and not rest.startswith("/")) or f"{package}/@" in self.documents:
            return None
        if rest.startswith(("/call/", "/deploy/")):
            return None
        releases = [
            int(found[1])
            for found in (re.fullmatch(re.escape(package) + r"/@(\d+)", one) for one in self.documents)
            if found
        ]
        return f"{package}/@{max(releases)}{rest}" if releases else None

    def set(self, ref: str, value: object) -> None:
        end = self.resolve(ref)
        below = f"{end}/".partition("/@/")
        if end not in self.documents and below[1] and below[2].split("/")[0] not in ("call", "deploy"):
            raise Fatal("no release yet")
        self.documents[end] = value

    def create(self, ref: str, value: object) -> None:
        if self.resolve(ref) in self.documents:
            raise Conflict("exists")
        self.set(ref, value)

    def delete(self, ref: str) -> None:
        end = self.resolve(ref)
        if end not in self.documents:
            raise NotFound("no such document")
        del self.documents[end]
        self.forget_links_to(end)

    def forget_links_to(self, end: str) -> None:
        for link in [link for link, target in self.links.items() if target == end]:
            if link in self.links:
                del self.links[link]
                self.forget_links_to(link)

    def link(self, ref: str, target: str) -> None:
        if target not in self.documents and target not in self.links:
            target = self.resolve(target)
            if target not in self.documents:
                raise NotFound("no such document")
        if ref in self.documents:
            raise Fatal("it is a document")
        if ref not in self.links:
            for document in self.documents:
                if document.startswith(ref + "/") and self.resolve(document) == document:
                    raise Fatal("hides")
        self.links[ref] = target
        self.resolve(ref)

    def unlink(self, ref: str) -> None:
        if ref not in self.links:
            raise NotFound("no link")
        del self.links[ref]
        self.forget_links_to(ref)

    def verify_absent(self, ref: str) -> None:
        if self.before.resolve(ref) in self.before.documents:
            raise Conflict("there")

    def depend(self, ref: str, dependency: str) -> None:
        self.edges.add((ref, dependency))

    def undepend(self, ref: str, dependency: str) -> None:
        if (ref, dependency) not in self.edges:
            raise NotFound("does not depend")
        self.edges.remove((ref, dependency))


documents_ = st.sampled_from(
    [
        "a/-/p/@1",
        "a/-/p/@2",
        "a/-/p/@10",
        "a/-/p/@1/custom/x",
        "a/-/p/@2/custom/x",
        "a/-/p/@1/custom/x/y",
        "a/-/p/@1/call/b/1",
        "@/custom/one",
        "+/custom/one",
        "a/-/p/+/deploy/e",
        "a/-/q/@1",
    ]
)
through_links = st.sampled_from(
    ["a/-/p/@", "a/-/p/@/custom/x", "a/-/p/@tag", "a/-/p/@tag/custom/x", "a/-/p/@/call/b", "@/custom/link"]
)
links_ = st.sampled_from(
    ["a/-/p/@", "a/-/p/@tag", "a/-/p/@other", "a/-/p/@/call/b", "@/custom/link", "a/-/p/@1", "a/-/p/@1/custom/x"]
)
any_ref = st.one_of(documents_, documents_, through_links)
values = st.one_of(st.integers(0, 3), st.just([1, {"a": None}]))
operations = st.one_of(
    st.tuples(st.sampled_from(["set", "set", "create"]), documents_, values),
    st.tuples(st.just("set"), through_links, values),
    st.tuples(st.just("delete"), any_ref),
    st.tuples(st.just("link"), links_, any_ref),
    st.tuples(st.just("link"), links_, links_),
    st.tuples(st.just("unlink"), links_),
    st.tuples(st.just("verify_absent"), any_ref),
    st.tuples(st.sampled_from(["depend", "undepend"]), documents_, documents_),
)
histories = st.lists(st.lists(operations, min_size=1, max_size=4), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty")
    repo = Repo(path)
    repo.git("init", "-q", "--template=")
    repo.ocuroot("init", "-q")
    repo.ocuroot("export", "-q", "files")
    return path


def fresh_stores(empty: Path, where: str) -> Iterator[Any]:
    path = shutil.copytree(empty, os.path.join(where, "copy"))
    yield ocuroot_git.open(path)
    yield ocuroot_git.open(path, environ={**os.environ, "OCUROOT_STATE": os.path.join(path, "files")})


@seldom
@given(histories)
@example(
    [
        [("set", "a/-/p/@1", 0), ("link", "a/-/p/@", "a/-/p/@1")],
        [("delete", "a/-/p/@")],
        [("verify_absent", "a/-/p/@1")],
    ]
)
@example([[("set", "a/-/p/@1", 0), ("set", "a/-/p/@10", 1)], [("set", "a/-/p/@", 2)], [("delete", "a/-/p/@")]])
def test_transactions_agree_with_a_model(empty_store: Path, history: list[list[tuple[Any, ...]]]) -> None:
    with tempfile.TemporaryDirectory() as where:
        pairs = [(stores, Model()) for stores in fresh_stores(empty_store, where)]
        for transaction in history:
            for number, (stores, model) in enumerate(pairs):
                wanted, expected = model.copy(), None
                try:
                    for verb, *arguments in transaction:
                        getattr(wanted, verb)(*arguments)
                except Error as error:
                    expected = type(error)
                carry_out(stores, transaction, expected)
                if expected is None:
                    pairs[number] = stores, wanted
                agree(stores, pairs[number][1])


def carry_out(stores: Any, transaction: list[tuple[Any, ...]], expected: type[Error] | None) -> None:
    def change(tx: ocuroot_git.Transaction) -> None:
        for verb, *arguments in transaction:
            if verb == "verify_absent":
                tx.verify(arguments[0], "0" * 40)
            else:
                getattr(tx, verb)(*arguments)

    if expected is None:
        stores.transact(change)
        return
    with pytest.raises(Error) as caught:
        stores.transact(change)
    assert caught.value.status == expected.status, (transaction, caught.value)


def agree(stores: Any, model: Model) -> None:
    """The store holds what the model holds, and nothing is wrong with it."""
    snapshot = stores.snapshot()
    assert snapshot.match("**") == sorted([*model.documents, *model.links])
    assert snapshot.match("**", links=False) == sorted(model.documents)
    for ref, value in model.documents.items():
        assert snapshot.get(ref) == value, ref
        back = sorted(link for link, target in model.links.items() if target == ref)
        assert sorted(snapshot.object(ref).links) == back, ref
    for ref, target in model.links.items():
        assert snapshot.object(ref).target == target, ref
        assert snapshot.resolve(ref) == model.resolve(ref)
        assert snapshot.get(ref) == model.documents[model.resolve(ref)]
    tree = snapshot.side("state")
    assert list(Checker(tree).run()) == []
    for ref, dependency in model.edges:
        for path, content in edge_files(StoredRef(ref), StoredRef(dependency)).items():
            assert tree.file(path) == content
    todo, edges = ["dependencies"], 0
    while todo:
        path = todo.pop()
        names_ = tree.names(path)
        edges += "@ref.txt" in names_
        todo += [f"{path}/{name}" for name in names_ if name != "@ref.txt"]
    assert edges == 2 * len(model.edges)
