"""The netem backend: one netem at the near end of a cord of its own, where the kernel has it.

`limit` counts frames in the delay line as well as queued ones, so it is sized for half a million frames a second
(more than a veth carries) over the longest delay. Order is kept by giving netem a rate that takes no time, which is how
it knows that a frame has one before it. Distribution tables are ours (`labctl.model.chance`).
"""

from __future__ import annotations

from labctl.linux import qdisc
from labctl.linux.netlink import Netlink
from labctl.linux.qdisc import Netem
from labctl.model import chance
from labctl.model.impairment import Burst, Distribution, Impairment, Jitter, Reorder
from labctl.runtime.impair.base import Half, fields_in_use
from labctl.runtime.impair.kernel import near

_FRAMES_PER_S = 500_000
_PARTS = {"delay_s", "jitter", "reorder", "loss", "bursts", "duplicate", "corrupt"}
#: Spread of each shape at its longest.
_LONGEST = 4.0


class NetemStage:
    """Delay, jitter, reordering, loss, duplication."""

    name = "netem"
    known_error = (
        "a delay is up to a timer interrupt late (tens of microseconds); corruption may hit any header"
    )

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink

    @staticmethod
    def supports(part: Impairment) -> str | None:
        beyond = sorted(set(fields_in_use(part)) - _PARTS)
        if beyond:
            return f"netem does not do {', '.join(beyond)}"
        if len(part.bursts) > 1:
            return "netem has one burst model"
        if part.bursts and part.loss:
            return "netem loses at random or in bursts, not both"
        if part.reorder and not part.delay_s:
            return "nothing can be overtaken where nothing is delayed"
        return None

    def ensure(self, _: Half, cord: str, part: Impairment) -> None:
        index = self._netlink.index(near(cord))
        qdisc.set_root(self._netlink, index, options(part))
        self._netlink.set_link(index, alias=part.jitter.distribution if part.jitter else "")

    def read(self, cord: str) -> Impairment | None:
        link = self._netlink.link(near(cord))
        found = qdisc.root(self._netlink, link.index) if link else None
        if found is None or not isinstance(found.options, Netem):
            return None
        return impairment(found.options, link.alias if link else "")

    def waiting(self, cord: str) -> int:
        link = self._netlink.link(near(cord))
        found = qdisc.root(self._netlink, link.index) if link else None
        return found.waiting if found else 0

    def remove(self, cord: str) -> None:
        """The queue goes with the cord."""


def options(part: Impairment) -> Netem:
    jitter, reorder = part.jitter, part.reorder
    spread = jitter.spread_s if jitter else 0.0
    burst = part.bursts[0] if part.bursts else None
    return Netem(
        delay_s=part.delay_s,
        jitter_s=spread,
        keep_order=jitter is None or jitter.keep_order,
        table=chance.quantiles(jitter.distribution) if jitter else (),
        loss=part.loss,
        ge=(burst.p, burst.r, burst.loss_good, burst.loss_bad) if burst else None,
        duplicate=part.duplicate,
        corrupt=part.corrupt,
        reorder=reorder.fraction if reorder else 0.0,
        gap=reorder.gap if reorder else 0,
        limit=max(10_000, round((part.delay_s + _LONGEST * spread) * _FRAMES_PER_S)),
        seed=part.seed,
    )


def impairment(found: Netem, shape: str) -> Impairment:
    """The same read back; the kernel does not tell the shape of a jitter, so the cord notes it."""
    jitter = None
    if found.jitter_s:
        distribution = Distribution(shape) if shape in set(Distribution) else Distribution.UNIFORM
        jitter = Jitter(spread_s=found.jitter_s, distribution=distribution, keep_order=found.keep_order)
    bursts: tuple[Burst, ...] = ()
    if found.ge is not None:
        p, r, good, bad = found.ge
        bursts = (Burst(p=p, r=r, loss_good=good, loss_bad=bad),)
    return Impairment(
        delay_s=found.delay_s,
        jitter=jitter,
        loss=found.loss,
        bursts=bursts,
        duplicate=found.duplicate,
        corrupt=found.corrupt,
        reorder=Reorder(fraction=found.reorder, gap=max(1, found.gap)) if found.reorder else None,
        seed=found.seed,
    )
