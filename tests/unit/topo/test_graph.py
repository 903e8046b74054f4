from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.model.topology import Device, Link, Role, Segment, Topology
from labctl.names import CableId, PortId
from labctl.topo.cuts import cuts
from labctl.topo.graph import graph, of_lab


def link(text, **more):
    cable = CableId.parse(text)
    return Link(a=cable.a, b=cable.z, **more)


def device(name):
    return Device(id=name, name=name, polled=True)


def test_parallel_links_are_parallel_edges_that_keep_the_link():
    one, two = link("a:1--b:1"), link("a:2--b:2")
    g = graph(Topology(name="t", devices=(device("a"), device("b"), device("c")), links=(one, two)))
    assert set(g) == {"a", "b", "c"}
    assert g.number_of_edges("a", "b") == 2
    assert g.edges["a", "b", "a:2--b:2"]["link"] is two


def test_management_links_join_nothing_unless_asked_for():
    topology = Topology(name="t", links=(link("a:0--sw:1", role=Role.MGMT), link("a:1--b:1")))
    assert set(graph(topology)) == {"a", "b"}
    assert set(graph(topology, management=True)) == {"a", "b", "sw"}
    lan = Segment(name="oob", ports=(PortId("a", "0"), PortId("b", "0")), role=Role.MGMT)
    apart = Topology(name="t", devices=(device("a"), device("b")), segments=(lan,))
    assert set(graph(apart)) == {"a", "b"}
    assert set(graph(apart, management=True)) == {"a", "b", "segment:oob"}


def test_members_of_a_segment_are_joined_through_it():
    ports = tuple(PortId(n, "e1") for n in "abc")
    g = graph(Topology(name="t", segments=(Segment(name="lan", ports=ports),)))
    assert sorted(g.edges()) == [("segment:lan", "a"), ("segment:lan", "b"), ("segment:lan", "c")]


def end(text):
    return End(port=PortId.parse(text), mac="02:00:00:00:00:01")


def test_a_lab_becomes_a_topology_with_its_bridges_as_segments():
    lab = LabSpec(
        name="lab",
        nodes=(
            NodeSpec(name="br", kind=NodeKind.BRIDGE),
            NodeSpec(name="r1", image="frr"),
            NodeSpec(name="r2", image="frr"),
        ),
        cables=(
            CableSpec(a=end("r1:eth1"), z=end("r2:eth1")),
            CableSpec(a=end("r1:eth2"), z=end("br:p1")),
            CableSpec(a=end("br:p2"), z=end("r2:eth2")),
            CableSpec(a=end("r1:eth3"), z=None),
        ),
    )
    topology = of_lab(lab)
    assert [d.name for d in topology.devices] == ["r1", "r2"]
    assert [i.name for i in topology.devices[0].interfaces] == ["eth1", "eth2", "eth3"]
    assert [str(each.id) for each in topology.links] == ["r1:eth1--r2:eth1"]
    assert topology.segments[0].name == "br"
    assert topology.segments[0].ports == (PortId("r1", "eth2"), PortId("r2", "eth2"))


def test_guests_and_bridges_in_nodes_are_joined_to_the_node_whose_network_they_are_in():
    lab = LabSpec(
        name="lab",
        nodes=(
            NodeSpec(name="br0|r1", kind=NodeKind.BRIDGE, network_mode="container:r1"),
            NodeSpec(name="c1", image="base"),
            NodeSpec(name="g1", image="base", network_mode="container:r1"),
            NodeSpec(name="g2", image="base", network_mode="container:g1"),
            NodeSpec(name="r1", image="frr"),
        ),
        cables=(CableSpec(a=end("c1:eth1"), z=end("br0|r1:p1")),),
    )
    topology = of_lab(lab)
    assert {s.name: list(map(str, s.ports)) for s in topology.segments} == {
        "br0|r1": ["c1:eth1", "r1:br0"],
        "network of r1": ["g1:lo", "g2:lo", "r1:lo"],
    }
    assert topology.links == ()
    found = cuts(graph(topology))
    assert found.parts == (("c1", "g1", "g2", "r1"),), "nobody stands alone"
    assert [(each.what, each.cuts_off) for each in found.devices] == [("r1", ("c1",))]
    assert [each.what for each in found.links] == ["br0|r1 c1:eth1"], "the only one that is a cable"
