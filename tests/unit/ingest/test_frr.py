"""The FRR parser: defaults by version and profile, contexts as vtysh closes them, and every line in one class."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError, render
from labctl.ingest.frr import parse
from labctl.ingest.redact import Redactor
from labctl.model.account import LineClass
from labctl.model.config import Discard, InterfaceKind
from labctl.model.policy import Action, Afi, CommunityKind, MatchKind, OnMatch, SetKind
from labctl.model.routing import AreaKind, Auth, NextHopSelf, OspfNetworkType

CORPUS = Path(__file__).parents[3] / os.environ.get("LABCTL_CORPUS", "../shared/corpus")


def parsed(text, redactor=None):
    return parse(text, file="r1/frr.conf", device="r1", redactor=redactor or Redactor())


def config(text):
    return parsed(text).config


def classes(text):
    return [(line.text, str(line.cls), line.rule) for line in parsed(text).account.lines]


def failure(text):
    with pytest.raises(LabctlError) as caught:
        parsed(text)
    return caught.value


# --- defaults ---


@pytest.mark.parametrize(
    ("head", "requires_policy", "import_check", "hold", "retry"),
    [
        ("frr version 7.2\nfrr defaults traditional", False, False, 180, 120),
        ("frr version 8.4.4\nfrr defaults traditional", True, True, 180, 120),
        ("frr version 8.4.4\nfrr defaults datacenter", False, True, 9, 10),
        ("frr version 10.5.1\nfrr defaults traditional", True, True, 180, 120),
    ],
)
def test_bgp_defaults_depend_on_version_and_profile(head, requires_policy, import_check, hold, retry):
    bgp = config(f"{head}\nrouter bgp 65001\n neighbor 10.0.0.2 remote-as 65002\n").bgp
    assert bgp.ebgp_requires_policy is requires_policy
    assert bgp.network_import_check is import_check
    assert (bgp.neighbors[0].hold_s, bgp.neighbors[0].connect_retry_s) == (hold, retry)


def test_first_as_is_enforced_from_9_1_on():
    text = "router bgp 65001\n neighbor 10.0.0.2 remote-as 65002\n"
    assert config(f"frr version 9.1\n{text}").bgp.neighbors[0].enforce_first_as
    assert not config(f"frr version 8.5\n{text}").bgp.neighbors[0].enforce_first_as


def test_ospf_defaults_are_values():
    found = config("interface lo\ninterface eth1\nrouter ospf\n")
    lo, eth1 = found.interfaces
    assert lo.ospf.network_type is OspfNetworkType.LOOPBACK
    assert eth1.ospf.network_type is OspfNetworkType.BROADCAST
    assert (eth1.ospf.hello_s, eth1.ospf.dead_s, eth1.ospf.priority, eth1.ospf.cost) == (10, 40, 1, None)
    assert found.ospf.reference_bandwidth_bps == 100 * 10**9
    assert (found.ospf.spf_delay_ms, found.ospf.spf_hold_ms, found.ospf.spf_max_hold_ms) == (0, 50, 5000)


def test_frr_sends_all_communities_and_denies_what_is_undefined():
    found = config("router bgp 1\n neighbor 10.0.0.2 remote-as 2\n")
    v4 = found.bgp.neighbors[0].family(Afi.IPV4)
    assert (v4.send_community, v4.send_ext_community, v4.send_large_community) == (True, True, True)
    assert found.undefined.route_map is Action.DENY


def test_without_ospf_an_interface_has_no_ospf_settings():
    assert config("interface eth1\n ip ospf cost 5\n").interfaces[0].ospf is None


# --- interfaces ---


def test_an_interface():
    found = config(
        "interface eth1.100\n description to r2\n ip address 10.0.0.1/24\n ip address 10.0.0.9/24\n"
        " ipv6 address 2001:DB8::1/64\n bandwidth 1000\n shutdown\n"
    ).interface("eth1.100")
    assert found.kind is InterfaceKind.SUBINTERFACE
    assert (found.ipv4, found.ipv6) == (("10.0.0.1/24", "10.0.0.9/24"), ("2001:db8::1/64",))
    assert (found.bandwidth_bps, found.shutdown, found.description) == (10**9, True, "to r2")
    assert str(found.where) == "r1/frr.conf:1"


def test_passive_is_resolved_from_both_places():
    found = config(
        "interface eth1\ninterface eth2\n no ip ospf passive\ninterface eth3\n"
        "router ospf\n passive-interface default\n no passive-interface eth3\n passive-interface eth4\n"
    )
    assert {i.name: i.ospf.passive for i in found.interfaces} == {
        "eth1": True,
        "eth2": False,
        "eth3": False,
        "eth4": True,
    }


def test_ospf_on_an_interface():
    ospf = (
        config(
            "interface eth1\n ip ospf area 1\n ip ospf dead-interval minimal hello-multiplier 4\n"
            " ip ospf network point-to-point\n ip ospf mtu-ignore\n ip ospf authentication message-digest\n"
            " ip ospf message-digest-key 2 md5 s3cret\n ip ospf cost 7\nrouter ospf\n"
        )
        .interfaces[0]
        .ospf
    )
    assert (ospf.area, ospf.dead_s, ospf.hello_multiplier, ospf.cost) == ("0.0.0.1", 1, 4, 7)
    assert ospf.network_type is OspfNetworkType.POINT_TO_POINT
    assert (ospf.auth, ospf.md5_keys, ospf.mtu_ignore) == (Auth.MD5, ((2, 1),), True)


# --- statics ---


def test_static_routes():
    found = config(
        "ip route 10.1.0.0/16 10.0.0.2\nip route 10.2.0.0 255.255.0.0 10.0.0.2 eth1 tag 5 7\n"
        "ip route 10.3.0.0/16 eth2\nip route 10.4.0.0/16 Null0\nip route 10.5.0.0/16 reject 200\n"
        "ip route 10.6.0.0/16 10.0.0.9 onlink\nipv6 route 2001:db8:1::/48 fe80::1 eth1\n"
    ).static_routes
    assert [(r.prefix, r.next_hop, r.interface, r.discard, r.distance, r.tag) for r in found] == [
        ("10.1.0.0/16", "10.0.0.2", None, None, 1, 0),
        ("10.2.0.0/16", "10.0.0.2", "eth1", None, 7, 5),
        ("10.3.0.0/16", None, "eth2", None, 1, 0),
        ("10.4.0.0/16", None, None, Discard.BLACKHOLE, 1, 0),
        ("10.5.0.0/16", None, None, Discard.REJECT, 200, 0),
        ("10.6.0.0/16", "10.0.0.9", None, None, 1, 0),
        ("2001:db8:1::/48", "fe80::1", "eth1", None, 1, 0),
    ]
    assert found[5].onlink


@pytest.mark.parametrize("option", ["label 16", "vrf RED", "table 10", "nexthop-vrf RED"])
def test_an_option_of_a_static_route_that_is_not_emulated_takes_the_line_with_it(option):
    text = f"ip route 10.1.0.0/16 10.0.0.2 {option}\n"
    assert config(text).static_routes == ()
    assert classes(text)[0][1] == "unsupported"


# --- OSPF ---


def test_ospf_process():
    ospf = config(
        "router ospf\n ospf router-id 1.1.1.1\n network 10.0.0.0/8 area 0\n network 10.1.0.0 0.0.255.255 area 1\n"
        " area 1 stub no-summary\n area 1 default-cost 5\n area 2 range 10.2.0.0/16 cost 5\n"
        " area 2 range 10.3.0.0/16 not-advertise\n area 2 authentication message-digest\n"
        " redistribute static metric 5 route-map M\n default-information originate always metric-type 1\n"
        " distance 120\n distance ospf external 150\n"
    ).ospf
    assert [(n.prefix, n.area) for n in ospf.networks] == [
        ("10.0.0.0/8", "0.0.0.0"),
        ("10.1.0.0/16", "0.0.0.1"),
    ]
    one, two = ospf.areas
    assert (one.kind, one.no_summary, one.default_cost) == (AreaKind.STUB, True, 5)
    assert [(r.prefix, r.advertise, r.cost) for r in two.ranges] == [
        ("10.2.0.0/16", True, 5),
        ("10.3.0.0/16", False, None),
    ]
    assert two.auth is Auth.MD5
    assert (ospf.redistribute[0].metric, ospf.redistribute[0].metric_type) == (5, 2)
    assert (ospf.default_originate.always, ospf.default_originate.metric_type) == (True, 1)
    assert (ospf.distance_intra, ospf.distance_external) == (120, 150)


# --- BGP ---

GROUPS = """
router bgp 65001
 no bgp default ipv4-unicast
 timers bgp 10 30
 neighbor SPINE peer-group
 neighbor SPINE remote-as 65002
 neighbor SPINE timers 3 9
 neighbor SPINE password abc
 neighbor 10.0.0.2 peer-group SPINE
 neighbor 10.0.0.3 peer-group SPINE
 neighbor 10.0.0.3 timers 5 15
 neighbor 10.0.0.3 password def
 neighbor 10.0.0.4 remote-as internal
 neighbor eth5 interface peer-group SPINE
 neighbor eth6 interface v6only remote-as external
 address-family ipv4 unicast
  neighbor SPINE activate
  neighbor SPINE route-map OUT out
  neighbor SPINE next-hop-self
  neighbor 10.0.0.3 route-map OTHER out
  no neighbor 10.0.0.3 next-hop-self
  no neighbor 10.0.0.2 activate
  network 10.0.0.0/8
  maximum-paths 4
 exit-address-family
 address-family ipv6 unicast
  neighbor SPINE activate
 exit-address-family
