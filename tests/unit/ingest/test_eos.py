"""The EOS parser: what differs from IOS, Arista's defaults as values, every line in one class."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError, Span
from labctl.ingest.draft import Draft
from labctl.ingest.eos import is_eos, parse
from labctl.ingest.eos.build import defaults
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import recognise
from labctl.model.account import LineClass
from labctl.model.config import Discard, InterfaceKind
from labctl.model.policy import Action, Afi

CORPUS = Path(__file__).parents[3] / os.environ.get("LABCTL_CORPUS", "../shared/corpus")
SOAK = os.environ.get("LABCTL_SOAK") == "1"

LEAF = """\
! Command: show running-config
! device: leaf (vEOS, EOS-4.23.0.1F)
!
transceiver qsfp default-mode 4x10G
!
hostname leaf
!
spanning-tree mode mstp
!
no aaa root
!
username admin privilege 15 role network-admin secret sha512 $6$abcdef$0123
!
interface Ethernet1
   description to spine
   mtu 9000
   no switchport
   ip address 10.0.1.1/31
   ip ospf network point-to-point
!
interface Ethernet2
!
interface Port-Channel7
   no switchport
   ip address 10.0.7.1/24
   ip address 10.0.8.1/24 secondary
!
interface Loopback0
   ip address 10.255.0.1/32
!
interface Management1
   ip address 192.0.2.7/24
!
interface Vlan20
   ip address 10.0.20.1/24
   ip ospf area 0.0.0.7
!
ip routing
!
ip route 10.200.0.0/24 Null0
ip route 0.0.0.0/0 10.0.1.0 220 tag 9
!
ip prefix-list SHORT seq 10 permit 10.0.0.0/8 le 24
!
ip prefix-list NESTED
   seq 10 permit 10.9.0.0/16
   seq 20 deny 10.0.0.0/8 ge 25
!
ip access-list EDGE
   10 permit tcp 10.0.0.0/8 any eq bgp
   20 deny ip any any log
!
ip community-list regexp GREEN permit 65001:.*
ip as-path access-list UP permit ^65100_ any
!
route-map OUT permit 10
   match ip address prefix-list SHORT NESTED
   set local-preference 0
!
router bgp 65001
   router-id 10.255.0.1
   maximum-paths 4 ecmp 8
   neighbor SPINES peer group
   neighbor SPINES remote-as 65100
   neighbor SPINES route-map NOWHERE in
   neighbor SPINES send-community extended
   neighbor SPINES maximum-routes 0
   neighbor 10.0.1.0 peer group SPINES
   neighbor 10.255.0.2 remote-as 65001
   neighbor 10.255.0.2 update-source Loopback0
   neighbor 10.255.0.2 maximum-routes 12000
   aggregate-address 10.200.0.0/16 summary-only
   redistribute connected route-map OUT
   !
   address-family ipv4
      neighbor 10.255.0.2 route-map OUT out
      network 10.255.0.1/32
   !
   vrf BLUE
      neighbor 10.99.0.1 remote-as 65009
!
router ospf 10
   router-id 10.255.0.1
   passive-interface default
   no passive-interface Ethernet1
   redistribute bgp route-map OUT
   redistribute static
   network 10.0.0.0/22 area 0.0.0.0
   max-lsa 12000
   default-information originate
!
management api http-commands
   no shutdown
