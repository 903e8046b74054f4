"""Claims to links: what is confirmed, what is doubted, what is a segment, what is kept."""

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from production import cables, config, device, interface, kinds, mac, merge, row

from labctl.model.observation import Rejected
from labctl.names import CableId, PortId
from labctl.topo.links import WEIGHTS, Hypothesis, select


def pair(*, back=True, far_lldp=True, complete=True):
    one = device(1, 2, [row(101, mac(2), "eth1")])
    two = device(2, 2, [row(101, mac(1), "eth1")] if back else [], lldp=far_lldp, complete=complete)
    return merge(one, two)


def test_both_ends_say_so():
    topology = pair()
    (link,) = topology.links
    assert (str(link.id), link.two_sided, link.confidence) == ("r1:eth1--r2:eth1", True, 0.99)
    assert {e.where.split(":")[0] for e in link.evidence} == {"row"}
    assert topology.conflicts == ()


def test_one_end_says_so_and_the_other_speaks_and_is_silent():
    topology = pair(back=False)
    (link,) = topology.links
    assert (link.two_sided, link.confidence) == (False, WEIGHTS["lldp contradicted"])
    assert kinds(topology) == ["one-sided"]


@pytest.mark.parametrize("silent", [{"far_lldp": False}, {"complete": False}])
def test_the_silence_of_a_device_that_does_not_speak_or_was_not_read_to_the_end_means_nothing(silent):
    topology = pair(back=False, **silent)
    assert topology.links[0].confidence == WEIGHTS["lldp one-sided"]
    assert topology.conflicts == ()


def test_a_neighbour_that_was_not_polled_is_a_device_with_that_port():
    topology = merge(device(1, 1, [row(101, mac(9), "Gi0/1", sys_name="isp")]))
    isp = topology.device("isp")
    assert (isp.polled, [i.name for i in isp.interfaces]) == (False, ["Gi0/1"])
    assert topology.links[0].confidence == WEIGHTS["lldp one-sided"]


def test_lldp_and_cdp_of_one_cable_are_one_link_with_more_confidence():
    one = device(1, 1, [row(101, mac(2), "eth1"), row(1, None, "eth1", protocol="cdp", sys_name="r2")])
    two = device(2, 1, [row(101, mac(1), "eth1"), row(1, None, "eth1", protocol="cdp", sys_name="r1")])
    (link,) = merge(one, two).links
    assert link.two_sided
    assert link.confidence > WEIGHTS["lldp two-sided"]
    assert sorted(e.source for e in link.evidence) == ["cdp", "cdp", "lldp", "lldp"]


def test_parallel_cables_stay_apart():
    one = device(1, 2, [row(101, mac(2), "eth2"), row(102, mac(2), "eth1")])
    two = device(2, 2, [row(101, mac(1), "eth2"), row(102, mac(1), "eth1")])
    assert cables(merge(one, two)) == ["r1:eth1--r2:eth2", "r1:eth2--r2:eth1"]


def test_a_row_left_over_from_an_earlier_cable_loses_and_is_reported():
    one = device(1, 1, [row(101, mac(2), "eth1"), row(101, mac(3), "eth1", rem=2)])
    two = device(2, 1, [row(101, mac(1), "eth1")])
    topology = merge(one, two, device(3, 1))
    assert cables(topology) == ["r1:eth1--r2:eth1"]
    assert topology.segments == ()
    assert kinds(topology) == ["port-claimed-twice"]


def test_a_port_with_several_neighbours_is_a_segment():
    rows = [row(101, mac(n), "eth0", rem=n, sys_name=f"host{n}") for n in (11, 12, 13)]
    topology = merge(device(1, 1, rows))
    assert cables(topology) == []
    (segment,) = topology.segments
    assert [str(p) for p in segment.ports] == ["host11:eth0", "host12:eth0", "host13:eth0", "r1:eth1"]
    assert len(segment.evidence) == 3


