"""`labctl apply` on real labs: what it makes is what a deploy makes, and what it does not name does not notice."""

import contextlib
import json
import subprocess
import threading
from dataclasses import replace

import labstate
import pytest
from labs import deployed, end, instance, node, nothing_left
from rig import until

from labctl.agent import client
from labctl.app import apply as verb
from labctl.app import inspect
from labctl.errors import LabctlError
from labctl.linux import proc
from labctl.model.effects import CpuLimit, Direction, Down, Effect, Frozen, HalfCable, Impaired, NodeRef
from labctl.model.impairment import Impairment
from labctl.model.lab import Bind, CableSpec, LabSpec, Limits, MgmtSpec, NodeKind, NodeSpec
from labctl.model.stages import Phase as Moment
from labctl.model.stages import Stage, StageCommand, Wait
from labctl.run import destroy, heal, observe
from labctl.runtime import docker_kept
from labctl.runtime.store import Instance, Phase

pytestmark = pytest.mark.root

MIB = 1 << 20


@pytest.fixture
def here(tmp_path, monkeypatch, kind):
    return instance(tmp_path / "state", monkeypatch, kind)


def apply(here, spec, tell=lambda _: None, **more):
    return verb.apply_lab(spec, verb.Request(file="", **more), here, tell=tell)


def before():
    """Two pairs and a segment."""
    return LabSpec(
        name="change",
        nodes=(
            node("r1", limits=Limits(cpu=0.5), exec=("sh -c 'echo one > /root/said'",)),
            node("r2", sysctls={"net.ipv4.conf.all.forwarding": "0"}),
            node("r3", env={"A": "1"}),
            node("r4"),
            NodeSpec(name="sw", kind=NodeKind.BRIDGE),
        ),
        cables=(
            CableSpec(a=end("r1:eth1", "10.0.12.1/30"), z=end("r2:eth1", "10.0.12.2/30"), mtu=1500),
            CableSpec(a=end("r2:eth2", "10.0.23.1/30"), z=end("r3:eth1", "10.0.23.2/30")),
            CableSpec(a=end("r3:eth2"), z=end("sw:p1")),
            CableSpec(a=end("r4:eth1"), z=end("sw:p2")),
            CableSpec(a=end("r1:eth2"), z=None),
        ),
    )


def everything(old):
    """Each kind of change at once: r1 in place, r2 in place and patched elsewhere, r3 anew, r4 gone, r5 and a segment new."""
    r1, r2, r3, _, sw = old.nodes
    one, two, *_ = old.cables
    return replace(
        old,
        nodes=(
            replace(
                r1, limits=Limits(cpu=0.25, memory_bytes=64 * MIB, pids=77), labels={"role": "spine"},
                exec=(*r1.exec, "sh -c 'echo two >> /root/said'"), mgmt_ipv4="172.20.20.99",
            ),
            replace(r2, sysctls={"net.ipv4.conf.all.forwarding": "1"}),
            replace(r3, env={"A": "2"}),
            node("r5"),
            sw,
            NodeSpec(name="sw2", kind=NodeKind.BRIDGE),
        ),
        cables=(
            replace(
                one, mtu=1400, a=replace(one.a, ipv4="10.0.12.9/29"), z=replace(one.z, mac="02:1a:00:00:00:77", ipv6="2001:db8::2/64")
            ),
            CableSpec(a=two.a, z=end("r5:eth1", "10.0.23.3/30")),
            CableSpec(a=end("r3:eth2"), z=end("sw2:p1")),
            CableSpec(a=end("r5:eth2"), z=end("sw2:p2")),
            CableSpec(a=end("r1:eth2"), z=end("r2:eth3")),
        ),
        mgmt=MgmtSpec(mtu=1450, network="other"),
    )  # fmt: skip


def fresh(tmp_path, spec):
    """The state of a lab of this very spec that is deployed into another state root, and removed again."""
    there = Instance.here(str(tmp_path / "fresh"))
    with deployed(there, spec) as place:
        return settled(place)


@contextlib.contextmanager
def names_free(place):
    """An engine has each name once: meanwhile the lab's containers, which labctl knows by their labels, have others."""
    record = place.need()
    names = [record.lab.container(n.name) for n in record.lab.nodes if n.kind is NodeKind.LINUX]
    if record.runtime == "runc":
        names = []

    def rename(old, new):
        argv = ["docker", "-H", docker_kept.engine_of(place), "rename", old, new]
        subprocess.run(argv, check=True, capture_output=True)

    for name in names:
        rename(name, f"{name}-aside")
    try:
        yield
    finally:
        for name in names:
            rename(f"{name}-aside", name)