!
end
"""


def parsed(text):
    return parse(text, file="leaf.cfg", device="leaf", redactor=Redactor())


@pytest.fixture(scope="module")
def leaf():
    return parsed(LEAF)


def test_ports_are_switched_unless_they_are_told_to_route(leaf):
    found = {i.name: i for i in leaf.config.interfaces}
    assert {name for name, i in found.items() if i.switched} == {"Ethernet2"}
    assert found["Management1"].mgmt
    assert found["Port-Channel7"].ipv4 == ("10.0.7.1/24", "10.0.8.1/24")
    assert found["Port-Channel7"].kind is InterfaceKind.LAG
    assert (found["Ethernet1"].mtu, found["Ethernet1"].description) == (9000, "to spine")


def test_a_bundle_and_a_switched_port_are_not_emulated():
    found = parsed(
        "interface Ethernet3\n   channel-group 7 mode active\ninterface Ethernet4\n   switchport access vlan 20\n"
        "interface Vlan20\n   ip address 10.0.20.1/24\nvlan 20\n"
    )
    assert found.config.interface("Ethernet3").lag == "Port-Channel7"
    assert found.config.interface("Vlan20").kind is InterfaceKind.SVI
    assert [line.text for line in found.account.of(LineClass.UNSUPPORTED)] == [
        "channel-group 7 mode active",
        "switchport access vlan 20",
        "vlan 20",
    ]
    assert found.account.of(LineClass.UNKNOWN, LineClass.IRRELEVANT) == ()


def test_nothing_is_routed_without_ip_routing(leaf):
    assert leaf.config.forwarding_v4
    assert not parsed("hostname a\n").config.forwarding_v4
    assert not leaf.config.forwarding_v6


def test_static_routes(leaf):
    drop, default = leaf.config.static_routes
    assert (drop.prefix, drop.discard, drop.interface) == ("10.200.0.0/24", Discard.BLACKHOLE, None)
    assert (default.next_hop, default.distance, default.tag) == ("10.0.1.0", 220, 9)


def test_ospf(leaf):
    ospf = leaf.config.ospf
    found = {i.name: i.ospf for i in leaf.config.interfaces}
    assert [(n.prefix, n.area) for n in ospf.networks] == [("10.0.0.0/22", "0.0.0.0")]
    assert found["Vlan20"].area == "0.0.0.7"
    assert {o.cost for o in found.values()} == {10}
    assert {name for name, o in found.items() if not o.passive} == {"Ethernet1"}
    assert {r.source: r.metric for r in ospf.redistribute} == {"bgp": 1, "static": 10}
    by_speed = parsed("interface Ethernet1\nrouter ospf 1\n   auto-cost reference-bandwidth 100000\n").config
    assert by_speed.interfaces[0].ospf.cost is None
    assert by_speed.interfaces[0].nominal_bps == 10 * 10**9


def test_bgp(leaf):
    bgp = leaf.config.bgp
    v4 = bgp.family(Afi.IPV4)
    assert (v4.max_paths_ebgp, v4.max_paths_ibgp) == (4, 4)
    assert (v4.distance_ebgp, v4.distance_ibgp, v4.distance_local) == (200, 200, 200)
    assert [n.prefix for n in v4.networks] == ["10.255.0.1/32"]
    assert v4.redistribute[0].route_map == "OUT"
    spine, inside = bgp.neighbors
    assert (spine.remote_as, spine.advertisement_interval_s) == (65100, 0)
    spine4, inside4 = spine.family(Afi.IPV4), inside.family(Afi.IPV4)
    assert (spine4.maximum_prefix, inside4.maximum_prefix) == (None, 12000)
    assert (spine4.send_community, spine4.send_ext_community) == (False, True)
    assert (inside4.route_map_out, inside.update_source) == ("OUT", "Loopback0")


def test_undefined_route_maps_permit(leaf):
    assert leaf.config.undefined.route_map is Action.PERMIT


def test_lists_may_have_a_context_of_their_own(leaf):
    nested = next(p for p in leaf.config.prefix_lists if p.name == "NESTED")
    assert [(e.seq, e.action, e.prefix, e.ge) for e in nested.entries] == [
        (10, Action.PERMIT, "10.9.0.0/16", None),
        (20, Action.DENY, "10.0.0.0/8", 25),
    ]
    (edge,) = leaf.config.packet_filters
    assert (edge.entries[0].source.wildcard, edge.entries[0].target_ports) == ("0.255.255.255", ((179, 179),))
    assert leaf.config.community_lists[0].entries[0].values == ("65001:.*",)
    assert leaf.config.as_path_lists[0].entries[0].regex == "^65100_"


def test_the_account(leaf):
    assert leaf.account.of(LineClass.UNKNOWN) == ()
    assert [line.text for line in leaf.account.of(LineClass.UNSUPPORTED)] == [
        "vrf BLUE",
        "neighbor 10.99.0.1 remote-as 65009",
    ]
    assert "$6$" not in "\n".join(line.text for line in leaf.account.lines)


WORDS = st.sampled_from(sorted({word for line in LEAF.split("\n") for word in line.split()}))
LINES = st.builds(
    lambda indent, words: indent + " ".join(words),
    st.sampled_from(("", "   ", "      ")),
    st.lists(WORDS, max_size=9),
)


@settings(max_examples=3000 if SOAK else 100, deadline=None, derandomize=not SOAK)
@given(st.lists(LINES | st.text(max_size=30), max_size=25).map("\n".join))
def test_no_input_is_a_traceback(text):
    try:
        found = parsed(text)
    except LabctlError:
        return
    lines = enumerate(text.split("\n"), 1)
    wanted = [number for number, line in lines if line.split() and not line.split()[0].startswith("!")]
    assert [line.where.line for line in found.account.lines] == wanted


@settings(max_examples=3000 if SOAK else 100, deadline=None, derandomize=not SOAK)
@given(st.integers(0, len(LEAF) - 2), st.sampled_from(("", "x", "0", "!", " ", "no ")))
def test_no_line_becomes_irrelevant_by_a_mutation(place, instead):
    text = LEAF[:place] + instead + LEAF[place + 1 :] if LEAF[place] != "\n" else LEAF
    try:
        found = parsed(text)
    except LabctlError:
        return
    before = {line.where.line: line.cls for line in parsed(LEAF).account.lines}
    for line in found.account.of(LineClass.IRRELEVANT):
        assert before.get(line.where.line, LineClass.IRRELEVANT) is LineClass.IRRELEVANT, line


def test_eos_is_told_from_others(tmp_path):
    assert is_eos(LEAF.encode()[:400])
    assert not is_eos(b"version 15.2\nservice pad\n")
    (tmp_path / "leaf.cfg").write_text(LEAF)
    ((claimed,), _) = recognise([str(tmp_path)])
    assert claimed.source == "eos"


@pytest.mark.corpus
@pytest.mark.parametrize("lab", ["eos_ospf_bgp", "eos_ibgp_local_preference", "eos_undefined_route_map"])
def test_every_line_of_a_recorded_network_is_modelled(lab):
    paths = sorted((CORPUS / "lab-validation" / lab / "configs").rglob("*.txt"))
    if not paths:
        pytest.skip(f"no corpus at {CORPUS}")
    for path in paths:
        if is_eos(path.read_bytes()[:4096]):
            found = parse(path.read_text(), file=str(path), device=path.parent.name, redactor=Redactor())
            assert found.account.of(LineClass.UNKNOWN, LineClass.UNSUPPORTED, LineClass.APPROXIMATED) == ()


@pytest.mark.corpus
def test_the_defaults_that_are_said_to_be_recorded_are():
    """On the switches of the corpus: distance, cost, metric of BGP's routes in OSPF, several paths from a peer."""
    labs = CORPUS / "lab-validation"
    tables = [json.loads(p.read_text()) for p in labs.glob("eos_*/show/*/show_ip_route_vrf_all*json*")]
    if not tables:
        pytest.skip(f"no corpus at {CORPUS}")
    routes = [r for t in tables for v in t["vrfs"].values() for r in v["routes"].values()]
    default = defaults(Draft(file="r", device="r", redactor=Redactor(), where=Span("r")))
    bgp = {r["routeType"]: r["preference"] for r in routes if r["routeType"] in ("eBGP", "iBGP")}
    assert bgp == {
        "eBGP": default.bgp_family["distance_ebgp"],
        "iBGP": default.bgp_family["distance_ibgp"],
    }
    texts = [p.read_text() for p in labs.glob("eos_ospf_bgp/show/np0*/show_ip_route_vrf_all.txt")]
    beyond_ios = default.ospf_interface["cost"] + 1  # whose Gigabit Ethernet costs 1
    assert all(f"[110/{beyond_ios}] via" in text for text in texts)
    assert any("O E2     10.203.0.0/16 [110/1]" in text for text in texts)
    peers = [p.read_text() for p in labs.glob("eos_*/show/*/show_ip_bgp_neighbors_vrf_all.txt")]
    assert all("Additional-paths recv capability:" in text for text in peers if "BGP neighbor is" in text)
    assert default.peer_family["addpath_receive"] is True


