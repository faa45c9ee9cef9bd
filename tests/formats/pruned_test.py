"""The record that a package keeps of the releases that were pruned."""

from __future__ import annotations

import pytest

from ocuroot_git.formats.pruned import PrunedRecord, RecordError, format_spans, read_spans, spans_of


def test_spans() -> None:
    for numbers, text in (([], ""), ([3], "3"), ([1, 2, 3, 5, 9, 8], "1-3,5,8-9")):
        assert format_spans(spans_of(numbers)) == text
        assert not text or read_spans(text) == spans_of(numbers)
    for bad in ("", "1-", "-1", "3-1", "1,1", "1-3,2", "a", "1, 2", "1" * 10, "١"):
        with pytest.raises(RecordError):
            read_spans(bad)


def test_a_record_keeps_what_it_does_not_know() -> None:
    document = {
        "highest": 9,
        "pruned": [{"releases": "1-3", "commit": "a" * 40, "time": "", "commits": ["b"], "by": "ann"}],
        "note": {"x": 1},
    }
    record = PrunedRecord.read(document)
    assert record.to_document() == document
    assert record.find(3) is record.entries[0] and record.find(4) is None
    assert record.find_commit("b") is record.entries[0] and record.find_commit("bb") is None