def test_everybody_hears_everybody_through_a_dumb_switch():
    def heard(me):
        return [row(101, mac(n), "eth1", rem=n) for n in (1, 2, 3) if n != me]

    topology = merge(*(device(n, 1, heard(n)) for n in (1, 2, 3)))
    assert cables(topology) == []
    assert [len(s.ports) for s in topology.segments] == [3]
    assert topology.conflicts == ()


def test_one_device_heard_twice_on_a_port_is_one_cable_to_its_physical_port():
    rows = [row(101, mac(9), "bridge1/vlan75", rem=1), row(101, mac(9), "ether1", rem=2)]
    topology = merge(device(1, 1, rows))
    assert cables(topology) == ["aa00.0000.0900:ether1--r1:eth1"]
    assert topology.segments == ()


def test_a_cable_from_a_device_to_itself_is_a_cable():
    one = device(1, 2, [row(101, mac(1), "eth2"), row(102, mac(1), "eth1")])
    assert cables(merge(one)) == ["r1:eth1--r1:eth2"]


def test_a_port_that_hears_itself_is_reported():
    topology = merge(device(1, 1, [row(101, mac(1), "eth1")]))
    assert (cables(topology), kinds(topology)) == ([], ["port-sees-itself"])


# -- addresses --------------------------------------------------------------------------------------------------


def test_configurations_alone_give_the_cables():
    topology = merge(
        configs=[
            config("r1", lo="10.255.0.1/32", eth1="10.0.0.0/31", eth2="10.0.0.2/31"),
            config("r2", lo="10.255.0.2/32", eth1="10.0.0.1/31"),
            config("r3", eth7="10.0.0.3/31"),
        ]
    )
    assert cables(topology) == ["r1:eth1--r2:eth1", "r1:eth2--r3:eth7"]
    assert {link.confidence for link in topology.links} == {WEIGHTS["subnet narrow"]}
    assert not any(link.two_sided for link in topology.links)


def test_subnets_add_to_what_neighbours_say():
    one = device(1, 1, [row(101, mac(2), "eth1")], addresses=[(1, "10.0.0.1/30")])
    two = device(2, 1, [row(101, mac(1), "eth1")], addresses=[(1, "10.0.0.2/30")])
    (link,) = merge(one, two).links
    assert link.confidence == pytest.approx(1 - (1 - 0.99) * (1 - 0.8))
    assert [e.source for e in link.evidence] == ["lldp", "lldp", "subnet"]


def test_two_routers_behind_a_switch_are_not_joined_by_their_subnet():
    switch = device(9, 2, [row(101, mac(1), "eth1"), row(102, mac(2), "eth1")])
    one = device(1, 1, [row(101, mac(9), "eth1")], addresses=[(1, "10.0.0.1/30")])
    two = device(2, 1, [row(101, mac(9), "eth2")], addresses=[(1, "10.0.0.2/30")])
    topology = merge(switch, one, two)
    assert cables(topology) == ["r1:eth1--r9:eth1", "r2:eth1--r9:eth2"]
    assert topology.conflicts == ()


@pytest.mark.parametrize(("length", "links", "segments"), [(30, [WEIGHTS["subnet silent"]], 0), (24, [], 1)])
def test_two_devices_that_listen_and_hear_nobody_are_not_joined_directly(length, links, segments):
    def listening(number):
        return device(number, 1, addresses=[(1, f"10.0.0.{number}/{length}")])

    topology = merge(listening(1), listening(2))
    assert [link.confidence for link in topology.links] == links
    assert len(topology.segments) == segments
    deaf = merge(listening(1), device(2, 1, lldp=False, addresses=[(1, f"10.0.0.2/{length}")]))
    assert len(deaf.links) == 1


