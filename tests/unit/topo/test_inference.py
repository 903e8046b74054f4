"""Evidence that no port tells of itself: LACP, sessions, forwarding and ARP tables, descriptions, aggregates."""

from dataclasses import replace
from ipaddress import ip_interface

from hypothesis import given, settings
from hypothesis import strategies as st
from production import cables, config, device, interface, kinds, mac, merge, row

from labctl.model.observation import AddressRow, Adjacency, CableRow, Found, LacpPort, Station
from labctl.topo.links import WEIGHTS
from labctl.topo.merge import merge as merge_found


def quiet(number, ports, **more):
    """A device that speaks no LLDP."""
    return device(number, ports, lldp=False, **more)


def behind(port, address, *, ip="", where="fdb:1"):
    return Station(if_index=port, mac=address, address=ip, where=where)


def session(protocol, port, peer, who=""):
    return Adjacency(
        protocol=protocol, if_index=port, peer=peer, peer_id=who, where=f"{protocol}:{peer}{who}"
    )


def test_lacp_partners_are_joined_without_lldp():
    def lag(number, other):
        return [
            LacpPort(
                if_index=n,
                system=mac(number),
                port=10 + n,
                partner=mac(other),
                partner_port=10 + n,
                where=f"lacp:{number}.{n}",
            )
            for n in (1, 2)
        ]

    topology = merge(quiet(1, 2, lacp=tuple(lag(1, 2))), quiet(2, 2, lacp=tuple(lag(2, 1))))
    assert cables(topology) == ["r1:eth1--r2:eth1", "r1:eth2--r2:eth2"]
    assert {(link.two_sided, link.confidence) for link in topology.links} == {(True, 0.97)}


def test_a_partner_that_two_ports_claim_to_be_is_nobody():
    """The two switches of an MLAG show one system id."""

    def port(partner, where):
        return (LacpPort(if_index=1, system=mac(9), port=1, partner=partner, partner_port=1, where=where),)

    one, two = quiet(1, 1, lacp=port(mac(3), "a")), quiet(2, 1, lacp=port(mac(3), "b"))
    three = LacpPort(if_index=1, system=mac(3), port=1, partner=mac(9), partner_port=1, where="c")
    assert cables(merge(one, two, quiet(3, 1, lacp=(three,)))) in (["r1:eth1--r3:eth1"], ["r2:eth1--r3:eth1"])


def test_an_ospf_adjacency_in_a_subnet_of_two_is_a_cable():
    one = quiet(1, 1, addresses=[(1, "10.0.0.1/24")], adjacencies=(session("ospf", 1, "10.0.0.2"),))
    two = quiet(2, 1, addresses=[(1, "10.0.0.2/24")])
    (link,) = merge(one, two).links
    assert link.confidence == round(1 - (1 - WEIGHTS["ospf"]) * (1 - WEIGHTS["subnet wide"]), 4)
    assert {e.source for e in link.evidence} == {"ospf", "subnet"}
    assert not link.two_sided


def test_adjacencies_on_a_shared_subnet_are_no_cables():
    boxes = [
        quiet(
            n,
            1,
            addresses=[(1, f"10.0.0.{n}/24")],
            adjacencies=tuple(session("ospf", 1, f"10.0.0.{m}") for m in (1, 2, 3) if m != n),
        )
        for n in (1, 2, 3)
    ]
    topology = merge(*boxes)
    assert topology.links == ()
    assert len(topology.segments) == 1


def test_unnumbered_sessions_join_the_only_ports_towards_each_other():
    def box(number, other, ports):
        loopback = [(ports + 1, f"192.0.2.{number}/32")]
        names = [*(f"eth{n}" for n in range(1, ports + 1)), "lo"]
        return quiet(
            number, names, addresses=loopback, adjacencies=(session("ospf", ports, f"192.0.2.{other}"),)
        )

    assert cables(merge(box(1, 2, 1), box(2, 1, 2))) == ["r1:eth1--r2:eth2"]
    both = replace(box(1, 2, 2), adjacencies=tuple(session("ospf", n, "192.0.2.2") for n in (1, 2)))
    assert cables(merge(both, box(2, 1, 2))) == []


def test_a_bgp_session_counts_only_over_one_hop():
    peer = (session("bgp", None, "10.0.0.2"), session("bgp", None, "192.0.2.2"))
    one = quiet(1, ["eth1", "lo"], addresses=[(1, "10.0.0.1/30"), (2, "192.0.2.1/32")], adjacencies=peer)
    two = quiet(2, ["eth1", "lo"], addresses=[(1, "10.0.0.2/30"), (2, "192.0.2.2/32")])
    (link,) = merge(one, two).links
    assert [e.where for e in link.evidence if e.source == "bgp"] == ["bgp:10.0.0.2"]