def test_words_in_the_place_of_a_peer_are_no_peers():
    text = (
        LEAF
        + "router bgp 65001\n   neighbor default send-community\n   neighbor interface Et1-2 peer-group S remote-as 65000\n"
    )
    parsed = parse(text, file="r", device="r", redactor=Redactor())
    assert [n.peer for n in parsed.config.bgp.neighbors if n.peer in ("default", "interface")] == []
    assert [line.cls for line in parsed.account.lines[-2:]] == [LineClass.UNSUPPORTED] * 2


@pytest.mark.parametrize(
    "line",
    ["ip address dhcp", "ipv6 address auto-config", "ip address virtual 10.0.0.1/24", "isis metric 10"],
)
def test_what_an_interface_has_otherwise_is_unsupported_and_no_error(line):
    text = f"{LEAF}interface Ethernet9\n   no switchport\n   {line}\n"
    parsed = parse(text, file="r", device="r", redactor=Redactor())
    assert parsed.account.lines[-1].cls is LineClass.UNSUPPORTED


def test_an_obfuscated_key_is_read_where_it_is_known_what_it_belongs_to():
    """The text for `testtesttesttest` of a group TEST is published; under another name it means nothing."""
    text = "hostname r\nrouter bgp 1\n" + "".join(
        f"   neighbor {name} remote-as 2\n   neighbor {name} password {key}\n"
        for name, key in (
            ("TEST", "7 AEeZkeT2qaavxk5/S9QDbUpTTtf7PgqU"),
            ("10.0.0.2", "0 testtesttesttest"),
            ("10.0.0.3", "7 AEeZkeT2qaavxk5/S9QDbUpTTtf7PgqU"),
            ("10.0.0.4", "7 broken"),
        )
    )
    passwords = [
        n.password for n in parse(text, file="r", device="r", redactor=Redactor()).config.bgp.neighbors
    ]
    assert passwords[0] == passwords[1]
    assert len(set(passwords)) == 3


