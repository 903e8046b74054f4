"""What production's devices print, read from small answers of our own."""

import contextlib
import json
import os
import tempfile
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.ingest import recorded
from labctl.ingest.recorded import eos, frr, ios, linux
from labctl.model.recorded import Recorded
from labctl.model.routes import NextHop

IOS = """\
Codes: L - local, C - connected, S - static, R - RIP, M - mobile, B - BGP
       i - IS-IS, su - IS-IS summary, L1 - IS-IS level-1, L2 - IS-IS level-2

Gateway of last resort is 10.0.0.1 to network 0.0.0.0

S*    0.0.0.0/0 [1/0] via 10.0.0.1
      10.0.0.0/8 is variably subnetted, 6 subnets, 3 masks
C        10.0.0.0/30 is directly connected, GigabitEthernet0/0
L        10.0.0.2/32 is directly connected, GigabitEthernet0/0
O E2     10.1.0.0/16 [110/20] via 10.0.0.1, 00:13:26, GigabitEthernet0/0
                     [110/20] via 10.0.0.5, 1d02h, GigabitEthernet0/1
O IA     10.2.0.0/16
           [110/3] via 10.0.0.5, 00:13:26, GigabitEthernet0/1
O        10.3.0.0/16 is a summary, 00:00:11, Null0
B        10.4.0.0/16 [200/0] via 0.0.0.0, 00:12:22, Null0
      172.16.0.0/24 is subnetted, 1 subnets
D EX     172.16.5.0
           [170/2585856] via 10.0.0.5, 13:45:04, GigabitEthernet0/1
B     192.168.9.0/24 [20/50] via 10.0.0.1, 00:11:37
R     10.0.0.0 [120/1] via 10.0.0.1, 00:00:02, Serial0

Routing Table: BLUE
C        10.99.0.0/30 is directly connected, GigabitEthernet0/9
"""


def test_ios_routes_with_their_ways_on_further_lines():
    found = {r.prefix: r for r in ios.parse_routes(IOS)}
    said = {
        prefix: (r.protocol, r.kind, sorted((h.via, h.interface) for h in r.next_hops))
        for prefix, r in found.items()
    }
    gi0, gi1 = "GigabitEthernet0/0", "GigabitEthernet0/1"
    assert said == {
        "0.0.0.0/0": ("static", "", [("10.0.0.1", "")]),
        "10.0.0.0/30": ("connected", "", [("", gi0)]),
        "10.0.0.2/32": ("local", "", [("", gi0)]),
        "10.1.0.0/16": ("ospf", "", [("10.0.0.1", gi0), ("10.0.0.5", gi1)]),
        "10.2.0.0/16": ("ospf", "", [("10.0.0.5", gi1)]),
        "10.3.0.0/16": ("ospf", "blackhole", []),
        "10.4.0.0/16": ("bgp", "blackhole", []),
        "172.16.5.0/24": ("eigrp", "", [("10.0.0.5", gi1)]),
        "192.168.9.0/24": ("bgp", "", [("10.0.0.1", "")]),
        "10.0.0.0/24": ("rip", "", [("10.0.0.1", "Serial0")]),
    }
    assert (found["10.1.0.0/16"].distance, found["10.1.0.0/16"].metric) == (110, 20)


def test_a_refused_command_is_no_empty_table():
    assert ios.read_routes("r1", "% Invalid input detected at '^' marker.\n", Recorded()).routes is None
    assert ios.read_routes("r1", "Gateway of last resort is not set\n", Recorded()).routes == ()


def test_ios_sessions():
    text = """\
Neighbor ID     Pri   State           Dead Time   Address         Interface
10.9.9.1          1   FULL/  -        00:00:36    10.0.0.1        GigabitEthernet0/0
10.9.9.2          1   EXSTART/BDR     00:00:38    10.0.0.5        GigabitEthernet0/1
"""
    found = list(ios.parse_ospf_neighbors("r1", text))
    assert [(a.peer, a.state, a.up, a.interface) for a in found] == [
        ("10.9.9.1", "FULL/-", True, "GigabitEthernet0/0"),
        ("10.9.9.2", "EXSTART/BDR", False, "GigabitEthernet0/1"),
    ]
    text = """\
For address family: IPv4 Unicast
BGP neighbor is 10.0.0.1,  remote AS 2, external link
  BGP state = Established, up for 00:13:51
BGP neighbor is 10.0.0.5,  remote AS 3, external link
  BGP state = Idle
For address family: VPNv4 Unicast
BGP neighbor is 10.0.0.1,  remote AS 2, external link
  BGP state = Established, up for 00:13:51
"""
    assert [(a.peer, a.up) for a in ios.parse_bgp_neighbors("r1", text)] == [
        ("10.0.0.1", True),
        ("10.0.0.5", False),
    ]


