"""The plan of an `apply`: every field has a row, the steps lead where they should, and each says why."""

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.model.lab import (
    MACHINE,
    MGMT_NET,
    Bind,
    CableSpec,
    DeviceFile,
    Dns,
    End,
    LabSpec,
    Limits,
    Macvlan,
    MgmtSpec,
    NodeKind,
    NodeSpec,
    Over,
    Published,
    Vxlan,
)
from labctl.model.stages import Healthcheck, Phase, Stage, StageCommand, Wait
from labctl.names import PortId
from labctl.render import change
from labctl.render.change import COSTS, Cost, Do

SPECS = (
    LabSpec,
    NodeSpec,
    Published,
    Limits,
    Bind,
    DeviceFile,
    Dns,
    CableSpec,
    End,
    MgmtSpec,
    Macvlan,
    Over,
    Vxlan,
)


@pytest.mark.parametrize("spec", SPECS)
def test_every_field_has_a_row_and_every_row_a_field(spec):
    assert set(COSTS[spec]) == {each.name for each in dataclasses.fields(spec)}


def test_every_part_of_a_lab_has_a_table():
    assert set(COSTS) == set(SPECS)
    model = {
        value
        for value in vars(__import__("labctl.model.lab", fromlist=["lab"])).values()
        if dataclasses.is_dataclass(value) and value.__module__ == "labctl.model.lab"
    }
    assert model == set(SPECS)


def test_what_changes_in_place_or_anew_says_why():
    rows = [(spec, name, row) for spec, table in COSTS.items() for name, row in table.items()]
    silent = (Cost.IDENTITY, Cost.PARTS, Cost.PLACE, Cost.DEPENDS)
    assert [(s.__name__, name) for s, name, row in rows if not row.why and row.cost not in silent] == []


# -- labs --------------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "d"])
text = st.sampled_from(["x", "y"])
maps = st.dictionaries(st.sampled_from(["net.k", "kernel.sem", "k"]), text, max_size=2)
commands = st.lists(text, max_size=3).map(tuple)
nodes = st.builds(
    NodeSpec,
    name=names, kind=st.sampled_from(list(NodeKind)), image=text, cmd=st.none() | commands,
    env=maps, exec=commands, labels=maps, sysctls=maps, group=text, user=st.none() | text,
    mgmt_ipv4=st.none() | text, startup_delay_s=st.sampled_from([0.0, 1.0]),
    limits=st.builds(Limits, cpu=st.none() | st.just(0.5), pids=st.none() | st.just(9)),
    binds=st.lists(st.builds(Bind, source=text, target=text), max_size=1).map(tuple),
)  # fmt: skip
mac = st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"])
address = st.none() | st.sampled_from(["10.0.0.1/30", "10.0.0.2/30"])


ways = st.sampled_from([
    {}, {"macvlan": Macvlan(parent="ens3")}, {"macvlan": Macvlan(parent="ens4")}, {"vxlan": Vxlan(remote="192.0.2.1", vni=1)},
])  # fmt: skip


@st.composite
def labs(draw):
    """Labs of one name whose cables end at nodes that there are, at the machine or its outside, each port once."""
    there = {node.name: node for node in draw(st.lists(nodes, max_size=4))}
    ports = [PortId(name, f"eth{i}") for name in (*there, MACHINE, MGMT_NET) for i in (1, 2, 3)]
    ends = [
        End(port=port, mac=draw(mac), ipv4=draw(address))
        for port in draw(st.permutations(ports))[: draw(st.integers(0, len(ports)))]
    ]
    cables = []
    while ends:
        one = ends.pop()
        other = ends.pop() if ends and draw(st.booleans()) else None
        out = {} if other else draw(ways)
        over = st.none() if other or out else st.none() | st.builds(Over, port=text, vlan=st.integers(1, 2))
        mtu = draw(st.sampled_from([1500, 9000]))
        cables.append(CableSpec(a=one, z=other, mtu=mtu, labels=draw(maps), over=draw(over), **out))
    return LabSpec(
        name="lab",
        nodes=tuple(there[name] for name in sorted(there)),
        cables=tuple(cables),
        mgmt=draw(st.builds(MgmtSpec, mtu=st.sampled_from([1500, 1400]), network=text)),
        source=draw(text),
    )


