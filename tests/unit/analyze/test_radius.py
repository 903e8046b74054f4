"""Who is reached through what a line touches."""

from labctl.analyze.radius import Network, radii
from labctl.ingest.ios import parse
from labctl.ingest.redact import Redactor
from labctl.model.topology import Link, Role, Segment, Topology
from labctl.names import PortId

R1 = """\
hostname r1
interface GigabitEthernet0/0
 ip address 10.0.12.1 255.255.255.0
 ip made-up thing
interface GigabitEthernet0/1
 ip address 10.0.99.1 255.255.255.0
 ip made-up thing
interface GigabitEthernet0/2
 ip address 10.0.50.1 255.255.255.0
 ip made-up thing
interface GigabitEthernet0/3
 ip made-up thing
router eigrp 1
 network 10.0.0.0
router bgp 1
 neighbor 10.0.12.2 remote-as 2
 neighbor 10.7.7.7 remote-as 3
 neighbor 10.7.7.7 made-up thing
 neighbor 10.7.7.7 route-map OUT out
 made-up thing
route-map OUT permit 10
 made-up thing
made-up thing
"""
R2 = "hostname r2\ninterface GigabitEthernet0/0\n ip address 10.0.12.2 255.255.255.0\n"


def port(text):
    return PortId.parse(text)


def test_ports_peers_processes_and_nothing():
    parsed = {
        name: parse(text, file=f"{name}.cfg", device=name, redactor=Redactor())
        for name, text in (("r1", R1), ("r2", R2))
    }
    topology = Topology(
        name="t",
        links=(
            Link(a=port("r1:GigabitEthernet0/0"), b=port("r2:GigabitEthernet0/0")),
            Link(a=port("r1:GigabitEthernet0/3"), b=port("r9:eth0"), role=Role.MGMT),
        ),
        segments=(
            Segment(name="s", ports=(port("r1:GigabitEthernet0/2"), port("r3:eth0"), port("r4:eth0"))),
        ),
    )
    network = Network(topology=topology, configs={name: each.config for name, each in parsed.items()})
    found = {line.where.line: reached for line, reached in radii(parsed["r1"].account, network)}
    assert {number: found[number] for number in (4, 7, 10, 12)} == {
        4: ("r2",),
        7: (),
        10: ("r3", "r4"),
        12: (),  # management is no part of a lab
    }
    assert found[14] == ("r2", "r3", "r4")
    assert found[18] == ("10.7.7.7",)
    assert found[20] == ("10.7.7.7", "r2")
    assert found[22] == ("10.7.7.7",)
    assert found[23] == ()
