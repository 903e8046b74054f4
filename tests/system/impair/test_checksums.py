"""Corruption through the nodes' own kernels: what is flipped, a checksum of the receiver catches; and TCP survives it all."""

import contextlib
import hashlib
import os
import socket
import threading
import time

import pytest
from conformance import AMONG, each_backend, enough, need, within
from impair_field import ADDRESSES, flood
from rig import has_offload

from labctl.linux import netns
from labctl.linux.offload import Offload
from labctl.model.impairment import Impairment, Jitter, Rate

pytestmark = pytest.mark.root


def counter(path, name):
    """A number of /proc/net/snmp or snmp6 of a namespace: `Udp InCsumErrors`, `Udp6InCsumErrors`."""
    with netns.inside(path):
        if " " not in name:
            with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
                return next(int(line.split()[1]) for line in file if line.split()[0] == name)
        group, field = name.split()
        with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            heads, values = [line.split() for line in file if line.startswith(group + ":")]
        return int(values[heads.index(field)])


def pair(made, kind, version):
    """A sending socket in a and a receiving one in z, talking to each other."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    receiver = netns.socket_in(made.path("z"), family, kind)
    receiver.bind((ADDRESSES["z"][version == 6], 0))
    sender = netns.socket_in(made.path("a"), family, kind)
    return sender, receiver


def resolved(sender, receiver):
    """The first datagrams wait for the neighbour, and an end that has only just come up may not hear the question."""
    for _ in range(20):
        sender.send(b"who are you")
        with contextlib.suppress(TimeoutError):
            receiver.recv(100)
            break
    time.sleep(0.2)
    receiver.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            receiver.recv(100)
    receiver.settimeout(1)


@pytest.mark.parametrize("version", [4, 6])
@each_backend({"10%": Impairment(corrupt=0.1)})
def test_the_receivers_checksum_catches_every_flip(talking, record, backend, impairment, version):
    if backend == "netem":
        pytest.skip("netem flips any bit of a frame, also where no checksum looks: known_error says so")
    need(backend)
    impairer = talking.impairer(AMONG[backend])
    sender, receiver = pair(talking, socket.SOCK_DGRAM, version)
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)
        receiver.settimeout(1)
        sender.connect(receiver.getsockname())
        resolved(sender, receiver)
        installed = impairer.ensure(talking.half(), impairment)
        assert installed.note == ""
        name = "Udp InCsumErrors" if version == 4 else "Udp6InCsumErrors"
        before, n = counter(talking.path("z"), name), enough(0.1)
        payload = hashlib.sha256(b"x").digest() * 8
        for i in range(n):
            sender.send(payload)
            if not i % 20:
                time.sleep(0.001)
        got = []
        with contextlib.suppress(TimeoutError):
            while True:
                got.append(receiver.recv(2000))
    caught = counter(talking.path("z"), name) - before
    flipped = impairer.counts(talking.half())["corrupted"]
    record(backend, impairment, installed.found, f"{caught / n:.3%} of {n} caught by IPv{version}'s checksum")
    assert set(got) == {payload}, "nothing corrupt reaches the application"
    assert len(got) + caught == n
    assert within(caught, 0.1, n)
    assert 0 <= flipped - caught <= 3, "the others were the kernel's own (neighbour discovery)"


@each_backend({"half": Impairment(corrupt=0.5)})
def test_a_frame_that_no_checksum_covers_is_dropped(made, backend, impairment):
    if backend == "netem":
        pytest.skip("netem flips them: known_error says so")
    need(backend)
    impairer = made.impairer(AMONG[backend])
    impairer.ensure(made.half(), impairment)
    n = enough(0.5)
    got = flood(made, n, ("lldp", "arp"), pps=5000)
    assert within(got.lost, 0.5, n)
    assert impairer.counts(made.half())["corrupt_dropped"] == got.lost


TCP = {
    "delay": Impairment(delay_s=0.005),
    "loss": Impairment(loss=0.01),
    "corrupt": Impairment(corrupt=0.01),
    "duplicate": Impairment(duplicate=0.05),
    "jitter": Impairment(delay_s=0.002, jitter=Jitter(spread_s=0.001, keep_order=False)),
}


@each_backend(TCP, soak={"duplicate"})
def test_tcp_comes_through_unchanged(talking, record, backend, impairment):
    """With the nodes' offloads as they are: the impairment turns off what would hide it and puts it back."""
    need(backend)
    impairer = talking.impairer(AMONG[backend])
    assert impairer.ensure(talking.half(), impairment).note == ""
    megabytes = 4
    digest, seconds = transfer(talking, megabytes << 20)
    record(
        backend,
        impairment,
        impairer.read(talking.half()),
        f"TCP {megabytes * 8.39 / seconds:.0f} Mbit/s, intact",
    )
    assert digest
    if impairment.per_frame:
        assert not has_offload(talking.path("a"), "eth1", Offload.TSO)
        assert impairer.counts(talking.half()).get("superframes", 0) == 0
    impairer.clear(talking.half())
    assert has_offload(talking.path("a"), "eth1", Offload.TSO)


@each_backend({"20Mbit": Impairment(rate=Rate(bps=2e7))})
def test_tcp_fills_the_rate_and_no_more(talking, record, backend, impairment):
    need(backend)
    impairer = talking.impairer(AMONG[backend])
    installed = impairer.ensure(talking.half(), impairment)
    _, seconds = transfer(talking, 6 << 20)
    goodput = (6 << 20) * 8 / seconds
    record(backend, impairment, installed.found, f"TCP goodput {goodput / 1e6:.2f} Mbit/s")
    assert 0.8 * 2e7 <= goodput <= 1.02 * 2e7


def transfer(made, size):
    """Send `size` bytes over TCP from a to z; whether they arrived unchanged, and how long it took."""
    sender, listener = pair(made, socket.SOCK_STREAM, 4)
    data = os.urandom(1 << 20) * (size >> 20)
    with sender, listener:
        listener.listen(1)
        listener.settimeout(30)
        sender.settimeout(60)
        sender.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.settimeout(60)
        began = time.monotonic()
        thread = threading.Thread(target=lambda: (sender.sendall(data), sender.shutdown(socket.SHUT_WR)))
        thread.start()
        found = hashlib.sha256()
        with accepted:
            while chunk := accepted.recv(1 << 16):
                found.update(chunk)
        seconds = time.monotonic() - began
        thread.join()
    return found.digest() == hashlib.sha256(data).digest(), seconds