def said(lab):
    """What the lab is, whatever order its cables stand in and whichever end is named first."""
    cables = {
        c.id: (frozenset((e.port, e) for e in c.ends), c.mtu, c.labels, c.over, c.macvlan, c.vxlan)
        for c in lab.cables
    }
    return lab.name, lab.prefix, lab.nodes, cables, lab.mgmt, lab.source


@given(labs(), labs())
def test_the_steps_of_a_plan_lead_to_the_target(old, new):
    assert said(change.after(old, new, change.plan(old, new))) == said(new)


@given(labs())
def test_a_lab_that_is_what_it_should_be_has_no_steps(lab):
    assert change.plan(lab, lab) == ()
    turned = replace(lab, cables=tuple(replace(c, a=c.z, z=c.a) if c.z else c for c in reversed(lab.cables)))
    assert change.plan(lab, turned) == ()


@given(labs(), labs(), labs(), st.data())
def test_after_an_interruption_anywhere_another_plan_leads_to_its_target(old, first, then, data):
    steps = change.plan(old, first)
    done = steps[: data.draw(st.integers(0, len(steps)))]
    now = change.after(old, first, done)
    again = change.plan(now, then, aimed=[first])
    assert said(change.after(now, then, again)) == said(then)


@given(labs(), labs(), labs())
def test_whatever_an_interrupted_plan_may_have_touched_is_brought_to_the_target(old, first, then):
    """It is either the same in all three labs, or there is a step about it."""
    subjects = {step.subject for step in change.plan(old, then, aimed=[first])}
    for node in {n.name for lab in (old, first, then) for n in lab.nodes}:
        specs = [next((n for n in lab.nodes if n.name == node), None) for lab in (old, first, then)]
        assert node in subjects or specs[0] == specs[1] == specs[2]
    for cable in {c.id for lab in (old, first, then) for c in lab.cables}:
        specs = [
            said(replace(lab, cables=tuple(c for c in lab.cables if c.id == cable)))[3]
            for lab in (old, first, then)
        ]
        assert str(cable) in subjects or specs[0] == specs[1] == specs[2]


@given(labs(), labs(), labs())
def test_what_an_interrupted_change_may_have_joined_is_parted_and_joined_again_by_a_step(old, first, then):
    """Ports that are at one cable all along are not parted."""
    parted = change.rejoined([old, first, then])
    steps = change.plan(old, then, aimed=[first])
    again = {port for cable in change.touched_cables(then, steps) for port in cable.ports}
    assert parted & {port for cable in then.cables for port in cable.ports} <= again
    for cable in then.cables:
        if all(any((cable.id, cable.over) == (c.id, c.over) for c in lab.cables) for lab in (old, first)):
            assert parted.isdisjoint(cable.ports)


@given(labs(), labs(), labs())
def test_no_stale_address_is_one_that_the_target_wants(old, first, then):
    found = change.stale([old, first], then)
    for cable in then.cables:
        for end in cable.ends:
            assert end.ipv4 not in found.get(end.port, ())


@given(labs(), labs())
def test_removals_come_first_and_every_step_has_a_reason(old, new):
    steps = change.plan(old, new)
    order = [list(Do).index(step.do) for step in steps]
    assert order == sorted(order)
    assert all(step.reasons and all(map(str, step.reasons)) for step in steps)
    assert len({(step.do, step.subject) for step in steps}) == len(steps)


# -- single changes ----------------------------------------------------------------------------------------------

R1 = NodeSpec(name="r1", image="i", exec=("one",), sysctls={"net.a": "1"}, limits=Limits(cpu=1.0))
R2 = NodeSpec(name="r2", image="i")
SW = NodeSpec(name="sw", kind=NodeKind.BRIDGE)


def end(port, **more):
    return End(port=PortId.parse(port), **({"mac": "02:00:00:00:00:01"} | more))


CABLE = CableSpec(a=end("r1:eth1", ipv4="10.0.0.1/30"), z=end("r2:eth1"), mtu=1500)
LAB = LabSpec(name="lab", nodes=(R1, R2, SW), cables=(CABLE,))


def node(**more):
    return replace(LAB, nodes=(replace(R1, **more), R2, SW))