"""


def test_peer_groups_are_resolved_and_the_peer_has_the_last_word():
    bgp = config(GROUPS).bgp
    two, three, four, five, six = bgp.neighbors
    assert (two.remote_as, two.hold_s, three.hold_s, four.hold_s) == (65002, 9, 15, 30)
    assert (two.password, three.password, four.password) == (1, 2, None)
    assert (five.unnumbered, five.remote_as, five.extended_next_hop) == (True, 65002, True)
    assert (six.v6_only, six.remote_as, four.remote_as) == (True, "external", "internal")
    v4 = [n.family(Afi.IPV4) for n in bgp.neighbors]
    assert [f.activate for f in v4] == [False, True, False, True, False]
    assert [f.route_map_out for f in v4] == ["OUT", "OTHER", "", "OUT", ""]
    assert [f.next_hop_self for f in v4[:2]] == [NextHopSelf.YES, NextHopSelf.NO]
    assert [n.family(Afi.IPV6).activate for n in bgp.neighbors] == [True, True, False, True, False]
    assert bgp.family(Afi.IPV4).max_paths_ebgp == 4
    assert two.peer_group == "SPINE"


def test_ipv4_is_active_unless_said_otherwise():
    bgp = config("router bgp 1\n neighbor 10.0.0.2 remote-as 2\n neighbor 10.0.0.2 route-map M in\n").bgp
    v4, v6 = bgp.neighbors[0].families
    assert (v4.activate, v6.activate, v4.route_map_in) == (True, False, "M")


def test_one_peer_in_two_spellings_is_one_peer():
    text = "router bgp 1\n neighbor 2001:DB8::0:1 remote-as 2\n neighbor 2001:db8::1 description x\n"
    (peer,) = config(text).bgp.neighbors
    assert (peer.peer, peer.description) == ("2001:db8::1", "x")


# --- policy ---


def test_route_maps():
    found = config(
        "route-map M permit 20\n match community 65002:4\n"
        "route-map M permit 10\n description first\n match ip address prefix-list P\n match tag 3\n match tag 4\n"
        " set community 65001:1 no-export additive\n set as-path prepend 1 1\n on-match goto 20\n call OTHER\n"
        "route-map M deny 30\n set community none\n"
    ).route_maps[0]
    first, second, third = found.entries
    assert [e.seq for e in found.entries] == [10, 20, 30]
    assert (first.description, first.on_match, first.goto, first.call) == ("first", OnMatch.GOTO, 20, "OTHER")
    assert {m.kind: m.values for m in first.matches} == {
        MatchKind.PREFIX_LIST_V4: ("P",),
        MatchKind.TAG: ("4",),  # the later one replaces
    }
    assert {s.kind: s.values for s in first.sets} == {
        SetKind.COMMUNITY_ADD: ("65001:1", "no-export"),
        SetKind.AS_PATH_PREPEND: ("1", "1"),
    }
    assert (second.matches[0].kind, third.action) == (MatchKind.COMMUNITY, Action.DENY)
    assert third.sets[0].values == ()


def test_lists_get_numbers_by_five():
    found = config(
        "ip prefix-list P permit any\nip prefix-list P permit 10.0.0.0/8 ge 16 le 24\n"
        "ip prefix-list P seq 7 deny 10.1.2.3/16\naccess-list A permit 10.0.0.0/8 exact-match\n"
        "access-list 10 permit 10.0.0.0 0.0.0.255\naccess-list 10 permit host 10.1.1.1\n"
        "ip community-list 11 permit 65001:1\nbgp community-list expanded E seq 9 permit 65001:.*\n"
        "ip as-path access-list W permit ^65001$\nip community-list 120 permit 1:.\n"
    )
    (prefixes,) = found.prefix_lists
    assert [(e.seq, e.prefix, e.ge, e.le) for e in prefixes.entries] == [
        (5, "0.0.0.0/0", None, 32),
        (7, "10.1.0.0/16", None, None),
        (10, "10.0.0.0/8", 16, 24),
    ]
    named, numbered = found.access_lists
    assert (named.entries[0].exact, named.entries[0].by_address) == (True, False)
    assert [(e.prefix, e.by_address) for e in numbered.entries] == [
        ("10.0.0.0/24", True),
        ("10.1.1.1/32", True),
    ]
    assert [c.kind for c in found.community_lists] == [
        CommunityKind.STANDARD,
        CommunityKind.EXPANDED,
        CommunityKind.EXPANDED,
    ]
    assert found.as_path_lists[0].entries[0].regex == "^65001$"


# --- the walk ---


def test_a_context_ends_where_its_parent_takes_the_line_even_without_indentation():
    text = (
        "router bgp 65001\nneighbor 10.0.0.2 remote-as 65002\naddress-family ipv6 unicast\n"
        "neighbor 10.0.0.3 remote-as 65003\ninterface eth1\nip address 10.0.0.1/24\nline vty\n\nrouter ospf\n"
        "ospf router-id 1.1.1.1\n"
    )
    found = config(text)
    assert [n.peer for n in found.bgp.neighbors] == ["10.0.0.2", "10.0.0.3"]
    assert found.interfaces[0].ipv4 == ("10.0.0.1/24",)
    assert found.ospf.router_id == "1.1.1.1"


def test_a_section_that_is_not_emulated_swallows_its_lines():
    text = "router eigrp 1\n network 10.0.0.0/8\n timers active-time 3\ninterface eth1\n ip address 10.0.0.1/24\n"
    assert [(cls, rule) for _, cls, rule in classes(text)] == [
        ("unsupported", "protocol"),
        ("unsupported", "protocol"),
        ("unsupported", "protocol"),
        ("modelled", ""),
        ("modelled", ""),
    ]


def test_what_nobody_knows_is_unknown_and_says_where():
    account = parsed("! comment\ninterface eth1\n ip addres 10.0.0.1/24\n").account
    (line,) = account.of(LineClass.UNKNOWN)
    assert (str(line.where), line.text) == ("r1/frr.conf:3", "ip …")


def test_services_that_point_outwards_are_listed_and_not_kept():
    found = parsed("log syslog informational\nagentx\nlog file /var/log/frr/frr.log\n")
    assert [(s.kind, s.where.line) for s in found.config.outward] == [("syslog", 1), ("snmp", 2)]
    assert [line.rule for line in found.account.lines] == ["outward-syslog", "outward-snmp", "logging"]


LINES = st.sampled_from(
    """interface eth1
 ip address 10.0.0.1/24
