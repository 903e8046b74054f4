"""A node that is restarted keeps its ports, MACs, addresses and cables, and its neighbours see it go and come."""

import uuid

import pytest
from rig import until

from labctl.agent import client
from labctl.app import deploy, destroy
from labctl.errors import LabctlError
from labctl.linux.netlink import Netlink
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef, Off
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.run import observe, restart
from labctl.runtime.base import NodeState
from labctl.runtime.images import ImageStore
from labctl.runtime.panel import Panel
from labctl.runtime.store import Instance

pytestmark = pytest.mark.root


#: One end of a cable has an MTU of its own; something that does not outlive the node's processes; one that fails.
EXECS = (
    "ip link set dev eth1 mtu 1400",
    "sh -c 'echo started >> /run/execs'",
    "ip address add 10.8.8.8/32 dev lo",
    "sh -c 'sleep 4444 & echo done >> /run/execs'",
)


def triangle():
    """r1 - r2 directly, and r1 and r3 on a segment."""

    def end(port, number):
        return End(
            port=PortId.parse(port), mac=f"02:0e:57:{uuid.uuid4().bytes[:2].hex(':')}:0{number}", ipv4=None
        )

    def addressed(port, number, address):
        plain = end(port, number)
        return End(port=plain.port, mac=plain.mac, ipv4=address)

    kinds = {"r1": NodeKind.LINUX, "r2": NodeKind.LINUX, "r3": NodeKind.LINUX, "sw": NodeKind.BRIDGE}
    return LabSpec(
        name=f"restart-{uuid.uuid4().hex[:6]}",
        nodes=tuple(
            NodeSpec(
                name=name,
                kind=kind,
                image="labctl/base" if kind is NodeKind.LINUX else None,
                exec=EXECS if name == "r1" else (),
            )
            for name, kind in kinds.items()
        ),
        cables=(
            CableSpec(a=addressed("r1:eth1", 1, "10.0.12.1/24"), z=addressed("r2:eth1", 2, "10.0.12.2/24")),
            CableSpec(a=addressed("r1:eth2", 3, "10.0.13.1/24"), z=end("sw:p1", 4)),
            CableSpec(a=addressed("r3:eth1", 5, "10.0.13.3/24"), z=end("sw:p2", 6)),
        ),
    )


class Lab:
    def __init__(self, place, spec):
        self.place = place
        self.spec = spec
        self.runtime = observe.runtime(place)

    def run(self, node, *argv):
        return self.runtime.exec(self.spec, node, argv)

    def reaches(self, node, address):
        return self.run(node, "ping", "-n", "-c", "1", "-W", "1", address).code == 0

    def status(self, node):
        return next(s for s in self.runtime.status(self.spec) if s.node == node)

    def links(self, node):
        with Netlink(self.place.node_ns(node)) as inside:
            return {link.name: link for link in inside.links()}

    def carrier_losses(self, node, interface):
        return int(self.run(node, "cat", f"/sys/class/net/{interface}/carrier_down_count").stdout)


