"""Topology lint: two ends that do not fit, said with the lines of both."""

import os
from pathlib import Path

import pytest
from production import device, interface, mac, row

from labctl.app.discover import discover
from labctl.model.observation import Found
from labctl.topo.lint import lint
from labctl.topo.merge import merge

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus")) / "lab-validation"
HEAD = "frr version 8.4\nfrr defaults traditional\n"
R1 = """hostname r1
!
interface eth1
 ip address 10.0.0.1/30
 ip ospf area 0
!
router ospf
 ospf router-id 1.1.1.1
!
router bgp 65001
 neighbor 10.0.0.2 remote-as 65002
!
"""
R2 = R1.replace("hostname r1", "hostname r2").replace("10.0.0.1/30", "10.0.0.2/30")
R2 = R2.replace("1.1.1.1", "2.2.2.2").replace("bgp 65001", "bgp 65002")
R2 = R2.replace("neighbor 10.0.0.2 remote-as 65002", "neighbor 10.0.0.1 remote-as 65001")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(here, one=R1, other=R2):
    for name, text in (("r1", one), ("r2", other)):
        (here / "net" / name).mkdir(parents=True)
        (here / "net" / name / "frr.conf").write_text(HEAD + text)
    found = discover(["net"], write=False, lint=True)
    return found.lint


def test_two_ends_that_fit(here):
    assert findings(here) == ()


@pytest.mark.parametrize(
    ("old", "new", "kind", "said"),
    [
        ("ospf area 0", "ospf area 1", "area-mismatch", "r2:eth1: area 0.0.0.1"),
        (
            "ospf area 0",
            "ospf area 0\n ip ospf hello-interval 5",
            "timer-mismatch",
            "r2:eth1: hello 5 s, dead 40 s",
        ),
        (
            "ospf area 0",
            "ospf area 0\n ip ospf network point-to-point",
            "network-type-mismatch",
            "without a designated",
        ),
        (
            "ospf area 0",
            "ospf area 0\n ip ospf authentication message-digest",
            "auth-mismatch",
            "r2:eth1: authentication",
        ),
        ("remote-as 65001", "remote-as 65009", "asn-mismatch", "r2: neighbor 10.0.0.1 remote-as 65009"),
        (
            "neighbor 10.0.0.1 remote-as 65001",
            "",
            "session-one-sided",
            "r2 has no neighbor of r1's addresses",
        ),
        ("2.2.2.2", "1.1.1.1", "router-id-shared", "r2 has it"),
    ],
)
def test_two_ends_that_do_not(here, old, new, kind, said):
    found = findings(here, other=R2.replace(old, new))
    (finding,) = found
    assert finding.kind == kind
    assert any(said in each.said for each in finding.said)
    assert all("frr.conf" in each.where for each in finding.said)


def test_an_interface_without_ospf_on_the_other_side_is_no_mismatch(here):
    assert [f.kind for f in findings(here, other=R2.replace(" ip ospf area 0\n", ""))] == []


def test_what_a_cable_shows():
    def box(number, other, **more):
        return device(
            number,
            1,
            [row(101, mac(other), "eth1")],
            interfaces=(interface(1, "eth1", **more),),
        )

    topology = merge(
        "t",
        Found(
            observations=(
                box(1, 2, mtu=1500, duplex="full", vlan=10),
                box(2, 1, mtu=9000, duplex="half", vlan=20),
            )
        ),
    )
    assert [f.kind for f in lint(topology, {})] == ["duplex-mismatch", "mtu-mismatch", "vlan-mismatch"]


def test_cdp_tells_of_the_other_end():
    """Neither device says its VLAN or duplex; each hears the other's."""

    def heard(other, vlan, duplex):
        return [row(1, mac(other), "eth1", protocol="cdp", native_vlan=vlan, duplex=duplex)]

    one, two = device(1, 1, heard(2, 20, "half")), device(2, 1, heard(1, 10, "full"))
    topology = merge("t", Found(observations=(one, two)))
    assert [f.kind for f in lint(topology, {})] == ["duplex-mismatch", "vlan-mismatch"]


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
def test_the_example_network_has_its_known_mistakes():
    found = discover([str(CORPUS / "ios_example_network")], write=False, lint=True)
    mtus = {f.subject for f in found.lint if f.kind == "mtu-mismatch"}
    assert mtus == {
        "as2border1:GigabitEthernet2/0--as2core2:GigabitEthernet1/0",
        "as2border2:GigabitEthernet1/0--as2core2:GigabitEthernet0/0",
        "as2core2:GigabitEthernet2/0--as2dist2:GigabitEthernet0/0",
    }


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
def test_the_example_network_has_exactly_its_cables():
    topology = discover([str(CORPUS / "ios_example_network")], write=False).snapshot.topology
    assert len(topology.links) == 18
    (segment,) = topology.segments
    assert {port.node for port in segment.ports} == {
        "as1core1",
        "as2border1",
        "as2core2",
        "as2dept1",
        "as3core1",
    }
    assert [str(e.where) for e in segment.evidence] == ["192.168.122.0/24"]
    taken = {end for link in topology.links for end in (link.a, link.b)} | set(segment.ports)
    names = {(port.node, port.interface) for port in taken}
    stubs = {
        f"{device.name}:{each.name}"
        for device in topology.devices
        for each in device.interfaces
        if not each.kind and each.admin_up and each.addresses and (device.name, each.name) not in names
    }
    assert stubs == {
        "as1border2:GigabitEthernet2/0",
        "as2dept1:GigabitEthernet2/0",
        "as2dept1:GigabitEthernet3/0",
        "as3core1:GigabitEthernet2/0",
    }