def settled(place):
    """The state when the kernel has noticed every carrier, and IPv6 has checked its addresses."""
    last = []

    def calm():
        last.append(labstate.read(place))
        return len(last) > 1 and last[-1] == last[-2]

    until(calm, "the lab stays as it is")
    return last[-1]


def same_as_fresh(tmp_path, place):
    with names_free(place):
        expected = fresh(tmp_path, place.need().lab)
    found = []

    def same():
        found[:] = labstate.difference(labstate.read(place), expected)
        return not found

    try:
        until(same, "the state of a fresh deploy", 10)
    except AssertionError:
        raise AssertionError("\n".join(found)) from None


@pytest.mark.both
def test_what_apply_makes_is_what_a_deploy_makes(here, tmp_path):
    with deployed(here, before()) as place:
        kept = processes(place, "r1", "r2")
        plans = []
        done = apply(here, everything(place.need().lab), plans.append)
        assert plans == [done.plan]
        assert {step.do.value for step in done.plan.steps} == {
            "remove-cable", "remove-node", "change-lab", "change-cable", "add-cable", "recreate-node", "add-node", "change-node",
        }  # fmt: skip
        assert processes(place, "r1", "r2") == kept
        same_as_fresh(tmp_path, place)
        assert place.need().lab.node("r2").mgmt_ipv4 == "172.20.20.3", (
            "who asks for nothing keeps its address"
        )
        assert "two" in labstate.read(place)["r1"]["inside"]

        apply(here, before())  # with other MACs
        assert processes(place, "r2") == {"r2": kept["r2"]}
        same_as_fresh(tmp_path, place)
    nothing_left(here)


def processes(place, *nodes):
    """node -> its first process, with its start time."""
    runtime = observe.runtime(place)
    status = {each.node: each.pid for each in runtime.status(place.need().lab)}
    return {name: (status[name], proc.start_ticks(status[name])) for name in nodes}


# -- what does not notice ----------------------------------------------------------------------------------------

FRR = """hostname r{me}
interface eth1
 ip address 10.0.0.{me}/30
exit
router bgp 6500{me}
 no bgp ebgp-requires-policy
 neighbor 10.0.0.{other} remote-as 6500{other}
 neighbor 10.0.0.{other} timers 1 3
 neighbor 10.0.0.{other} timers connect 1
exit
"""


def routers(directory):
    """r1 and r2 with BGP over eth1, h1 and h2 beside them."""
    nodes = [node("h1"), node("h2")]
    for me, other in ((1, 2), (2, 1)):
        binds = []
        for name, text in (("frr.conf", FRR.format(me=me, other=other)), ("daemons", "bgpd=yes\n")):
            path = directory / f"r{me}-{name}"
            path.write_text(text)
            binds.append(Bind(source=str(path), target=f"/etc/frr/{name}"))
        nodes.append(node(f"r{me}", image="labctl/frr", binds=tuple(binds)))
    cables = (
        CableSpec(a=end("r1:eth1"), z=end("r2:eth1")),
        CableSpec(a=end("r2:eth2"), z=end("h1:eth1")),
    )
    return LabSpec(name="bgp", nodes=tuple(nodes), cables=cables)


def session(place):
    """How often r1's session came up and went down, and what it is."""
    runtime = observe.runtime(place)
    done = runtime.exec(place.need().lab, "r1", ["vtysh", "-c", "show bgp neighbors 10.0.0.2 json"])
    peer = json.loads(done.stdout or "{}").get("10.0.0.2", {})
    return peer.get("connectionsEstablished"), peer.get("connectionsDropped"), peer.get("bgpState")


