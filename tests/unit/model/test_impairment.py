"""The laws of composing impairments, and that they travel."""

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model import impairment_codec
from labctl.model.effects import Direction, Down, Effect, HalfCable, Impaired, settle
from labctl.model.impairment import (
    NEUTRAL,
    VALUED,
    Burst,
    Distribution,
    Impairment,
    Jitter,
    Match,
    Member,
    Nth,
    Protocol,
    Rate,
    Reorder,
    compose,
    compose_all,
    describe,
)
from labctl.model.lab import CableSpec, End, LabSpec, NodeSpec
from labctl.names import PortId

fractions = st.floats(0, 1)
times = st.floats(0, 100)
matches = st.sampled_from(Protocol).flatmap(
    lambda p: st.builds(
        Match,
        protocol=st.just(p),
        value=st.integers(0, VALUED[p]) if p in VALUED else st.none(),
        fraction=fractions,
    )
)
nths = st.integers(1, 1000).flatmap(lambda e: st.builds(Nth, every=st.just(e), offset=st.integers(0, e - 1)))
members = st.integers(1, 64).flatmap(lambda n: st.builds(Member, bucket=st.integers(0, n - 1), of=st.just(n)))
rates = st.one_of(
    st.builds(Rate, bps=st.floats(8000, 1e11), queue_bytes=st.none() | st.integers(1, 10**8)),
    st.builds(Rate, bps=st.floats(8000, 1e11), queue_s=st.floats(0, 0.3)),
)
bursts = st.builds(Burst, p=st.floats(0.001, 1), r=fractions, loss_good=fractions, loss_bad=fractions)


def _canonical(each):
    return compose(Impairment(drops=tuple({(m.protocol, m.value): m for m in each}.values())), NEUTRAL).drops


ONE_SHAPE, ONE_GAP = st.just(Distribution.NORMAL), st.just(1)


def impairments(shape=ONE_SHAPE, gap=ONE_GAP):
    return st.builds(
        Impairment,
        delay_s=times,
        jitter=st.none() | st.builds(Jitter, spread_s=times, distribution=shape, keep_order=st.booleans()),
        loss=fractions,
        nth=st.lists(nths, max_size=3, unique=True).map(lambda each: tuple(sorted(each))),
        bursts=st.lists(bursts, max_size=2).map(lambda each: tuple(sorted(each))),
        duplicate=fractions,
        corrupt=fractions,
        reorder=st.none() | st.builds(Reorder, fraction=fractions, gap=gap),
        rate=st.none() | rates,
        mtu=st.none() | st.integers(1, 65535),
        blackhole=st.booleans(),
        drops=st.lists(matches, max_size=3).map(_canonical),
        members=st.lists(members, max_size=2, unique=True).map(lambda each: tuple(sorted(each))),
        seed=st.none() | st.integers(0, 2**64 - 1),
    )


def close(one, other):
    """Equal but for the rounding of fractions and times."""
    a, b = impairment_codec.encode(one), impairment_codec.encode(other)
    return a.keys() == b.keys() and all(_near(a[key], b[key]) for key in a)