router bgp 65001
 neighbor 10.0.0.9 remote-as 65002
 address-family ipv4 unicast
  network 10.0.0.0/24
 exit-address-family
exit
router ospf
 network 10.0.0.0/8 area 0
route-map M permit 10
 match tag 5
log syslog
router isis X
ip prefix-list P permit any
!
end
foo bar""".splitlines()
)


@settings(deadline=None)
@given(st.lists(LINES, max_size=30))
def test_every_line_has_exactly_one_class(lines):
    text = "\n".join(lines)
    account = parsed(text).account
    expected = [n for n, line in enumerate(lines, 1) if line.strip() and line.strip()[0] not in "!#"]
    assert [line.where.line for line in account.lines] == expected


# --- secrets ---

SECRETS = """
password hunter1
enable password hunter2
username bob password hunter3
interface eth1
 ip ospf authentication-key hunter4
 ip ospf message-digest-key 1 md5 hunter5
router bgp 65001
 neighbor 10.0.0.2 remote-as 65002
 neighbor 10.0.0.2 password hunter6
 neighbor 10.0.0.3 password hunter6
key chain K
 key 1
  key-string hunter7
tacacs-server host 10.0.0.1 key hunter8
snmp-server community hunter9 ro
some new feature with secret hunter0
"""


def test_no_secret_is_in_what_comes_out():
    text = SECRETS.replace(
        "neighbor 10.0.0.3 password", "neighbor 10.0.0.3 remote-as 65003\n neighbor 10.0.0.3 password"
    )
    redactor = Redactor()
    found = parsed(text, redactor)
    assert "hunter" not in repr(found)
    assert "hunter" not in repr(redactor)
    two, three = found.config.bgp.neighbors
    assert two.password == three.password
    assert found.config.interfaces[0].ospf is None


def test_tokens_are_shared_over_one_discovery():
    redactor = Redactor()
    one = parsed("router ospf\ninterface eth1\n ip ospf authentication-key same\n", redactor).config
    other = parsed("router ospf\ninterface eth1\n ip ospf authentication-key same\n", redactor).config
    wrong = parsed("router ospf\ninterface eth1\n ip ospf authentication-key else\n", redactor).config
    keys = [c.interfaces[0].ospf.text_key for c in (one, other, wrong)]
    assert keys == [1, 1, 2]


# --- errors ---


def test_all_bad_addresses_are_said_at_once():
    error = failure(
        "interface eth1\n ip address 10.0.0.300/24\n ip address 10.0.0.1\nrouter ospf\n network 10.0/8 area 0\n"
        " area 1.2.3 stub\nip route 10.0.0.0/8 10.0.0\nipv6 route 2001:db8::/32 10.0.0.1\n"
    )
    assert [(e.code, e.where.line) for e in error.each] == [
        ("bad-address", 2),
        ("bad-address", 3),
        ("bad-address", 5),
        ("bad-address", 6),
        ("bad-address", 7),
        ("bad-address", 8),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("router bgp 1\n neighbor 10.0.0.2 timers 3 9\n", 2, "before it has a remote-as"),
        ("router bgp 1\n neighbor 10.0.0.2 peer-group G\n", 2, "no peer-group is called 'G'"),
        ("router bgp 1\n neighbor G peer-group\n neighbor 10.0.0.2 peer-group G\n", 3, "has no remote-as"),
        ("router bgp 1\nexit\nrouter bgp 2\n", 3, "already runs as AS 1"),
    ],
)
def test_contradictions(text, line, said):
    error = failure(text)
    assert (error.code, error.where.line) == ("bad-config", line)
    assert said in error.message


def test_a_peer_that_is_neither_address_nor_group():
    assert failure("router bgp 1\n neighbor 10.0.0.2x remote-as 2\n").code == "bad-address"


def test_shown_configuration_ends_with_end():
    whole = "Building configuration...\n\nCurrent configuration:\n!\nfrr version 8.4.4\n!\nend\n"
    assert config(whole).dialect == "frr"
    error = failure(whole.removesuffix("end\n"))
    assert (error.code, error.where.line) == ("config-truncated", 6)


@pytest.mark.parametrize("stem", ["bad-config-frr", "config-truncated-frr", "bad-address-frr"])
def test_error_texts(stem):
    here = Path(__file__).parents[2] / "errors"
    with pytest.raises(LabctlError) as caught:
        parse((here / f"{stem}.conf").read_text(), file=f"{stem}.conf", device="r1", redactor=Redactor())
    golden = here / f"{stem}.txt"
    text = render(caught.value) + "\n"
    if os.environ.get("LABCTL_UPDATE_GOLDENS") == "1":
        golden.write_text(text)
    assert text == golden.read_text()


# --- what nobody here wrote ---

FILES = sorted(CORPUS.glob("lab-validation/*/sonic_configs/*/frr.conf")) + sorted(
    CORPUS.glob("clab/**/frr.conf")
)


@pytest.mark.corpus
def test_frr_files_of_the_corpus_have_no_unknown_line():
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS} (LABCTL_CORPUS)")
    assert len(FILES) >= 14
    lost = []
    for path in FILES:
        found = parse(path.read_text(), file=str(path), device=path.parent.name, redactor=Redactor())
        lost += [str(line) for line in found.account.of(LineClass.UNKNOWN, LineClass.UNSUPPORTED)]
    assert lost == []


@pytest.mark.corpus
def test_cumulus_files_of_the_corpus():
    """These hold /etc/network/interfaces, ports.conf and frr.conf, one after the other; FRR's part is read."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS} (LABCTL_CORPUS)")
    paths = sorted(CORPUS.glob("lab-validation/cumulusfrr_*/configs/*/*.cfg"))
    assert len(paths) == 5
    found = {}
    for path in paths:
        text = path.read_text()
        part = text[text.index("\nfrr version") :]
        result = parse(part, file=str(path), device=path.stem, redactor=Redactor())
        assert result.account.of(LineClass.UNKNOWN, LineClass.UNSUPPORTED) == ()
        found[path.stem] = result.config
    one, two = found["cumulusfrr1"], found["cumulusfrr2"]
    assert (one.bgp.asn, [n.remote_as for n in one.bgp.neighbors]) == (65001, [65002])
    assert one.bgp.neighbors[0].hold_s == 9  # frr defaults datacenter
    assert not one.bgp.ebgp_requires_policy
    assert len(one.bgp.family(Afi.IPV4).networks) == 6
    assert len(two.route_maps[0].entries) == 10
    assert [c.name for c in two.community_lists] == ["11", "12", "13", "14", "17", "24"]
    summarize = found["summarize"]
    assert {i.name: i.ospf.area for i in summarize.interfaces} == {
        "swp1": "0.0.0.0",
        "swp2": "0.0.0.1",
        "swp3": None,
    }
    assert summarize.ospf.areas[0].ranges[0].prefix == "174.0.0.0/8"


