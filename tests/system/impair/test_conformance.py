"""Every backend against what was asked of it, over a real cable with real frames."""

import itertools
import statistics

import pytest
from conformance import AMONG, PPS, UML, each_backend, enough, need, within
from impair_field import KINDS, flood, ip4, udp_body, until_reaped

from labctl.errors import LabctlError
from labctl.linux.netlink import Netlink
from labctl.model import chance
from labctl.model.impairment import (
    NEUTRAL,
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
)
from labctl.runtime.impair.fate import Fate

pytestmark = pytest.mark.root


def install(made, backend, impairment, *, name="a", **options):
    """Install with this backend alone; it must say itself that all of it is there."""
    need(backend)
    impairer = made.impairer(AMONG[backend])
    installed = impairer.ensure(made.half(name), impairment, **options)
    assert installed.note == ""
    return impairer, installed


# -- loss ------------------------------------------------------------------------------------------------------

LOSSES = {"0.1%": 0.001, "1%": 0.01, "10%": 0.1, "50%": 0.5}


@each_backend(
    {name: Impairment(loss=p) for name, p in LOSSES.items()}, soak={"0.1%", "1%"} if UML else {"0.1%"}
)
def test_loss(made, record, backend, impairment):
    impairer, installed = install(made, backend, impairment)
    n = max(enough(impairment.loss), 2000)
    got = flood(made, n, pps=PPS)
    record(backend, impairment, installed.found, f"{got.lost / n:.4%} of {n}")
    assert within(got.lost, impairment.loss, n)
    assert got.duplicated == 0
    if backend != "netem":
        assert impairer.counts(made.half())["loss"] == got.lost, "the counts are the truth"


@pytest.mark.parametrize("kind", ["udp4", "udp6", "arp", "lldp", "isis"])
@each_backend({"10%": Impairment(loss=0.1)})
def test_loss_takes_frames_of_every_kind(made, backend, impairment, kind):
    install(made, backend, impairment)
    n = enough(0.1)
    assert within(flood(made, n, (kind,), pps=PPS).lost, 0.1, n)


@pytest.mark.parametrize("backend", ["kernel", "wire"])
def test_the_same_seed_loses_the_same_frames(made, backend):
    """Not only twice in one backend: in every backend, and as the model says."""
    impairment = Impairment(loss=0.1, bursts=(Burst(p=0.02, r=0.3),), duplicate=0.05, seed=42)
    install(made, backend, impairment)
    got = flood(made, 3000, pps=PPS)
    fate = Fate(impairment, 42)
    expected = list(itertools.chain.from_iterable([n] * len(fate.meet(bytes(60))) for n in range(3000)))
    assert list(got.numbers) == expected


@each_backend({"bursts of 4": Impairment(bursts=(Burst(p=0.01, r=0.25),))})
def test_bursts(made, record, backend, impairment):
    """Gilbert: a burst is geometric with mean 1/r; the loss in the long run is p/(p+r)."""
    _, installed = install(made, backend, impairment)
    n = 12_000 if UML else 40_000
    got = flood(made, n, pps=PPS)
    missing = sorted(set(range(n)) - set(got.numbers))
    bursts = [
        len(list(run)) for _, run in itertools.groupby(enumerate(missing), lambda pair: pair[1] - pair[0])
    ]
    mean = statistics.mean(bursts)
    record(
        backend, impairment, installed.found, f"{len(missing) / n:.3%}, {len(bursts)} bursts of {mean:.2f}"
    )
    # a geometric length has deviation sqrt(1-r)/r; the number of bursts is that of starts in n frames
    assert abs(mean - 4) <= 5 * (0.75**0.5 / 0.25) / len(bursts) ** 0.5
    assert within(len(bursts), 0.01 * 0.25 / 0.26, n)


@each_backend({"every 7th": Impairment(nth=(Nth(every=7, offset=3),))})
def test_every_nth_is_exact(made, backend, impairment):
    impairer, _ = install(made, backend, impairment)
    got = flood(made, 700, pps=PPS)
    gaps = {b - a for a, b in itertools.pairwise(sorted(set(range(700)) - set(got.numbers)))}
    assert got.lost == 100
    assert gaps == {7}
    assert impairer.counts(made.half())["nth"] == 100


# -- duplication, corruption, reordering -----------------------------------------------------------------------