def _near(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_near(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_near(x, y) for x, y in zip(a, b, strict=True))
    return a == pytest.approx(b, rel=1e-9, abs=1e-12) if isinstance(a, float) else a == b


@given(impairments(), impairments())
def test_two_in_a_row_are_the_same_either_way_round(one, other):
    assert close(compose(one, other), compose(other, one))


@given(impairments(), impairments(), impairments())
def test_three_in_a_row_need_no_brackets(a, b, c):
    assert close(compose(compose(a, b), c), compose(a, compose(b, c)))


@given(impairments(st.sampled_from(Distribution), st.integers(1, 9)))
def test_nothing_added_changes_nothing(one):
    assert compose(one, NEUTRAL) == one == compose(NEUTRAL, one)
    assert compose_all([one]) == one


@given(st.lists(impairments(), max_size=5), st.randoms(use_true_random=False))
def test_the_fold_is_the_same_to_the_last_bit_in_any_order(each, rng):
    shuffled = rng.sample(each, len(each))
    assert compose_all(shuffled) == compose_all(each)


@given(impairments(st.sampled_from(Distribution), st.integers(1, 9)))
def test_an_impairment_reads_back(one):
    assert impairment_codec.decode(json.loads(json.dumps(impairment_codec.encode(one)))) == one


def test_the_arithmetic_is_the_fields_own():
    both = compose(
        Impairment(
            delay_s=0.01, loss=0.1, rate=Rate(bps=1e7), mtu=1400, drops=(Match(protocol=Protocol.ARP),)
        ),
        Impairment(delay_s=0.03, loss=0.2, rate=Rate(bps=1e6, queue_s=1), mtu=1500, blackhole=True),
    )
    assert both.delay_s == pytest.approx(0.04)
    assert both.loss == pytest.approx(1 - 0.9 * 0.8)
    assert both.rate == Rate(bps=1e6, queue_s=1)
    assert both.rate.limit_bytes == 125_000
    assert (both.mtu, both.blackhole, both.drops) == (1400, True, (Match(protocol=Protocol.ARP),))
    three = Jitter(spread_s=0.003, keep_order=True)
    four = Jitter(spread_s=0.004, keep_order=False)
    jitter = compose(Impairment(jitter=three), Impairment(jitter=four)).jitter
    assert jitter.spread_s == pytest.approx(0.005)
    assert not jitter.keep_order
    half = Match(protocol=Protocol.BGP, fraction=0.5)
    assert compose(Impairment(drops=(half,)), Impairment(drops=(half,))).drops[0].fraction == 0.75


LAB = LabSpec(
    name="t",
    nodes=(NodeSpec(name="r1"), NodeSpec(name="r2")),
    cables=(
        CableSpec(
            a=End(port=PortId("r1", "eth1"), mac="02:00:00:00:00:01"),
            z=End(port=PortId("r2", "eth1"), mac="02:00:00:00:00:02"),
        ),
    ),
)
HALF = HalfCable(LAB.cables[0].id, Direction.A_TO_Z)


@given(st.lists(impairments(), min_size=1, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_settling_folds_a_set_of_effects(each, down, rng):
    effects = {str(i): Effect(id=str(i), on=HALF, change=Impaired(one)) for i, one in enumerate(each)}
    if down:
        effects["down"] = Effect(id="down", on=HALF, change=Down())
    setting = settle(LAB, list(effects.values()))[HALF]
    assert setting.impairment == compose_all(each)
    assert setting.down is down
    again = dict(
        rng.sample(sorted(effects.items()), len(effects))
    )  # an effect id that comes twice is one effect
    assert settle(LAB, list((effects | again).values()))[HALF] == setting
    assert settle(LAB, [])[HALF].impairment is NEUTRAL


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            Impairment(jitter=Jitter(spread_s=1)),
            Impairment(jitter=Jitter(spread_s=1, distribution=Distribution.PARETO)),
        ),
        (Impairment(reorder=Reorder(fraction=0.1, gap=2)), Impairment(reorder=Reorder(fraction=0.1, gap=3))),
    ],
)
def test_what_has_no_meaning_in_a_row_is_refused(one, other):
    with pytest.raises(LabctlError) as caught:
        compose(one, other)
    assert caught.value.code == "faults-do-not-compose"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Impairment(loss=1.5), "loss of 1.5 is not a fraction"),
        (lambda: Impairment(delay_s=-1), "delay of -1 s is not a time"),
        (lambda: Impairment(delay_s=float("nan")), "not a time"),
        (lambda: Nth(every=3, offset=3), "no pattern"),
        (lambda: Burst(p=0, r=0), "no burst"),
        (lambda: Rate(bps=10), "below 8 kbit/s"),
        (lambda: Rate(bps=5e12), "above 400 Gbit/s"),
        (lambda: Rate(bps=1e6, queue_bytes=5_000_000_000), "above 4 GB"),
        (lambda: Rate(bps=1e11, queue_s=1.0), "above 4 GB"),
        (lambda: Rate(bps=1e6, queue_bytes=1, queue_s=1), "not both"),
        (lambda: Match(protocol=Protocol.ARP, value=1), "takes no value"),
        (lambda: Match(protocol=Protocol.TCP_PORT), "needs a value of 0 to 65535"),
        (lambda: Match(protocol=Protocol.DSCP, value=64), "needs a value of 0 to 63"),
        (lambda: Member(bucket=2, of=2), "bucket 2 of 2 does not exist"),
        (lambda: Impairment(seed=-1), "64 bits"),
        (lambda: Impairment(mtu=0), "carries nothing"),
        (lambda: Reorder(fraction=0.1, gap=0), "is none"),
    ],
)
def test_values_without_meaning_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "not an object"),
        ({"los": 0.1}, "has no 'los'"),
        ({"loss": "3%"}, "loss is not a number"),
        ({"loss": True}, "loss is not a number"),
        ({"mtu": 1.5}, "mtu is not a whole number"),
        ({"blackhole": 1}, "not true or false"),
        ({"nth": {}}, "nth is not a list"),
        ({"rate": {}}, "rate is not complete"),
        ({"rate": 5}, "rate is not an object"),
        ({"jitter": {"spread_s": 1, "distribution": "bell"}}, "'bell' is not a valid Distribution"),
        ({"drops": [{"protocol": "arp", "port": 1}]}, "drops has no 'port'"),
    ],
)
def test_what_is_no_impairment_is_refused(value, said):
    with pytest.raises(ValueError, match=said):
        impairment_codec.decode(value)


