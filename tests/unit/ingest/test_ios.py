"""The IOS parser: Cisco's defaults as values, contexts by indentation, every line in one class, no input a traceback."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.ingest.ios import is_ios, parse
from labctl.ingest.ios.build import EXTERNAL_PEER, PEER
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import recognise
from labctl.model.account import LineClass
from labctl.model.config import Discard, InterfaceKind
from labctl.model.filters import Wildcard
from labctl.model.isis import IsisLevel
from labctl.model.policy import Action, Afi, MatchKind
from labctl.model.routing import (
    AddPath,
    AreaKind,
    Dampening,
    Election,
    NextHopSelf,
    OspfNetworkType,
    VirtualRouter,
)

CORPUS = Path(__file__).parents[3] / os.environ.get("LABCTL_CORPUS", "../shared/corpus")
BORDER = Path(__file__).parent / "ios" / "border.cfg"
SOAK = os.environ.get("LABCTL_SOAK") == "1"


def parsed(text, redactor=None):
    return parse(text, file="r1.cfg", device="r1", redactor=redactor or Redactor())


def config(text):
    return parsed(text).config


def classes(text):
    return [(line.text, str(line.cls), line.rule) for line in parsed(text).account.lines]


@pytest.fixture(scope="module")
def border():
    return parsed(BORDER.read_text())


# --- the device and its interfaces ---


def test_interfaces(border):
    found = {i.name: i for i in border.config.interfaces}
    uplink = found["GigabitEthernet0/0"]
    assert uplink.ipv4 == ("10.0.1.1/30", "10.0.101.1/24")
    assert (uplink.mtu, uplink.filter_in, uplink.description) == (1600, "EDGE", "to core (uplink)")
    assert found["GigabitEthernet0/1"].bandwidth_bps == 64_000
    assert found["GigabitEthernet0/2"].shutdown
    assert not uplink.shutdown
    assert found["GigabitEthernet0/5.30"].vlan == 30
    assert found["GigabitEthernet0/3"].lag == "Port-channel1"
    assert {name: i.kind for name, i in found.items() if i.kind is not InterfaceKind.ETHERNET} == {
        "Loopback0": InterfaceKind.LOOPBACK,
        "Loopback1": InterfaceKind.LOOPBACK,
        "Port-channel1": InterfaceKind.LAG,
        "GigabitEthernet0/5.30": InterfaceKind.SUBINTERFACE,
        "Vlan20": InterfaceKind.SVI,
    }


def test_a_port_has_the_speed_of_its_type_if_nobody_knows_better(border):
    speeds = {i.name: i.nominal_bps for i in border.config.interfaces}
    assert speeds["GigabitEthernet0/0"] == speeds["GigabitEthernet0/5.30"] == 10**9
    assert speeds["Port-channel1"] == 2 * 10**9
    assert speeds["Loopback0"] is None


def test_a_management_vrf_is_management_and_another_is_kept_apart(border):
    assert border.config.interface("GigabitEthernet0/6").mgmt
    assert border.config.interface("GigabitEthernet0/7").vrf == "BLUE"


def test_ipv6_is_forwarded_only_when_told():
    assert not config("hostname a\n").forwarding_v6
    assert config("ipv6 unicast-routing\n").forwarding_v6
    assert not config("no ip routing\n").forwarding_v4


def test_static_routes(border):
    assert [
        (r.prefix, r.next_hop, r.interface, r.discard, r.distance, r.tag) for r in border.config.static_routes
    ] == [
        ("0.0.0.0/0", "198.51.100.2", None, None, 250, 0),
        ("10.200.0.0/16", None, None, Discard.BLACKHOLE, 1, 0),
        ("10.201.0.0/16", "10.0.2.2", "GigabitEthernet0/1", None, 1, 7),
    ]


# --- OSPF ---


def test_network_lines_place_interfaces_the_most_specific_first(border):
    areas = {i.name: i.ospf.area for i in border.config.interfaces if i.ipv4}
    assert areas == {
        "Loopback0": "0.0.0.0",
        "Loopback1": None,
        "Port-channel1": "0.0.0.0",
        "GigabitEthernet0/0": "0.0.0.0",
        "GigabitEthernet0/1": "0.0.0.2",
        "GigabitEthernet0/5.30": "0.0.0.0",
        "GigabitEthernet0/6": None,
        "GigabitEthernet0/7": "0.0.0.0",
        "Vlan20": "0.0.0.0",
    }
    assert border.config.ospf.networks == ()


def test_a_wildcard_may_have_holes():
    found = config(
        "interface Ethernet0/0\n ip address 10.5.0.9 255.255.255.0\ninterface Ethernet0/1\n ip address 10.5.0.8 255.255.255.0\n"
        "router ospf 1\n network 10.0.0.9 0.255.0.0 area 9\n"
    )
    assert [i.ospf.area for i in found.interfaces] == ["0.0.0.9", None]


def test_ospf_defaults_and_what_is_stated(border):
    ospf = border.config.ospf
    assert (ospf.reference_bandwidth_bps, ospf.cost_rounds_down, ospf.max_paths) == (10**8, True, 4)
    assert (ospf.spf_delay_ms, ospf.spf_hold_ms, ospf.spf_max_hold_ms) == (5000, 10000, 10000)
    assert config("version 16.9\nrouter ospf 1\n").ospf.spf_delay_ms == 50
    by_id = {a.id: a for a in ospf.areas}
    (summary,) = by_id["0.0.0.1"].ranges
    assert (summary.prefix, summary.cost) == ("10.64.0.0/10", 9)
    assert (by_id["0.0.0.2"].kind, by_id["0.0.0.2"].no_summary) == (AreaKind.STUB, True)
    assert by_id["0.0.0.3"].kind is AreaKind.NSSA
    assert [(s.prefix, s.advertise) for s in ospf.summaries] == [("172.20.0.0/16", False)]
    passive = {i.name for i in border.config.interfaces if i.ospf and not i.ospf.passive}
    assert passive == {"GigabitEthernet0/0"}
    assert border.config.interface("Loopback0").ospf.network_type is OspfNetworkType.LOOPBACK
    assert border.config.interface("Loopback1").ospf.network_type is OspfNetworkType.POINT_TO_POINT


def test_redistribution_into_ospf_has_a_metric_and_may_be_classful(border):
    found = {
        r.source: (r.metric, r.metric_type, r.classful, r.route_map) for r in border.config.ospf.redistribute
    }
    assert found == {
        "static": (55, 2, False, "STATICS"),
        "connected": (55, 2, True, ""),
        "bgp": (55, 2, False, ""),
    }
    plain = config("router ospf 1\n redistribute bgp 1 subnets\n redistribute connected subnets\n").ospf
    assert [r.metric for r in plain.redistribute] == [1, 20]


# --- BGP ---


def test_bgp_defaults(border):
    bgp = border.config.bgp
    assert (bgp.ebgp_requires_policy, bgp.network_import_check, bgp.graceful_restart) == (False, True, "off")
    assert (bgp.confederation_id, bgp.confederation_peers) == (64900, (65002, 65003))
    v4 = bgp.family(Afi.IPV4)
    assert (v4.max_paths_ebgp, v4.max_paths_ibgp) == (4, 1)
    assert (v4.distance_ebgp, v4.distance_ibgp, v4.distance_local) == (20, 200, 200)
    inside, by_template, outside = bgp.neighbors
    assert (inside.advertisement_interval_s, outside.advertisement_interval_s) == (0, 30)
    assert (inside.keepalive_s, inside.hold_s, inside.enforce_first_as) == (60, 180, True)
    assert not outside.family(Afi.IPV4).send_community
    assert (by_template.remote_as, by_template.update_source) == (65001, "Loopback0")


def test_groups_give_their_members_what_they_have(border):
    inside = border.config.bgp.neighbors[0].family(Afi.IPV4)
    assert (inside.next_hop_self, inside.route_reflector_client) == (NextHopSelf.YES, True)
    assert (inside.send_community, inside.send_ext_community, inside.send_large_community) == (
        True,
        True,
        False,
    )
    assert (inside.addpath_send, inside.addpath_receive, inside.route_map_in) == (
        AddPath.ALL,
        True,
        "NOWHERE",
    )


def test_what_bgp_originates(border):
    v4 = border.config.bgp.family(Afi.IPV4)
    assert [n.prefix for n in v4.networks] == ["172.16.0.0/16", "10.255.0.1/32", "192.168.4.0/24"]
    (aggregate,) = v4.aggregates
    assert (aggregate.prefix, aggregate.summary_only, aggregate.as_set) == ("10.64.0.0/10", True, True)
    assert v4.dampening == Dampening(half_life_min=15, reuse=750, suppress=2000, max_suppress_min=60)
    assert {r.source: (r.route_map, r.ospf_types) for r in v4.redistribute} == {
        "ospf": ("FROM-OSPF", ()),
        "connected": ("", ()),
    }
    only_internal = config("router bgp 1\n redistribute ospf 1\n").bgp.family(Afi.IPV4).redistribute
    assert only_internal[0].ospf_types == ("internal",)


def test_without_families_the_lines_stand_below_the_process():
    found = config(
        "router bgp 1\n network 10.0.0.0\n neighbor 10.0.0.2 remote-as 2\n neighbor 10.0.0.2 weight 7\n"
    ).bgp
    assert found.family(Afi.IPV4).networks[0].prefix == "10.0.0.0/8"
    assert (found.neighbors[0].family(Afi.IPV4).weight, found.neighbors[0].family(Afi.IPV4).activate) == (
        7,
        True,
    )


def test_undefined_route_maps_deny_and_undefined_lists_permit(border):
    undefined = border.config.undefined
    assert (undefined.route_map, undefined.prefix_list, undefined.match) == (
        Action.DENY,
        Action.PERMIT,
        Action.PERMIT,
    )


# --- policies ---


def test_values_of_one_condition_add_up(border):
    statics, from_ospf = border.config.route_maps
    assert [(m.kind, m.values) for m in statics.entries[0].matches] == [
        (MatchKind.ACCESS_LIST_V4, ("10", "101")),
        (MatchKind.TAG, ("7",)),
    ]
    assert from_ospf.entries[0].matches[0].values == ("OUT", "NOTHERE")
    assert from_ospf.entries[1].matches[0].exact
    two_lines = config("route-map A permit 10\n match as-path 1\n match as-path 2 3\n").route_maps[0]
    assert two_lines.entries[0].matches[0].values == ("1", "2", "3")


def test_access_lists_filter_routes_by_address_and_mask(border):
    standard, extended = sorted(border.config.access_lists, key=lambda found: found.name)
    assert [(e.prefix, e.lengths, e.by_address) for e in standard.entries] == [("10.1.0.0/16", None, True)]
    assert [(e.prefix, e.lengths) for e in extended.entries] == [
        ("10.5.0.0/32", (16, 16)),
        ("10.6.0.0/16", (24, 32)),
    ]


def test_access_lists_filter_packets(border):
    edge = next(f for f in border.config.packet_filters if f.name == "EDGE")
    telnet, established, ranges, icmp, rest = edge.entries
    assert (telnet.seq, telnet.action, telnet.protocol, telnet.target_ports) == (
        10,
        Action.DENY,
        "tcp",
        ((23, 23),),
    )
    assert (established.established, established.source_ports) == (True, ((1024, 65535),))
    assert established.source == Wildcard(address="10.0.0.0", wildcard="0.255.255.255")
    assert (ranges.source_ports, ranges.target_ports) == (((1000, 2000),), ((0, 52), (54, 65535)))
    assert (icmp.seq, icmp.icmp_type) == (40, 8)
    assert (rest.protocol, rest.source) == ("ip", Wildcard())


# --- shared addresses ---


SWITCH = """\
interface Port-channel1
 ip address 10.0.9.1 255.255.255.252
