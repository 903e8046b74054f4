"""What was there before survives a crash at any byte, and nothing else is taken for it."""

import os

import pytest

from labctl.agent.saved import Saved
from labctl.errors import LabctlError
from labctl.model.effects import ConfigRef, NodeRef, PortRef, ProcessRef
from labctl.names import PortId

ALL = [
    NodeRef("r1"),
    ProcessRef("r1", "bgpd"),
    PortRef(PortId("r1", "eth1")),
    ConfigRef("r1"),
    ConfigRef("r2"),
]


@pytest.fixture
def saved(tmp_path):
    return Saved(str(tmp_path / "saved"))


def test_each_resource_has_a_state_of_its_own(saved):
    assert saved.resources() == []
    for number, on in enumerate(ALL):
        saved.write(on, {"number": number})
    assert [saved.read(on) for on in ALL] == [{"number": n} for n in range(len(ALL))]
    assert set(saved.resources()) == set(ALL)
    saved.write(ALL[0], {"number": 9, "text": "ü\udcff"})
    assert Saved(saved.directory).read(ALL[0]) == {"number": 9, "text": "ü\udcff"}
    saved.remove(ALL[0])
    saved.remove(ALL[0])
    assert saved.read(ALL[0]) is None
    assert set(saved.resources()) == set(ALL[1:])


def test_a_half_written_state_is_the_old_one(saved):
    saved.write(ALL[0], {"a": 1})
    (name,) = os.listdir(saved.directory)
    with open(os.path.join(saved.directory, name + ".new"), "w") as file:
        file.write('{"version": 1, "sta')
    assert saved.read(ALL[0]) == {"a": 1}
    assert saved.resources() == ALL[:1]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2, "state": {}, "on": {"node": "r1"}}', '{"version": 1}']
)
def test_damage_is_an_error_and_never_skipped(saved, content):
    saved.write(ALL[0], {"a": 1})
    (name,) = os.listdir(saved.directory)
    with open(os.path.join(saved.directory, name), "w") as file:
        file.write(content)
    with pytest.raises(LabctlError) as caught:
        saved.read(ALL[0])
    assert caught.value.code == "ledger-corrupt"
    assert name in caught.value.message


def test_what_cannot_be_read_is_named(saved):
    saved.write(ALL[0], {})
    saved.write(ALL[1], {})
    assert saved.damaged() == {}
    name = os.path.basename(saved._path(ALL[0]))
    with open(os.path.join(saved.directory, name), "w") as file:
        file.write('{"version": 1, "on": {"nod')
    assert saved.resources() == ALL[1:2]
    assert list(saved.damaged()) == [f"saved/{name}"]
