"""Messages as the kernel sends them, built by hand; tests/system/test_converge.py reads real ones."""

import socket
import struct

from labctl.linux.routes import parse_own, parse_route
from labctl.model.routes import NextHop

NAMES = {2: "eth1", 3: "eth2"}


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def body(*attributes, family=2, length=24, table=254, protocol=188, scope=0, kind=1, flags=0):
    return struct.pack("=BBBBBBBBI", family, length, 0, 0, table, protocol, scope, kind, flags) + b"".join(
        attributes
    )


def dst(text):
    return attribute(1, socket.inet_aton(text))


def oif(index):
    return attribute(4, struct.pack("=I", index))


def gateway(text):
    return attribute(5, socket.inet_aton(text))


def hop(index, via, flags=0):
    inner = gateway(via)
    return struct.pack("=HBBi", 8 + len(inner), flags, 0, index) + inner


def test_a_route_through_a_gateway():
    key, route = parse_route(
        body(dst("10.0.3.0"), oif(2), gateway("10.0.0.1"), attribute(6, struct.pack("=I", 20))), NAMES
    )
    assert key == ("10.0.3.0/24", 20)
    assert (route.protocol, route.next_hops) == ("ospf", {NextHop("10.0.0.1", "eth1")})


def test_a_path_without_carrier_is_no_path():
    paths = attribute(9, hop(2, "10.0.0.1") + hop(3, "10.0.1.1", flags=0x10))
    _, route = parse_route(body(dst("10.0.3.0"), paths), NAMES)
    assert route.next_hops == {NextHop("10.0.0.1", "eth1")}


def test_connected_is_the_kernels_route_of_an_address():
    _, route = parse_route(body(dst("10.0.0.0"), oif(3), protocol=2, scope=253), NAMES)
    assert (route.protocol, route.next_hops) == ("connected", {NextHop("", "eth2")})
    _, dead = parse_route(body(dst("10.0.0.0"), oif(3), protocol=2, scope=253, flags=0x10), NAMES)
    assert (dead.protocol, dead.next_hops) == ("connected", frozenset())


def test_default_route_and_blackhole():
    _, default = parse_route(body(oif(2), gateway("10.0.0.1"), length=0, protocol=3), NAMES)
    assert (default.prefix, default.protocol) == ("0.0.0.0/0", "boot")
    _, hole = parse_route(body(dst("192.0.2.0"), kind=6, protocol=196), NAMES)
    assert (hole.kind, hole.protocol, hole.next_hops) == ("blackhole", "static", frozenset())


def test_other_tables_local_addresses_and_caches_are_not_routes():
    assert parse_route(body(dst("10.0.0.0"), oif(2), table=255), NAMES) is None
    assert parse_route(body(dst("10.0.0.1"), oif(2), kind=2), NAMES) is None
    assert parse_route(body(dst("10.0.0.1"), oif(2), flags=0x200), NAMES) is None
    assert (
        parse_route(body(dst("10.0.0.0"), oif(2), attribute(15, struct.pack("=I", 1000)), table=0), NAMES)
        is None
    )


def test_an_address_of_the_local_table():
    own = parse_own(body(dst("10.0.0.1"), oif(2), length=32, table=255, protocol=2, kind=2), NAMES)
    assert (own.prefix, own.protocol, own.next_hops) == ("10.0.0.1/32", "local", {NextHop("", "eth1")})
    assert parse_own(body(dst("10.0.0.255"), oif(2), length=32, table=255, kind=3), NAMES) is None
    assert parse_own(body(dst("127.0.0.1"), oif(1), length=32, table=255, kind=2), NAMES) is None