interface GigabitEthernet0/3
 channel-group 1 mode active
interface GigabitEthernet0/5
 switchport
 switchport mode access
 switchport access vlan 20
interface Vlan20
 ip address 10.0.20.1 255.255.255.0
vlan 20
"""


def test_a_bundle_a_switched_port_and_its_vlan_are_not_emulated():
    """The interfaces hold; that ports are joined in a bundle or in a VLAN does not, and neither line is called modelled."""
    found = parsed(SWITCH)
    kinds = {i.name: i.kind for i in found.config.interfaces}
    assert (kinds["Port-channel1"], kinds["Vlan20"]) == (InterfaceKind.LAG, InterfaceKind.SVI)
    assert found.config.interface("GigabitEthernet0/3").lag == "Port-channel1"
    assert found.config.interface("GigabitEthernet0/5").switched
    assert [(line, rule) for line, cls, rule in classes(SWITCH) if cls != "modelled"] == [
        ("channel-group 1 mode active", "link-aggregation"),
        ("switchport", "switching"),
        ("switchport mode access", "switching"),
        ("switchport access vlan 20", "switching"),
        ("vlan 20", "feature"),
    ]
    assert found.account.of(LineClass.UNKNOWN, LineClass.IRRELEVANT) == ()


@pytest.mark.parametrize(
    ("line", "cls", "rule"),
    [
        ("ip nat inside source list L interface GigabitEthernet0/1 overload", "modelled", ""),
        ("ip nat inside source list L pool P overload", "modelled", ""),
        ("ip nat inside source list L pool P", "approximated", "ports-are-translated-too"),
        ("ip nat inside source list L pool NONE overload", "unsupported", "nat-pool-undefined"),
        ("ip nat inside source static 10.0.1.2 198.51.100.1", "modelled", ""),
        ("ip nat inside source static tcp 10.0.1.2 80 198.51.100.1 8080", "modelled", ""),
        ("ip nat inside source static tcp 10.0.1.2 80 198.51.100.1 80808", "unsupported", "no-such-port"),
        ("ip nat inside source static tcp 10.0.1.2 80 interface Gi0/1 8080", "unsupported", "feature"),
        ("ip nat inside source route-map M interface Gi0/1 overload", "unsupported", "feature"),
        ("ip nat outside source static 192.0.2.1 10.9.9.9", "unsupported", "feature"),
        ("ip nat translation timeout 30", "unsupported", "feature"),
    ],
)
def test_address_translation_is_classed_by_what_the_lab_does(line, cls, rule):
    pool = "ip nat pool P 198.51.100.8 198.51.100.9 netmask 255.255.255.252"
    assert classes(f"{pool}\n{line}\n") == [(pool, "modelled", ""), (line, cls, rule)]


@pytest.mark.parametrize(
    ("entry", "cls", "rule"),
    [
        ("permit tcp any host 10.0.0.1 eq www", "modelled", ""),
        ("permit tcp any any established", "modelled", ""),
        ("deny ip any any log", "modelled", ""),
        ("remark the rest", "irrelevant", "remark"),
        ("permit tcp any any eq 22 www bgp log", "modelled", ""),
        ("permit udp any eq bootps any eq netbios-ns", "modelled", ""),
        ("permit icmp any any 8 0", "modelled", ""),
        ("permit icmp any any port-unreachable log", "approximated", "icmp-code"),
        ("permit icmp any any 3 4", "approximated", "icmp-code"),
        ("permit tcp any any syn", "unsupported", "filter-option"),
        ("permit ip any any dscp ef", "unsupported", "filter-option"),
        ("permit ip any any fragments", "unsupported", "filter-option"),
        ("permit ip any any time-range WORK", "unsupported", "filter-option"),
        ("permit tcp any any reflect R", "unsupported", "filter-option"),
        ("evaluate R", "unsupported", "filter-entry"),
        ("permit ip object-group A any", "unsupported", "object-group"),
        ("permit nonsense any any", "unsupported", "filter-protocol"),
    ],
)
def test_entries_of_a_filter_are_classed_by_what_the_lab_does(entry, cls, rule):
    _, found = classes(f"ip access-list extended EDGE\n {entry}\n")
    assert found == (entry, cls, rule)


def test_vrrp_and_hsrp_have_their_defaults():
    found = parsed(
        "interface Vlan10\n vrrp 12 ip 10.0.0.254\n vrrp 12 priority 110\n vrrp 13 ip 10.0.0.253\n no vrrp 13 preempt\n"
        " vrrp 13 timers advertise msec 500\ninterface Vlan20\n standby version 2\n standby 5 ip 10.1.0.254\n"
        " standby 6 priority 200\n vrrp 7 address-family ipv4\n  address 10.1.0.253 primary\n  priority 90\n"
    )
    ten, twenty = found.config.interfaces
    assert ten.virtual_routers == (
        VirtualRouter(group=12, addresses=("10.0.0.254",), priority=110, preempt=True, advertise_ms=1000),
        VirtualRouter(group=13, addresses=("10.0.0.253",), priority=100, preempt=False, advertise_ms=500),
    )
    hsrp, third = twenty.virtual_routers
    assert (hsrp.election, hsrp.preempt, hsrp.advertise_ms) == (Election.HSRP, False, 3000)
    assert (third.version, third.priority) == (3, 90)
    assert [line.rule for line in found.account.of(LineClass.APPROXIMATED)] == ["hsrp-as-vrrp"] * 2


# --- IS-IS ---


def test_isis():
    found = config(
        "interface Loopback0\n ip address 10.255.0.1 255.255.255.255\n"
        "interface GigabitEthernet0/0\n ip router isis CORE\n isis metric 25\n isis network point-to-point\n"
        "interface GigabitEthernet0/1\n ip router isis CORE\n isis circuit-type level-1\n"
        "interface GigabitEthernet0/2\n"
        "router isis CORE\n net 49.0001.0100.0000.0001.00\n is-type level-2-only\n metric-style wide\n"
        " passive-interface Loopback0\n"
    )
    assert (found.isis.net, found.isis.level, found.isis.wide) == (
        ("49.0001.0100.0000.0001.00",),
        IsisLevel.TWO,
        True,
    )
    loopback, first, second, off = (i.isis for i in found.interfaces)
    assert off is None
    assert (loopback.passive, first.passive, first.metric_2, first.point_to_point) == (True, False, 25, True)
    assert second.level is IsisLevel.TWO  # the process is in no other
    plain = config("interface Ethernet0\n ip router isis\nrouter isis\n net 49.0001.0000.0000.0001.00\n")
    assert (plain.isis.tag, plain.isis.wide, plain.interfaces[0].isis.level) == ("1", False, IsisLevel.BOTH)


# --- the account ---


def test_secrets_go_no_further(border):
    said = "\n".join(line.text for line in border.account.lines) + repr(border.config)
    for secret in ("0822455D0A16", "s3cretstring", "$1$abcd"):
        assert secret not in said


def test_a_banner_is_no_configuration_and_an_open_one_swallows_nothing(border):
    banner = [line.text for line in border.account.lines if line.rule == "banner"]
    assert banner == ["banner motd ^C", "interface GigabitEthernet0/0", "no entry without leave", "^C"]
    found = parsed("banner motd ^X\nhostname a\n")
    assert [str(line.cls) for line in found.account.lines] == ["unknown", "modelled"]
    assert [line.rule for line in parsed("banner login #one line#\nhostname a\n").account.lines] == [
        "banner",
        "",
    ]


def test_what_stands_below_an_unknown_line_is_unknown(border):
    unknown = [line.text for line in border.account.of(LineClass.UNKNOWN)]
    assert unknown == ["…", "…", "ip address 10.1.1.1 255.0.0.0"]
    assert classes("interface Ethernet0\n ip address 10.0.0.1 255.0.0.0\n!interface Ethernet1\n shutdown\n")[
        -1
    ] == (
        "shutdown",
        "unknown",
        "",
    )


def test_indentation_may_be_tabs_deep_or_gone():
    for text in (
        "interface Ethernet0/0\n ip address 10.0.0.1 255.0.0.0\nrouter bgp 1\n neighbor 10.0.0.2 remote-as 2\n",
        "interface Ethernet0/0\r\n\tip address 10.0.0.1 255.0.0.0\r\nrouter bgp 1\r\n\tneighbor 10.0.0.2 remote-as 2\r\n",
        "interface Ethernet0/0\nip address 10.0.0.1 255.0.0.0\nrouter bgp 1\nneighbor 10.0.0.2 remote-as 2\n",
        "interface Ethernet0/0\n        ip address 10.0.0.1 255.0.0.0\nrouter bgp 1\n   neighbor 10.0.0.2 remote-as 2",
    ):
        found = parsed(text)
        assert {line.cls for line in found.account.lines} == {LineClass.MODELLED}, text
        assert found.config.interfaces[0].ipv4 == ("10.0.0.1/8",)
        assert found.config.bgp.neighbors[0].remote_as == 2


def test_control_characters_make_a_line_unknown():
    assert [line.cls for line in parsed("hostname a\0b\nhostname \x1bq\n").account.lines] == [
        LineClass.UNKNOWN
    ] * 2


def test_a_listing_that_breaks_off_is_an_error():
    with pytest.raises(LabctlError) as caught:
        parsed("Building configuration...\n\nCurrent configuration : 10 bytes\nhostname a\n")
    assert caught.value.code == "config-truncated"


def numbers(account):
    return [line.where.line for line in account.lines]


def expected(text):
    """Numbers of the lines that are neither blank nor comments."""
    lines = enumerate(text.split("\n"), 1)
    return [number for number, line in lines if line.split() and not line.split()[0].startswith("!")]


TEXT = BORDER.read_text()
WORDS = st.sampled_from(
    [*sorted(set(re.findall(r"\S+", TEXT))), "^C", "!", "", "\t", "\x00", "banner", "x" * 9000]
)
LINES = st.builds(
    lambda indent, words: indent + " ".join(words),
    st.sampled_from(("", " ", "  ", "\t")),
    st.lists(WORDS, max_size=9),
)


@settings(max_examples=3000 if SOAK else 150, deadline=None, derandomize=not SOAK)
@given(st.lists(LINES | st.text(max_size=30), max_size=25).map("\n".join))
def test_no_input_is_a_traceback_and_the_classes_partition_the_lines(text):
    try:
        found = parsed(text)
    except LabctlError:
        return
    assert numbers(found.account) == expected(text)
    assert found.account.of(*LineClass) == found.account.lines


@st.composite
def mutations(draw):
    """The fixture with one line changed: a character or a word gone, doubled, swapped or replaced."""
    lines = TEXT.split("\n")
    candidates = [n for n, line in enumerate(lines) if line.strip() and not line.strip().startswith("!")]
    at = draw(st.sampled_from(candidates))
    line = lines[at]
    place = draw(st.integers(0, len(line) - 1))
    words = line.split(" ")
    which = draw(st.integers(0, len(words) - 1))
    lines[at] = draw(
        st.sampled_from(
            (
                line[:place] + line[place + 1 :],
                line[:place] + line[place] + line[place:],
                line[:place] + draw(st.sampled_from("x0!^. no")) + line[place + 1 :],
                line[:place] + draw(st.sampled_from("x0!^. ")) + line[place:],
                " ".join(words[:which] + words[which + 1 :]),
                line[:place],
                "no " + line,
                " " + line,
            )
        )
    )
    return at, "\n".join(lines)


@settings(max_examples=4000 if SOAK else 250, deadline=None, derandomize=not SOAK)
@given(mutations())
def test_no_line_becomes_irrelevant_by_a_mutation(case):
    _, text = case
    try:
        found = parsed(text)
    except LabctlError:
        return
    before = {line.where.line: line.cls for line in parsed(TEXT).account.lines}
    assert numbers(found.account) == expected(text)
    for line in found.account.of(LineClass.IRRELEVANT):
        assert before.get(line.where.line) is LineClass.IRRELEVANT, line


# --- telling vendors apart, the corpus ---


def test_ios_is_told_from_others(tmp_path):
    assert is_ios(b"version 15.2\nservice pad\n")
    assert is_ios(b"Building configuration...\n\nCurrent configuration : 4318 bytes\n!\nversion 16.4\r\n")
    assert not is_ios(b"frr version 8.4\nfrr defaults traditional\nhostname a\n")
    assert not is_ios(b"! Command: show running-config\n! device: r1 (vEOS, EOS-4.23.0.1F)\n!\nversion 1.0\n")
    assert not is_ios(b"!Command: show running-config\nversion 7.0(3)I7(8)\n")
    assert not is_ios(b"version 20.2R1.10;\nsystem {\n")
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1" / "show_running-config.txt").write_bytes(BORDER.read_bytes())
    ((claimed,), _) = recognise([str(tmp_path)])
    assert claimed.source == "ios"


LABS = {
    "ios_example_network": 0,
    "ospf_lab_validation": 0,
    "ospf_summarization": 0,
    "ios_ibgp_split_horizon": 0,
    "ios_basic_vrrp": 0,
    "iosxe_redistribution": 17,
    "iosxe_undefined_route_map": 0,
}


@pytest.mark.corpus
@pytest.mark.parametrize("lab", LABS)
def test_every_line_of_a_recorded_network_is_understood(lab):
    """No line is unknown; what is not emulated is EIGRP."""
    paths = sorted((CORPUS / "lab-validation" / lab / "configs").rglob("*.txt"))
    if not paths:
        pytest.skip(f"no corpus at {CORPUS}")
    lost = []
    for path in paths:
        if not is_ios(path.read_bytes()[:4096]):
            continue
        found = parse(path.read_text(), file=str(path), device=path.parent.name, redactor=Redactor())
        assert found.account.of(LineClass.UNKNOWN) == ()
        lost += found.account.of(LineClass.UNSUPPORTED)
    assert len(lost) == LABS[lab], lost


@pytest.mark.corpus
def test_the_defaults_that_are_said_to_be_recorded_are():
    """A peer's timers and advertisement interval."""
    shown = [
        path.read_text()
        for lab in ("iosxe_undefined_route_map", "ios_ibgp_split_horizon")
        for path in CORPUS.glob(f"lab-validation/{lab}/show/*/show_ip_bgp_all_neighbor*.txt")
    ]
    if not shown:
        pytest.skip(f"no corpus at {CORPUS}")
    found = {
        (which, int(seconds))
        for text in shown
        for which, seconds in re.findall(
            r"BGP neighbor is .*(external|internal) link(?s:.*?)time between advertisement runs is (\d+) seconds",
            text,
        )
    }
    assert found == {
        ("internal", PEER["advertisement_interval_s"]),
        ("external", EXTERNAL_PEER["advertisement_interval_s"]),
    }
    timers = {
        t for text in shown for t in re.findall(r"hold time is (\d+), keepalive interval is (\d+)", text)
    }
    assert timers == {(str(PEER["hold_s"]), str(PEER["keepalive_s"]))}


