"""What each fault does to which resources, when, and what it says of itself."""

import importlib
import inspect
import itertools

import pytest
from fault_examples import BOTH, CABLES, EXAMPLES, LAB, spans
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.faults.base import FAULTS, Way
from labctl.faults.draw import Draw
from labctl.faults.node_reboot import Mode
from labctl.model.effects import (
    ACTS_ON,
    AdminDown,
    ConfigRef,
    Configured,
    CpuLimit,
    Direction,
    Down,
    Frozen,
    HalfCable,
    Impaired,
    Killed,
    NodeRef,
    Off,
    PortRef,
    ProcessRef,
    Stopped,
    exists,
    resources,
    settle,
)
from labctl.model.impairment import Distribution, Impairment, Match, Member, Protocol, Rate
from labctl.model.scenario import Targets
from labctl.names import PortId

SAID = {
    "link.admin-down": "administratively down",
    "link.blackhole": "silent black hole",
    "link.degrade": "40ms, 3% loss",
    "link.down": "carrier loss",
    "link.ecmp-member": "flows of member 1 of 4 lost",
    "link.flap": "flapping: 1s down, 2s up ±50%",
    "link.group": "carrier loss of the whole group, 500ms apart",
    "link.microburst": "bursts of 100ms every 500ms: 30ms late, 10% loss",
    "link.mtu": "packets above 1400 bytes vanish",
    "link.oneway": "nothing passes a->z",
    "link.partition": "no path to all others",
    "link.selective": "bfd, tcp-port 179 lost",
    "node.config": "configured: router bgp 65001; no neighbor 10.0.0.2",
    "node.crash-loop": "bgpd crashes: 1s dead, 5s alive",
    "node.daemon-hang": "bgpd hangs",
    "node.daemon-kill": "bgpd dead",
    "node.degrade": "50% of ports dark, 10Mbit a port, 10% of a core",
    "node.hang": "control plane hangs, data plane forwards",
    "node.linecard": "ports eth[12] dark",
    "node.power": "power loss",
    "node.reboot": "cold reboot, 5s to boot",
    "node.slow": "10% of a core",
}


def changes(kind, settings=None, on=None):
    """[(resource, change)] of effects that last all the time."""
    found = spans(kind, settings, on)
    assert {(each.start_s, each.end_s) for each in found} <= {(0.0, 60.0)}
    return [(each.effect.on, each.effect.change) for each in found]


def test_every_fault_is_in_the_tables_above():
    assert set(FAULTS) == set(EXAMPLES) == set(SAID)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_it_says_what_it_does(kind):
    assert FAULTS[kind](**EXAMPLES[kind]).said() == SAID[kind]


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_its_effects_are_of_this_lab_and_inside_its_time(kind):
    known = resources(LAB)
    found = spans(kind)
    assert found
    for each in found:
        assert 0 <= each.start_s < each.end_s <= 60
        assert each.effect.id == "f"
        assert exists(each.effect.on, known)
        assert isinstance(each.effect.on, ACTS_ON[type(each.effect.change)])


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_the_same_draw_gives_the_same_fault(kind):
    assert spans(kind) == spans(kind, draw=Draw(seed=7))


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_it_is_called_what_its_file_is_and_explains_itself(kind):
    fault = FAULTS[kind]
    module = importlib.import_module(fault.__module__)
    assert fault.kind == kind
    assert fault.__module__.rpartition(".")[2] == kind.replace(".", "_").replace("-", "_")
    for word in ("In the world:", "In the kernel:", "Not `"):
        assert word in " ".join(module.__doc__.split()), f"{kind}: the docstring does not say {word!r}"
    assert fault.reverts
    assert inspect.getdoc(fault)
    assert len(inspect.getsource(module).splitlines()) <= 120


# -- links -----------------------------------------------------------------------------------------------------


def test_carrier_loss_takes_the_light_in_both_directions_or_in_one():
    assert changes("link.down") == [(half, Down()) for half in BOTH]
    assert changes("link.down", {"direction": Way.Z_TO_A}) == [(BOTH[1], Down())]