@each_backend({"1%": Impairment(duplicate=0.01), "10%": Impairment(duplicate=0.1)}, soak={"1%"})
def test_duplication(made, record, backend, impairment):
    _, installed = install(made, backend, impairment)
    n = enough(impairment.duplicate)
    got = flood(made, n, pps=PPS)
    record(backend, impairment, installed.found, f"{got.duplicated / n:.3%} of {n}")
    assert got.lost == 0
    assert within(got.duplicated, impairment.duplicate, n)


@each_backend({"25%": Impairment(delay_s=0.01, reorder=Reorder(fraction=0.25))})
def test_overtaking(made, record, backend, impairment):
    """A frame that overtakes skips the delay: it is early by all of it."""
    _, installed = install(made, backend, impairment)
    n = 3000
    got = flood(made, n, pps=2000)
    early = sum(delay < 0.005 for delay in got.delays)
    record(backend, impairment, installed.found, f"{early / n:.2%} early of {n}")
    assert got.lost == 0
    assert within(early, 0.25, n)
    # 20 frames are sent in the delay: who overtakes passes those that do not
    assert any(b < a for a, b in itertools.pairwise(got.numbers))


@each_backend({"gap 5": Impairment(delay_s=0.01, reorder=Reorder(fraction=1.0, gap=5))})
def test_overtaking_with_a_gap_is_every_fifth(made, backend, impairment):
    install(made, backend, impairment)
    got = flood(made, 1000, pps=2000)
    early = sorted(n for n, delay in zip(got.numbers, got.delays, strict=True) if delay < 0.005)
    assert len(early) in (199, 200, 201)
    assert {b - a for a, b in itertools.pairwise(early)} <= {4, 5, 6}


# -- delay -----------------------------------------------------------------------------------------------------

DELAYS = {"1ms": 0.001, "10ms": 0.01, "100ms": 0.1}


@each_backend({name: Impairment(delay_s=d) for name, d in DELAYS.items()}, soak={"100ms"})
def test_delay(made, record, backend, impairment):
    """The median is what was asked within half a millisecond; a busy machine gets a few tries at a quiet moment."""
    _, installed = install(made, backend, impairment)
    for _ in range(5):
        got = flood(made, 1000, pps=1000)
        late = sorted(delay - impairment.delay_s for delay in got.delays)
        p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
        if abs(p50) <= 0.0005:
            break
    record(backend, impairment, installed.found, f"p50 {p50 * 1e3:+.3f} ms, p99 {p99 * 1e3:+.3f} ms")
    assert abs(p50) <= 0.0005
    assert min(late) >= -0.0002, "nothing is early"
    assert got.lost == got.duplicated == 0
    assert list(got.numbers) == sorted(got.numbers)


#: A kernel that is itself a process is a millisecond late now and then: there the shape is drawn larger.
SCALE = 5 if UML else 1
SHAPES = {
    shape.value: Impairment(
        delay_s=0.03 * SCALE, jitter=Jitter(spread_s=0.005 * SCALE, distribution=shape, keep_order=False)
    )
    for shape in Distribution
}


@each_backend(SHAPES, soak={"pareto", "normal"})
def test_jitter_has_its_shape(made, record, backend, impairment):
    """Quantiles of what was measured are those of the table; a busy machine gets a few tries at a quiet moment."""
    _, installed = install(made, backend, impairment)
    for _ in range(5):
        got = flood(made, 2000, pps=400 if UML else 1000)
        assert got.lost == 0
        assert any(b < a for a, b in itertools.pairwise(got.numbers)), "jitter that may reorder does"
        off, wrong = quantiles_off(impairment, sorted(got.delays))
        if not wrong:
            break
    record(backend, impairment, installed.found, f"quantiles off by {off} ms")
    assert not wrong


def quantiles_off(impairment, found):
    """How far five quantiles are off (in ms, to print), and those that are further than chance takes them.

    A quantile of n draws is off by at most five deviations in rank; in time that is what the table has between those
    ranks, and half a millisecond for being late.
    """
    n, table = len(found), chance.quantiles(impairment.jitter.distribution)
    late = 0.0005 * SCALE

    def asked(share):
        place = int(min(0.9999, max(0.0, share)) * len(table))
        return impairment.delay_s + impairment.jitter.spread_s * table[place]

    wrong, off = [], []
    for q in (0.1, 0.25, 0.5, 0.75, 0.9):
        spread = 5 * (q * (1 - q) / n) ** 0.5
        measured = found[int(q * n)]
        off.append(f"{(measured - asked(q)) * 1e3:+.2f}")
        if not asked(q - spread) - 0.0002 <= measured <= asked(q + spread) + late:
            wrong.append(q)
    return " ".join(off), wrong