# --- what a device may say that is no plain value ---


def test_addresses_that_somebody_else_gives_are_unsupported_and_no_error():
    lines = classes(
        "version 15.2\ninterface GigabitEthernet0/0\n ip address dhcp\n ip address negotiated\n ipv6 address autoconfig\n ipv6 address dhcp\n"
    )
    assert [line[1:] for line in lines[2:]] == [("unsupported", "dynamic-address")] * 4


@pytest.mark.parametrize(
    ("line", "interface", "hop"),
    [
        ("ipv6 route ::/0 FD00::1", None, "fd00::1"),
        ("ipv6 route ::/0 ABCD:1::2 200 name x", None, "abcd:1::2"),
        ("ipv6 route ::/0 GigabitEthernet0/0 FE80::1", "GigabitEthernet0/0", "fe80::1"),
        ("ipv6 route ::/0 Serial0/0/0:23", "Serial0/0/0:23", None),
    ],
)
def test_an_ipv6_next_hop_that_begins_with_letters_is_no_interface(line, interface, hop):
    (route,) = config(f"version 15.2\n{line}\n").static_routes
    assert (route.interface, route.next_hop) == (interface, hop)


def test_one_key_is_one_key_however_the_device_obfuscates_it():
    """`cisco` under two salts, in clear, and another key."""
    text = "version 15.2\n" + "".join(
        f"interface GigabitEthernet0/{n}\n ip address 10.0.{n}.1 255.255.255.0\n ip ospf 1 area 0\n ip ospf message-digest-key 1 md5 {key}\n"
        for n, key in enumerate(("7 02050D480809", "7 060506324F41", "cisco", "7 070C285F4D06"))
    )
    found = config(text + "router ospf 1\n")
    tokens = [i.ospf.md5_keys[0][1] for i in found.interfaces]
    assert tokens[0] == tokens[1] == tokens[2]
    bgp = config(
        "version 15.2\nrouter bgp 1\n neighbor 10.0.0.2 remote-as 2\n neighbor 10.0.0.2 password 7 02050D480809\n"
        " neighbor 10.0.0.3 remote-as 3\n neighbor 10.0.0.3 password 7 060506324F41\n"
        " neighbor 10.0.0.4 remote-as 3\n neighbor 10.0.0.4 password 7 zz\n"
    ).bgp
    one, other, broken = (n.password for n in bgp.neighbors)
    assert one == other != broken