def test_a_black_hole_keeps_the_light():
    hole = Impaired(Impairment(blackhole=True))
    assert changes("link.blackhole") == [(half, hole) for half in BOTH]
    assert changes("link.oneway") == [(BOTH[0], hole)]
    assert changes("link.oneway", {"light": False}) == [(BOTH[0], Down())]


def test_both_directions_are_not_one_way():
    with pytest.raises(ValueError, match="a->z or z->a"):
        FAULTS["link.oneway"](direction=Way.BOTH)


def test_a_degraded_link_has_everything_at_once_and_draws_of_its_own_in_each_direction():
    found = changes(
        "link.degrade",
        {
            "delay_s": 0.01,
            "jitter_s": 0.002,
            "distribution": Distribution.NORMAL,
            "keep_order": False,
            "loss": 0.1,
            "loss_nth": 10,
            "burst_p": 0.01,
            "burst_r": 0.2,
            "duplicate": 0.01,
            "corrupt": 0.02,
            "reorder": 0.03,
            "rate_bps": 1e7,
            "queue_bytes": 10000,
        },
    )
    one, other = (change.impairment for _, change in found)
    assert one.seed != other.seed
    assert str(one) == (
        "10ms ±2ms (normal, may reorder), 10% loss, every 10th lost, bursts (p 1%, r 20%, loss 0%/100%), "
        "1% duplicated, 2% corrupted, 3% overtake, 10Mbit (queue 10000B)"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "nothing to degrade"),
        ({"keep_order": False}, "nothing to degrade"),
        ({"reorder": 0.1}, "needs a delay"),
        ({"delay_s": 1.0, "queue_bytes": 5}, "needs a rate"),
        ({"burst_p": 0.1}, "needs burst_r"),
        ({"loss": 0.1, "burst_r": 0.1}, "burst-r needs burst-p"),
        ({"loss": 0.1, "burst_loss_bad": 0.5}, "burst-loss-bad needs burst-p"),
        ({"delay_s": 1.0, "distribution": Distribution.NORMAL}, "distribution needs jitter"),
        ({"delay_s": 1.0, "keep_order": False}, "keep-order needs jitter"),
        ({"loss_nth": 3, "loss_offset": 3}, "no pattern"),
        ({"rate_bps": 10.0}, "below 8 kbit/s"),
        ({"rate_bps": 5e12}, "above 400 Gbit/s"),
        ({"rate_bps": 1e7, "queue_bytes": 5_000_000_000}, "above 4 GB"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        FAULTS["link.degrade"](**settings)


def test_selective_loss_knows_its_protocols():
    (_, change), _ = changes(
        "link.selective", {"protocols": ("bfd", "bfd", "ethertype:0x88cc"), "fraction": 0.5}
    )
    assert change.impairment.drops == (
        Match(protocol=Protocol.BFD, fraction=0.5),
        Match(protocol=Protocol.ETHERTYPE, value=0x88CC, fraction=0.5),
    )
    for bad, said in [
        (("bdf",), "no protocol 'bdf' .*did you mean `bfd`"),
        (("tcp-port",), "needs a number"),
        (("tcp-port:x",), "'x' is not a number"),
        (("bfd:1",), "takes no value"),
        ((), "empty"),
    ]:
        with pytest.raises(ValueError, match=said):
            FAULTS["link.selective"](protocols=bad)
    with pytest.raises(ValueError, match="nothing would be lost"):
        FAULTS["link.selective"](protocols=("bfd",), fraction=0.0)


def test_one_member_of_a_bundle():
    assert changes("link.ecmp-member")[0][1] == Impaired(Impairment(members=(Member(bucket=1, of=4),)))
    with pytest.raises(ValueError, match="bucket 4 of 4"):
        FAULTS["link.ecmp-member"](bucket=4, of=4)


def test_large_packets_vanish():
    assert changes("link.mtu")[0][1] == Impaired(Impairment(mtu=1400))
    with pytest.raises(ValueError, match="mtu of 10"):
        FAULTS["link.mtu"](mtu=10)


@given(st.floats(0.01, 3), st.floats(0.01, 3), st.floats(0, 0.9), st.floats(0.1, 20), st.integers(0, 9))
def test_a_flap_goes_down_and_up_and_ends_with_light(down, up, jitter, for_s, seed):
    if min(down, up) * (1 - jitter) < 0.01:
        with pytest.raises(ValueError, match="at least"):
            FAULTS["link.flap"](down_s=down, up_s=up, jitter=jitter)
        return
    settings = {"down_s": down, "up_s": up, "jitter": jitter}
    found = spans("link.flap", settings, for_s=for_s, draw=Draw(seed=seed))
    edges = sorted({(each.start_s, each.end_s) for each in found})
    assert len(found) == 2 * len(edges)
    assert edges[0][0] == 0
    assert edges[-1][1] <= for_s
    for (start, end_), (later, _) in itertools.pairwise(edges):
        assert down * (1 - jitter) * 0.999 <= end_ - start <= down * (1 + jitter) * 1.001
        assert up * (1 - jitter) * 0.999 <= later - end_ <= up * (1 + jitter) * 1.001


def test_a_microburst_delays_now_and_then_and_keeps_the_order():
    found = spans("link.microburst", {**EXAMPLES["link.microburst"], "direction": Way.A_TO_Z}, for_s=1.2)
    assert {each.effect.on for each in found} == {BOTH[0]}
    whole, *bursts = found
    assert (whole.start_s, whole.end_s) == (0, 1.2)
    assert [(round(each.start_s, 6), round(each.end_s, 6)) for each in bursts] == [
        (0, 0.1),
        (0.5, 0.6),
        (1.0, 1.1),
    ]
    setting = settle(LAB, [whole.effect])[BOTH[0]].impairment
    burst = settle(LAB, [whole.effect, bursts[0].effect])[BOTH[0]].impairment
    assert (setting.delay_s, setting.loss, burst.delay_s, burst.loss) == (0, 0, 0.03, 0.1)
    assert setting.jitter == burst.jitter, "the line that keeps the order is the same one"
    assert burst.jitter.keep_order


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"delay_s": 0.0}, "nothing is felt"),
        ({"burst_s": 0.5}, "at least 10ms"),
        ({"burst_s": 0.001}, "at least 10ms"),
    ],
)
def test_a_microburst_has_to_be_one(settings, said):
    with pytest.raises(ValueError, match=said):
        FAULTS["link.microburst"](**settings)