@each_backend({"10ms": Impairment(delay_s=0.02, jitter=Jitter(spread_s=0.01, keep_order=True))})
def test_jitter_that_keeps_order_keeps_it(made, backend, impairment):
    install(made, backend, impairment)
    got = flood(made, 2000, pps=2000)
    assert got.lost == 0
    assert list(got.numbers) == sorted(got.numbers)
    assert max(got.delays) > 0.022
    assert min(got.delays) < 0.028


# -- rate ------------------------------------------------------------------------------------------------------

RATES = {"1Mbit": 1e6, "10Mbit": 1e7, "100Mbit": 1e8}


@each_backend(
    {name: Impairment(rate=Rate(bps=r)) for name, r in RATES.items()},
    soak={"1Mbit", "100Mbit"} if UML else {"1Mbit"},
)
def test_rate(made, record, backend, impairment):
    """Twice what the link carries for two seconds; what arrives after the queue has filled, per second.

    A sender that a busy machine holds up fills no queue: it gets a few tries.
    """
    _, installed = install(made, backend, impairment)
    rate, size = impairment.rate.bps, 1000
    pps = 2 * rate / 8 / size
    asked = impairment.rate.limit_bytes * 8 / rate
    for _ in range(4):
        got = flood(made, int(2 * pps), size=size, pps=pps)
        first, last = got.arrivals[0] + 0.3, got.arrivals[-1] - 0.3
        inside = sum(s for s, at in zip(got.sizes, got.arrivals, strict=True) if first <= at < last)
        measured = inside * 8 / (last - first)
        wait = statistics.median(got.delays)
        if abs(measured - rate) <= 0.05 * rate and abs(wait - asked) <= 0.15 * asked:
            break
    record(
        backend,
        impairment,
        installed.found,
        f"{measured / 1e6:.3f} Mbit/s, median wait {wait * 1e3:.1f} ms",
    )
    assert abs(measured - rate) <= 0.05 * rate
    assert got.lost > 0, "a queue that is full loses"
    assert wait == pytest.approx(asked, rel=0.15), "a full queue is what one waits for"


# -- selective -------------------------------------------------------------------------------------------------

MIX = (
    "arp",
    "lldp",
    "ospf-hello",
    "ospf-update",
    "ospf6-hello",
    "bgp",
    "bgp6",
    "bfd",
    "isis",
    "icmp",
    "nd",
    "udp4",
)
SELECTIVE = {
    "arp": {"arp"},
    "lldp": {"lldp"},
    "isis": {"isis"},
    "ospf": {"ospf-hello", "ospf-update", "ospf6-hello"},
    "ospf-hello": {"ospf-hello", "ospf6-hello"},
    "bgp": {"bgp", "bgp6"},
    "bfd": {"bfd"},
    "icmp": {"icmp"},
    "icmpv6-nd": {"nd"},
}


@each_backend({name: Impairment(drops=(Match(protocol=Protocol(name)),)) for name in SELECTIVE})
def test_a_selective_drop_takes_its_protocol_alone(made, backend, impairment):
    install(made, backend, impairment)
    got = flood(made, 10 * len(MIX), MIX, pps=PPS)
    found = {MIX[n % len(MIX)] for n in set(range(10 * len(MIX))) - set(got.numbers)}
    assert found == SELECTIVE[impairment.drops[0].protocol]
    assert got.lost == 10 * len(found)


