"""A cable between two namespaces, stitched as the panel does it, and traffic over it that is counted frame by frame.

Nothing of a lab is needed: this runs wherever there are namespaces, also in user-mode Linux. Every frame that `flood`
sends carries its number in its last four bytes; who receives reads it there, with the kernel's time of arrival.
"""

import contextlib
import itertools
import os
import socket
import struct
import time
from dataclasses import dataclass, field

from rig import has_offload

from labctl.linux import mounts, netns, qdisc, tc
from labctl.linux.netlink import Netlink, VethEnd
from labctl.linux.offload import Offload
from labctl.runtime.impair import Half, Impairer, port
from labctl.runtime.impair.port import VNET, Batch

MACS = {"a": "02:00:00:00:00:0a", "z": "02:00:00:00:00:0f"}
ADDRESSES = {"a": ("10.9.0.1", "2001:db8:9::1"), "z": ("10.9.0.2", "2001:db8:9::2")}
SIDES = {"a": "p0", "z": "p1"}


@dataclass
class Field:
    """Namespaces a, z and panel; `half("a")` is the half-cable that a sends on."""

    root: str
    impairers: list = field(default_factory=list)

    def path(self, name):
        return os.path.join(self.root, "ns", name)

    def half(self, name="a"):
        far = "z" if name == "a" else "a"
        return Half(
            panel=self.path("panel"),
            device_in=SIDES[name],
            device_out=SIDES[far],
            sender=(self.path(name), "eth1"),
            frame_bytes=1514,
        )

    def impairer(self, among=None):
        made = Impairer(self.path("panel"), os.path.join(self.root, "wire"), among=among)
        self.impairers.append(made)
        return made

    def state(self):
        """Everything of the panel and the nodes' ends that an impairment could leave behind."""
        found = {}
        with Netlink(self.path("panel")) as panel:
            for link in panel.links():
                queue = qdisc.root(panel, link.index)
                filters = [(f.kind, f.preference, f.redirect) for f in tc.filters(panel, link.index)]
                found[link.name] = (link.up, link.mtu, link.alias, queue and queue.kind, filters)
        for name in SIDES:
            found[f"offloads of {name}"] = [has_offload(self.path(name), "eth1", each) for each in Offload]
        return found


@contextlib.contextmanager
def cable(root, mtu=1500, *, addresses=False):
    """Build it; everything is gone afterwards. Without addresses no end ever says a word by itself."""
    made = Field(str(root))
    names = ("a", "z", "panel")
    os.makedirs(os.path.join(made.root, "wire"))
    netns.prepare(os.path.join(made.root, "ns"))
    try:
        for name in names:
            netns.create(made.path(name))
        for name, key in itertools.product(["panel"] if addresses else names, ("all", "default")):
            netns.write_sysctl(made.path(name), f"net.ipv6.conf.{key}.disable_ipv6", "1")
        for name, side in SIDES.items():
            with Netlink(made.path("panel")) as panel, netns.opened(made.path(name)) as fd:
                end = VethEnd(name="eth1", netns_fd=fd, mac=MACS[name], mtu=mtu)
                panel.create_veth(end, VethEnd(name=side, mtu=65535, noarp=True), up=True)
                panel.set_link(side, up=True)
        with Netlink(made.path("panel")) as panel:
            for here, there in (("p0", "p1"), ("p1", "p0")):
                tc.add_clsact(panel, panel.index(here))
                tc.redirect(panel, panel.index(here), panel.index(there))
        for name in SIDES:
            with Netlink(made.path(name)) as inside:
                _until_it_sends(inside)
        for name, (four, six) in ADDRESSES.items() if addresses else ():
            with Netlink(made.path(name)) as inside:
                inside.set_link("lo", up=True)
                for address, length in ((four, 24), (six, 64)):
                    inside.add_address(inside.index("eth1"), f"{address}/{length}", dad=False)
        yield made
    finally:
        for each in made.impairers:
            with contextlib.suppress(OSError):
                each.wire.stop()
            each.close()
        for name in names:
            netns.delete(made.path(name))
        mounts.unmount(os.path.join(made.root, "ns"))


def _until_it_sends(inside):
    """The link watcher of a busy kernel takes its time, and until then a device swallows what it is given."""
    while not inside.link("eth1").oper_up:
        time.sleep(0.001)


# -- frames ----------------------------------------------------------------------------------------------------


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _mac(name):
    return bytes.fromhex(MACS[name].replace(":", ""))


def ip4(protocol, body, source="a", target="z"):
    addresses = [socket.inet_aton(ADDRESSES[n][0]) for n in (source, target)]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + b"".join(addresses)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return _mac(target) + _mac(source) + b"\x08\x00" + head + body


def ip6(protocol, body, source="a", target="z"):
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, ADDRESSES[n][1]) for n in (source, target))
    return (
        _mac(target)
        + _mac(source)
        + b"\x86\xdd"
        + struct.pack("!IHBB", 6 << 28, len(body), protocol, 64)
        + addresses
        + body
    )


def udp_body(source, target, payload):
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def tcp_body(source, target, payload):
    return struct.pack("!HHIIHHHH", source, target, 1, 0, 0x5010, 99, 0, 0) + payload


