"""From a node of a default lab nothing outside answers, and no frame of the lab reaches the machine's own network.

While nodes try (addresses of the machine, its gateway, addresses of the Internet, neighbours by ARP and IPv6 ND; with no
default route, and with one that points out of every interface), a packet socket in the machine's own namespace records
every frame of every interface in both directions. None may carry a MAC or an address of the lab. That the recorder
would see one is shown first.
"""

import contextlib
import ipaddress
import os
import socket
import struct
import uuid

import pytest
from recorder import Recorder
from rig import until

from labctl.app import deploy, destroy
from labctl.linux.netlink import Netlink
from labctl.model.lab import CableSpec, End, LabSpec, NodeSpec
from labctl.names import PortId
from labctl.run import observe
from labctl.runtime import mgmt
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

pytestmark = pytest.mark.root

IMAGE = "labctl/base"
#: Addresses of the Internet that a leak would most likely be noticed by. Nothing is sent to them: that is the test.
OUTSIDE = ("8.8.8.8", "1.1.1.1", "192.0.2.1", "2001:4860:4860::8888", "2001:db8::1")
#: Where a bridge's own address, or a gateway, would be.
BRIDGES = ("172.20.20.1", "172.20.20.254", "3fff:172:20:20::1", "198.18.77.254", "fd77:1ab::fe")
DATA = ipaddress.ip_network("198.18.77.0/24"), ipaddress.ip_network("fd77:1ab::/64")


def default_lab():
    name = f"iso-{uuid.uuid4().hex[:6]}"

    def end(node, number):
        mac = f"02:1a:b0:{uuid.uuid4().bytes[:3].hex(':')}"
        return End(
            port=PortId(node, "eth1"), mac=mac, ipv4=f"198.18.77.{number}/24", ipv6=f"fd77:1ab::{number}/64"
        )

    nodes = tuple(NodeSpec(name=n, image=IMAGE) for n in ("r1", "r2"))
    return LabSpec(name=name, nodes=nodes, cables=(CableSpec(a=end("r1", 1), z=end("r2", 2)),))


