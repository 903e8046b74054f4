"""Nodes in another node's network, and a bridge in one: the same namespace under several names."""

import contextlib
from dataclasses import replace

import pytest
from labs import deployed, instance, line, node, nothing_left
from rig import lab, rig, until

from labctl.agent import mirror
from labctl.linux import netns
from labctl.model.lab import CableSpec, LabSpec, NodeKind, NodeSpec
from labctl.run import apply, observe
from labctl.runtime import panel

pytestmark = pytest.mark.root


def shared():
    """r1, a guest of it with a cable of its own, a bridge br0 in r1, and c1 on that bridge."""
    spec = lab(("r1:eth1", "r2:eth1"), ("guest:eth2", "r2:eth2"), ("c1:eth1", "br0|r1:p1"))
    modes = {"guest": "container:r1", "br0|r1": "container:r1"}
    nodes = tuple(
        replace(
            each,
            network_mode=modes.get(each.name, "none"),
            kind=NodeKind.BRIDGE if "|" in each.name else NodeKind.LINUX,
        )
        for each in spec.nodes
    )
    return replace(spec, nodes=nodes)


@contextlib.contextmanager
def wired(root):
    spec = shared()
    with (
        rig(root, spec, agent=False) as running,
        panel.Panel(running.place, spec, running.place.need().devices) as patch,
    ):
        patch.settle(mirror.wanted(mirror.sides(spec), patch.admin(), {}))
        yield running, patch


def names(running, name):
    return {link.name for link in running.link(name).links()}


@pytest.mark.parametrize("loss", ["nothing", "a port of the guest", "the namespace", "the guest's pin"])
def test_one_namespace_under_several_names(tmp_path, loss):
    with wired(tmp_path) as (running, patch):
        place = running.place
        match loss:
            case "a port of the guest":
                running.link("r1").delete_link("eth2")
                patch.plug("guest")
            case "the guest's pin":
                netns.delete(place.node_ns("guest"))
                patch.close()
                patch.plug("guest")
            case "the namespace":
                running.close()
                running._sockets.clear()
                patch.close()
                for each in ("r1", "guest", "br0|r1"):
                    netns.delete(place.node_ns(each))
                patch.plug("r1")
        assert len({netns.inode(place.node_ns(each)) for each in ("r1", "guest", "br0|r1")}) == 1
        assert names(running, "r1") == {"lo", "eth1", "eth2", "br0", "p1"}
        inside = running.link("r1")
        assert inside.link("p1").master == inside.link("br0").index
        patch.settle(mirror.wanted(mirror.sides(running.spec), patch.admin(), {}))
        for port, up in patch.sides().items():
            assert up, port
        assert all(patch.stitched(cable) for cable in running.spec.cables)


def test_a_lab_with_a_bridge_inside_a_node_gets_other_cables_while_it_runs(tmp_path):
    with wired(tmp_path) as (running, patch):
        place, spec = running.place, running.spec
        *kept, last = spec.cables
        for cables in (kept, [*kept, last]):
            record, target = place.need(), replace(spec, cables=tuple(cables))
            apply.execute(place, record, target, apply.plan(record, target), held=-1)
            inside = running.link("r1")
            assert names(running, "r1") == {"lo", "eth1", "eth2", "br0"} | (
                {"p1"} if last in cables else set()
            )
        assert inside.link("p1").master == inside.link("br0").index
        assert all(patch.stitched(cable) for cable in spec.cables)


@pytest.mark.both
def test_a_guest_sees_its_hosts_interfaces_and_a_bridge_inside_a_node_carries_traffic(
    tmp_path, monkeypatch, kind
):
    here = instance(tmp_path / "state", monkeypatch, kind)
    base = line(node("r1", exec=("ip address add 10.8.0.1/24 dev br0",)), node("c1"), name="shared")
    first = base.cables[0]
    to_bridge = CableSpec(
        a=replace(first.a, port=replace(first.a.port, node="br0|r1", interface="p1"), ipv4=None),
        z=replace(first.z, ipv4="10.8.0.2/24"),
    )
    nodes = (
        *base.nodes,
        NodeSpec(name="br0|r1", kind=NodeKind.BRIDGE, network_mode="container:r1"),
        node("guest", network_mode="container:r1"),
    )
    spec = LabSpec(name="shared", nodes=tuple(sorted(nodes, key=lambda n: n.name)), cables=(to_bridge,))
    with deployed(here, spec) as place:
        runtime = observe.runtime(place)
        full = here.lab("shared").need().lab

        def run(name, *argv):
            return runtime.exec(full, name, argv, timeout_s=30)

        until(
            lambda: run("c1", "ping", "-n", "-c", "1", "-W", "1", "10.8.0.1").code == 0,
            "c1 reaches the bridge",
        )
        assert "10.8.0.1/24" in run("guest", "ip", "address", "show", "br0").stdout
        assert run("guest", "hostname").stdout.strip() == "guest"  # only the network is shared
        assert full.node("guest").mgmt_ipv4 is None
    nothing_left(here, (spec,))
