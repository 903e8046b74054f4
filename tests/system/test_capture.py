"""`labctl capture`: what crosses a cable is in the file, whole, in order and with its direction, and nobody noticed."""

import contextlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import captured
import pytest
from frames import frame, port
from rig import ip, lab, mac, rig, until

from labctl.agent import client
from labctl.linux import netns
from labctl.linux.netlink import Netlink
from labctl.model.lab import NodeKind
from labctl.run import destroy
from labctl.runtime import panel

#: As fast as the answers come; a machine that is busy sends a hundred a second.
FLOOD = 1500

pytestmark = pytest.mark.root

A, B = mac(0), mac(1)
CABLE = "r1:eth1--r2:eth1"
QUIET = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1"}
TEST = b"\x88\xb5"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    spec = lab(("r1:eth1", "r2:eth1"), ("r1:eth2", "sw:p1"), bridges=("sw",))
    spec = replace(
        spec,
        nodes=tuple(replace(n, sysctls=QUIET) if n.kind is NodeKind.LINUX else n for n in spec.nodes),
    )
    with rig(tmp_path_factory.mktemp("capture"), spec) as made:
        made.release()
        for number, node in enumerate(("r1", "r2"), start=1):
            ip(made.place, node, "address", "add", f"10.9.0.{number}/24", "dev", "eth1")
        until(lambda: made.link("r1").link("eth1").oper_up, "light")
        until(lambda: made.link("r2").link("eth1").oper_up, "light")
        yield made


def command(running, *argv):
    environment = os.environ | {"LABCTL_STATE": running.place.instance.root}
    return [sys.executable, "-m", "labctl", "capture", *argv], environment


@contextlib.contextmanager
def capture(running, *argv):
    """A capture that has begun; what it wrote and said is there when the block is left."""
    argv, environment = command(running, *argv)
    with subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        process.said = b""
        process.ends = False  # by itself
        try:
            while b"capturing" not in process.said:
                line = process.stderr.readline()
                assert line, process.said
                process.said += line
            yield process
            if not process.ends:
                process.send_signal(signal.SIGINT)
            process.data, said = process.communicate(timeout=60)
            process.said = (process.said + said).decode()
        finally:
            if process.poll() is None:
                process.kill()


def ping(running, count=3, *more):
    subprocess.run(
        ["nsenter", f"--net={running.place.node_ns('r1')}", "ping", "-n", "-q", "-c", str(count), "-i", "0.01",
         *more, "10.9.0.2"],
        check=True, capture_output=True,
    )  # fmt: skip


def tcpdump(data, *argv):
    """What tcpdump reads in it, a line a frame; what it adds to one is indented."""
    done = subprocess.run(
        ["tcpdump", "-nnr", "-", *argv], input=data, capture_output=True, check=True, timeout=30
    )
    return [line for line in done.stdout.decode().splitlines() if not line.startswith("\t")]


def test_a_ping_is_there_at_both_ends_in_both_directions(running, tmp_path):
    file = tmp_path / "ping.pcapng"
    before = time.time_ns()
    with capture(running, CABLE, "-w", str(file), "--filter", "icmp") as process:
        ping(running)
    seen = captured.read(file.read_bytes())
    assert seen.interfaces == ["r1:eth1", "r2:eth1"]
    assert {
        (p, d): len(seen.of(p, d)) for p in seen.interfaces for d in ("in", "out")
    } == dict.fromkeys([(p, d) for p in seen.interfaces for d in ("in", "out")], 3)  # fmt: skip
    assert seen.of("r1:eth1", "out") == seen.of("r2:eth1", "in")
    assert all(before < each.time_ns < time.time_ns() for each in seen.frames)
    assert any(each.time_ns % 1000 for each in seen.frames)
    assert process.returncode == 0
    assert "12 frames, 0 dropped; interrupted" in process.said
    # each request is seen at its sender before it is seen at its receiver
    assert [(e.interface, e.direction) for e in seen.frames[:2]] == [("r1:eth1", "out"), ("r2:eth1", "in")]
    lines = tcpdump(file.read_bytes())
    assert len(lines) == 12
    assert sum("echo request" in line for line in lines) == 6
    received, dropped = seen.statistics["r1:eth1"]
    assert received >= 6
    assert dropped == 0


