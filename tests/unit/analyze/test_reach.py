"""What the graph foretold of a flow beside what became of it."""

import reports
from labctl.model.played import Apart

CUT = Apart(faults=("cut-1",), parts=(("a-core1", "web1"), ("client1",)))


def rows(lost, apart=(), ends=("client1", "web1")):
    found = reports.report(20.0, tracks=(reports.track("c → w", lost),), apart=apart, flows={"probe0": ends})
    (row,) = found.reach
    return row


def test_a_flow_that_keeps_a_way():
    nothing = rows(())
    assert (nothing.predicted, nothing.agrees) == ("keeps a way", True)
    assert nothing.measured.startswith("nothing lost in ")
    assert rows(((70.005, 70.31),)).agrees is True
    until_the_end = rows(((70.0, 81.05),))
    assert until_the_end.agrees is False
    assert until_the_end.measured.endswith("until the failure was over")


def test_a_flow_whose_nodes_lose_each_other():
    cut_off = rows(((70.0, 81.05),), apart=(CUT,))
    assert (cut_off.predicted, cut_off.agrees) == ("cut off while cut-1 lasts", True)
    assert rows((), apart=(CUT,)).agrees is False
    assert rows(((70.0, 1000),), apart=(CUT,)).agrees is True
    assert rows((), apart=(CUT,), ends=("a-core1", "web1")).agrees is True


def test_what_is_not_known():
    address = rows((), ends=("client1", "203.0.113.9"))
    assert (address.agrees, address.predicted) == (None, "not known: its end is no node of the graph")
    assert reports.report(acts=()).reach == ()
