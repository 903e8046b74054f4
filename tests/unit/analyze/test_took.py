"""An effect that was made and did not stay, or did something else than was asked, is never a PASS."""

from dataclasses import replace

import pytest

import reports
from labctl.analyze import took
from labctl.model.impairment import Impairment
from labctl.model.verdict import Act, Look, Stamps, Verdict
from labctl.names import CableId

CABLE = CableId.parse("r1:eth1--r2:eth1")
CUT = Act(
    id="loss",
    what="link.degrade",
    on=str(CABLE),
    start=Stamps(requested=10.0, applied=10.01, read_back=10.02),
    end=Stamps(requested=20.0, applied=20.01, read_back=20.02),
    cable=CABLE,
    said="10% loss",
)
DAEMON = replace(CUT, id="kill", what="node.daemon-kill", on="r1/bgpd", cable=None)


def look(t, note="", *, on="a->z", loss=0.1, frames=0, **counts):
    return Look(
        t=t,
        on=on,
        note=note,
        found="10% loss",
        asked=Impairment(loss=loss),
        counts={"frames": frames, **counts},
    )


def act(*looks, of=CUT):
    return replace(of, looks=looks)


def test_what_stayed_and_lost_what_it_should_is_a_pass_with_its_figures():
    seen = act(look(10.1, frames=100), replace(look(19.9), counts={"frames": 10_100, "loss": 1011}))
    assert took.strayed(seen) == took.contradicted(seen) == ""
    assert took.found(seen) == "10% loss"
    assert took.measured(seen) == "10.1 % of 10,000 frames lost"


def test_of_a_cable_one_look_is_enough_and_of_a_process_two():
    gone = "nobody is at the end of the detour"
    assert took.strayed(act(look(10.1), look(19.9, gone))) == f"9.9 s later a->z: {gone}"
    assert took.strayed(act(look(10.1), look(12, gone), look(12.4))) == ""
    lives = "bgpd runs"
    assert took.strayed(act(look(12), look(14, lives), look(14.4), look(19.9, lives), of=DAEMON)) == ""
    assert "4.0 s later" in took.strayed(
        act(look(12), look(14, lives), look(14.4, lives), look(16), of=DAEMON)
    )
    assert took.strayed(act(look(19.9, lives), of=DAEMON))
    ended = look(19.9, "its lease has ended", on="")
    assert took.strayed(act(look(12), ended, of=DAEMON)) == "9.9 s later r1/bgpd: its lease has ended"


@pytest.mark.parametrize(
    ("asked", "counts", "said"),
    [
        (
            Impairment(loss=0.1),
            {"frames": 1000, "loss": 3},
            "loss of 3 frames in 1,000, where 10% was asked for",
        ),
        (Impairment(loss=0.1), {"frames": 1000, "loss": 120}, ""),
        (Impairment(loss=0.1), {"frames": 20, "loss": 0}, ""),
        (Impairment(loss=0.1), {"frames": 0, "loss": 0}, ""),
        (Impairment(blackhole=True), {"frames": 50, "blackhole": 40}, "where 100% was asked for"),
        (Impairment(blackhole=True), {"frames": 50, "blackhole": 50}, ""),
        (Impairment(duplicate=0.5), {"frames": 1000, "duplicated": 100}, "duplication of 100 frames"),
        (Impairment(corrupt=0.5), {"frames": 1000, "corrupted": 400, "corrupt_dropped": 95}, ""),
        (Impairment(corrupt=0.5), {"frames": 1000, "corrupted": 40}, "corruption of 40 frames"),
        (Impairment(loss=0.5), {"frames": 1000, "burst": 900, "loss": 50}, ""),
    ],
)
def test_counters_that_chance_does_not_explain(asked, counts, said):
    zero = Look(t=10.1, on="a->z", asked=asked, counts=dict.fromkeys(counts, 0))
    seen = act(zero, Look(t=19.9, on="a->z", asked=asked, counts=counts))
    found = took.contradicted(seen)
    assert (said in found) if said else not found


def test_only_a_stretch_in_which_one_thing_was_asked_counts():
    """Another fault on the same cable for a while: its loss is not held against this one."""
    looks = [
        look(10, frames=0),
        look(11, frames=100),
        look(12, frames=100, loss=0.9),
        look(13, frames=200, loss=0.9),
        look(14, frames=1000),
        look(19, frames=2000),
    ]
    lost = [0, 10, 10, 100, 180, 280]
    seen = act(
        *(replace(each, counts={**each.counts, "loss": n}) for each, n in zip(looks, lost, strict=True))
    )
    assert took.contradicted(seen) == ""
    assert took.measured(seen) == "10 % of 1,000 frames lost"


def test_counters_that_begin_anew_say_nothing():
    seen = act(look(10, frames=500), look(19, frames=3))
    assert took.measured(seen) == took.contradicted(seen) == ""


def test_each_direction_speaks_for_itself_where_they_differ():
    seen = act(look(10), look(10, on="z->a"), look(19), replace(look(19, "the gate is gone", on="z->a")))
    assert took.found(seen) == "a->z: 10% loss; z->a: the gate is gone"


def test_the_verdict():
    good, stray = reports.report(), act(look(10), look(19, "somebody raised it"))
    assert good.verdict is Verdict.PASS
    seen = reports.report(acts=(stray,))
    assert seen.verdict is Verdict.UNKNOWN
    (finding,) = [f for f in seen.findings if f.subject == f"link.degrade: {CABLE}"]
    assert finding.summary == "was made, but did not stay: 9.0 s later a->z: somebody raised it"
    lossy = act(look(10), replace(look(19), counts={"frames": 1000, "loss": 0}))
    (finding,) = [f for f in reports.report(acts=(lossy,)).findings if f.subject == f"link.degrade: {CABLE}"]
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.summary.startswith("was made, but measured otherwise: a->z: loss of 0 frames in 1,000")