def test_tags_and_large_frames_are_as_they_were_sent(running):
    place = running.place
    sent = [
        frame(B, A, b"\x81\x00\x20\x2a\x88\xb5" + os.urandom(44)),
        frame(B, A, b"\x88\xa8\x00\x07\x81\x00\x00\x2a\x88\xb5" + os.urandom(44)),
        frame(B, A, TEST + os.urandom(8986)),
        frame(B, A, TEST),
    ]
    with (
        capture(running, "r1:eth1", "--direction", "out") as whole,
        capture(running, "r2:eth1", "--direction", "in", "--snaplen", "40") as short,
        port(place.node_ns("r1"), "eth1") as here,
        port(place.node_ns("r2"), "eth1") as there,
    ):
        for each in sent:
            here.send(each)
        assert there.wait_for(sent[-1])
    tested = [each for each in captured.read(whole.data).of("r1:eth1") if each in sent]
    assert tested == sent
    cut = captured.read(short.data)
    assert cut.snaplens == [40]
    kept = [(each.data, each.length) for each in cut.frames if b"\x88\xb5" in each.data[12:22]]
    assert kept == [(each[:40], len(each)) for each in sent]


def test_count_and_filter_are_as_tcpdump_has_them(running):
    with capture(running, "r1:eth1", "--for", "60s", "--direction", "out") as everything:
        with capture(running, "r1:eth1", "--direction", "out", "--filter", "vlan 42", "-c", "2") as some:
            with port(running.place.node_ns("r1"), "eth1") as here:
                for tag in (42, 43, 42, 42):
                    here.send(frame(B, A, b"\x81\x00" + tag.to_bytes(2, "big") + TEST + bytes(46)))
                    here.send(frame(B, A, TEST + bytes(46)))
            some.ends = True
        assert "2 frames, 0 dropped; 2 frames" in some.said
    found = captured.read(some.data).of("r1:eth1")
    assert len(found) == 2
    assert all(each[12:16] == b"\x81\x00\x00\x2a" for each in found)
    assert len(tcpdump(everything.data, "vlan 42")) == 3


def test_what_hardware_would_cut_is_whole_with_right_checksums(running):
    place = running.place
    with netns.inside(place.node_ns("r2")):
        listener = socket.create_server(("10.9.0.2", 4000))
    with capture(running, CABLE, "--filter", "tcp port 4000") as process, listener:
        with netns.inside(place.node_ns("r1")):
            sender = socket.create_connection(("10.9.0.2", 4000))
        receiver, _ = listener.accept()
        with sender, receiver:
            payload = os.urandom(1 << 20)
            got = b""
            sender.setblocking(False)
            left = memoryview(payload)
            while len(got) < len(payload):
                if left:
                    with contextlib.suppress(BlockingIOError):
                        left = left[sender.send(left) :]
                if select.select([receiver], [], [], 0.01)[0]:
                    got += receiver.recv(1 << 20)
            assert got == payload
    seen = captured.read(process.data)
    large = [each for each in seen.frames if each.length > 9514]
    assert large
    assert all("bytes of payload" in each.comment for each in large)
    said = subprocess.run(
        ["tcpdump", "-nnvvr", "-"], input=process.data, capture_output=True, check=True
    ).stdout.decode().splitlines()  # fmt: skip
    assert any("cksum" in line for line in said)
    assert not [line for line in said if "incorrect" in line or "bad cksum" in line]
    assert seen.statistics["r1:eth1"][1] == 0


def test_an_impaired_cable_shows_what_was_sent_and_what_came_out(running):
    with capture(running, CABLE, "--filter", "ether proto 0x88b5") as process:
        added = labctl(running, "fault", "add", "link.oneway", CABLE, "--for", "60s")
        assert added.returncode == 0, added.stderr
        with (
            port(running.place.node_ns("r1"), "eth1") as here,
            port(running.place.node_ns("r2"), "eth1") as there,
        ):
            here.send(frame(B, A, TEST + b"lost" + bytes(46)))
            there.send(frame(A, B, TEST + b"back" + bytes(46)))
            assert here.wait_for(frame(A, B, TEST + b"back" + bytes(46)))
    client.ask(running.place, "effects.clear")
    seen = captured.read(process.data)
    heard = [(e.interface, e.direction, e.data[14:18]) for e in seen.frames]
    assert heard == [("r1:eth1", "out", b"lost"), ("r2:eth1", "out", b"back"), ("r1:eth1", "in", b"back")]