def test_words_say_everything_that_happens():
    everything = Impairment(
        delay_s=0.01,
        jitter=Jitter(spread_s=0.002, distribution=Distribution.NORMAL, keep_order=False),
        loss=0.03,
        nth=(Nth(every=7, offset=2),),
        bursts=(Burst(p=0.01, r=0.25),),
        duplicate=0.02,
        corrupt=0.001,
        reorder=Reorder(fraction=0.25, gap=5),
        rate=Rate(bps=1e7, queue_bytes=62500),
        mtu=1400,
        drops=(
            Match(protocol=Protocol.OSPF_HELLO),
            Match(protocol=Protocol.ETHERTYPE, value=0x88CC, fraction=0.5),
        ),
        members=(Member(bucket=1, of=4),),
    )
    assert describe(everything) == (
        "10ms ±2ms (normal, may reorder), 3% loss, every 7th lost from 2, bursts (p 1%, r 25%, loss 0%/100%), "
        "2% duplicated, 0.1% corrupted, 25% overtake, gap 5, 10Mbit (queue 62500B), nothing above 1400B, "
        "no ospf-hello, 50% of ethertype 0x88cc lost, flows of bucket 1/4 lost"
    )
    assert describe(NEUTRAL) == "none"
    assert describe(replace(NEUTRAL, blackhole=True)) == "nothing passes"


def test_every_protocol_can_be_said():
    said = {str(Match(protocol=p, value=1 if p in VALUED else None)) for p in Protocol}
    assert len(said) == len(Protocol)


def test_what_counts_frames_wants_them_one_by_one():
    assert not Impairment(delay_s=1, blackhole=True, seed=3).per_frame
    assert Impairment(seed=3).neutral
    for each in (Impairment(loss=0.1), Impairment(rate=Rate(bps=1e6)), Impairment(mtu=9000)):
        assert each.per_frame
    assert all(a.per_frame == b.per_frame for a, b in itertools.pairwise([Impairment(), NEUTRAL]))