def cable(**more):
    return replace(LAB, cables=(replace(CABLE, **more),))


@pytest.mark.parametrize(
    ("target", "do", "says"),
    [
        (node(limits=Limits(cpu=2.0)), "change-node r1", "cpu: 1 → 2; its control group is told"),
        (node(limits=Limits(memory_bytes=64 << 20)), "change-node r1", "memory: - → 64MiB; its control group is told"),
        (node(limits=Limits(read_bps=1_500_000)), "change-node r1", "read: - → 1500kB/s; its control group"),
        (node(shm_bytes=4097), "recreate-node r1", "shm: - → 4097B; it is mounted before"),
        (node(group="core"), "change-node r1", "group: - → core; `inspect` shows it"),
        (node(labels={"a": "b"}), "change-node r1", "labels.a: - → b; commands see it from now on"),
        (node(exec=("one", "two")), "change-node r1", "exec: [one] → [one, two]; the commands that were added"),
        (node(exec=("two",)), "recreate-node r1", "what a command did cannot be taken back"),
        (node(sysctls={"net.a": "2"}), "change-node r1", "sysctls.net.a: 1 → 2; written in its network"),
        (node(sysctls={}), "recreate-node r1", "what the kernel would have without it is not known"),
        (node(sysctls={"net.a": "1", "kernel.sem": "1"}), "recreate-node r1", "set when the node starts"),
        (node(image="j"), "recreate-node r1", "image: i → j; its files come from the image"),
        (node(binds=(Bind(source="/a", target="/b", options=("ro",)),)), "recreate-node r1", "[/a:/b:ro]"),
        (node(devices=(DeviceFile(source="/dev/kvm", target="/dev/kvm"),)), "recreate-node r1",
         "devices: [] → [/dev/kvm:/dev/kvm:rwm]; they are made"),
        (node(waits=(Wait(stage=Stage.CREATE, node="r2", until=Stage.HEALTHY),)), "change-node r1",
         "waits: [] → [create after healthy of r2]; they count"),
        (node(stage_commands=(StageCommand(stage=Stage.EXIT, phase=Phase.ON_ENTER, command="ip a"),)),
         "change-node r1", "stage_commands: [] → [on-enter of exit: ip a]; they count"),
        (node(healthcheck=Healthcheck(test=("CMD", "true"), interval_s=2.5)), "recreate-node r1",
         "healthcheck: - → test [CMD, true], start_period_s 0, interval_s 2.5, timeout_s 30, retries 3; it is"),
        (node(dns=Dns(servers=("10.0.0.1",))), "recreate-node r1", "dns: - → servers [10.0.0.1]; programs"),
        (node(mgmt_ipv4="172.20.20.9"), "change-node r1", "mgmt_ipv4: - → 172.20.20.9"),
        (replace(LAB, nodes=(R1, R2, replace(SW, exec=("x",)))), "change-node sw", "nothing runs inside it"),
        (replace(LAB, nodes=(R1, R2, replace(SW, kind=NodeKind.LINUX))), "recreate-node sw", "kind: bridge → linux"),
        (replace(LAB, nodes=(R1, R2)), "remove-node sw", "the file does not have it"),
        (replace(LAB, nodes=(*LAB.nodes, NodeSpec(name="x"))), "add-node x", "the lab does not have it"),
        (cable(mtu=9000), "change-cable r1:eth1--r2:eth1", "mtu: 1500 → 9000; both ports are told"),
        (cable(labels={"a": "b"}), "change-cable r1:eth1--r2:eth1", "labels.a: - → b"),
        (cable(z=end("r2:eth1", mac="02:00:00:00:00:02")), "change-cable r1:eth1--r2:eth1",
         "r2:eth1 mac: 02:00:00:00:00:01 → 02:00:00:00:00:02; the port is told"),
        (cable(a=end("r1:eth1", ipv4="10.0.0.9/30")), "change-cable r1:eth1--r2:eth1",
         "r1:eth1 ipv4: 10.0.0.1/30 → 10.0.0.9/30; an address of the port"),
        (replace(LAB, mgmt=MgmtSpec(mtu=1400)), "change-lab lab", "mgmt.mtu: 1500 → 1400; every eth0 is told"),
        (replace(LAB, source="/x"), "change-lab lab", "source: - → /x"),
    ],
)  # fmt: skip
def test_one_change(target, do, says):
    (step,) = change.plan(LAB, target)
    assert f"{step.do} {step.subject}" == do
    assert any(says in str(reason) for reason in step.reasons), [str(r) for r in step.reasons]


