"""Ping and HTTP probes against real namespaces with loss that the test itself makes."""

import contextlib
import http.server
import os
import socket
import subprocess
import threading
import time

import pytest

from labctl.analyze import loss
from labctl.linux import netns
from labctl.probes.http import HttpFlow
from labctl.probes.ping import PingFlow
from labctl.probes.sampler import Sampler

pytestmark = pytest.mark.root


def ip(namespace, *arguments):
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


def inside(namespace, *argv):
    subprocess.run(["ip", "netns", "exec", namespace, *argv], check=True)


@pytest.fixture(scope="module")
def pair():
    """Two namespaces and a cable: 10.9.0.1 and 10.9.0.2, fd09::1 and fd09::2."""
    if os.geteuid():
        pytest.skip("needs root: makes network namespaces")
    names = [f"lt-probe-{os.getpid()}-{side}" for side in "az"]
    with contextlib.ExitStack() as stack:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        a, z = names
        ip(a, "link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", z)
        for number, name in enumerate(names, 1):
            ip(name, "link", "set", "lo", "up")
            ip(name, "address", "add", f"10.9.0.{number}/24", "dev", "eth1")
            ip(name, "address", "add", f"fd09::{number}/64", "dev", "eth1", "nodad")
            ip(name, "link", "set", "eth1", "up")
        inside(a, "ping", "-c1", "-W5", "10.9.0.2")
        inside(a, "ping", "-c1", "-w5", "fd09::2")
        yield [f"/run/netns/{name}" for name in names], names


@contextlib.contextmanager
def rule(namespace, expression):
    """An nftables rule on what `namespace` receives."""
    text = f"table inet t {{ chain c {{ type filter hook input priority 0; {expression}; }}; }}"
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        inside(namespace, "nft", "delete", "table", "inet", "t")


@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
def test_nothing_is_lost_on_a_whole_cable(pair, address):
    (a, _), _ = pair
    with Sampler([PingFlow(a, address, subject="a -> z")], interval_s=0.01) as sampler:
        time.sleep(0.5)
    (track,) = sampler.tracks()
    assert track.error == ""
    assert len(track.samples) >= 20
    assert (track.lost, track.late, track.open, track.duplicates) == (0, 0, 0, 0)
    assert [s.seq for s in track.samples] == sorted({s.seq for s in track.samples})
    assert all(s.value is not None and 0 < s.value < 1 for s in track.samples)


@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
def test_exactly_every_fifth_echo_that_the_rule_drops_is_lost(pair, address):
    """numgen counts, so the loss is known to the packet."""
    (a, _), (_, z) = pair
    kind = "icmp type echo-request" if "." in address else "icmpv6 type echo-request"
    with (
        rule(z, f"{kind} numgen inc mod 5 == 4 drop"),
        Sampler([PingFlow(a, address, subject="a -> z")], interval_s=0.005, late_s=0.5) as sampler,
    ):
        time.sleep(1.0)
        tracks = sampler.stop()
    samples = tracks[0].samples
    assert len(samples) >= 50
    # whatever came first, losses are exactly five apart among what was sent
    lost = [i for i, s in enumerate(samples) if s.value is None]
    assert lost == list(range(4, len(samples), 5))
    assert all(w.lost == 1 and w.recovered for w in loss.windows(tracks[0]) if w.next_good is not None)


@contextlib.contextmanager
def link_down(namespace):
    ip(namespace, "link", "set", "eth1", "down")
    try:
        yield
    finally:
        ip(namespace, "link", "set", "eth1", "up")


def own_link_down(a, _z):
    return link_down(a)


def silent_drop(_a, z):
    return rule(z, "icmp type echo-request drop")