def labctl(running, *argv):
    environment = os.environ | {"LABCTL_STATE": running.place.instance.root}
    return subprocess.run(
        [sys.executable, "-m", "labctl", *argv], env=environment, capture_output=True, text=True, check=False
    )


def test_nobody_in_the_lab_can_see_it(running):
    place = running.place

    def devices():
        shown = [json.loads(ip(place, where, "-d", "-j", "link")) for where in ("panel", "r1", "r2")]
        for each in itertools.chain(*shown):  # a bridge's clocks
            each.get("linkinfo", {}).pop("info_data", None)
            each.get("linkinfo", {}).pop("info_slave_data", None)
        with netns.inside(place.node_ns("r1")), open("/proc/thread-self/net/packet") as sockets:
            return shown, sockets.read()

    before = devices()
    with capture(running, CABLE):
        assert devices() == before
    assert devices() == before


def test_a_port_that_was_plugged_in_again_is_still_watched(running, tmp_path):
    place, file = running.place, tmp_path / "replugged.pcapng"
    with capture(running, "r1:eth2", "--filter", "ether proto 0x88b5", "-w", str(file)):
        empty = file.stat().st_size
        device = place.need().devices["r1:eth2"]
        with Netlink(place.panel_ns) as netlink:
            netlink.delete_link(device)
        with panel.Panel(place, running.spec, place.need().devices) as patch:
            patch.plug("r1")
        client.ask(place, "sync")
        until(lambda: running.link("r1").link("eth2").oper_up, "light again")
        with port(place.node_ns("r1"), "eth2") as here:

            def heard():
                here.send(frame(B, A, TEST + bytes(46)))
                time.sleep(0.02)
                return file.stat().st_size > empty

            until(heard, "a frame of the new device")
    assert captured.read(file.read_bytes()).of("r1:eth2", "out")


def test_a_reader_that_left_is_no_error(running):
    argv, environment = command(running, "r1:eth1", "-w", "-")
    with subprocess.Popen(
        ["bash", "-c", '"$@" | head -c 4 | od -An -tx1; echo "${PIPESTATUS[0]}"', "bash", *argv],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        said = ""
        while "capturing" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        with port(running.place.node_ns("r1"), "eth1") as here:
            while process.poll() is None:
                here.send(frame(B, A, TEST + bytes(46)))
                time.sleep(0.01)
        printed, said = process.communicate(timeout=30)
    assert printed.split() == ["0a", "0d", "0d", "0a", "0"]
    assert "the reader has left" in said


def test_it_ends_with_the_lab(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"), name="short")
    with rig(tmp_path / "state", spec) as running:
        running.release()
        with capture(running, "r1:eth1") as process:
            destroy.destroy(running.place)
            process.ends = True
        assert process.returncode == 0
        assert "the lab was destroyed" in process.said
        captured.read(process.data)
        os.makedirs(running.place.path)  # for the rig to remove


def test_names_that_the_lab_does_not_have(running):
    for wrong in ("r1:eth7", "r1:eth1--r9:eth1", "nonsense"):
        done = labctl(running, "capture", wrong)
        assert done.returncode == 2, done.stderr
        assert "error: unknown-resource" in done.stderr


def test_a_bridge_has_ports_as_well(running):
    with (
        capture(running, "sw:p1", "--filter", "ether proto 0x88b5") as process,
        port(running.place.node_ns("r1"), "eth2") as here,
    ):
        here.send(frame(B, A, TEST + bytes(46)))
    assert [each.direction for each in captured.read(process.data).frames] == ["in"]


def test_a_flood_is_all_there_and_in_order(running, tmp_path):
    file = tmp_path / "flood.pcapng"
    with capture(running, CABLE, "--filter", "icmp", "-w", str(file)):
        ping(running, FLOOD, "-f", "-i", "0")
    seen = captured.read(file.read_bytes())
    missed = sum(dropped for _, dropped in seen.statistics.values())
    counts = {(p, d): len(seen.of(p, d)) for p in seen.interfaces for d in ("in", "out")}
    assert sum(counts.values()) + missed >= 4 * FLOOD
    if not missed:
        assert set(counts.values()) == {FLOOD}