@each_backend({"half of BGP": Impairment(drops=(Match(protocol=Protocol.BGP, fraction=0.5),))})
def test_a_selective_drop_of_a_fraction(made, backend, impairment):
    install(made, backend, impairment)
    n = 2 * enough(0.5)
    got = flood(made, n, ("bgp", "udp4"), pps=PPS)
    missing = set(range(n)) - set(got.numbers)
    assert all(number % 2 == 0 for number in missing)
    assert within(len(missing), 0.5, n // 2)


@each_backend({"1400": Impairment(mtu=1400)})
def test_an_mtu_black_hole_swallows_what_is_above_it(made, backend, impairment):
    install(made, backend, impairment)
    for size, passes in ((1414, 100), (1415, 0), (1514, 0), (60, 100)):
        assert len(flood(made, 100, ("udp4",), size=size, pps=PPS).numbers) == passes


@each_backend({"all": Impairment(blackhole=True)})
def test_a_black_hole_is_one_way_and_keeps_the_carrier(made, backend, impairment):
    install(made, backend, impairment)
    assert len(flood(made, 100, pps=PPS).numbers) == 0
    assert len(flood(made, 100, pps=PPS, sender="z").numbers) == 100
    for name in "az":
        with Netlink(made.path(name)) as inside:
            assert inside.link("eth1").carrier


@each_backend({"1 of 4": Impairment(members=(Member(bucket=1, of=4),))})
def test_a_bad_member_loses_whole_flows(made, backend, impairment):
    """By flow: all of its frames or none."""
    install(made, backend, impairment)
    flows = 200
    for port in range(flows):
        KINDS[f"flow{port}"] = lambda tail, port=port: ip4(17, udp_body(port, 5000, bytes(18) + tail))
    kinds = [f"flow{port}" for port in range(flows)]
    got = flood(made, 5 * flows, kinds, pps=PPS)
    missing = set(range(5 * flows)) - set(got.numbers)
    dead = {number % flows for number in missing}
    assert len(missing) == 5 * len(dead)
    assert within(len(dead), 0.25, flows)


# -- all together, and back ------------------------------------------------------------------------------------

EVERYTHING = Impairment(
    delay_s=0.005,
    jitter=Jitter(spread_s=0.001),
    loss=0.01,
    nth=(Nth(every=100),),
    bursts=(Burst(p=0.001, r=0.5),),
    duplicate=0.01,
    corrupt=0.01,
    rate=Rate(bps=1e8),
    mtu=1400,
    drops=(Match(protocol=Protocol.LLDP),),
    members=(Member(bucket=0, of=8),),
)


@pytest.mark.parametrize("among", [None, "wire"])
def test_everything_at_once_reads_back_and_leaves_nothing(made, among):
    """With the backends that this kernel would choose, and with the wire alone."""
    before = made.state()
    impairer = made.impairer(AMONG[among] if among else None)
    installed = impairer.ensure(made.half(), EVERYTHING)
    assert installed.note == ""
    assert {choice.parameter for choice in installed.choices} == {
        "delay_s",
        "jitter",
        "loss",
        "nth",
        "bursts",
        "duplicate",
        "corrupt",
        "rate",
        "mtu",
        "drops",
        "members",
    }
    assert flood(made, 500, ("udp4",), pps=PPS).lost > 0
    assert impairer.clear(made.half()).note == ""
    until_reaped(impairer)
    assert made.state() == before
    got = flood(made, 500, ("udp4", "lldp"), pps=PPS)
    assert (got.lost, got.duplicated) == (0, 0)


@pytest.mark.parametrize("among", [None, *AMONG])
def test_changing_a_live_impairment_loses_nothing(made, record, among):
    """Every change there is, again and again, under traffic: no frame is lost, none comes twice."""
    if among:
        need(among)
    impairer = made.impairer(AMONG[among] if among else None)
    wide = Rate(bps=1e9, queue_s=1)
    steps = {
        "kernel": [
            Impairment(rate=wide),
            NEUTRAL,
            Impairment(nth=(Nth(every=10**9),)),
            Impairment(rate=wide, mtu=1400),
        ],
    }.get(
        among,
        [
            Impairment(delay_s=0.002),
            Impairment(delay_s=0.001),
            Impairment(delay_s=0.001, loss=2**-32),
            NEUTRAL,
        ],
    )
    if among is None:
        steps += [Impairment(rate=wide, delay_s=0.001), Impairment(rate=wide), Impairment(mtu=1400)]
    turn = itertools.cycle(steps)
    changes = 0

    def change():
        nonlocal changes
        impairer.ensure(made.half(), next(turn))
        impairer.reap()
        changes += 1

    change()  # a process that has to start does so before
    got = flood(made, 10 * PPS // 20, pps=PPS // 4, meanwhile=change)
    record(
        among or "chosen", f"{changes} changes", "-", f"{got.lost} lost, {got.duplicated} twice of {got.sent}"
    )
    assert changes > 20
    assert (got.lost, got.duplicated) == (0, 0)


def test_what_nothing_can_do_is_refused_with_every_reason(made):
    before = made.state()
    with pytest.raises(LabctlError, match="nothing can be overtaken") as caught:
        made.impairer().ensure(made.half(), Impairment(reorder=Reorder(fraction=0.5)))
    assert caught.value.code == "kernel-missing"
    with pytest.raises(LabctlError, match="nothing on this machine can do delay"):
        made.impairer(AMONG["kernel"]).ensure(made.half(), Impairment(delay_s=1))
    assert made.state() == before