def test_every_field_that_counts_bytes_is_printed_as_a_size():
    rows = {field for spec in SPECS for field in COSTS[spec]}
    assert {field for field in rows if field.endswith(("_bytes", "_bps"))} == set(change._SIZES)
    (step,) = change.plan(LAB, node(limits=Limits(memory_bytes=64 << 20)))
    memory = next(reason for reason in step.reasons if reason.field == "memory_bytes")
    assert (memory.old, memory.new) == ("", "67108864")  # for programs


def test_a_cable_that_is_patched_elsewhere_leaves_its_other_port_alone():
    moved = CableSpec(a=CABLE.a, z=end("sw:p1"))
    target = replace(LAB, cables=(moved,))
    gone, new = change.plan(LAB, target)
    assert (gone.do, gone.subject) == (Do.REMOVE_CABLE, "r1:eth1--r2:eth1")
    assert "port r1:eth1 stays and gets another cable" in map(str, gone.reasons)
    assert (new.do, new.subject) == (Do.ADD_CABLE, "r1:eth1--sw:p1")
    assert "port r1:eth1 is there and keeps its device" in map(str, new.reasons)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"limits": Limits(cpu=0.5, pids=9), "labels": {"a": "b"}, "group": "x"}, None),
        ({"image": "j", "user": "x"}, "its network is shared, so its image, user cannot change"),
        ({"mgmt_ipv4": "172.20.20.9"}, "its network is shared, so its mgmt_ipv4 cannot change"),
        ({"network_mode": "none"}, "who shares a network is decided by a deploy"),
    ],
)
@pytest.mark.parametrize("name", ["home", "guest"])
def test_a_node_whose_network_is_shared_changes_only_what_is_apart_from_it(name, more, says):
    home = NodeSpec(name="home", image="i")
    pair = {"home": home, "guest": replace(home, name="guest", network_mode="container:home")}
    lab = LabSpec(name="lab", nodes=tuple(pair.values()))
    pair[name] = replace(pair[name], **more)
    found = change.refused(lab, LabSpec(name="lab", nodes=tuple(pair.values())))
    if says is None:
        assert found == ()
    else:
        assert f"node {name}: {says}" in map(str, found)


def test_a_new_content_of_a_bound_file_tears_a_shared_network_and_no_other():
    home, alone = NodeSpec(name="home", image="i"), NodeSpec(name="alone", image="i")
    lab = LabSpec(name="lab", nodes=(alone, replace(home, name="guest", network_mode="container:home"), home))
    steps = change.plan(lab, lab, altered={name: ["/f"] for name in ("alone", "guest", "home")})
    assert [step.subject for step in steps] == ["alone", "guest", "home"]
    assert [step.subject for step in change.torn(lab, steps)] == ["guest", "home"]


@pytest.mark.parametrize("field", ["name", "prefix"])
def test_another_lab_is_refused(field):
    (refusal,) = change.refused(LAB, replace(LAB, **{field: "other"}))
    assert (refusal.reason.field, refusal.reason.new) == (field, "other")
    assert change.refused(LAB, node(image="j")) == ()


HOST = CableSpec(a=CABLE.a, z=end("host:v0"))
OUT = CableSpec(a=CABLE.a, z=None, macvlan=Macvlan(parent="ens3"))
TUNNEL = CableSpec(a=CABLE.a, z=None, vxlan=Vxlan(remote="192.0.2.1", vni=1))


