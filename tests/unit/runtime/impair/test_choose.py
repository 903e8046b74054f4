"""Which backend gets what, for kernels that have this or that."""

import pytest

from labctl.errors import LabctlError
from labctl.linux.trial import Tried
from labctl.model.impairment import (
    Burst,
    Impairment,
    Jitter,
    Match,
    Nth,
    Protocol,
    Rate,
    Reorder,
)
from labctl.runtime.impair import choose
from labctl.runtime.impair.base import disagreement, fields_in_use, merge, only
from labctl.runtime.impair.choose import Backend


def kernel(*missing):
    return {
        each: Tried(ok=each not in missing, said="tried" if each not in missing else "unknown here")
        for each in Backend
    }


def chosen(impairment, *missing):
    plan = choose.plan(impairment, kernel(*missing))
    return {choice.parameter: str(choice.backend) for choice in plan.choices}


def test_netem_delays_and_loses_where_there_is_one():
    asked = Impairment(delay_s=0.1, loss=0.1, rate=Rate(bps=1e6), mtu=1400)
    assert chosen(asked) == {"delay_s": "netem", "loss": "netem", "rate": "kernel/tbf", "mtu": "kernel/gate"}
    assert chosen(asked, Backend.NETEM) == {
        "delay_s": "wire",
        "loss": "kernel/gate",
        "rate": "kernel/tbf",
        "mtu": "kernel/gate",
    }
    assert set(chosen(asked, Backend.NETEM, Backend.GATE, Backend.TBF).values()) == {"wire"}


def test_what_netem_cannot_do_goes_on_to_the_next():
    assert chosen(Impairment(loss=0.1, seed=1)) == {"loss": "kernel/gate"}
    assert chosen(Impairment(loss=0.1, bursts=(Burst(p=0.1, r=0.5),))) == {
        "loss": "kernel/gate",
        "bursts": "kernel/gate",
    }
    assert chosen(Impairment(corrupt=0.1)) == {"corrupt": "kernel/gate"}
    many = Impairment(nth=tuple(Nth(every=100, offset=i) for i in range(9)))
    assert chosen(many) == {"nth": "wire"}


def test_why_not_the_first_is_said():
    plan = choose.plan(Impairment(delay_s=1), kernel(Backend.NETEM))
    assert plan.choices[0].why == "netem: unknown here"


def test_parts_are_the_whole():
    asked = Impairment(
        delay_s=0.1,
        jitter=Jitter(spread_s=0.1),
        loss=0.2,
        rate=Rate(bps=1e6),
        corrupt=0.1,
        drops=(Match(protocol=Protocol.ARP),),
        seed=9,
    )
    for missing in ((), (Backend.NETEM,), (Backend.GATE,)):
        plan = choose.plan(asked, kernel(*missing))
        assert merge(list(plan.parts.values())) == asked


def test_what_nobody_can_do_is_refused_with_all_reasons():
    with pytest.raises(LabctlError) as caught:
        choose.plan(Impairment(delay_s=1), kernel(Backend.NETEM, Backend.WIRE))
    assert caught.value.code == "kernel-missing"
    assert caught.value.message == (
        "nothing on this machine can do delay: netem: unknown here; wire: unknown here"
    )
    with pytest.raises(LabctlError, match="nothing can be overtaken where nothing is delayed"):
        choose.plan(Impairment(reorder=Reorder(fraction=0.1)), kernel())


def test_every_parameter_has_a_preference():
    asked = Impairment(
        delay_s=1,
        jitter=Jitter(spread_s=1),
        loss=1,
        nth=(Nth(every=2),),
        bursts=(Burst(p=1, r=1),),
        duplicate=1,
        corrupt=1,
        reorder=Reorder(fraction=1),
        rate=Rate(bps=1e6),
        mtu=1,
        blackhole=True,
        drops=(Match(protocol=Protocol.ARP),),
    )
    assert set(fields_in_use(asked)) | {"members"} == set(choose.PREFERENCES)
    assert fields_in_use(only(asked, {"loss"})) == ("loss",)


def test_reading_back_knows_what_the_kernel_rounds_and_what_is_wrong():
    asked = Impairment(loss=0.1, rate=Rate(bps=1e6, queue_s=0.1), delay_s=0.0123)
    close = Impairment(loss=0.1 + 1e-10, rate=Rate(bps=1e6, queue_bytes=12500), delay_s=0.0123, seed=4)
    assert disagreement(asked, close) == ""
    assert disagreement(asked, Impairment(loss=0.1, rate=asked.rate)) == "delay_s is 0.0, not 0.0123"
    assert "loss is 0.2" in disagreement(Impairment(loss=0.1), Impairment(loss=0.2))
    assert disagreement(Impairment(seed=1, loss=0.5), Impairment(seed=2, loss=0.5)) == "seed is 2, not 1"
