"""What a static speaker keeps, says and does not hear."""

import os
from pathlib import Path

import pytest

from labctl.app.discover import discover
from labctl.app.render import Request, render_snapshot
from labctl.app.scope import Ask
from labctl.ingest.frr import parse
from labctl.ingest.redact import Redactor
from labctl.model.policy import Afi
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Link, Topology
from labctl.names import PortId
from labctl.render.speakers import with_speakers
from labctl.runtime.store import Instance
from labctl.schema import files
from labctl.topo.boundary import Safety, boundary
from labctl.topo.scope import around, devices_of, scope_of

CORPUS = (
    Path(os.environ.get("LABCTL_CORPUS", Path(__file__).parents[3] / "../shared/corpus")) / "lab-validation"
)

#: in (AS 1) - edge (AS 2) - far (AS 3) - end (AS 3, behind far by iBGP and OSPF)
TEXTS = {
    "in": """
interface eth1
 ip address 10.0.1.0/31
!
router bgp 1
 no bgp ebgp-requires-policy
 neighbor 10.0.1.1 remote-as 2
""",
    "edge": """
interface lo
 ip address 192.0.2.2/32
!
interface eth1
 ip address 10.0.1.1/31
!
interface eth2
 ip address 10.0.2.0/31
!
ip route 0.0.0.0/0 10.0.1.0
ip route 198.51.100.0/24 10.0.1.0
ip route 203.0.113.0/24 10.0.2.1
!
router bgp 2
 no bgp ebgp-requires-policy
 neighbor 10.0.1.0 remote-as 1
 neighbor 10.0.2.1 remote-as 3
 address-family ipv4 unicast
  network 192.0.2.2/32
  redistribute connected
""",
    "far": """
interface eth1
 ip address 10.0.2.1/31
!
interface eth2
 ip address 10.0.3.0/31
!
router bgp 3
 no bgp ebgp-requires-policy
 neighbor 10.0.2.0 remote-as 2
 neighbor 10.0.3.1 remote-as 3
""",
    "end": """
interface eth1
 ip address 10.0.3.1/31
!
router bgp 3
 neighbor 10.0.3.0 remote-as 3
 address-family ipv4 unicast
  network 172.16.0.0/16
""",
}
CABLES = ("in:eth1--edge:eth1", "edge:eth2--far:eth1", "far:eth2--end:eth1")


def network(texts=TEXTS, cables=CABLES):
    configs = {
        name: parse(f"hostname {name}\n!{text}", file=name, device=name, redactor=Redactor()).config
        for name, text in texts.items()
    }
    ends = (cable.split("--") for cable in cables)
    return Snapshot(
        topology=Topology(
            name="t",
            devices=tuple(Device(id=name, name=name, polled=True) for name in texts),
            links=tuple(Link(a=PortId.parse(a), b=PortId.parse(b)) for a, b in ends),
        ),
        configs=configs,
    )


def speaker(snapshot, inside, name):
    part, notes = with_speakers(snapshot, scope_of(snapshot, inside))
    return part.configs[name], notes


def test_it_keeps_its_side_of_the_wire_and_its_loopback():
    edge, _ = speaker(network(), {"in"}, "edge")
    assert [i.name for i in edge.interfaces] == ["lo", "eth1"]
    assert edge.bgp.asn == 2
    assert [n.peer for n in edge.bgp.neighbors] == ["10.0.1.0"]


def test_it_keeps_what_a_session_with_the_inside_is_bound_to():
    far_peer = {"in": TEXTS["in"].replace("neighbor 10.0.1.1", "neighbor 10.0.2.0")}
    edge, _ = speaker(network(TEXTS | far_peer), {"in"}, "edge")
    assert [i.name for i in edge.interfaces] == ["lo", "eth1", "eth2"]
    bound = {"edge": TEXTS["edge"].replace(" network", " neighbor 10.0.1.0 activate\n  network")}
    bound["edge"] = bound["edge"].replace(
        "remote-as 1\n", "remote-as 1\n neighbor 10.0.1.0 update-source eth2\n"
    )
    edge, _ = speaker(network(TEXTS | bound), {"in"}, "edge")
    assert [i.name for i in edge.interfaces] == ["lo", "eth1", "eth2"]


def test_it_believes_nothing():
    edge, _ = speaker(network(), {"in"}, "edge")
    name = edge.bgp.neighbors[0].family(Afi.IPV4).route_map_in
    (entry,) = next(m for m in edge.route_maps if m.name == name).entries
    assert (entry.action, entry.matches) == ("deny", ())


def test_it_says_what_lies_behind_it_with_its_path():
    edge, _ = speaker(network(), {"in"}, "edge")
    told = {n.prefix: n.route_map for n in edge.bgp.family(Afi.IPV4).networks}
    assert told == {
        "10.0.1.0/31": "",
        "10.0.2.0/31": "",
        "192.0.2.2/32": "",
        "172.16.0.0/16": "labctl-path-3",
    }
    (path,) = [m for m in edge.route_maps if m.name == "labctl-path-3"]
    assert path.entries[0].sets[0].values == ("3",)
    assert not edge.bgp.network_import_check