@pytest.fixture
def lab(tmp_path, kind):
    images = ImageStore(Instance.here())
    instance = Instance.here(str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABCTL_IMAGES", images.root)
        plan = deploy.deploy_lab(triangle(), deploy.Request(file="", runtime=kind), instance)
        place = instance.lab(plan.lab.name)
        try:
            running = Lab(place, plan.lab)
            until(lambda: running.reaches("r2", "10.0.12.1"), "r2 reaches r1")
            yield running
        finally:
            destroy.destroy([place])


@pytest.mark.both
def test_everything_of_the_node_is_as_it_was(lab):
    lab.run("r1", "ip", "address", "add", "10.9.9.9/32", "dev", "eth1")
    before, pid = lab.links("r1"), lab.status("r1").pid
    losses = lab.carrier_losses("r2", "eth1")
    restart.restart(lab.place, ["r1"])
    after = lab.links("r1")
    assert {n: (link.index, link.mac, link.mtu, link.peer) for n, link in after.items()} == {
        n: (link.index, link.mac, link.mtu, link.peer) for n, link in before.items()
    }
    assert lab.status("r1").state is NodeState.RUNNING
    assert lab.status("r1").pid != pid
    assert "10.9.9.9/32" in lab.run("r1", "ip", "address", "show", "eth1").stdout
    assert lab.carrier_losses("r2", "eth1") == losses + 1  # the neighbour saw it go, once
    for node, address in (("r2", "10.0.12.1"), ("r3", "10.0.13.1"), ("r1", "10.0.12.2")):
        until(lambda n=node, a=address: lab.reaches(n, a), f"{node} reaches {address}")
    assert client.leases(lab.place) == []


def execs_have_run(lab):
    """Each once since the node's start: /run is new, and so are the processes."""
    sleeping = [p for p in lab.runtime.processes(lab.spec, "r1") if p.argv == ("sleep", "4444")]
    return len(sleeping) == 1 and lab.run("r1", "cat", "/run/execs").stdout == "started\ndone\n"


def test_the_nodes_commands_run_again_and_its_end_keeps_its_mtu(lab):
    until(lambda: execs_have_run(lab), "its commands have run")
    for replugged in (False, True):
        if replugged:  # a new port has the cable's MTU, until the node sets its own
            lab.run("r1", "ip", "link", "del", "eth1")
        told = []
        restart.restart(lab.place, ["r1"], told.append)
        until(lambda: execs_have_run(lab), "its commands have run")
        assert lab.links("r1")["eth1"].mtu == 1400
        assert lab.links("r2")["eth1"].mtu == lab.spec.cables[0].mtu
        assert lab.links("r1")["eth2"].mtu == lab.spec.cables[1].mtu
        (failed,) = [each.text for each in told if each.kind == "exec-failed"]
        assert "10.8.8.8/32 dev lo`: exit 2" in failed, "what is done already is told and stops nothing"
    assert "10.8.8.8/32" in lab.run("r1", "ip", "address", "show", "lo").stdout


def test_the_nodes_commands_run_again_when_its_power_is_back(lab):
    client.add(lab.place, "power", [Effect(id="power", on=NodeRef("r1"), change=Off())], 600)
    assert lab.status("r1").state is NodeState.EXITED
    client.clear(lab.place)
    until(lambda: execs_have_run(lab), "its commands have run")
    assert lab.links("r1")["eth1"].mtu == 1400


@pytest.mark.parametrize("interface", ["eth1", "eth2", "eth0"])
def test_a_port_that_a_process_deleted_is_plugged_again(lab, interface):
    before = lab.links("r1")[interface].mac
    assert lab.run("r1", "ip", "link", "del", interface).code == 0
    assert interface not in lab.links("r1")
    restart.restart(lab.place, ["r1"])
    assert lab.links("r1")[interface].mac == before
    with Panel(lab.place, lab.spec, lab.place.need().devices) as panel:
        assert all(panel.stitched(cable) for cable in lab.spec.cables)
    node = {"eth1": "r2", "eth2": "r3", "eth0": "r2"}[interface]
    mgmt = lab.place.need().lab.node("r1").mgmt_ipv4
    address = {"eth1": "10.0.12.1", "eth2": "10.0.13.1", "eth0": mgmt}[interface]
    until(lambda: lab.reaches(node, address), f"{node} reaches {address} again")


@pytest.mark.both
def test_active_faults_outlast_a_restart(lab):
    cable = lab.spec.cables[0].id
    effects = [Effect(id="cut", on=HalfCable(cable, d), change=Down()) for d in Direction]
    client.add(lab.place, "cut", effects, 600)
    client.add(lab.place, "freeze", [Effect(id="freeze", on=NodeRef("r1"), change=Frozen())], 600)
    restart.restart(lab.place, ["r1"])
    assert lab.status("r1").state is NodeState.FROZEN
    assert not lab.links("r1")["eth1"].carrier
    assert not lab.links("r2")["eth1"].carrier
    assert lab.links("r1")["eth2"].carrier
    client.clear(lab.place)
    assert lab.status("r1").state is NodeState.RUNNING
    until(lambda: lab.reaches("r2", "10.0.12.1"), "r2 reaches r1 again")


def test_an_unknown_node_is_refused_before_anything_is_touched(lab):
    pid = lab.status("r1").pid
    with pytest.raises(LabctlError, match="no node 'r9'"):
        restart.restart(lab.place, ["r1", "r9"])
    with pytest.raises(LabctlError, match="no node 'sw'"):
        restart.restart(lab.place, ["sw"])
    assert lab.status("r1").pid == pid