KINDS = {
    "raw": lambda tail: bytes.fromhex("ffffffffffff") + _mac("a") + b"\x88\xb5" + bytes(42) + tail,
    "udp4": lambda tail: ip4(17, udp_body(1000, 2000, bytes(18) + tail)),
    "udp6": lambda tail: ip6(17, udp_body(1000, 2000, bytes(18) + tail)),
    "arp": lambda tail: (
        bytes.fromhex("ffffffffffff")
        + _mac("a")
        + b"\x08\x06"
        + bytes.fromhex("00010800060400020000000000000a090001ffffffffffff0a090001")
        + bytes(14)
        + tail
    ),
    "lldp": lambda tail: bytes.fromhex("0180c200000e") + _mac("a") + b"\x88\xcc" + bytes(46) + tail,
    "ospf-hello": lambda tail: ip4(89, b"\x02\x01" + bytes(42) + tail),
    "ospf-update": lambda tail: ip4(89, b"\x02\x04" + bytes(42) + tail),
    "ospf6-hello": lambda tail: ip6(89, b"\x03\x01" + bytes(38) + tail),
    "bgp": lambda tail: ip4(6, tcp_body(50000, 179, bytes(19) + tail)),
    "bgp6": lambda tail: ip6(6, tcp_body(179, 50000, bytes(19) + tail)),
    "bfd": lambda tail: ip4(17, udp_body(50000, 3784, bytes(24) + tail)),
    "isis": lambda tail: (
        bytes.fromhex("0180c2000014") + _mac("a") + b"\x00\x60\xfe\xfe\x03\x83" + bytes(90) + tail
    ),
    "icmp": lambda tail: ip4(1, b"\x00\x00" + bytes(30) + tail),
    "nd": lambda tail: ip6(58, b"\x88\x00" + bytes(22) + tail),
}


# -- traffic ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Got:
    """What arrived: numbers in order of arrival, and the time from sending to arrival of each."""

    numbers: tuple
    delays: tuple
    arrivals: tuple
    sizes: tuple
    sent: int

    @property
    def lost(self):
        return self.sent - len(set(self.numbers))

    @property
    def duplicated(self):
        return len(self.numbers) - len(set(self.numbers))


def flood(made, count, kinds=("raw",), *, pps=30_000, size=None, sender="a", quiet_s=0.3, meanwhile=None):
    """Send `count` frames at a steady pace (kinds in turn) and collect what arrives until it is quiet for a while.

    `meanwhile` is called again and again while frames are under way; what it does must not lose any.
    """
    far = "z" if sender == "a" else "a"
    batch = Batch()
    with port.receiver("eth1", made.path(far)) as receiver:
        stamps = _shared(count)
        frames = [KINDS[kind](MARK + bytes(4)) for kind in kinds]
        if size is not None:
            frames = [f[:-7] + bytes(max(0, size - len(f))) + f[-7:] for f in frames]
        child = _send(made, sender, [frame[:-4] for frame in frames], pps, stamps)
        numbers, arrivals, sizes, ended, last = [], [], [], None, time.monotonic()
        while ended is None or time.monotonic() - last < quiet_s:
            if meanwhile is not None and ended is None:
                meanwhile()
            any_came = False
            for came, frame in batch.read(receiver.fileno()):
                if not _ours(frame):
                    continue
                any_came = True
                numbers.append(struct.unpack("!I", frame[-4:])[0])
                arrivals.append(came)
                sizes.append(len(frame) - VNET)
            if any_came:
                last = time.monotonic()
            elif meanwhile is None:
                time.sleep(0.0005)
            if ended is None:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    assert status == 0, "the sender failed"
                    ended, last = time.monotonic(), max(last, time.monotonic())
        sent_at = memoryview(stamps).cast("d")
        delays = tuple(at - sent_at[n] for n, at in zip(numbers, arrivals, strict=True))
    return Got(tuple(numbers), delays, tuple(arrivals), tuple(sizes), count)


MARK = b"\x5a\xa5\x5a"


def _ours(frame):
    return frame[-7:-4] == MARK


def _shared(count):
    import mmap

    return mmap.mmap(-1, 8 * count)


def _send(made, sender, heads, pps, stamps):
    with netns.socket_in(made.path(sender), socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("eth1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            _paced(sock, heads, pps, memoryview(stamps).cast("d"))
            code = 0
        finally:
            os._exit(code)


def _paced(sock, heads, pps, stamps):
    began, clock, send, pack = time.monotonic(), time.monotonic, sock.send, struct.Struct("!I").pack
    many = len(heads)
    for number in range(len(stamps)):
        due = began + number / pps
        while True:
            ahead = due - time.monotonic()
            if ahead <= 0:
                break
            if ahead > 0.0002:
                time.sleep(ahead - 0.0001)
        stamps[number] = clock()
        while True:
            try:
                send(heads[number % many] + pack(number))
                break
            except OSError as error:
                if error.errno != 105:  # ENOBUFS
                    raise


def replug(made, name):
    """Give an end a new pair, as a node's restart does: same names and address, other devices, both stitches anew."""
    side, other = SIDES[name], SIDES["z" if name == "a" else "a"]
    with Netlink(made.path("panel")) as panel, netns.opened(made.path(name)) as fd:
        panel.delete_link(side)
        end = VethEnd(name="eth1", netns_fd=fd, mac=MACS[name], mtu=1500)
        panel.create_veth(end, VethEnd(name=side, mtu=65535, noarp=True), up=True)
        panel.set_link(side, up=True)
        for here, there in ((side, other), (other, side)):
            tc.add_clsact(panel, panel.index(here))
            tc.remove_filter(panel, panel.index(here), preference=tc.STITCH_PREFERENCE)
            tc.redirect(panel, panel.index(here), panel.index(there))
    with Netlink(made.path(name)) as inside:
        _until_it_sends(inside)


def until_reaped(impairer):
    """Until every detour that was closed has run empty and is gone."""
    for _ in range(1000):
        if not impairer.reap():
            return
        time.sleep(0.01)
    raise AssertionError("a detour is never empty")
