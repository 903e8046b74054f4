"""The one way out of a lab that goes through the kernel: an ICMP error that the machine itself would send.

The lab's addresses are documentation addresses that the machine routes into a veth of the test, so that what leaks is
seen there and goes nowhere. Without the table the leak is shown to be there; with it nothing comes out while its counter
says that something would have.
"""

import ipaddress
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import uuid

import leftovers
import pytest
from labs import deployed, end, instance, node, nothing_left
from recorder import Recorder
from rig import until

from labctl.agent import client, guarded
from labctl.linux import cgroup, netns, nft
from labctl.model.lab import Bind, CableSpec, LabSpec
from labctl.run import observe

pytestmark = pytest.mark.root

ATTEMPTS = 6


@pytest.fixture(autouse=True)
def _needs_nftables():
    if shutil.which("nft") is None or nft_refuses():
        pytest.skip("this machine has no nftables of the inet family")


def nft_refuses():
    done = subprocess.run(["unshare", "-n", "nft", "add table inet t"], check=False, capture_output=True)
    return done.returncode != 0


class Away:
    """Where the machine would send what is for the lab's addresses: a veth whose far end is nobody's."""

    def __init__(self, directory):
        self.pin = str(directory / "away")
        self.device = f"aw{uuid.uuid4().hex[:6]}"
        block = random.SystemRandom().randrange(16)
        self.ipv4 = ipaddress.ip_network(f"198.51.100.{16 * block}/28")
        self.ipv6 = ipaddress.ip_network(f"2001:db8:{uuid.uuid4().hex[:4]}:1::/64")
        self.mac = "02:00:00:00:00:99"

    def __enter__(self):
        netns.create(self.pin)
        try:
            ip("link", "add", self.device, "type", "veth", "peer", "name", "far")
            with netns.opened(self.pin) as fd:
                argv = ["ip", "link", "set", "far", "netns", f"/proc/self/fd/{fd}"]
                subprocess.run(argv, check=True, pass_fds=[fd])
            subprocess.run(["nsenter", f"--net={self.pin}", "ip", "link", "set", "far", "up"], check=True)
            ip("link", "set", self.device, "up")
            for network in (self.ipv4, self.ipv6):
                ip("route", "add", str(network), "dev", self.device)
                for number in range(1, 15):
                    ip("neigh", "add", str(network[number]), "lladdr", self.mac, "dev", self.device)
                assert f"dev {self.device}" in ip("route", "get", str(network[1])), (
                    "it would leave the machine"
                )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "del", self.device], check=False)
        netns.delete(self.pin)


def ip(*argv):
    return subprocess.run(["ip", *argv], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def away(tmp_path):
    with Away(tmp_path) as made:
        yield made


@pytest.fixture
def here(tmp_path, monkeypatch, kind):
    found = instance(tmp_path / "state", monkeypatch, kind)
    yield found
    nothing_left(found)


def lab(away, **of_r1):
    r1, r2 = end("r1:eth1", f"{away.ipv4[1]}/28"), end("r2:eth1", f"{away.ipv4[2]}/28")
    cable = CableSpec(a=r1, z=r2)
    return LabSpec(name="guarded", nodes=(node("r1", **of_r1), node("r2")), cables=(cable,))


def members(place):
    table = nft.read(guarded.table_name(place))
    return set() if table is None else set().union(*table.sets.values())


def kept(place):
    return nft.read(guarded.table_name(place)).counters[guarded.COUNTER]


#: A packet waits for a neighbour that nobody is, its route is replaced, and its neighbour is given up.
PROVOKE = """
    ip $1 route replace $2 via $3 && (ping -n -c 1 -W 1 $4 >/dev/null 2>&1 &) && sleep 0.1
    ip $1 route replace $2 via $5 && sleep 0.15 && ip $1 neigh del $3 dev eth1
    ip $1 neigh flush dev eth1; ip $1 route del $2
"""


def provoke(place, family, network, far):
    runtime, spec = observe.runtime(place), place.need().lab
    where, target = str(far), str(far[5])
    argv = ("bash", "-c", PROVOKE, "-", family, where, str(network[7]), target, str(network[8]))
    done = runtime.exec(spec, "r1", argv, timeout_s=20)
    assert done.code == 0, done.stderr


FAR4, FAR6 = ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8:ffff::/64")


def strays(recorder, *addresses):
    """Frames on any interface of the machine that are for one of the addresses, other than what the machine asks."""
    packed = [ipaddress.ip_address(each).packed for each in addresses]
    return [
        (where, data[:80].hex())
        for where, data in recorder.frames
        if (data[12:14] == b"\x08\x00" and data[30:34] in packed)
        or (data[12:14] == b"\x86\xdd" and data[38:54] in packed)
    ]


def test_without_nftables_deploy_says_so_and_the_leak_is_there(here, away, tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    for directory in reversed(os.environ["PATH"].split(":")):
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            (tools / name).unlink(missing_ok=True)
            (tools / name).symlink_to(os.path.join(directory, name))
    (tools / "nft").unlink()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tools))
        said = []
        with deployed(here, lab(away), said.append) as place, Recorder() as recorder:
            warned = [event.text for event in said if event.kind == "warning"]
            assert len(warned) == 1
            assert "nft is not installed" in warned[0]
            assert "labctl doctor" in warned[0]
            assert not os.path.exists(guarded.marker(place))
            assert client.alive(place)
            for _ in range(ATTEMPTS):
                provoke(place, "-4", away.ipv4, FAR4)
                if strays(recorder, away.ipv4[1]):
                    break
    leaked = strays(recorder, away.ipv4[1])
    if not leaked:
        pytest.skip(f"this kernel ({os.uname().release}) does not leak")
    assert {where for where, _ in leaked} == {away.device}, "it left by another way"


