"""The wire's process: one for all lines, ended when idle or told to, replaced when it died."""

import os
import signal
import socket

import pytest
from conformance import AMONG, need
from impair_field import flood, replug, until_reaped

from labctl.errors import LabctlError
from labctl.linux import netns, proc
from labctl.model.impairment import NEUTRAL, Impairment
from labctl.runtime.impair import choose

pytestmark = pytest.mark.root


@pytest.fixture
def wired(made):
    need("wire")
    impairer = made.impairer(AMONG["wire"])
    for name in "az":
        assert impairer.ensure(made.half(name), Impairment(delay_s=0.01)).note == ""
    return made, impairer


def test_one_process_serves_both_directions(wired):
    made, impairer = wired
    who = impairer.wire.identity()
    assert who is not None
    for name in "az":
        got = flood(made, 200, pps=2000, sender=name)
        assert len(got.numbers) == 200
        assert min(got.delays) > 0.0095
    assert impairer.wire.identity() == who


def test_a_dead_process_is_seen_and_replaced(wired):
    """It closes when it dies; `ensure` finds that out, starts another, and the line is as it was."""
    made, impairer = wired
    who = impairer.wire.identity()
    proc.kill(who, signal.SIGKILL)
    os.waitpid(who.pid, 0)
    assert impairer.read(made.half()) == NEUTRAL
    assert len(flood(made, 20, pps=1000).numbers) == 0
    assert impairer.ensure(made.half(), Impairment(delay_s=0.01)).note == ""
    assert impairer.wire.identity() not in (None, who)
    assert len(flood(made, 200, pps=2000).numbers) == 200


def test_a_dead_process_can_be_cleared_away(wired):
    made, impairer = wired
    who = impairer.wire.identity()
    proc.kill(who, signal.SIGKILL)
    os.waitpid(who.pid, 0)
    for name in "az":
        assert impairer.clear(made.half(name)).note == ""
    assert len(flood(made, 200, pps=2000).numbers) == 200


def test_another_pair_of_eyes_finds_and_changes_what_is_there(wired):
    """Nothing of an impairment is in the process that asked for it."""
    made, impairer = wired
    impairer.close()
    other = made.impairer()
    assert other.read(made.half()) == Impairment(delay_s=0.01)
    assert other.clear(made.half()).note == ""
    assert other.read(made.half()) == NEUTRAL
    assert other.read(made.half("z")) == Impairment(delay_s=0.01)


def test_an_idle_line_costs_nothing(wired):
    made, impairer = wired
    flood(made, 200, pps=2000)
    who = impairer.wire.identity()

    def ticks():
        with open(f"/proc/{who.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    flood(made, 1, pps=1, quiet_s=1.5)  # a second and a half with one frame
    assert ticks() - before <= 1


def test_without_lines_it_ends_and_the_next_line_starts_another(made, monkeypatch):
    need("wire")
    start = proc.start_detached
    monkeypatch.setattr(
        proc,
        "start_detached",
        lambda argv, **kw: start(argv, **{**kw, "env": kw["env"] | {"LABCTL_WIRE_IDLE_S": "0.05"}}),
    )
    impairer = made.impairer(AMONG["wire"])
    impairer.ensure(made.half(), Impairment(delay_s=0.001))
    who = impairer.wire.identity()
    impairer.clear(made.half())
    until_reaped(impairer)
    assert proc.wait_gone(who, 10)
    assert impairer.ensure(made.half(), Impairment(delay_s=0.001)).note == ""
    assert impairer.wire.identity() not in (None, who)


def test_after_its_time_a_line_is_a_plain_one(made):
    """A lease that is over ends by itself, whoever still lives to end it."""
    import time

    need("wire")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    made.impairer(AMONG["wire"]).ensure(made.half(), Impairment(blackhole=True), until_boot=now - 1)
    assert len(flood(made, 100, pps=1000).numbers) == 100
    made.impairer(AMONG["kernel"]).ensure(made.half("z"), Impairment(blackhole=True), until_boot=now - 1)
    assert len(flood(made, 100, pps=1000, sender="z").numbers) == 100


def test_a_panel_side_made_anew_is_served_again(wired):
    """A node that was restarted has new devices under the old names."""
    made, impairer = wired
    replug(made, "z")
    assert impairer.read(made.half()) == NEUTRAL or len(flood(made, 20, pps=1000).numbers) == 0
    assert impairer.ensure(made.half(), Impairment(delay_s=0.01)).note == ""
    got = flood(made, 100, pps=1000)
    assert len(got.numbers) == 100
    assert min(got.delays) > 0.0095


def test_a_worker_that_cannot_start_says_why(made, monkeypatch):
    impairer = made.impairer(AMONG["wire"])
    monkeypatch.setattr(impairer.wire, "_panel", "/nowhere/at/all")
    with pytest.raises(LabctlError, match="does not start") as caught:
        impairer.ensure(made.half(), Impairment(delay_s=0.01))
    assert caught.value.code == "effect-not-taken"


def test_tags_are_put_back(wired):
    """802.1Q and QinQ cross a wire as they were sent."""
    made, _ = wired
    for tags in (b"\x81\x00\x20\x07", b"\x88\xa8\x00\x05\x81\x00\x20\x07"):
        frame = bytes.fromhex("ffffffffffff02000000000a") + tags + b"\x88\xb5" + b"tagged" * 10
        with (
            netns.socket_in(made.path("z"), socket.AF_PACKET, socket.SOCK_RAW, 0) as receiver,
            netns.socket_in(made.path("a"), socket.AF_PACKET, socket.SOCK_RAW, 0) as sender,
        ):
            receiver.setsockopt(263, 8, 1)
            receiver.bind(("eth1", 3))
            receiver.settimeout(5)
            sender.bind(("eth1", 0))
            sender.send(frame)
            data, notes, _, _ = receiver.recvmsg(200, 200)
            tag = next(note for level, kind, note in notes if (level, kind) == (263, 8))
            assert data[:12] + bytes([tag[19], tag[18], tag[17], tag[16]]) + data[12:] == frame


def test_capabilities_are_tried_once_a_boot():
    assert choose.capabilities() is choose.capabilities()
    assert set(choose.capabilities()) == set(choose.Backend)