def test_the_only_address_behind_a_port_is_the_port_there():
    switch = device(1, 3, stations=(behind(1, mac(2, 1)), behind(2, mac(3, 1)), behind(2, mac(4, 1))))
    topology = merge(switch, quiet(2, 1), quiet(3, 1), quiet(4, 1))
    (link,) = topology.links
    assert (str(link.id), link.confidence, link.evidence[0].source) == ("r1:eth1--r2:eth1", 0.7, "fdb")


def test_two_devices_that_listen_and_hear_nobody_are_not_joined_by_a_forwarding_table():
    one = device(1, 1, stations=(behind(1, mac(2, 1)),))
    assert merge(one, device(2, 1)).links == ()


def test_switches_that_see_each_other_and_nobody_through_both():
    """r1 -- r2 -- r3 in a row; each sees the others' chassis MACs, which are no port's."""
    one = quiet(1, 1, bridge_mac=mac(1), stations=(behind(1, mac(2)), behind(1, mac(3))))
    two = quiet(2, 2, bridge_mac=mac(2), stations=(behind(1, mac(1)), behind(2, mac(3))))
    three = quiet(3, 1, bridge_mac=mac(3), stations=(behind(1, mac(1)), behind(1, mac(2))))
    assert cables(merge(one, two, three)) == ["r1:eth1--r2:eth1", "r2:eth2--r3:eth1"]


def test_hosts_are_drawn_on_request():
    host = "02:00:00:00:00:99"
    router = quiet(2, ["vlan10"], stations=(behind(1, host, ip="192.0.2.9", where="arp:1"),))
    switch = device(
        1, 2, stations=(behind(1, host), behind(2, "02:00:00:00:00:88"), behind(2, "02:00:00:00:00:77"))
    )
    found = Found(observations=(switch, router))
    assert merge_found("t", found).links == ()
    topology = merge_found("t", found, draw_hosts=True)
    assert cables(topology) == ["192.0.2.9:nic--r1:eth1"]
    assert [e.where for e in topology.links[0].evidence] == ["fdb:1", "arp:1"]
    assert [d.name for d in topology.devices if not d.polled] == ["192.0.2.9"]


def test_a_subnet_of_two_behind_a_bridge_is_no_cable():
    ends = [quiet(n, 1, addresses=[(1, f"10.0.0.{n}/24")]) for n in (1, 2)]
    assert cables(merge(*ends)) == ["r1:eth1--r2:eth1"]
    switch = quiet(3, 2, stations=(behind(1, mac(1, 1)), behind(2, mac(2, 1))))
    assert cables(merge(*ends, switch)) == ["r1:eth1--r3:eth1", "r2:eth1--r3:eth2"]


def described(number, **ports):
    names = [name.replace("_", "/") for name in ports]
    return replace(
        quiet(number, names, name=f"core{number}"),
        interfaces=tuple(
            interface(n, name, alias=text)
            for n, (name, text) in enumerate(zip(names, ports.values(), strict=True), 1)
        ),
    )


def test_descriptions_that_name_a_device_and_a_port():
    one = described(1, Gi0_1="link to CORE2 Gi0/2", Gi0_3="core7:Gi0/1")
    two = described(2, GigabitEthernet0_2="")
    (link,) = merge(one, two).links
    assert (str(link.id), link.confidence) == ("core1:Gi0/1--core2:GigabitEthernet0/2", 0.6)


def test_descriptions_that_name_each_other():
    assert cables(merge(described(1, e1="to core2"), described(2, e7="to core1"))) == ["core1:e1--core2:e7"]
    two_ways = merge(described(1, e1="to core2", e2="to core2"), described(2, e7="to core1"))
    assert two_ways.links == ()


def test_what_a_description_says_loses_against_a_neighbour():
    one = replace(
        device(1, 1, [row(101, mac(2), "eth1")]), interfaces=(interface(1, "eth1", alias="r3 eth1"),)
    )
    topology = merge(one, device(2, 1, [row(101, mac(1), "eth1")]), quiet(3, 1))
    assert cables(topology) == ["r1:eth1--r2:eth1"]


def aggregated(number, heard, **more):
    """eth1 and eth2 in bond1."""
    return replace(
        device(number, ["eth1", "eth2", "bond1"], heard),
        members=((1, 3), (2, 3)),
        **more,
    )


