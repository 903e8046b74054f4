"""IS-IS in FRR's words."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.model.isis import IsisConfig, IsisInterface, IsisLevel
from labctl.render.words import maybe_no


def isis(config: IsisConfig) -> Iterator[str]:
    yield f"router isis {config.tag}"
    yield from (f" net {net}" for net in config.net)
    yield f" is-type {config.level}"
    yield f" metric-style {'wide' if config.wide else 'narrow'}"
    yield f" {maybe_no(config.overload, 'set-overload-bit')}"
    yield "exit"


def isis_interface(found: IsisInterface, process: IsisConfig, *, loopback: bool) -> Iterator[str]:
    """On a loopback, where nobody is greeted, FRR takes no network type."""
    if found.ipv4:
        yield f"ip router isis {process.tag}"
    if found.ipv6:
        yield f"ipv6 router isis {process.tag}"
    yield f"isis circuit-type {found.level}"
    if found.level is not IsisLevel.TWO:
        yield f"isis metric level-1 {found.metric_1}"
    if found.level is not IsisLevel.ONE:
        yield f"isis metric level-2 {found.metric_2}"
    yield maybe_no(found.passive, "isis passive")
    if loopback:
        return
    if found.point_to_point:
        yield "isis network point-to-point"
    yield f"isis hello-interval {found.hello_s}"
    yield f"isis hello-multiplier {found.hello_multiplier}"
    yield f"isis priority {found.priority}"