def test_a_key_that_somebody_wrote_into_a_description():
    text = "interface eth1\n description md5 key hunter5\n ip ospf message-digest-key 1 md5 hunter5\nrouter ospf\n"
    assert config(text).interfaces[0].description == "md5 key <key 1>"


SAMPLE = [
    *(GROUPS + SECRETS).splitlines(),
    "ip route 10.2.0.0 255.255.0.0 10.0.0.2 eth1 tag 5 7",
    "access-list 10 permit 10.0.0.0 0.0.0.255",
    "ip prefix-list P permit 10.0.0.0/8 ge 16 le 24",
    " area 2 range 10.2.0.0/16 cost 5",
    " network 10.0.0.0 0.0.255.255 area 1",
    " redistribute static metric 5 route-map M",
    " aggregate-address 10.0.0.0/8 as-set summary-only route-map M",
    " set community 65001:1 no-export additive",
    " distance ospf intra-area 1 external 3",
]
CONTEXTS = [GROUPS, "router ospf\n", "interface eth1\n", "route-map M permit 10\n", ""]
words = st.sampled_from(
    ["", "0", "-1", "10.0.0.0/33", "::", "/", "999999999999", "\u00e9", "any", "default", "none"]
)


damage = st.lists(st.tuples(st.sampled_from(SAMPLE), st.integers(0, 8), words), max_size=12)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(CONTEXTS), damage)
def test_damaged_lines_are_accounted_for_or_refused_and_nothing_else(context, damaged):
    lines = context.splitlines()
    for line, at, word in damaged:
        parts = line.split()
        parts[at : at + 1] = [word]
        lines.append(f" {' '.join(parts)}" if line.startswith(" ") else " ".join(parts))
    try:
        account = parsed("\n".join(lines)).account
    except LabctlError as error:
        places = [each.where.line for each in error.each]
    else:
        places = [line.where.line for line in account.lines]
        assert len(places) == sum(1 for line in lines if line.strip())
    assert all(0 < place <= len(lines) for place in places)


def test_of_two_actions_on_one_attribute_the_later_counts():
    text = (
        "route-map M permit 10\n set community 1:1\n set community 1:2 additive\n set as-path prepend 5 5\n"
    )
    entry = config(f"{text} set as-path prepend last-as 3\n").route_maps[0].entries[0]
    assert {s.kind: s.values for s in entry.sets} == {
        SetKind.COMMUNITY_ADD: ("1:2",),
        SetKind.AS_PATH_PREPEND_LAST: ("3",),
    }


@pytest.mark.parametrize(
    "line",
    [
        "router bgp 0",
        "router bgp 4294967296",
        "route-map M permit 65536",
        "route-map M permit 0",
    ],
)
def test_a_number_that_there_is_not_makes_a_line_unknown(line):
    """The device would have refused it; a lab of it would be refused by FRR."""
    (told,) = parse(line + "\n", file="f", device="r", redactor=Redactor()).account.lines
    assert told.cls is LineClass.UNKNOWN