def test_members_are_the_cables_and_the_aggregate_says_nothing_more():
    def heard(other):
        return [row(101, mac(other), "eth1"), row(102, mac(other), "eth2"), row(103, mac(other), "bond1")]

    topology = merge(aggregated(1, heard(2)), aggregated(2, heard(1)))
    assert cables(topology) == ["r1:eth1--r2:eth1", "r1:eth2--r2:eth2"]
    assert kinds(topology) == []
    assert topology.device("r1").interfaces[0].member_of == "bond1"


def test_an_aggregate_of_one_is_its_member():
    one = replace(device(1, ["eth1", "bond1"], [row(102, mac(2), "bond1")]), members=((1, 2),))
    two = replace(device(2, ["eth1", "bond1"], [row(102, mac(1), "bond1")]), members=((1, 2),))
    (link,) = merge(one, two).links
    assert (str(link.id), link.two_sided) == ("r1:eth1--r2:eth1", True)


def test_cdp_beside_lldp_is_one_cable():
    def heard(other):
        return [row(101, mac(other), "eth1"), row(1, mac(other), "eth1", protocol="cdp")]

    (link,) = merge(device(1, 1, heard(2)), device(2, 1, heard(1))).links
    assert link.confidence == round(1 - (1 - 0.99) * (1 - 0.98), 4)
    assert len(link.evidence) == 4


# -- adding something changes nothing else ----------------------------------------------------------------------

pairs = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3)), max_size=8
)


def network(drawn, devices=5):
    """A device each with three ports; drawn: (device, port) hears (device, port); some rows are sessions or FDB."""
    heard = {n: [] for n in range(devices)}
    for n, (a, port, z, far) in enumerate(drawn):
        if a != z:
            heard[a].append(row(100 + port, mac(10 + z), f"eth{far}", rem=n))
    return [device(10 + n, 3, heard[n]) for n in range(devices)]


def without(topology, names):
    links = {
        (str(link.id), link.two_sided, link.confidence, link.evidence)
        for link in topology.links
        if not {link.a.node, link.b.node} & names
    }
    segments = {(s.name, s.ports) for s in topology.segments if not {p.node for p in s.ports} & names}
    devices = {d for d in topology.devices if d.name not in names}
    return links, segments, devices


@settings(max_examples=60, deadline=None)
@given(pairs, st.integers(0, 5))
def test_a_device_more_changes_nothing_else(drawn, place):
    before = network(drawn)
    stranger = device(99, 3, [row(101, "aa:ff:00:00:00:01", "eth1")], name="stranger")
    after = [*before[:place], stranger, *before[place:]]
    names = {"stranger", "aaff.0000.0001"}
    assert without(merge(*after), names) == without(merge(*before), names)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_a_row_more_on_a_free_port_changes_nothing_else(drawn):
    before = network(drawn)
    first = before[0]
    more = replace(
        first,
        interfaces=(*first.interfaces, interface(9, "eth9")),
        local_ports=(
            *first.local_ports,
            replace(first.local_ports[0], number=109, id=replace(first.local_ports[0].id, text="eth9")),
        ),
        neighbours=(*first.neighbours, row(109, "aa:ff:00:00:00:01", "eth1")),
    )
    names = {first.sys_name, "aaff.0000.0001"}
    had, has = merge(*before), merge(more, *before[1:])
    assert without(has, names) == without(had, names)
    new = {str(link.id) for link in has.links} - {str(link.id) for link in had.links}
    assert new == {"aaff.0000.0001:eth1--r10:eth9"}
    assert {str(link.id) for link in had.links} <= {str(link.id) for link in has.links}


@settings(max_examples=40, deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(drawn, random):
    before = network(drawn)
    after = list(before)
    random.shuffle(after)
    assert merge(*after) == merge(*before)


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_a_written_cable_more_changes_nothing_else(drawn):
    before = network(drawn)
    cable = CableRow(source="layer1", a=("x1", "e1"), z=("x2", "e1"), where="f:1")
    has = merge_found("test", Found(observations=tuple(before), cables=(cable,)))
    names = {"x1", "x2"}
    assert without(has, names) == without(merge(*before), names)
    assert "x1:e1--x2:e1" in cables(has)


def test_addresses_of_configurations_take_part():
    one = config("r1", eth1="10.0.0.1/30")
    two = replace(quiet(2, 1), addresses=(AddressRow(if_index=1, address=ip_interface("10.0.0.2/30")),))
    assert cables(merge(two, configs=[one])) == ["r1:eth1--r2:eth1"]