def test_nothing_gets_out_and_the_table_says_that_it_would_have(here, away):
    with deployed(here, lab(away)) as place:
        observe.runtime(here.lab("guarded")).exec(
            place.need().lab, "r1", ("ip", "address", "add", f"{away.ipv6[1]}/64", "dev", "eth1")
        )
        until(lambda: str(away.ipv6[1]) in members(place), "the new address is in the set")
        with Recorder() as recorder:
            for _ in range(ATTEMPTS):
                provoke(place, "-4", away.ipv4, FAR4)
                provoke(place, "-6", away.ipv6, FAR6)
        assert strays(recorder, away.ipv4[1], away.ipv6[1]) == []
        stopped = kept(place)
    if not stopped:
        pytest.skip(f"nothing to stop: this kernel ({os.uname().release}) does not leak")


def error(version, kind, code):
    """An ICMP error that quotes nothing in particular."""
    body = struct.pack("!BBHI", kind, code, 0, 0) + bytes(28)
    if version == 6:
        return body  # the kernel fills the checksum in
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    return body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]


def passes(version, kind, code, address):
    """Whether the machine may send this; a packet that the output hook drops is EPERM."""
    family, protocol = (socket.AF_INET, 1) if version == 4 else (socket.AF_INET6, 58)
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        try:
            raw.sendto(error(version, kind, code), (str(address), 0))
        except PermissionError:
            return False
    return True


def test_it_drops_this_error_to_the_labs_addresses_and_nothing_else(here, away):
    with deployed(here, lab(away)) as place:
        observe.runtime(here.lab("guarded")).exec(
            place.need().lab, "r1", ("ip", "address", "add", f"{away.ipv6[1]}/64", "dev", "eth1")
        )
        until(lambda: str(away.ipv6[1]) in members(place), "the new address is in the set")
        before = kept(place)
        assert not passes(4, 3, 1, away.ipv4[1])
        assert not passes(4, 3, 1, away.ipv4[2])
        assert not passes(6, 1, 3, away.ipv6[1])
        assert kept(place) == before + 3
        assert passes(4, 3, 1, away.ipv4[9]), "not an address of the lab"
        assert passes(6, 1, 3, away.ipv6[9])
        assert passes(4, 3, 3, away.ipv4[1]), "port unreachable is not what leaks"
        assert passes(4, 8, 0, away.ipv4[1])
        assert passes(6, 1, 4, away.ipv6[1])
        assert passes(4, 3, 1, "127.0.0.1")
        assert kept(place) == before + 3


def test_addresses_of_the_files_are_there_before_the_nodes(here, away, tmp_path):
    conf = tmp_path / "frr.conf"
    conf.write_text(f"interface lo\n ip address {away.ipv4[5]}/32\n ipv6 address {away.ipv6[5]}/128\n")
    bind = Bind(source=str(conf), target="/etc/frr/frr.conf")
    seen = []
    spec = lab(away, binds=(bind,))

    def emit(event):
        if event.kind == "wired":
            seen.append(members(here.lab(spec.name)))

    with deployed(here, spec, emit) as place:
        record = place.need()
        mgmt = {a for n in record.lab.nodes for a in (n.mgmt_ipv4, n.mgmt_ipv6)}
        files = {str(away.ipv4[n]) for n in (1, 2, 5)} | {str(away.ipv6[5])}
        assert seen == [files | mgmt]


def test_the_set_follows_the_nodes_and_forgets_nothing(here, away):
    with deployed(here, lab(away)) as place:
        spec, runtime, added = place.need().lab, observe.runtime(here.lab("guarded")), str(away.ipv4[6])
        runtime.exec(spec, "r2", ("ip", "address", "add", f"{added}/32", "dev", "lo"))
        until(lambda: added in members(place), "the new address is in the set")
        runtime.exec(spec, "r2", ("ip", "address", "del", f"{added}/32", "dev", "lo"))
        first = client.ask(place, "status")["pid"]
        cgroup.kill(place.agent_cgroup)
        client.start(place)
        assert client.ask(place, "status")["pid"] != first
        assert added in members(place), "a packet of it may still wait"
        assert not {a for a in members(place) if re.match(r"127\.|::1$|fe80", a)}
        nft.delete(guarded.table_name(place))
        until(lambda: added in members(place), "the table is back after somebody removed it")
        assert client.ask(place, "status")["off_base"] == {}
        assert not passes(4, 3, 1, added)


def test_two_labs_have_a_table_each_and_destroy_takes_only_its_own(here, away):
    with deployed(here, lab(away)) as one:
        other = LabSpec(name="other", nodes=(node("r9"),))
        with deployed(here, other) as two:
            tables = [each for each in leftovers.filter_tables() if here.tag in each]
            assert sorted(tables) == [f"table inet {guarded.table_name(place)}" for place in (one, two)]
        assert nft.read(guarded.table_name(two)) is None
        assert str(away.ipv4[1]) in members(one)


def test_destroy_that_cannot_remove_the_table_says_so_and_heal_ends_it(here, away, monkeypatch):
    with deployed(here, lab(away)) as place:
        cgroup.kill(place.agent_cgroup)  # as destroy has done by then: it would put the table back
        with monkeypatch.context() as patch:
            patch.setenv("PATH", "/nonexistent")
            with pytest.raises(client.LabctlError) as raised:
                guarded.remove(place)
        assert raised.value.code == "tool-missing"
        assert nft.read(guarded.table_name(place)) is not None
        guarded.remove(place)
        guarded.remove(place)
        assert nft.read(guarded.table_name(place)) is None