def test_a_subnet_that_contradicts_a_cable_is_reported():
    one = device(1, 2, [row(101, mac(2), "eth1")], addresses=[(1, "10.0.0.1/30")])
    two = device(2, 2, [row(101, mac(1), "eth1")])
    topology = merge(one, two, configs=[config("r3", eth1="10.0.0.2/30")])
    assert cables(topology) == ["r1:eth1--r2:eth1"]
    assert kinds(topology) == ["subnet-without-cable"]


def test_a_subnet_with_many_members_is_a_segment():
    topology = merge(configs=[config(f"r{n}", eth1=f"192.0.2.{n}/24") for n in (1, 2, 3)])
    assert cables(topology) == []
    assert [(s.name, len(s.ports)) for s in topology.segments] == [("segment-192.0.2.0/24", 3)]


@pytest.mark.parametrize("name", ["lo", "Vlan10", "br0", "Tunnel1", "mgmt0"])
def test_interfaces_that_prove_no_cable(name):
    topology = merge(configs=[config("r1", **{name: "10.0.0.1/30"}), config("r2", **{name: "10.0.0.2/30"})])
    assert cables(topology) == []


def test_an_address_that_two_devices_have_proves_nothing():
    topology = merge(configs=[config("r1", eth1="10.0.0.1/30"), config("r2", eth1="10.0.0.1/30")])
    assert cables(topology) == []
    assert "address-shared" in kinds(topology)


def test_sub_interfaces_stand_for_their_parent():
    def walk(number, host):
        ports = (interface(1, "eth1"), interface(2, "eth1.100", type=135))
        return device(number, 0, interfaces=ports, lldp=False, addresses=[(2, f"10.0.0.{host}/30")])

    assert cables(merge(walk(1, 1), walk(2, 2))) == ["r1:eth1--r2:eth1"]


def test_the_members_of_an_aggregate_are_its_cables():
    def end(number, other):
        rows = [row(101, mac(other), "eth1"), row(102, mac(other), "eth2")]
        return device(number, ["eth1", "eth2", "bond0"], rows, addresses=[(3, f"10.0.0.{number}/30")])

    assert cables(merge(end(1, 2), end(2, 1))) == ["r1:eth1--r2:eth1", "r1:eth2--r2:eth2"]


def test_an_aggregate_without_neighbours_is_a_cable():
    def end(number):
        return device(number, ["bond0"], lldp=False, addresses=[(1, f"10.0.0.{number}/30")])

    assert cables(merge(end(1), end(2))) == ["r1:bond0--r2:bond0"]


# -- what does not fit ------------------------------------------------------------------------------------------


def test_mismatches_of_the_two_ends_are_reported():
    def end(number, other, **more):
        ports = (interface(1, "eth1", mac=mac(number, 1), oper_up=True, **more),)
        return device(number, 1, [row(101, mac(other), "eth1")], interfaces=ports)

    topology = merge(end(1, 2, mtu=1500, speed_bps=1e9, admin_up=True), end(2, 1, mtu=9000, speed_bps=1e10))
    assert kinds(topology) == ["mtu-mismatch", "speed-mismatch"]
    assert len(topology.links) == 1


def test_an_address_that_unnumbered_ports_borrow_is_no_mismatch():
    one = device(1, 1, [row(101, mac(2), "eth1")], addresses=[(1, "10.255.0.1/32")])
    two = device(2, 1, [row(101, mac(1), "eth1")], addresses=[(1, "10.255.0.2/32")])
    assert kinds(merge(one, two)) == []


def test_rows_that_were_not_understood_are_listed_with_their_place():
    refused = (Rejected(where="r1.snmprec:7", reason="names nobody"),)
    (conflict,) = merge(device(1, 1, rejected=refused)).conflicts
    assert (conflict.kind, conflict.subject) == ("rows-rejected", "r1")
    assert [(e.where, e.said) for e in conflict.said] == [("r1.snmprec:7", "names nobody")]


