"""Every fault has a row for what it does; what no backend can do says why."""

import pytest
from fault_examples import EXAMPLES, spans

from labctl.app import doctor_faults
from labctl.app.doctor_faults import Primitive
from labctl.faults.base import FAULTS
from labctl.linux.trial import Tried
from labctl.model.effects import (
    AdminDown,
    Configured,
    CpuLimit,
    Down,
    Frozen,
    Impaired,
    Killed,
    Off,
    Stopped,
)
from labctl.runtime.impair import choose, figures
from labctl.runtime.impair.base import fields_in_use
from labctl.runtime.impair.choose import Backend

#: What carries out each change that is no impairment.
BY = {
    AdminDown: {doctor_faults.PORT},
    Configured: {doctor_faults.CONFIG},
    CpuLimit: {doctor_faults.QUOTA},
    Down: {doctor_faults.CARRIER, doctor_faults.POWER},  # (a node without power is dark as well)
    Frozen: {doctor_faults.FREEZER},
    Killed: {doctor_faults.KILL},
    Off: {doctor_faults.POWER},
    Stopped: {doctor_faults.SIGNAL},
}


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_the_rows_are_what_the_fault_really_asks_for(kind):
    rows = [how for _, how in doctor_faults.WAYS[kind]]
    fields = {name for how in rows if not isinstance(how, Primitive) for name in fields_in_use(how)}
    primitives = {how for how in rows if isinstance(how, Primitive)}
    for span in spans(kind, EXAMPLES[kind]):
        change = span.effect.change
        if isinstance(change, Impaired):
            assert set(fields_in_use(change.impairment)) <= fields
        else:
            assert primitives & BY[type(change)]


def test_no_fault_is_forgotten_and_none_is_invented():
    assert set(doctor_faults.WAYS) == set(FAULTS)


def capabilities(*works):
    return {each: Tried(ok=each in works, said="it is not there") for each in Backend}


def rows(monkeypatch, *works, checks=None):
    monkeypatch.setattr(choose, "capabilities", lambda: capabilities(*works))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return {(way.fault, way.setting): way for way in doctor_faults.ways(checks or {})}


def test_the_choice_is_that_of_a_run(monkeypatch):
    with_netem = rows(monkeypatch, *Backend)
    assert with_netem["link.degrade", "delay"].backend is Backend.NETEM
    assert with_netem["link.degrade", "loss"].backend is Backend.GATE
    assert "cannot repeat" in with_netem["link.degrade", "loss"].why
    without = rows(monkeypatch, Backend.GATE, Backend.TBF, Backend.WIRE)
    assert without["link.degrade", "delay"].backend is Backend.WIRE
    assert "it is not there" in without["link.degrade", "delay"].why
    nothing = rows(monkeypatch)
    assert nothing["link.mtu", ""].ok is False
    assert "nothing on this machine can do mtu" in nothing["link.mtu", ""].why


def test_a_primitive_is_as_good_as_its_check(monkeypatch):
    found = rows(monkeypatch, *Backend, checks={"stitching": True, "control groups": False})
    assert found["link.down", ""].ok is True
    assert (found["node.hang", ""].ok, found["node.hang", ""].why) == (False, "see control groups")


def test_without_root_impairments_are_not_tried(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    found = {way.fault: way for way in doctor_faults.ways({})}
    assert (found["link.mtu"].ok, found["link.mtu"].why) == (None, "not tried: only root may")


def test_every_backend_has_a_figure_for_whatever_it_may_be_given():
    for parameter, backends in choose.PREFERENCES.items():
        assert all(figures.known_error(backend, parameter) for backend in backends)