def test_a_group_goes_together_or_one_after_the_other():
    both = Targets(cables=tuple(CABLES[:2]))
    assert [on for on, _ in changes("link.group", {}, both)] == [
        HalfCable(c, d) for c in CABLES[:2] for d in Direction
    ]
    found = spans("link.group", {"stagger_s": 40.0}, Targets(cables=tuple(CABLES[:2])))
    assert [(each.effect.on.cable, each.start_s, each.end_s) for each in found[::2]] == [
        (CABLES[0], 0.0, 60.0),
        (CABLES[1], 40.0, 60.0),
    ]
    with pytest.raises(LabctlError, match="the last of 3 links would go dark after 80s"):
        spans("link.group", {"stagger_s": 40.0}, Targets(cables=tuple(CABLES[:3])))


@pytest.mark.parametrize("kind", ["link.flap", "link.microburst", "node.crash-loop"])
def test_what_goes_down_too_often_is_refused(kind):
    """Before anything is counted out: 900 days of 10 ms would fill the memory."""
    fault = FAULTS[kind](**({"daemon": "bgpd"} if kind == "node.crash-loop" else {}))
    with pytest.raises(LabctlError, match="more than 10000 times") as caught:
        fault.spans("x", LAB, Targets(cables=tuple(CABLES[:1]), nodes=("r1",)), 900 * 86400.0, Draw(seed=1))
    assert caught.value.code == "bad-value"