def test_as_numbers_in_two_parts():
    found = config(
        "version 15.2\nrouter bgp 65000.1\n bgp confederation peers 1.2 3\n neighbor 10.0.0.2 remote-as 1.10\n"
        "route-map A permit 10\n set as-path prepend 1.10 65000.1\n"
    )
    assert (found.bgp.asn, found.bgp.confederation_peers) == (65000 * 65536 + 1, (65538, 3))
    assert found.bgp.neighbors[0].remote_as == 65546
    assert found.route_maps[0].entries[0].sets[0].values == ("65546", str(65000 * 65536 + 1))


def test_a_peer_without_an_as_has_no_session_and_stops_nothing():
    text = "version 15.2\nrouter bgp 1\n neighbor 10.0.0.2 description x\n neighbor 10.0.0.2 weight 5\n"
    assert config(text).bgp.neighbors == ()
    assert [line[1:] for line in classes(text)[2:]] == [("unsupported", "peer-without-remote-as")] * 2


def test_fast_external_fallover():
    text = "version 15.2\nrouter bgp 1\n{}bgp fast-external-fallover\n"
    assert config(text.format(" ")).bgp.fast_external_failover
    assert not config(text.format(" no ")).bgp.fast_external_failover


def test_several_ports_and_types_of_an_entry():
    (found,) = config(
        "ip access-list extended A\n permit tcp any any eq 22 www\n permit icmp any any 3 4\n permit icmp any any traceroute\n"
    ).packet_filters
    ports, part, whole = found.entries
    assert ports.target_ports == ((22, 22), (80, 80))
    assert (part.icmp_type, whole.icmp_type) == (3, 30)