def test_different_subnets_on_one_cable_are_reported():
    one = device(1, 1, [row(101, mac(2), "eth1")], addresses=[(1, "10.0.0.1/30")])
    two = device(2, 1, [row(101, mac(1), "eth1")], addresses=[(1, "10.0.9.2/30")])
    assert kinds(merge(one, two)) == ["subnet-mismatch"]


# -- devices that could not be read this time -------------------------------------------------------------------


def ring(*numbers, without=()):
    """r1 - r2 - r3 - r1, by LLDP on both sides; `without` were not read."""
    walks = []
    for n in numbers:
        left, right = numbers[numbers.index(n) - 1], numbers[(numbers.index(n) + 1) % len(numbers)]
        if n not in without:
            walks.append(device(n, 2, [row(101, mac(left), "eth2"), row(102, mac(right), "eth1")]))
    return walks


def stale(topology, name):
    return replace(
        topology,
        devices=tuple(
            replace(d, stale_since="2026-01-01T00:00:00Z") if d.name == name else d for d in topology.devices
        ),
    )


def test_a_device_that_could_not_be_read_loses_nothing():
    before = merge(*ring(1, 2, 3))
    after = merge(*ring(1, 2, 3, without=[2]), kept=stale(before, "r2"), stale=["r2"])
    assert cables(after) == cables(before)
    assert all(link.two_sided for link in after.links)
    assert [d.name for d in after.devices if d.stale_since] == ["r2"]
    assert after.device("r2").interfaces == before.device("r2").interfaces
    assert after.device("r2").id == before.device("r2").id


def test_a_device_that_stopped_half_way_keeps_what_it_did_not_say():
    before = merge(*ring(1, 2, 3))
    walks = ring(1, 2, 3)
    walks[1] = device(2, 1, [row(101, mac(1), "eth2")], complete=False)
    after = merge(*walks, kept=stale(before, "r2"), stale=["r2"])
    assert cables(after) == cables(before)
    assert [i.name for i in after.device("r2").interfaces] == ["eth1", "eth2"]
    assert after.device("r2").stale_since


def test_a_device_that_stopped_half_way_does_not_rename_its_neighbours():
    before = merge(device(1, 1, [row(101, mac(9), "eth0", sys_name="camera")]))
    assert cables(before) == ["camera:eth0--r1:eth1"]
    half = device(1, 1, [row(101, mac(9), "eth0")], complete=False)
    after = merge(half, kept=stale(before, "r1"), stale=["r1"])
    assert cables(after) == cables(before)
    alone = merge(half)  # without an earlier snapshot it is all there is
    assert cables(alone) == ["aa00.0000.0900:eth0--r1:eth1"]


def test_a_device_whose_configuration_alone_could_be_read_keeps_its_hardware_and_its_management_port():
    def r(number, other):
        return device(
            number,
            ["eth0", "eth1"],
            [row(102, mac(other), "eth1")],
            address=f"192.0.2.{number}",
            addresses=[(1, f"192.0.2.{number}/24")],
        )

    before = merge(r(1, 2), r(2, 1))
    kept = stale(stale(before, "r1"), "r2")
    configs = [config(f"r{n}", eth0=f"192.0.2.{n}/24", eth1=f"10.0.0.{n}/30") for n in (1, 2)]
    after = merge(configs=configs, kept=kept, stale=["r1", "r2"])
    assert cables(after) == cables(before) == ["r1:eth1--r2:eth1"]
    eth0, eth1 = after.device("r1").interfaces
    assert (eth0.role, eth1.mac, eth1.addresses) == ("mgmt", mac(1, 2), ("10.0.0.1/30",))


def test_a_segment_with_a_dead_member_stays():
    def heard(me):
        return [row(101, mac(n), "eth1", rem=n) for n in (1, 2, 3) if n != me]

    before = merge(*(device(n, 1, heard(n)) for n in (1, 2, 3)))
    after = merge(*(device(n, 1, heard(n)) for n in (1, 3)), kept=stale(before, "r2"), stale=["r2"])
    assert [s.ports for s in after.segments] == [s.ports for s in before.segments]
    alone = merge(device(1, 1), kept=stale(stale(before, "r2"), "r3"), stale=["r2", "r3"])
    assert [s.ports for s in alone.segments] == [s.ports for s in before.segments]