def entry_of(line):
    parsed = parse(
        f"hostname r\nroute-map A permit 10\n   {line}\n", file="r", device="r", redactor=Redactor()
    )
    entry = parsed.config.route_maps[0].entries[0]
    said = [(str(m.kind), m.values) for m in (*entry.matches, *entry.sets)]
    return said, str(parsed.account.lines[-1].cls)


@pytest.mark.parametrize(
    ("line", "said", "cls"),
    [
        ("match ip address access-list FOO", [("access-list-v4", ("FOO",))], "modelled"),
        ("set community 65000:1 GSHUT", [("community", ("65000:1", "graceful-shutdown"))], "modelled"),
        ("set community community-list FOO additive", [], "unsupported"),
        ("set community 65000:1 delete", [], "unsupported"),
        ("sub-route-map OTHER", [], "unsupported"),
    ],
)
def test_words_of_a_route_map_are_no_values(line, said, cls):
    assert entry_of(line) == (said, cls)


def test_an_as_path_with_an_origin_is_no_regular_expression():
    parsed = parse(
        "hostname r\nip as-path access-list A permit 65000 egp\n", file="r", device="r", redactor=Redactor()
    )
    assert parsed.config.as_path_lists == ()
    assert parsed.account.lines[-1].cls is LineClass.UNSUPPORTED


def test_equal_paths_need_not_have_the_same_as_numbers():
    text = "hostname r\nrouter bgp 1\n{}"
    relaxed = [
        parse(
            text.format(line), file="r", device="r", redactor=Redactor()
        ).config.bgp.bestpath.multipath_relax
        for line in ("", "   no bgp bestpath as-path multipath-relax\n")
    ]
    assert relaxed == [True, False]