@pytest.mark.parametrize(
    ("fault", "errors"), [(own_link_down, ("network is unreachable",)), (silent_drop, ())]
)
def test_a_fault_that_lasts_a_while_is_one_window_around_that_while(pair, fault, errors):
    (a, _), (a_name, z_name) = pair
    with Sampler([PingFlow(a, "10.9.0.2", subject="a -> z")], interval_s=0.01, late_s=0.5) as sampler:
        time.sleep(0.3)
        before = time.monotonic()
        with fault(a_name, z_name):
            made = time.monotonic()
            time.sleep(0.5)
            ending = time.monotonic()
        time.sleep(0.5)
        (track,) = sampler.stop()
    assert track.error == ""
    window = max(loss.windows(track), key=lambda w: w.lost)
    assert window.last_good is not None
    assert window.next_good is not None
    assert before <= window.first_lost
    assert window.last_good <= made
    assert window.next_good >= ending
    assert window.errors == errors
    # the interval it claims holds what was done: never shorter than the fault surely lasted
    assert window.at_most_s is not None
    assert window.at_most_s >= ending - made
    assert window.at_least_s <= window.next_good - before


def test_a_late_reply_is_late_and_not_lost(pair):
    """The far end answers only when it is let: replies are held by taking the answerer's place."""
    (a, z), (_, z_name) = pair
    raw = netns.socket_in(z, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(5)
    with rule(z_name, "icmp type echo-request counter accept"):
        inside(z_name, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
        try:
            with Sampler(
                [PingFlow(a, "10.9.0.2", subject="a -> z")], interval_s=0.1, late_s=0.2, limit_s=0.25
            ) as sampler:
                packet, source = raw.recvfrom(2048)
                icmp = packet[(packet[0] & 15) * 4 :]
                time.sleep(0.3)  # longer than late_s; the sampler still drains the echoes after this one
                reply = bytearray(b"\0\0\0\0" + icmp[4:])
                reply[2:4] = _sum(reply).to_bytes(2)
                raw.sendto(bytes(reply), source)
                (track,) = sampler.stop()
        finally:
            inside(z_name, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0")
            raw.close()
    assert track.late == 1
    assert track.samples[0].value is not None
    assert track.samples[0].value >= 0.3


def _sum(data):
    total = sum(int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_the_reason_is_kept_when_someone_says_why(pair):
    (a, _), (_, z_name) = pair
    with (
        rule(z_name, "icmp type echo-request reject with icmp type host-unreachable"),
        Sampler(
            [PingFlow(a, "10.9.0.2", subject="told"), PingFlow(a, "203.0.113.1", subject="no route")],
            interval_s=0.05,
            late_s=0.3,
        ) as sampler,
    ):
        time.sleep(0.5)
        told, none = sampler.stop()
    assert told.samples
    assert told.lost == len(told.samples)
    assert "host unreachable" in {s.error for s in told.samples}
    assert {s.error for s in none.samples} == {"network is unreachable"}


def test_a_namespace_that_is_not_there_is_an_error_at_once():
    with pytest.raises(FileNotFoundError):
        Sampler([PingFlow("/run/netns/lt-none", "10.9.0.2", subject="x")]).start()


@pytest.fixture
def web(pair):
    (_, z), _ = pair

    class Page(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page, bind_and_activate=False)
    server.socket.close()
    server.socket = netns.socket_in(z, socket.AF_INET, socket.SOCK_STREAM, 0)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.socket.bind(("10.9.0.2", 8080))
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Page
    server.shutdown()
    thread.join()
    server.server_close()


def browse(a, seconds, port=8080, **more):
    flow = HttpFlow(a, "10.9.0.2", port=port, subject="client -> web", late_s=0.3)
    with Sampler([flow], interval_s=0.05, late_s=0.3) as sampler:
        time.sleep(seconds)
        return sampler.stop()[0]


def test_http_answers_are_timed(pair, web):
    track = browse(pair[0][0], 0.6)
    assert len(track.samples) >= 4
    assert (track.lost, track.error) == (0, "")


def test_http_losses_carry_their_reason(pair, web):
    (a, _), (_, z_name) = pair
    assert {s.error for s in browse(a, 0.3, port=8081).samples} == {"connection refused"}
    web.status = 503
    assert {s.error for s in browse(a, 0.3).samples} == {"status 503"}
    web.status = 200
    with rule(z_name, "tcp dport 8080 drop"):
        lost = browse(a, 1.0)
    assert lost.samples
    assert lost.lost == len(lost.samples)
    assert "no answer in time" in {s.error for s in lost.samples}