def test_two_dead_neighbours_keep_the_cable_between_them():
    before = merge(*ring(1, 2, 3))
    kept = stale(stale(before, "r2"), "r3")
    after = merge(*ring(1, 2, 3, without=[2, 3]), kept=kept, stale=["r2", "r3"])
    assert cables(after) == cables(before)


def test_a_cable_between_devices_that_answered_goes_when_both_say_so():
    before = merge(*ring(1, 2, 3))
    one = device(1, 2, [row(102, mac(2), "eth1")])
    three = device(3, 2)
    after = merge(one, three, kept=stale(before, "r2"), stale=["r2"])
    assert cables(after) == ["r1:eth2--r2:eth1", "r2:eth2--r3:eth1"]


def test_a_cable_that_was_moved_away_from_a_dead_device_is_moved():
    before = merge(*ring(1, 2, 3))
    one = device(1, 2, [row(101, mac(3), "eth2"), row(102, mac(4), "eth1")])
    four = device(4, 1, [row(101, mac(1), "eth2")])
    three = ring(1, 2, 3)[2]
    after = merge(one, three, four, kept=stale(before, "r2"), stale=["r2"])
    assert "r1:eth2--r4:eth1" in cables(after)
    assert "r1:eth2--r2:eth1" not in cables(after)
    assert "port-claimed-twice" in kinds(after)


# -- selection --------------------------------------------------------------------------------------------------


def hypothesis(a, z, confidence):
    made = Hypothesis(CableId.of(PortId.parse(a), PortId.parse(z)))
    made.inferred["subnet"] = confidence
    return made


def test_two_weak_claims_do_not_outvote_a_confirmed_one():
    claims = [
        hypothesis("a:1", "b:1", 0.5),
        hypothesis("b:1", "c:1", 0.99),
        hypothesis("c:1", "d:1", 0.5),
    ]
    chosen, lost = select(claims)
    assert [str(h.cable) for h in chosen] == ["b:1--c:1"]
    assert len(lost) == 2


ports = st.builds(lambda d, p: f"d{d}:p{p}", st.integers(0, 5), st.integers(0, 1))
claims = st.lists(st.tuples(ports, ports, st.sampled_from([0.5, 0.6, 0.8, 0.85, 0.99])), max_size=14)


@settings(max_examples=150, deadline=None)
@given(claims)
def test_selection_is_a_matching_as_good_as_that_of_the_whole_graph(drawn):
    made = {(min(a, z), max(a, z)): c for a, z, c in drawn}
    hypotheses = [hypothesis(a, z, c) for (a, z), c in made.items()]
    chosen, lost = select(hypotheses)
    ends = [end for h in chosen for end in (h.cable.a, h.cable.z)]
    assert len(ends) == len(set(ends))
    assert len(chosen) + len(lost) == len(hypotheses)

    whole = nx.Graph()
    for h in hypotheses:
        if h.cable.a != h.cable.z:
            whole.add_edge(h.cable.a, h.cable.z, weight=_weight(h))
    best = nx.max_weight_matching(whole)
    assert sum(map(_weight, chosen)) == pytest.approx(sum(whole.edges[e]["weight"] for e in best))


def _weight(h):
    from math import log1p

    return -log1p(-h.confidence)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(1, 5)), st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_matter(order, random):
    walks = dict(zip((1, 2, 3, 4), ring(1, 2, 3, 4), strict=True))
    shuffled = [walks[n] for n in order]
    random.shuffle(shuffled)
    assert set(cables(merge(*shuffled))) == set(cables(merge(*walks.values())))