@pytest.mark.parametrize(
    "line", ["match tag list X", "set extcommunity rt 1:1 additive", "set ip next-hop self"]
)
def test_words_of_a_route_map_are_no_values(line):
    text = f"route-map A permit 10\n {line}\n"
    assert classes(text)[-1][1:] == ("unsupported", "route-map-clause")
    entry = config(text).route_maps[0].entries[0]
    assert (entry.matches, entry.sets) == ((), ())


def test_graceful_shutdown_is_called_otherwise_in_a_lab():
    entry = config("route-map A permit 10\n set community 65000:1 gshut\n").route_maps[0].entries[0]
    assert entry.sets[0].values == ("65000:1", "graceful-shutdown")


@pytest.mark.parametrize("line", ["match route-type external", "match tag list X", "match nonsense 7"])
def test_an_entry_that_lost_a_condition_is_not_what_it_was(line):
    found = classes(f"route-map A deny 10\n match tag 5\n {line}\nroute-map A permit 20\n")
    assert [each[1:] for each in found] == [
        ("approximated", "condition-lost"),
        ("modelled", ""),
        ("unsupported", "route-map-clause"),
        ("modelled", ""),
    ]


def test_a_prefix_list_has_no_lengths_that_there_are_not():
    assert classes("ip prefix-list A seq 5 permit 10.0.0.0/8 le 33\n") == [
        ("ip prefix-list A seq 5 permit 10.0.0.0/8 le 33", "unsupported", "no-such-length")
    ]
    assert config("ip prefix-list A seq 5 permit 10.0.0.0/8 le 33\n").prefix_lists == ()


@pytest.mark.parametrize("line", ["deny ip any any dscp 3", "deny ip object-group A any", "evaluate B"])
def test_the_entries_of_a_filter_that_lost_one_are_not_what_they_were(line):
    found = classes(f"ip access-list extended A\n permit tcp any any eq 22\n {line}\n permit ip any any\n")
    assert [each[1] for each in found] == ["modelled", "approximated", "unsupported", "approximated"]
    assert (found[1][2], found[3][2]) == ("entry-lost", "entry-lost")


def test_a_numbered_filter_that_lost_an_entry_is_approximated_as_well():
    found = classes("access-list 101 permit tcp any any eq 22\naccess-list 101 deny ip any any dscp 3\n")
    assert [each[1] for each in found] == ["approximated", "unsupported"]
