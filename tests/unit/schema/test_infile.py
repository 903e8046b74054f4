"""What a path may turn out to be."""

import os

import pytest

from labctl.errors import LabctlError
from labctl.schema import infile


def code(path, **limit):
    with pytest.raises(LabctlError) as stop:
        infile.read(path, **limit)
    return stop.value.code


def test_a_file_is_read_whole(tmp_path):
    path = tmp_path / "a.yml"
    path.write_bytes(b"x" * 70_000)
    assert infile.read(path) == b"x" * 70_000
    assert infile.head(path, 10) == b"x" * 10
    os.symlink(path, tmp_path / "link")
    assert len(infile.read(tmp_path / "link")) == 70_000


def test_a_pipe_without_a_writer_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert code(tmp_path / "pipe") == "not-a-file"
    with pytest.raises(LabctlError, match="a pipe"):
        infile.head(tmp_path / "pipe", 10)


def test_a_device_does_not_fill_the_memory():
    assert code("/dev/zero") == "not-a-file"


def test_the_limit_is_on_what_is_there_not_on_what_the_size_says(tmp_path):
    path = tmp_path / "a.yml"
    path.write_bytes(b"x" * 11)
    assert code(path, limit=10) == "file-too-large"
    assert infile.read(path, limit=11) == b"x" * 11
    assert code("/proc/self/mountinfo", limit=10) == "file-too-large"  # says that its size is 0


def test_what_cannot_be_opened(tmp_path):
    assert code(tmp_path) == "file-not-found"
    assert code(tmp_path / "none") == "file-not-found"
    assert code("a\0b") == "file-not-found"
    assert code(tmp_path / ("n" * 300)) == "file-not-found"


def test_a_mark_of_byte_order_is_no_text(tmp_path):
    (tmp_path / "a.conf").write_bytes(b"\xef\xbb\xbfhostname r1\xff\n")
    assert infile.text(tmp_path / "a.conf") == "hostname r1\N{REPLACEMENT CHARACTER}\n"


def test_an_empty_name_is_said_to_be_one():
    with pytest.raises(LabctlError, match="the name of the file is empty"):
        infile.read("")
