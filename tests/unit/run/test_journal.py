"""The journal on disk: what a crash may tear, and what is damage."""

import os

import pytest

from labctl.errors import LabctlError, render
from labctl.run import journal

ERRORS = os.path.join(os.path.dirname(__file__), "..", "..", "errors")


def test_what_is_written_is_read_in_order(tmp_path):
    path = str(tmp_path / "journal.jsonl")
    with journal.Journal(path) as book:
        book.write("one", t=1.0, what="→", sync=True)
        book.write("two", t=2.5)
    found = list(journal.read(path))
    assert [(e["n"], e["kind"], e["t"], e["host"]) for e in found] == [
        (1, "one", 1.0, "local"),
        (2, "two", 2.5, "local"),
    ]
    assert found[0]["what"] == "→"
    assert found[0]["wall"] > 1e9


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_last_line_was_never_written(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    with journal.Journal(str(path)) as book:
        book.write("one", t=1.0)
        book.write("two", t=2.0)
    path.write_bytes(path.read_bytes()[:-cut])
    assert [e["kind"] for e in journal.read(str(path))] == ["one"]


def test_a_journal_is_never_written_over(tmp_path):
    path = str(tmp_path / "journal.jsonl")
    journal.Journal(path).__exit__(None, None, None)
    with pytest.raises(FileExistsError):
        journal.Journal(path)


def test_the_text_of_the_error(monkeypatch):
    monkeypatch.chdir(ERRORS)
    with pytest.raises(LabctlError) as error:
        list(journal.read("bad-journal.jsonl"))
    with open("bad-journal.txt") as file:
        assert render(error.value) + "\n" == file.read()
