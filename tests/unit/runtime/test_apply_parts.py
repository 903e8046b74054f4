"""What a change of a running lab rests on: names that stay apart, addresses that stay, files of nodes that run."""

import json
import os
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.lab import Bind, CableSpec, End, LabSpec, MgmtSpec, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.runtime import bound, launch, mgmt, panel, repatch
from labctl.runtime.store import Instance, Phase, Record

names = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


def lab(nodes, **more):
    cables = tuple(CableSpec(a=End(port=PortId(name, "eth1"), mac=""), z=None) for name in nodes)
    return LabSpec(name="x", nodes=tuple(NodeSpec(name=n) for n in sorted(nodes)), cables=cables, **more)


@given(names, names)
def test_while_a_lab_changes_no_device_has_the_name_of_one_that_is_still_there(old, new):
    known = panel.allocate(lab(old))
    wanted = panel.allocate(lab(new), known, reserved=known.values())
    both = {**known, **wanted}
    assert len(set(both.values())) == len(both)


@given(st.lists(st.sampled_from(list(NodeKind)), min_size=2, max_size=6))
def test_the_name_of_a_device_says_whether_it_has_something_on_the_machine_and_the_old_one_is_not_forgotten(
    kinds,
):
    """One node is of these kinds in turn, as changes that are all interrupted make it."""
    known = {}
    for kind in kinds:
        spec = replace(lab("ab"), nodes=(NodeSpec(name="a", kind=kind), NodeSpec(name="b")))
        wanted = panel.allocate(spec, known, reserved=known.values())
        assert wanted["a:eth1"].startswith(panel.OUT) == (kind is NodeKind.HOST)
        both = {**known, **wanted, **repatch.replaced(known, wanted)}
        assert set(both.values()) == {*known.values(), *wanted.values()}
        assert len(set(both.values())) == len(both)
        known = both
    assert set(panel.allocate(spec, known)) == set(panel.allocate(spec))


@given(names, names)
def test_who_stays_keeps_its_management_address_and_nobody_shares_one(old, new):
    before = mgmt.assign(lab(old))
    after = mgmt.assign(mgmt.keep(lab(new), before))
    kept = {node.name: node.mgmt_ipv4 for node in before.nodes}
    for node in after.nodes:
        assert node.mgmt_ipv4 == kept.get(node.name, node.mgmt_ipv4)
    assert len({node.mgmt_ipv4 for node in after.nodes}) == len(after.nodes)


def test_an_address_that_somebody_else_asks_for_or_that_left_the_subnet_is_not_kept():
    before = mgmt.assign(lab("ab"))
    a, b = before.nodes
    taken = replace(lab("ab"), nodes=(NodeSpec(name="a"), NodeSpec(name="b", mgmt_ipv4=a.mgmt_ipv4)))
    assert [node.mgmt_ipv4 for node in mgmt.keep(taken, before).nodes] == [None, a.mgmt_ipv4]
    moved = lab("ab", mgmt=MgmtSpec(ipv4_subnet="10.0.0.0/24"))
    assert [node.mgmt_ipv4 for node in mgmt.keep(moved, before).nodes] == [None, None]
    gateway = lab("ab", mgmt=MgmtSpec(ipv4_gateway=b.mgmt_ipv4))
    assert [node.mgmt_ipv4 for node in mgmt.keep(gateway, before).nodes] == [a.mgmt_ipv4, None]


def test_our_lines_of_a_hosts_file_change_and_the_nodes_own_stay(tmp_path):
    hosts = tmp_path / "rootfs" / "etc" / "hosts"
    hosts.parent.mkdir(parents=True)
    hosts.write_text("127.0.0.1 localhost\n10.0.0.2 gone\n10.9.9.9 mine\n")
    old, new = "127.0.0.1 localhost\n10.0.0.2 gone\n", "127.0.0.1 localhost\n10.0.0.3 new\n"
    for _ in range(2):  # twice is once
        launch.update_hosts(str(tmp_path / "rootfs"), old, new)
        assert hosts.read_text() == "127.0.0.1 localhost\n10.9.9.9 mine\n10.0.0.3 new\n"


def test_a_hosts_file_that_leads_out_of_the_node_is_not_followed(tmp_path):
    outside = tmp_path / "machine"
    outside.write_text("10.0.0.2 gone\n")
    (tmp_path / "rootfs" / "etc").mkdir(parents=True)
    os.symlink(outside, tmp_path / "rootfs" / "etc" / "hosts")
    launch.update_hosts(str(tmp_path / "rootfs"), "10.0.0.2 gone\n", "10.0.0.3 new\n")
    assert outside.read_text() == "10.0.0.2 gone\n"


def test_the_environment_of_commands_changes_and_the_images_own_stays(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": {"env": ["PATH=/bin", "CLAB_INTFS=1", "CLAB_LABEL_A=b"]}}))
    launch.update_environment(
        str(tmp_path), {"CLAB_INTFS": "1", "CLAB_LABEL_A": "b"}, {"CLAB_INTFS": "2", "CLAB_LABEL_C": "d"}
    )
    env = json.loads(config.read_text())["process"]["env"]
    assert sorted(env) == ["CLAB_INTFS=2", "CLAB_LABEL_C=d", "PATH=/bin"]


def test_a_bound_file_with_another_content_is_seen(tmp_path):
    file = tmp_path / "frr.conf"
    file.write_text("one")
    binds = tuple(Bind(source=str(tmp_path / name), target="/x") for name in ("frr.conf", "", "absent"))
    spec = LabSpec(name="x", nodes=(NodeSpec(name="r1", binds=binds), NodeSpec(name="r2", binds=binds)))
    before = bound.of(replace(spec, nodes=spec.nodes[:1]))
    assert list(before["r1"]) == [str(file)], "files only"
    assert bound.altered(before, spec) == {}
    file.write_text("two")
    assert bound.altered(before, spec) == {"r1": (str(file),)}
    file.unlink()
    assert bound.altered(before, spec) == {}, "what is not there is no other content"


@pytest.fixture
def place(tmp_path):
    made = Instance.here(str(tmp_path)).lab("dc1")
    with made.lock(create=True):
        made.write(Record(lab=LabSpec(name="dc1"), runtime="runc", phase=Phase.RUNNING))
    return made


def test_runs_go_beside_each_other_and_no_change_beside_a_run(place):
    with place.playing(), place.playing(), pytest.raises(LabctlError, match="is being played"), place.quiet():
        pass
    with place.quiet(), pytest.raises(LabctlError, match="is being changed"), place.playing():
        pass


def test_a_change_waits_for_the_end_of_a_run(place):
    begun, end = threading.Event(), threading.Event()

    def play():
        with place.playing():
            begun.set()
            end.wait(60)

    run = threading.Thread(target=play)
    run.start()
    begun.wait(60)
    threading.Timer(0.05, end.set).start()
    with place.quiet(wait_s=60):
        assert end.is_set()
    run.join()


def test_a_lab_that_is_gone_is_not_played_on(tmp_path):
    gone = Instance.here(str(tmp_path)).lab("dc1")
    with pytest.raises(LabctlError, match="no lab is called"), gone.playing():
        pass
