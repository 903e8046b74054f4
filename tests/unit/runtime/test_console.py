"""Logs: bounded without losing a line to who reads along, and cut by time without leaving anything out."""

import os
import threading
import time

import pytest
from rig import until

from labctl.linux.inotify import Writes
from labctl.runtime import console
from labctl.runtime.console import Keeper
from labctl.runtime.store import Instance


@pytest.fixture
def place(tmp_path):
    place = Instance.here(str(tmp_path / "state")).lab("dc1")
    os.makedirs(place.node_dir("r1"))
    with open(place.record_file, "w"):
        pass
    return place


def say(place, text):
    with open(console.log(place, "r1"), "a") as file:
        file.write(text)


def said(place, **which):
    return b"".join(console.read(place, "r1", **which)).decode()


def test_one_that_never_printed(place):
    assert said(place) == ""
    assert said(place, tail=3, since_s=0.0) == ""
    assert console.last_bytes(place, "r1", 100) == b""


def test_the_last_lines(place):
    say(place, "one\ntwo\nthree\nunfinished")
    assert said(place, tail=2) == "three\nunfinished"
    assert said(place, tail=0) == ""
    assert said(place, tail=10) == said(place)


def test_since_leaves_nothing_out_that_was_printed_then(place):
    say(place, "early\n")
    keeper = Keeper(place, "r1")
    keeper.look()
    time.sleep(0.02)
    between = time.time()
    time.sleep(0.02)
    say(place, "late\n")
    keeper.look()
    assert said(place, since_s=between) == "late\n"
    assert said(place, since_s=0.0) == "early\nlate\n"
    after = time.time() + 1
    assert said(place, since_s=after) == ""
    say(place, "nobody has looked yet\n")
    assert said(place, since_s=after) == "nobody has looked yet\n"
    again = Keeper(place, "r1")  # another agent
    again.look()
    assert said(place, since_s=between) == "late\nnobody has looked yet\n"


def test_without_times_everything_may_be_new(place):
    say(place, "when?\n")
    assert said(place, since_s=time.time()) == "when?\n"


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(console, "_MOST_BYTES", 1000)


def test_a_full_log_is_put_aside_and_two_of_them_are_kept(place, small):
    keeper = Keeper(place, "r1")
    lines = [f"line {number}\n" for number in range(2000)]
    for each in lines:
        say(place, each)
        keeper.look()
    kept = said(place)
    assert "".join(lines).endswith(kept)
    assert 1000 < len(kept) < 2100
    assert set(os.listdir(place.node_dir("r1"))) == {"log", "log.times", "log.1", "log.1.times"}
    assert console.last_bytes(place, "r1", 1500).decode() == kept[-1500:]
    assert said(place, tail=100) == "".join(lines[-100:])
    assert said(place, since_s=0.0) == kept


def test_who_follows_misses_nothing_over_the_change(place, small, monkeypatch):
    monkeypatch.setattr(console, "_PAUSE_S", 0.005)
    keeper = Keeper(place, "r1")
    say(place, "before\n")
    got = []
    follower = threading.Thread(target=lambda: got.extend(console.read(place, "r1", follow=True)))
    follower.start()
    lines = ["before\n"]
    for number in range(400):
        lines.append(f"line {number}\n")
        say(place, lines[-1])
        keeper.look()
        if number % 20 == 19:  # it is read before it is put aside twice
            until(lambda: b"".join(got).endswith(lines[-1].encode()), "the reader has come this far")
    os.unlink(place.record_file)
    follower.join(10)
    assert not follower.is_alive()
    text = b"".join(got).decode()
    assert text == "".join(lines)
    assert os.path.exists(console.log(place, "r1") + ".1")


def test_a_write_is_told_once_until_it_is_asked_for_again(tmp_path):
    file = tmp_path / "log"
    file.write_text("")
    writes = Writes()
    try:
        writes.ask(str(file), "r1")
        assert writes.read() == []
        for _ in range(3):
            with file.open("a") as out:
                out.write("x")
        assert writes.read() == ["r1"]
        assert writes.read() == []
        writes.ask(str(file), "r1")
        file.write_text("y")
        assert writes.read() == ["r1"]
        file.unlink()
        with pytest.raises(FileNotFoundError):
            writes.ask(str(file), "r1")
    finally:
        writes.close()