def test_a_session_over_an_untouched_cable_never_flaps(here, tmp_path):
    spec = routers(tmp_path)
    with deployed(here, spec) as place:
        until(lambda: session(place)[2] == "Established", "BGP is up", 60)
        assert session(place) == (1, 0, "Established")
        up, kept = session(place), processes(place, "r1", "r2", "h1", "h2")
        h1, h2, r1, r2 = spec.nodes
        core, edge = spec.cables
        for target in (
            replace(spec, cables=(core,)),
            replace(spec, cables=(core, CableSpec(a=edge.a, z=end("h2:eth1", "10.3.0.1/24")))),
            replace(spec, cables=(core, edge, CableSpec(a=end("r1:eth2"), z=end("mgmt-net:m0")))),
            replace(spec, cables=(core, edge), nodes=(h1, h2, replace(r1, limits=Limits(cpu=0.9), labels={"a": "b"}), r2)),
            replace(spec, nodes=(h1, h2, node("h3"), r1, r2), cables=(core, edge, CableSpec(a=end("h3:eth1"), z=end("r1:eth2")))),
        ):  # fmt: skip
            apply(here, target)
            assert session(place) == up
            assert processes(place, "r1", "r2", "h1", "h2") == kept
        apply(here, replace(spec, nodes=(replace(h1, env={"A": "B"}), h2, r1, r2)))
        assert processes(place, "r1", "r2") == {name: kept[name] for name in ("r1", "r2")}
        assert session(place) == up


def test_active_faults_outlast_a_change_and_those_of_what_is_gone_end(here):
    spec = before()
    with deployed(here, spec) as place:
        one, two, three, *_ = spec.cables
        add(place, "cut", *(Effect(id="cut", on=HalfCable(one.id, d), change=Down()) for d in Direction))
        late = Impaired(Impairment(delay_s=0.03))
        add(place, "late", Effect(id="late", on=HalfCable(two.id, Direction.A_TO_Z), change=late))
        add(
            place, "both",
            Effect(id="both", on=HalfCable(two.id, Direction.Z_TO_A), change=late),
            Effect(id="both", on=HalfCable(three.id, Direction.A_TO_Z), change=late),
        )  # fmt: skip
        add(place, "freeze", Effect(id="freeze", on=NodeRef("r3"), change=Frozen()))
        add(place, "slow", Effect(id="slow", on=NodeRef("r1"), change=CpuLimit(0.1)))
        r1, r2, r3, r4, sw = spec.nodes
        target = replace(
            spec,
            nodes=(replace(r1, limits=Limits(cpu=0.3)), r2, replace(r3, env={"A": "2"}), r4, sw),
            cables=(replace(one, mtu=1400), *spec.cables[2:]),
        )
        done = apply(here, target)
        assert done.ended == ("late",)
        assert {lease["id"] for lease in client.leases(place)} == {"cut", "both", "freeze", "slow"}
        state = labstate.read(place)
        assert state["r3"]["state"] == "frozen"
        assert state["r1"]["limits"][0] == 0.1
        carriers = {name: [x for x in state[name]["links"] if x[0] == "eth1"] for name in ("r1", "r2")}
        assert carriers == {
            "r1": [("eth1", one.a.mac, 1400, True, False)],
            "r2": [("eth1", one.z.mac, 1400, True, False)],
        }
        (half,) = [
            look for look in client.ask(place, "effects.look", ids=["both"])["looks"] if not look["note"]
        ]
        assert half["wanted"]["delay_s"] == 0.03
        assert state["lab"]["off base"] == {}
        client.clear(place)
        assert labstate.read(place)["r1"]["limits"][0] == 0.3
        same_as_fresh_but_saved(place)


def add(place, lease, *effects):
    client.add(place, lease, list(effects), 600)


def same_as_fresh_but_saved(place):
    state = labstate.read(place)
    assert (state["lab"]["saved"], state["lab"]["off base"], state["r3"]["state"]) == ([], {}, "running")


def test_a_node_whose_file_was_written_again_is_made_anew(here, tmp_path):
    spec = before()
    file = tmp_path / "said"
    file.write_text("one\n")
    r1, *others = spec.nodes
    spec = replace(spec, nodes=(replace(r1, binds=(Bind(source=str(file), target="/root/bound"),)), *others))
    with deployed(here, spec) as place:
        kept = processes(place, "r2", "r3", "r4")
        with pytest.raises(LabctlError) as caught:
            apply(here, spec)
        assert caught.value.code == "nothing-to-apply"
        file.unlink()
        file.write_text("two\n")
        (step,) = apply(here, spec).plan.steps
        assert (step.do.value, step.subject) == ("recreate-node", "r1")
        assert "two" in labstate.read(place)["r1"]["inside"]
        assert processes(place, "r2", "r3", "r4") == kept
        with pytest.raises(LabctlError, match="is what this says"):
            apply(here, spec)


