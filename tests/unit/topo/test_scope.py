from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaking import Builder

from labctl.errors import LabctlError
from labctl.faults.draw import Draw
from labctl.model.topology import Device, Segment
from labctl.names import PortId
from labctl.topo.scope import around, devices_of, queried, scope_of, within


def chain(count=5):
    made = Builder()
    for n in range(count):
        made.device(f"r{n}")
    for n in range(1, count):
        made.cable(f"r{n - 1}", f"r{n}", ospf=True)
    return made.made()


def test_depth_counts_cables():
    assert around(chain(), ["r2"], 0) == {"r2"}
    assert around(chain(), ["r2"], 1) == {"r1", "r2", "r3"}
    assert around(chain(), ["r0", "r4"], 1) == {"r0", "r1", "r3", "r4"}


def test_a_segment_is_one_cable():
    snapshot = chain(2)
    ports = tuple(PortId(name, "lan") for name in ("r1", "x", "y"))
    devices = (*snapshot.topology.devices, *(Device(id=n, name=n, polled=True) for n in "xy"))
    segments = (Segment(name="lan", ports=ports),)
    snapshot = replace(snapshot, topology=replace(snapshot.topology, devices=devices, segments=segments))
    assert around(snapshot, ["r1"], 1) == {"r0", "r1", "x", "y"}
    assert around(snapshot, ["r0"], 1) == {"r0", "r1"}
    assert scope_of(snapshot, {"x"}).edge == ("r1", "y")


def test_the_edge_is_what_shares_a_wire():
    scope = scope_of(chain(), {"r0", "r1"})
    assert (scope.inside, scope.edge, scope.out) == (("r0", "r1"), ("r2",), ("r3", "r4"))


def test_wires_between_removed_devices_are_gone():
    part = within(chain(), scope_of(chain(), {"r1"}))
    assert [str(link.id) for link in part.topology.links] == ["r0:eth0--r1:eth0", "r1:eth1--r2:eth1"]
    assert set(part.configs) == {"r0", "r1", "r2"}


def test_queries_speak_productions_names():
    assert queried(chain(), "r[01]", Draw(seed=0)) == {"r0", "r1"}
    assert queried(chain(), "near(r1)", Draw(seed=0)) == {"r0", "r2"}
    with pytest.raises(LabctlError) as error:
        queried(chain(), "r9", Draw(seed=0))
    assert error.value.code == "unknown-device"


@given(st.integers(0, 4), st.integers(0, 5))
def test_more_depth_never_loses_a_device(centre, depth):
    snapshot = chain()
    assert around(snapshot, [f"r{centre}"], depth) <= around(snapshot, [f"r{centre}"], depth + 1)
    assert around(snapshot, [f"r{centre}"], 5) == set(devices_of(snapshot))


@given(st.sets(st.sampled_from(["r0", "r1", "r2", "r3", "r4"]), min_size=1))
def test_every_device_is_in_one_place(inside):
    scope = scope_of(chain(), inside)
    assert sorted((*scope.inside, *scope.edge, *scope.out)) == list(devices_of(chain()))
    whole = scope_of(chain(), devices_of(chain()))
    assert within(chain(), whole) == chain()