def test_ios_bgp_table_by_columns():
    text = """\
For address family: IPv4 Unicast

BGP table version is 14, local router ID is 1.1.1.1
Origin codes: i - IGP, e - EGP, ? - incomplete

     Network          Next Hop            Metric LocPrf Weight Path
 *>  10.1.0.0/24      0.0.0.0                  0         32768 i
 * i 10.2.0.0/16      10.13.22.3              50    350      0 3 2 i
 *>                   10.12.11.2                             0 2 ?
 r>i 192.168.123.3/32 1.2.2.2                  0    100      0 i

For address family: VPNv4 Unicast
"""
    found = list(ios.parse_bgp_table(text))
    assert [(p.prefix, p.via, p.best, p.internal, p.metric, p.local_preference) for p in found] == [
        ("10.1.0.0/24", "0.0.0.0", True, False, 0, None),
        ("10.2.0.0/16", "10.13.22.3", False, True, 50, 350),
        ("10.2.0.0/16", "10.12.11.2", True, False, None, None),
        ("192.168.123.3/32", "1.2.2.2", True, True, 0, 100),
    ]
    assert [(p.weight, p.as_path, p.origin) for p in found[:3]] == [
        (32768, (), "i"),
        (0, ("3", "2"), "i"),
        (0, ("2",), "?"),
    ]


def test_eos_in_json():
    said = {
        "vrfs": {
            "default": {
                "routes": {
                    "10.1.0.0/24": {
                        "routeType": "eBGP",
                        "preference": 200,
                        "vias": [{"interface": "Ethernet1", "nexthopAddr": "10.0.0.1"}],
                    },
                    "10.2.0.0/24": {"routeType": "static", "routeAction": "drop", "vias": []},
                }
            },
            "BLUE": {"routes": {"10.9.0.0/24": {"routeType": "connected", "vias": []}}},
        }
    }
    found = eos.read_routes("r1", json.dumps(said), Recorded()).routes
    assert [(r.prefix, r.protocol, r.kind) for r in found] == [
        ("10.1.0.0/24", "bgp", ""),
        ("10.2.0.0/24", "static", "blackhole"),
    ]
    assert found[0].next_hops == {NextHop("10.0.0.1", "Ethernet1")}
    assert eos.read_routes("r1", "% Unavailable command", Recorded()).routes is None


def test_frr_with_slashes_escaped_twice():
    hop = {"fib": True, "active": True, "ip": "10.0.0.1", "interfaceName": "swp1"}
    said = json.dumps({"10.1.0.0\\/24": [{"protocol": "bgp", "selected": True, "nexthops": [hop]}]})
    (found,) = frr.read_routes("r1", said, Recorded()).routes
    assert (found.prefix, found.protocol, found.next_hops) == (
        "10.1.0.0/24",
        "bgp",
        {NextHop("10.0.0.1", "swp1")},
    )


def frr_route(prefix, interface, vrf="default"):
    hop = {"fib": True, "active": True, "directlyConnected": True, "interfaceName": interface}
    return {prefix: [{"protocol": "connected", "selected": True, "vrfName": vrf, "nexthops": [hop]}]}


OWN, BLUE = frr_route("10.0.0.0/24", "eth1"), frr_route("10.9.0.0/24", "eth9", "blue")


@pytest.mark.parametrize(
    "text",
    [
        f"{json.dumps(OWN)}\n{json.dumps(BLUE)}\n",  # one object for each VRF
        json.dumps({"default": OWN, "blue": BLUE}),  # an object of VRFs
        json.dumps(OWN | BLUE),
    ],
)
def test_frr_tables_of_vrfs_are_kept_apart(text):
    found = frr.read_routes("r1", text, Recorded())
    assert [r.prefix for r in found.routes] == ["10.0.0.0/24"]
    assert {vrf: [r.prefix for r in table] for vrf, table in found.vrfs.items()} == {"blue": ["10.9.0.0/24"]}
    assert found.families == {4}


def test_frr_that_does_not_answer_is_no_empty_table():
    for text in ("zebra is not running\n", "", "{}", '{"10.0.0.0/8": [], ', "[1]"):
        assert frr.read_routes("r1", text, Recorded()).routes is None
    both = frr.read_routes6("r1", "{}", frr.read_routes("r1", json.dumps(OWN), Recorded()))
    assert (both.families, len(both.routes)) == ({4, 6}, 1)  # it has no IPv6, and was asked


def test_eos_ipv6_beside_ipv4_and_a_vrf():
    def said(**tables):
        rows = {
            prefix: {"routeType": "static", "vias": [{"interface": "Ethernet1", "nexthopAddr": "fe80::1"}]}
            for prefix in tables.values()
        }
        return json.dumps({"vrfs": {vrf: {"routes": {p: rows[p]}} for vrf, p in tables.items()}})

    found = eos.read_routes6("r1", said(default="2001:db8::/64", BLUE="2001:db8:9::/64"), Recorded())
    found = eos.read_routes("r1", said(default="10.0.0.0/8"), found)
    assert [r.prefix for r in found.routes] == ["2001:db8::/64", "10.0.0.0/8"]
    assert (found.families, list(found.vrfs)) == ({4, 6}, ["BLUE"])