def test_a_new_node_goes_through_its_stages_and_waits_for_nobody_who_runs(here):
    spec = before()
    late = node(
        "r8",
        exec=("sh -c 'echo exec >> /root/said'",),
        waits=(
            Wait(stage=Stage.CREATE_LINKS, node="r1", until=Stage.HEALTHY),
            Wait(stage=Stage.CONFIGURE, node="r9", until=Stage.CONFIGURE),
        ),
        stage_commands=(
            StageCommand(
                stage=Stage.CONFIGURE, phase=Moment.ON_EXIT, command="sh -c 'echo exit >> /root/said'"
            ),
        ),
    )
    target = replace(
        spec, nodes=(*spec.nodes[:4], late, node("r9"), spec.nodes[4]),
        cables=(*spec.cables, CableSpec(a=end("r8:eth1"), z=end("r9:eth1"))),
    )  # fmt: skip
    with deployed(here, spec) as place:
        apply(here, target)
        state = labstate.read(place)
        assert [line for line in state["r8"]["inside"] if line in ("exec", "exit")] == ["exec", "exit"]
        assert [link[4] for link in state["r8"]["links"] if link[0] == "eth1"] == [True]
        assert state["lab"]["leases"] == []


# -- half-way ----------------------------------------------------------------------------------------------------


def failing(spec):
    """A new node that cannot start, on a cable to an old one."""
    bad = node("r9", entrypoint=(), cmd=("/no/such/command",))
    return replace(
        spec, nodes=(*spec.nodes[:4], bad, spec.nodes[4]), cables=(*spec.cables, CableSpec(a=end("r9:eth1"), z=end("r4:eth2")))
    )  # fmt: skip


def test_a_change_that_fails_is_told_and_another_file_goes_on_from_there(here, tmp_path):
    spec = before()
    with deployed(here, spec) as place:
        with pytest.raises(LabctlError) as caught:
            apply(here, failing(spec))
        assert [each.code for each in caught.value.each] == ["half-applied", "node-not-started"]
        assert place.need().phase is Phase.APPLYING
        (told,) = inspect.inspect([place])
        assert any("it is being changed" in note for note in told.notes)
        healed = heal.heal(place)
        assert any("half changed" in line for line in healed.left), "heal tries to finish it, and tells"
        heal.implicit(here)
        assert place.need().phase is Phase.APPLYING, "tidying up never removes a lab that runs"

        done = apply(here, spec)
        assert done.plan.interrupted
        assert {(step.do.value, step.subject) for step in done.plan.steps} == {
            ("remove-node", "r9"), ("remove-cable", "r4:eth2--r9:eth1"),
        }  # fmt: skip
        same_as_fresh(tmp_path, place)
    nothing_left(here)


def test_heal_finishes_a_change_that_can_be_finished(here, tmp_path):
    spec = before()
    with deployed(here, spec) as place:
        target = everything(place.need().lab)

        def stop(event):
            if event.kind == "node-started":
                raise KeyboardInterrupt

        with pytest.raises(LabctlError) as caught:
            verb.apply_lab(target, verb.Request(file=""), here, stop)
        assert caught.value.code == "half-applied"
        healed = heal.heal(place)
        assert healed.left == ()
        assert any("`labctl apply` is finished" in line for line in healed.put_back)
        same_as_fresh(tmp_path, place)


def test_destroy_removes_a_half_changed_lab(here):
    spec = before()
    with deployed(here, spec) as place:
        with pytest.raises(LabctlError):
            apply(here, failing(spec))
        destroy.destroy(place)
    nothing_left(here, [spec, failing(spec)])


def test_a_scenario_on_the_lab_is_waited_for_or_is_a_reason_to_refuse(here):
    spec = before()
    with deployed(here, spec) as place:
        target = replace(spec, cables=spec.cables[:1])
        begun, end_ = threading.Event(), threading.Event()

        def play():
            with place.playing():
                begun.set()
                end_.wait(60)

        scenario = threading.Thread(target=play)
        scenario.start()
        begun.wait(60)
        with pytest.raises(LabctlError, match="a scenario is being played"):
            apply(here, target)
        assert place.need().phase is Phase.RUNNING
        waiting = threading.Thread(target=apply, args=(here, target), kwargs={"wait_s": 60})
        waiting.start()
        end_.set()
        waiting.join()
        scenario.join()
        assert place.need().lab.cables == target.cables


def test_a_dry_run_changes_nothing(here):
    with deployed(here, before()) as place:
        state, record = labstate.read(place), place.need()
        plans = []
        apply(here, everything(record.lab), plans.append, dry_run=True)
        assert plans[0].steps
        assert (labstate.read(place), place.need()) == (state, record)