# --- more than a cable: VLANs above it, segments, IS-IS ---

A = """interface GigabitEthernet0/0
 ip address 10.0.0.1 255.255.255.252
 ip ospf 1 area 0
 ip router isis
interface GigabitEthernet0/1
 no ip address
interface GigabitEthernet0/1.10
 encapsulation dot1Q 10
 ip address 10.1.0.1 255.255.255.252
 ip ospf 1 area 0
interface GigabitEthernet0/2
 ip address 10.2.0.1 255.255.255.0
 ip ospf 1 area 0
interface GigabitEthernet0/3
 switchport access vlan 10
 duplex full
router ospf 1
 area 0 authentication message-digest
router isis
 net 49.0001.0000.0000.0001.00
router bgp 65001
 neighbor 10.0.0.2 remote-as 65001
"""
B = A.replace("10.0.0.2 ", "10.0.0.1 ").replace("0.1 255", "0.2 255").replace("0001.00\n", "0002.00\n")


def among(here, **texts):
    cable = "a,GigabitEthernet0/3,b,GigabitEthernet0/3"
    (here / "cables.csv").write_text(f"a_device,a_port,b_device,b_port\n{cable}\n")
    for name, text in texts.items():
        (here / f"{name}.cfg").write_text(f"version 15.2\nhostname {name}\n{text}")
    return [
        (c.kind, c.subject, [s.said for s in c.said]) for c in discover(["."], write=False, lint=True).lint
    ]


def third(number=3, extra=""):
    return f"interface GigabitEthernet0/2\n ip address 10.2.0.{number} 255.255.255.0\n ip ospf 1 area 0\n{extra}router ospf 1\n area 0 authentication message-digest\n"


def test_vlans_segments_and_isis_that_fit(here):
    assert among(here, a=A, b=B, c=third()) == []


GI0, GI3 = "a:GigabitEthernet0/0--b:GigabitEthernet0/0", "a:GigabitEthernet0/3--b:GigabitEthernet0/3"
SUB = "a:GigabitEthernet0/1.10--b:GigabitEthernet0/1.10"


@pytest.mark.parametrize(
    ("changed", "kind", "subject", "said"),
    [
        (("dot1Q 10", "dot1Q 20"), "vlan-mismatch", SUB, "b:GigabitEthernet0/1.10: VLAN 20"),
        (("access vlan 10", "access vlan 20"), "vlan-mismatch", GI3, "untagged VLAN 20"),
        (("duplex full", "duplex half"), "duplex-mismatch", GI3, "half duplex"),
        (
            ("10.1.0.2 255.255.255.252\n", "10.1.0.2 255.255.255.252\n ip ospf dead-interval 9\n"),
            "timer-mismatch",
            SUB,
            "b:GigabitEthernet0/1.10: hello 10 s, dead 9 s",
        ),
        (
            (" net 49.0001.", " is-type level-1\n net 49.0009."),
            "area-mismatch",
            GI0,
            "b:GigabitEthernet0/0: level 1 in area 49.0009",
        ),
        (
            (" ip router isis\n", " ip router isis\n isis network point-to-point\n"),
            "network-type-mismatch",
            GI0,
            "b:GigabitEthernet0/0: point-to-point",
        ),
        (("0000.0002.00", "0000.0001.00"), "router-id-shared", "IS-IS system 0000.0000.0001", "b has it"),
    ],
)
def test_vlans_and_isis_that_do_not(here, changed, kind, subject, said):
    ((found, about, sides),) = among(here, a=A, b=B.replace(*changed), c=third())
    assert (found, about) == (kind, subject)
    assert said in sides


def test_areas_of_two_kinds(here):
    one, other = (text.replace("area 0", "area 1") for text in (A, B))
    other = other.replace("router ospf 1\n", "router ospf 1\n area 1 stub\n")
    found = among(here, a=one, b=other)
    assert {kind for kind, _, _ in found} == {"area-mismatch"}
    assert found[0][2] == ["a:GigabitEthernet0/0: area 0.0.0.1", "b:GigabitEthernet0/0: area 0.0.0.1 (stub)"]


def test_authentication_of_the_area_or_of_the_interface_is_the_same(here):
    other = B.replace(" area 0 authentication message-digest\n", "").replace(
        " ip ospf 1 area 0\n", " ip ospf 1 area 0\n ip ospf authentication message-digest\n"
    )
    assert among(here, a=A, b=other) == []


def test_one_router_of_a_segment_that_differs_is_found_with_all_its_ports(here):
    extra = " mtu 1600\n ip ospf hello-interval 5\n"
    found = among(here, a=A, b=B, c=third(extra=extra), d=third(4))
    assert [(kind, subject) for kind, subject, _ in found] == [
        ("mtu-mismatch", "segment-10.2.0.0/24"),
        ("timer-mismatch", "segment-10.2.0.0/24"),
    ]
    assert [len(said) for _, _, said in found] == [4, 4]
    assert "c:GigabitEthernet0/2: MTU 1600" in found[0][2]