def test_a_host_s_kernel():
    main = [
        {"dst": "default", "gateway": "10.0.0.1", "dev": "eth1", "flags": []},
        {"dst": "10.0.0.0/24", "dev": "eth1", "protocol": "kernel", "scope": "link", "flags": []},
        {"dst": "10.5.0.0/24", "dev": "eth2", "protocol": "kernel", "scope": "link", "flags": ["linkdown"]},
        {"dst": "10.6.0.9", "protocol": "static", "nexthops": [
            {"gateway": "10.0.0.2", "dev": "eth1", "flags": []}, {"via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth2"}]},
        {"type": "blackhole", "dst": "10.7.0.0/16", "protocol": "static"},
        {"type": "broadcast", "dst": "10.0.0.255", "dev": "eth1"},
    ]  # fmt: skip
    found = linux.read_routes("h1", json.dumps(main), Recorded())
    assert [
        (r.prefix, r.protocol, r.kind, sorted((h.via, h.interface) for h in r.next_hops))
        for r in found.routes
    ] == [
        ("0.0.0.0/0", "boot", "", [("10.0.0.1", "eth1")]),
        ("10.0.0.0/24", "connected", "", [("", "eth1")]),
        ("10.5.0.0/24", "connected", "", []),
        ("10.6.0.9/32", "static", "", [("10.0.0.2", "eth1"), ("fe80::1", "eth2")]),
        ("10.7.0.0/16", "static", "blackhole", []),
    ]
    assert linux.read_routes6("h1", "", found).families == {4, 6}
    assert linux.read_routes("h1", "Error: no such table", Recorded()).routes is None
    local = [
        {"type": "local", "dst": "10.0.0.9", "dev": "eth1"},
        {"type": "local", "dst": "127.0.0.0/8", "dev": "lo"},
        {"type": "local", "dst": "fe80::1", "dev": "eth1"},
        {"type": "broadcast", "dst": "10.0.0.255", "dev": "eth1"},
    ]
    assert [r.prefix for r in linux.read_own("h1", json.dumps(local), Recorded()).own] == ["10.0.0.9/32"]


def test_a_snapshot_directory(tmp_path):
    for name in ("configs", "show/r1", "show/r2"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "show/r1/show_ip_route.txt").write_text(IOS)
    (tmp_path / "show/r2/show_route.txt").write_text("inet.0: 3 destinations")
    (tmp_path / "show/hosts.txt").write_text("")
    found = recorded.read(str(tmp_path))
    assert {name: said.routes is not None for name, said in found.items()} == {"r1": True, "r2": False}
    assert recorded.is_recorded(str(tmp_path))
    assert not recorded.is_recorded(str(tmp_path / "show"))


READER = st.sampled_from(sorted(recorded.READERS))


def answered(directory, command, text):
    place = Path(directory) / "show" / "r1"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{command}.txt").write_text(text, encoding="utf-8", newline="")
    return recorded.read(directory)["r1"]


@given(READER, st.data())
def test_no_answer_gives_a_traceback(command, data):
    """Any text, any JSON, and an IOS table with a few characters changed."""
    value = st.recursive(
        st.none() | st.integers() | st.text(max_size=8), lambda s: st.lists(s) | st.dictionaries(KEYS, s)
    )
    text = data.draw(st.text(max_size=200) | value.map(json.dumps) | cut(IOS))
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(LabctlError):
        for route in answered(directory, command, text).routes or ():
            assert ip_network(route.prefix)


KEYS = st.sampled_from(
    ["vrfs", "default", "routes", "10.0.0.0/8", "vias", "peerList", "instList", "neighbors", "nexthops"]
)


def cut(text):
    """The text with one stretch replaced."""

    def changed(draw):
        at, length, new = draw
        return text[:at] + new + text[at + length :]

    place = st.integers(0, len(text))
    return st.tuples(place, st.integers(0, 30), st.text("0123456789./,[]abOBS \n", max_size=8)).map(changed)


def test_an_answer_in_another_shape_is_an_error_with_its_place(tmp_path):
    with pytest.raises(LabctlError) as error:
        answered(str(tmp_path), "show_ip_route", IOS.replace("10.1.0.0/16", "10.1.0.0/99"))
    assert error.value.code == "bad-row"
    assert str(error.value.where).endswith("show/r1/show_ip_route.txt")


def test_a_code_that_is_not_known_keeps_its_letter():
    said = "Gateway of last resort is not set\n\nU        10.0.0.0/24 [1/0] via 10.1.1.1\n"
    assert [r.protocol for r in ios.parse_routes(said)] == ["U"]


CORPUS = Path(os.environ.get("LABCTL_CORPUS", "../shared/corpus")) / "lab-validation"


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
def test_the_recorded_routes_of_thirteen_routers():
    routes = [r for said in recorded.read(str(CORPUS / "ios_example_network")).values() for r in said.routes]
    kinds = [r.protocol for r in routes]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "ospf": 141,
        "bgp": 73,
        "connected": 71,
        "local": 45,
        "static": 10,
    }
    assert all(r.next_hops or r.kind for r in routes)
