"""A small lab, and of every fault settings with which it does something there."""

from labctl.faults.base import FAULTS
from labctl.faults.draw import Draw
from labctl.model.effects import Direction, HalfCable
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.model.scenario import Kind, Targets
from labctl.names import PortId


def square():
    """r1 - r2 - r3 - r4 - r1, a second cable between r1 and r2, a bridge b1 at r3, a stub at r4."""
    pairs = [
        ("r1:eth1", "r2:eth1"),
        ("r2:eth2", "r3:eth1"),
        ("r3:eth2", "r4:eth1"),
        ("r4:eth2", "r1:eth2"),
        ("r1:eth3", "r2:eth3"),
        ("r3:eth3", "b1:p1"),
        ("r4:eth9", None),
    ]
    nodes = [NodeSpec(name="b1", kind=NodeKind.BRIDGE), *(NodeSpec(name=f"r{i}") for i in range(1, 5))]
    cables = [CableSpec(a=end(a), z=end(z) if z else None) for a, z in pairs]
    return LabSpec(name="square", nodes=tuple(nodes), cables=tuple(cables))


def end(port):
    return End(port=PortId.parse(port), mac="02:00:00:00:00:01")


LAB = square()
CABLES = [cable.id for cable in LAB.cables]
BOTH = [(HalfCable(CABLES[0], d)) for d in Direction]
ONE_CABLE = Targets(cables=(CABLES[0],))
DRAW = Draw(seed=7)
#: kind -> settings with which it does something.
EXAMPLES = {
    "link.admin-down": {},
    "link.blackhole": {},
    "link.degrade": {"delay_s": 0.04, "loss": 0.03},
    "link.down": {},
    "link.ecmp-member": {"bucket": 1, "of": 4},
    "link.flap": {"down_s": 1.0, "up_s": 2.0, "jitter": 0.5},
    "link.group": {"stagger_s": 0.5},
    "link.microburst": {"delay_s": 0.03, "loss": 0.1, "burst_s": 0.1, "every_s": 0.5},
    "link.mtu": {"mtu": 1400},
    "link.oneway": {},
    "link.partition": {},
    "link.selective": {"protocols": ("bfd", "tcp-port:179")},
    "node.config": {"lines": ("router bgp 65001", "no neighbor 10.0.0.2")},
    "node.crash-loop": {"daemon": "bgpd"},
    "node.daemon-hang": {"daemon": "bgpd"},
    "node.daemon-kill": {"daemon": "bgpd"},
    "node.degrade": {"ports": 0.5, "rate_bps": 1e7, "cpu": 0.1},
    "node.hang": {},
    "node.linecard": {"ports": ("eth[12]",)},
    "node.power": {},
    "node.reboot": {"boot_s": 5.0},
    "node.slow": {"cpu": 0.1},
}


def targets(kind):
    return {
        Kind.LINK: ONE_CABLE,
        Kind.NODE: Targets(nodes=("r1",)),
        Kind.PORT: Targets(ports=(PortId("r1", "eth1"),)),
    }[FAULTS[kind].on]


def spans(kind, settings=None, on=None, for_s=60.0, draw=DRAW):
    fault = FAULTS[kind](**(EXAMPLES[kind] if settings is None else settings))
    return fault.spans("f", LAB, on or targets(kind), for_s, draw)