@pytest.fixture(scope="module")
def lab(tmp_path_factory, kind):
    images = ImageStore(Instance.here())
    instance = Instance.here(str(tmp_path_factory.mktemp("isolation")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABCTL_IMAGES", images.root)
        plan = deploy.deploy_lab(default_lab(), deploy.Request(file="", runtime=kind), instance)
        try:
            yield Lab(instance.lab(plan.lab.name))
        finally:
            destroy.destroy([instance.lab(plan.lab.name)])


class Lab:
    def __init__(self, place):
        self.spec = place.need().lab
        self._runtime = observe.runtime(place)

    def run(self, node, *argv, timeout_s=30):
        return self._runtime.exec(self.spec, node, argv, timeout_s=timeout_s)

    def answering(self, node, addresses):
        """Those of the addresses that answer a ping from the node; all are tried at once."""
        script = (
            'for a in "$@"; do { ping -n -c 2 -i 0.3 -W 1 "$a" >/dev/null 2>&1 && echo "$a"; } & done; wait'
        )
        done = self.run(node, "bash", "-c", script, "-", *addresses)
        assert done.code == 0, done.stderr
        return done.stdout.split()

    @property
    def macs(self):
        ends = {e.mac for c in self.spec.cables for e in c.ends}
        return {
            bytes.fromhex(m.replace(":", ""))
            for m in ends | {mgmt.mac(self.spec, n) for n in self.spec.nodes}
        }

    @property
    def addresses(self):
        """Of every interface of every node, as they are inside."""
        found = set()
        for node in self.spec.nodes:
            for line in self.run(node.name, "ip", "-o", "address").stdout.splitlines():
                address = ipaddress.ip_interface(line.split()[3]).ip
                if not address.is_loopback:
                    found.add(address.packed)
        return found


def own_addresses():
    """(interface, address) of the machine's own namespace, with its gateways and its neighbours on bridges."""
    with Netlink() as own:
        names = {link.index: link.name for link in own.links()}
        found = [(names[i], ipaddress.ip_interface(a).ip) for i, a in own.addresses() if i in names]
    return [(name, str(address)) for name, address in found if not address.is_loopback]


def gateways():
    found = []
    with open("/proc/net/route", encoding="ascii") as file:
        for line in file.read().splitlines()[1:]:
            fields = line.split()
            if fields[1] == "00000000":
                found.append(socket.inet_ntoa(struct.pack("<I", int(fields[2], 16))))
    return found


def candidates():
    machine = [address for _, address in own_addresses()]
    return [*machine, *gateways(), *OUTSIDE, *BRIDGES]


def test_the_recorder_sees_what_is_sent():
    mark = uuid.uuid4().bytes
    with Recorder() as recorder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(mark, ("127.0.0.1", 9))
    assert recorder.of(mark)


def test_nodes_reach_each_other(lab):
    r2 = lab.spec.node("r2")
    addresses = {"198.18.77.2", "fd77:1ab::2", r2.mgmt_ipv4, r2.mgmt_ipv6}
    until(lambda: set(lab.answering("r1", sorted(addresses))) == addresses, "r2 answers r1")


@pytest.mark.both
def test_there_is_no_route_out(lab):
    for family in ("-4", "-6"):
        assert lab.run("r1", "ip", family, "route", "show", "default").stdout == ""
    for address in OUTSIDE:
        assert "unreachable" in lab.run("r1", "ping", "-c", "1", "-W", "1", address).stderr.lower()


@pytest.mark.parametrize(
    "way",
    [
        "as deployed",
        pytest.param("default routes out of eth0", marks=pytest.mark.both),
        "default routes out of eth1",
    ],
)
def test_nothing_outside_answers_and_no_frame_gets_out(lab, way):
    with Recorder() as recorder, routes(lab, way):
        for node in ("r1", "r2"):
            assert lab.answering(node, candidates()) == []
        everybody = lab.run("r1", "ping", "-n", "-c", "2", "-W", "1", "-I", "eth0", "ff02::1").stdout
        strangers = [line for line in everybody.splitlines() if "bytes from" in line and not ours(lab, line)]
        assert strangers == []
    leaked = recorder.of(*lab.macs, *addresses_that_identify(lab))
    assert leaked == []


@pytest.mark.both
def test_no_tcp_or_udp_port_of_the_machine_is_reachable(lab):
    with socket.create_server(("0.0.0.0", 0)) as four, listener6() as six:
        ports = {4: four.getsockname()[1], 6: six.getsockname()[1]}
        for _, address in own_addresses():
            port = ports[ipaddress.ip_address(address).version]
            done = lab.run("r1", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}", timeout_s=30)
            assert done.code != 0, f"{address}:{port} accepts a connection from a node"
        four.setblocking(False)
        with pytest.raises(BlockingIOError):
            four.accept()


def test_the_machine_has_no_leg_in_the_lab(lab):
    with Netlink() as own:
        links = own.links()
        addresses = [ipaddress.ip_interface(a) for _, a in own.addresses()]
    assert [link for link in links if bytes.fromhex(link.mac.replace(":", "")) in lab.macs] == []
    subnets = [
        ipaddress.ip_network(lab.spec.mgmt.ipv4_subnet),
        ipaddress.ip_network(lab.spec.mgmt.ipv6_subnet),
    ]
    subnets += DATA
    assert [a for a in addresses if any(a.ip in s for s in subnets if s.version == a.version)] == []


@pytest.mark.both
def test_the_machines_sockets_processes_and_devices_are_out_of_sight(lab):
    with open("/proc/self/net/unix") as file:
        own = file.read()
    abstract = {line.split()[-1] for line in own.splitlines() if " @" in line}
    inside = lab.run("r1", "cat", "/proc/net/unix").stdout
    assert not abstract & {line.split()[-1] for line in inside.splitlines() if " @" in line}
    count = int(lab.run("r1", "bash", "-c", "ls -d /proc/[0-9]* | wc -l").stdout)
    assert count < 20
    assert lab.run("r1", "test", "-e", f"/proc/{os.getpid()}/cwd{os.getcwd()}/pyproject.toml").code != 0
    assert lab.run("r1", "bash", "-c", "ls /dev/vda /dev/sda /dev/mem /dev/kmsg 2>/dev/null").stdout == ""


@contextlib.contextmanager
def routes(lab, way):
    """Make the kernel of the nodes try: with a default route it asks by ARP and ND for everybody."""
    device = way.rpartition(" ")[2]
    if not device.startswith("eth"):
        yield
        return
    for node in ("r1", "r2"):
        for family in ("-4", "-6"):
            done = lab.run(node, "ip", family, "route", "add", "default", "dev", device)
            assert done.code == 0, done.stderr
    try:
        yield
    finally:
        for node in ("r1", "r2"):
            for family in ("-4", "-6"):
                lab.run(node, "ip", family, "route", "del", "default", "dev", device)


def ours(lab, line):
    """Whether an answer to ff02::1 comes from a node of the lab."""
    source = line.split("from ")[1].split()[0].rstrip(":").partition("%")[0]
    return ipaddress.ip_address(source).packed in lab.addresses


def addresses_that_identify(lab):
    """IPv6 addresses are 16 bytes and cannot be confused; 4 bytes of IPv4 could be anywhere in a payload."""
    link_local = ipaddress.ip_network("fe80::/64")
    six = [a for a in lab.addresses if len(a) == 16]
    four = [a for a in lab.addresses if len(a) == 4]
    assert any(ipaddress.ip_address(a) in link_local for a in six)
    data = [a for a in four if ipaddress.ip_address(a) in DATA[0]]
    assert data
    return [*six, *data]


def listener6():
    found = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    found.bind(("::", 0))
    found.listen()
    return found