def test_ibgp_is_not_passed_on_to_ibgp():
    far, _ = speaker(network(), {"in", "edge"}, "far")
    assert [n.prefix for n in far.bgp.family(Afi.IPV4).networks] == ["172.16.0.0/16"]
    texts = TEXTS | {
        "edge": TEXTS["edge"].replace("bgp 2", "bgp 3"),
        "far": TEXTS["far"].replace("as 2", "as 3"),
    }
    far, _ = speaker(network(texts), {"in", "edge"}, "far")
    assert far.bgp.family(Afi.IPV4).networks == ()


def test_it_has_no_default_route_and_routes_to_the_inside_only():
    edge, _ = speaker(network(), {"in"}, "edge")
    assert [r.prefix for r in edge.static_routes] == ["198.51.100.0/24"]


def test_every_speaker_is_listed():
    _, notes = speaker(network(), {"in"}, "edge")
    text = "static speaker: tells 4 prefixes by BGP and 0 by OSPF, for 1 removed devices and itself, and does not react"
    assert [(n.kind, n.device, n.text) for n in notes] == [("approximated", "edge", text)]


def ospf(*interfaces):
    lines = []
    for name, address, cost in interfaces:
        lines += [
            f"interface {name}",
            f" ip address {address}",
            " ip ospf area 0",
            f" ip ospf cost {cost}",
            "!",
        ]
    return "\n" + "\n".join([*lines, "router ospf"]) + "\n"


def test_ospf_prefixes_are_stubs_at_their_distance():
    texts = {
        "in": ospf(("eth1", "10.0.1.0/31", 1)),
        "edge": ospf(("eth1", "10.0.1.1/31", 1), ("eth2", "10.0.2.0/31", 20)),
        "far": ospf(("eth1", "10.0.2.1/31", 1), ("eth2", "10.0.3.0/31", 30)),
        "end": ospf(("eth1", "10.0.3.1/31", 5), ("eth2", "10.9.0.1/24", 7)),
    }
    edge, _ = speaker(network(texts), {"in"}, "edge")
    beyond = {i.name: (i.ipv4, i.ospf.cost, i.ospf.passive) for i in edge.interfaces if i.name != "eth1"}
    assert beyond == {
        "beyond-0.0.0.0-20": (("10.0.2.0/31",), 20, True),
        "beyond-0.0.0.0-50": (("10.0.3.0/31",), 50, True),
        "beyond-0.0.0.0-57": (("10.9.0.1/24",), 57, True),
    }


def test_everything_inside_is_production_itself():
    snapshot = network()
    assert with_speakers(snapshot, scope_of(snapshot, devices_of(snapshot))) == (snapshot, ())


def test_a_scope_that_grows_to_the_whole_loses_its_speakers():
    snapshot = network()
    scopes = [scope_of(snapshot, around(snapshot, ["in"], depth)) for depth in range(4)]
    assert [scope.edge for scope in scopes] == [("edge",), ("far",), ("end",), ()]
    assert boundary(snapshot, scopes[-1]).safety is Safety.SAFE
    assert with_speakers(snapshot, scopes[-1]) == (snapshot, ())


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
def test_an_as_of_a_network_of_three():
    """A whole AS is safe to cut out; a router of its core without the other is not: that one reflects."""
    snapshot = discover([str(CORPUS / "ios_example_network")], write=False).snapshot
    whole = scope_of(snapshot, {name for name in devices_of(snapshot) if name.startswith("as2")})
    assert (len(whole.inside), len(whole.edge), len(whole.out)) == (7, 4, 2)
    assert boundary(snapshot, whole).safety is Safety.SAFE
    found = boundary(snapshot, scope_of(snapshot, around(snapshot, ["as2core1"], 1)))
    assert (found.safety, found.add) == (Safety.UNSAFE, ("as2core2",))
    part, _ = with_speakers(snapshot, whole)
    told = {n.prefix: n.route_map for n in part.configs["as1border1"].bgp.family(Afi.IPV4).networks}
    assert (told["1.0.1.0/24"], told["3.0.1.0/24"]) == ("", "labctl-path-3")


def test_a_lab_of_a_scope(tmp_path):
    instance = Instance(root=str(tmp_path / "state"), boot="test")
    request = Request(file="t.yml", out=str(tmp_path / "out"), scope=Ask(query="in"))
    result = render_snapshot(network(), request, instance=instance)
    assert [(n.name, dict(n.labels)) for n in result.lab.nodes] == [
        ("edge", {"labctl.speaker": "static"}),
        ("in", {}),
    ]
    assert (result.scope.edge, result.scope.out, str(result.boundary.safety)) == (
        ("edge",),
        ("end", "far"),
        "safe",
    )


def test_a_scope_of_everything_is_the_plain_render(tmp_path):
    instance = Instance(root=str(tmp_path / "state"), boot="test")
    plain, scoped = (
        render_snapshot(
            network(), Request(file="t.yml", out=str(tmp_path / out), scope=ask), instance=instance
        )
        for out, ask in (("a", Ask()), ("b", Ask(query="*")))
    )
    assert plain.written == scoped.written
    assert plain.notes == scoped.notes
    for path in plain.written:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
    assert files.dump(plain.table) == files.dump(scoped.table)