@pytest.mark.parametrize(
    ("link", "subject", "what"),
    [
        (HOST, "host:v0--r1:eth1", "the interface v0"),
        (CableSpec(a=CABLE.a, z=end("self:v0")), "r1:eth1--self:v0", "the interface v0"),
        (OUT, "macvlan:r1.eth1--r1:eth1", "a macvlan on ens3 that leads out"),
        (TUNNEL, "r1:eth1--vxlan:r1.eth1", "a tunnel to 192.0.2.1"),
    ],
)
def test_a_plan_says_what_the_machine_gets_and_loses(link, subject, what):
    itself = (NodeSpec(name="self", kind=NodeKind.HOST),)
    with_it = replace(LAB, nodes=(*LAB.nodes, *itself), cables=(link,))
    without = replace(with_it, cables=(CABLE,))
    for old, new, do, verb in (
        (without, with_it, Do.ADD_CABLE, "gets"),
        (with_it, without, Do.REMOVE_CABLE, "loses"),
    ):
        (step,) = [each for each in change.plan(old, new) if each.do is do]
        assert step.subject == subject
        assert f"the machine {verb} {what}" in map(str, step.reasons)
        assert change.refused(old, new) == ()


def test_an_interface_of_the_machine_that_gets_another_cable_is_neither_gained_nor_lost():
    with_it, moved = replace(LAB, cables=(HOST,)), replace(LAB, cables=(replace(HOST, a=end("sw:p1")),))
    gone, new = change.plan(with_it, moved)
    assert "port host:v0 stays and gets another cable" in map(str, gone.reasons)
    assert "port host:v0 is there and keeps its device" in map(str, new.reasons)
    assert not [each for step in (gone, new) for each in step.reasons if "the machine" in str(each)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (OUT, replace(OUT, macvlan=Macvlan(parent="ens4")),
         "macvlan: parent ens3, mode bridge → parent ens4, mode bridge; its way out is made anew"),
        (TUNNEL, replace(TUNNEL, vxlan=Vxlan(remote="192.0.2.1", vni=2, parent="ens3")),
         "vxlan: remote 192.0.2.1, vni 1, dst_port 14789 → remote 192.0.2.1, vni 2, dst_port 14789, parent ens3; its way out"),
        (HOST, replace(HOST, mtu=1400), "mtu: 9500 → 1400; both ports are told"),
        (HOST, replace(HOST, z=end("host:v0", ipv4="10.0.0.9/30")), "host:v0 ipv4: - → 10.0.0.9/30; an address"),
    ],
)  # fmt: skip
def test_a_link_of_the_machine_changes_in_place(old, new, says):
    (step,) = change.plan(replace(LAB, cables=(old,)), replace(LAB, cables=(new,)))
    assert step.do is Do.CHANGE_CABLE
    assert any(says in str(reason) for reason in step.reasons), [str(r) for r in step.reasons]


def test_the_cables_of_what_is_made_are_touched_as_well():
    target = replace(
        LAB, nodes=(*LAB.nodes, NodeSpec(name="x")), cables=(CABLE, replace(HOST, a=end("x:eth1")))
    )
    steps = change.plan(LAB, target)
    assert [str(cable.id) for cable in change.touched_cables(target, steps)] == ["host:v0--x:eth1"]
    anew = replace(target, nodes=(replace(R1, image="j"), *target.nodes[1:]))
    assert change.touched_cables(anew, change.plan(target, anew)) == (CABLE,)


def test_a_node_that_was_being_made_is_made_anew_and_one_that_nobody_wants_goes():
    (step,) = change.plan(LAB, LAB, pending=["r1"])
    assert (step.do, step.subject) == (Do.RECREATE_NODE, "r1")
    (step,) = change.plan(LAB, LAB, pending=["r9"])
    assert (step.do, step.subject) == (Do.REMOVE_NODE, "r9")


def test_a_node_whose_bound_file_has_changed_is_made_anew():
    (step,) = change.plan(LAB, LAB, altered={"r1": ["/frr.conf"], "gone": ["/x"]})
    assert (step.do, step.subject) == (Do.RECREATE_NODE, "r1")
    assert list(map(str, step.reasons)) == [
        "binds /frr.conf: its content is another than when the node started"
    ]


def test_a_field_without_a_row_is_made_anew(monkeypatch):
    rows = {name: row for name, row in COSTS[NodeSpec].items() if name != "group"}
    monkeypatch.setattr(change, "COSTS", {**COSTS, NodeSpec: rows})
    (step,) = change.plan(LAB, node(group="core"))
    assert step.do is Do.RECREATE_NODE
    assert "does not know how to change it" in str(step.reasons[0])