def test_a_partition_is_the_smallest_cut():
    cut = {on.cable for on, _ in changes("link.partition", {"against": ("r3",)}, Targets(nodes=("r1",)))}
    assert len(cut) == 2
    assert cut <= set(CABLES[:5])
    alone = {on.cable for on, _ in changes("link.partition", {"light": False}, Targets(nodes=("r1", "r2")))}
    assert alone == {CABLES[1], CABLES[3]}
    with pytest.raises(LabctlError, match="no node beside"):
        spans("link.partition", {"against": ("x*",)}, Targets(nodes=("r1",)))


def test_admin_down_is_inside_the_node():
    assert changes("link.admin-down") == [(PortRef(PortId("r1", "eth1")), AdminDown())]


# -- nodes -----------------------------------------------------------------------------------------------------


def test_power_loss_is_dead_processes_and_dark_cables():
    found = changes("node.power")
    mine = [cable for cable in CABLES if "r1" in (cable.a.node, cable.z.node)]
    assert set(found) == {(HalfCable(c, d), Down()) for c in mine for d in Direction} | {
        (NodeRef("r1"), Off())
    }
    assert not any(isinstance(on, NodeRef) for on, _ in changes("node.power", {}, Targets(nodes=("b1",))))


def test_a_cold_reboot_is_dark_and_a_warm_one_forwards():
    cold, warm = spans("node.reboot"), spans("node.reboot", {"mode": Mode.WARM, "boot_s": 5.0})
    assert {(each.start_s, each.end_s) for each in (*cold, *warm)} == {(0.0, 5.0)}
    assert [each.effect.on for each in warm] == [NodeRef("r1")]
    assert len(cold) == 7
    assert {each.end_s for each in spans("node.reboot", {})} == {60.0}


def test_hang_and_slow():
    assert changes("node.hang") == [(NodeRef("r1"), Frozen())]
    assert changes("node.slow") == [(NodeRef("r1"), CpuLimit(0.1))]
    with pytest.raises(ValueError, match="of a core"):
        FAULTS["node.slow"](cpu=0.0)


def test_daemons():
    process = ProcessRef("r1", "bgpd")
    assert changes("node.daemon-kill", {"daemon": "bgpd", "restart": "x"}) == [(process, Killed("x"))]
    assert changes("node.daemon-hang") == [(process, Stopped())]
    found = spans("node.crash-loop", for_s=13.0)
    assert [(each.start_s, each.end_s) for each in found] == [(0, 1), (6, 7), (12, 13)]
    for kind in ("node.daemon-kill", "node.daemon-hang", "node.crash-loop"):
        for name in ("", "/usr/lib/frr/bgpd", "a-name-that-is-too-long"):
            with pytest.raises(ValueError, match="not the name of a process"):
                FAULTS[kind](daemon=name)


def test_a_line_card_is_the_ports_that_match():
    assert {on.cable for on, _ in changes("node.linecard")} == {CABLES[0], CABLES[3]}
    assert changes("node.linecard", {"ports": ("ge*",)}) == []


def test_degradation_takes_a_fraction_and_slows_the_rest():
    found = changes("node.degrade")
    dark = {on.cable for on, change in found if isinstance(change, Down)}
    slow = {on.cable for on, change in found if isinstance(change, Impaired)}
    assert (len(dark), len(slow)) == (2, 1)
    assert not dark & slow
    assert (NodeRef("r1"), CpuLimit(0.1)) in found
    assert Impaired(Impairment(rate=Rate(bps=1e7))) in [change for _, change in found]
    drawn = {
        tuple(sorted({e.effect.on.cable for e in spans("node.degrade", {"ports": 0.34}, draw=Draw(seed=i))}))
        for i in range(20)
    }
    assert len(drawn) == 3  # each of the three cables is some seed's
    with pytest.raises(ValueError, match="nothing to degrade"):
        FAULTS["node.degrade"]()


def test_a_configuration_fault_types_its_lines():
    assert changes("node.config") == [(ConfigRef("r1"), Configured(EXAMPLES["node.config"]["lines"]))]
    for line in ("write memory", " do reload", "copy a b"):
        with pytest.raises(ValueError, match="is no configuration"):
            FAULTS["node.config"](lines=("hostname x", line))
