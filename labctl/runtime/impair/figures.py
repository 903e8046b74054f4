"""How far from what was asked each backend is known to be: figures that the conformance suite measured and printed.

They hold for the machine of SOURCE; `make soak` prints those of any other. Where a backend counts frames, a run's report has
what was measured in that run, which is better than any figure from before.
"""

from __future__ import annotations

from collections.abc import Mapping

from labctl.runtime.impair.choose import Backend

SOURCE = (
    "measured by the conformance suite (tests/system/impair, every point) on 2 busy cores with Linux 6.18, 2026-11-20; "
    "netem by the same suite in user-mode Linux; carrier by benchmarks/mirror.py"
)
CARRIER = "0.7 ms late in the median, 1.1 ms at the 99th percentile"

_DRAWN = "none but chance: 0.1% to 50% asked were within 5 deviations; the draws of a seed are exact"
_EXACT = "none: every frame is what was asked"
_KNOWN: Mapping[tuple[Backend, str], str] = {
    (
        Backend.WIRE,
        "delay_s",
    ): "+0.02 ms in the median, +0.14 ms at the 99th percentile (1, 10 and 100 ms asked)",
    (Backend.WIRE, "jitter"): "quantiles within 0.5 ms of those asked (30 ms ± 5 ms, four shapes)",
    (Backend.WIRE, "reorder"): "none but chance; a frame is late as with a delay",
    (Backend.WIRE, "rate"): "within 0.01% of 1, 10 and 100 Mbit/s",
    (Backend.TBF, "rate"): (
        "within 0.2% of 1, 10 and 100 Mbit/s; after a pause one burst (the longest frame, or 1 ms of the rate) passes at once"
    ),
    (Backend.NETEM, "delay_s"): "within ±0.5 ms in the median when the machine is idle; no frame early",
    (Backend.NETEM, "jitter"): "quantiles within five deviations of rank and 2.5 ms of those asked",
    (Backend.NETEM, "reorder"): "none but chance",
}


def known_error(backend: Backend, parameter: str) -> str:
    """What is known of one parameter on one backend."""
    found = _KNOWN.get((backend, parameter))
    if found is not None:
        return found
    if parameter in ("loss", "bursts", "duplicate", "corrupt"):
        super_ = (
            "; a super-frame that is under way at the beginning counts as one"
            if backend is Backend.GATE
            else ""
        )
        return _DRAWN + super_ if backend is not Backend.NETEM else "none but chance: within 5 deviations"
    return _EXACT
