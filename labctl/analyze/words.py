"""Figures as people say them. One place, so that the report, the terminal and the verdict use the same words."""

from __future__ import annotations

from labctl.model.measure import Flow, LossWindow

#: Below the limit (after rounding): factor, digits after the point, unit.
_UNITS = ((1000, 1e6, 0, "µs"), (10, 1e3, 1, "ms"), (1000, 1e3, 0, "ms"), (60, 1.0, 1, "s"))


def seconds(value: float) -> str:
    """0.3411 -> `341 ms`; 3.41 -> `3.4 s`; 0.0000391 -> `39 µs`. Two to three figures, never more than are known."""
    if value == 0:
        return "0 s"
    for limit, factor, digits, unit in _UNITS:
        if round(value * factor, digits) < limit:
            return f"{value * factor:.{digits}f} {unit}"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def outage(window: LossWindow) -> str:
    """How long, as an interval: `310 to 340 ms`; `at least 2.0 s` when its end, or its begin, was not seen."""
    if window.at_most_s is None:
        return f"at least {seconds(window.at_least_s)}"
    low, high = seconds(window.at_least_s), seconds(window.at_most_s)
    if window.at_least_s == 0:
        return f"at most {high}"
    if low == high:
        return high
    if low.split()[1:] == high.split()[1:]:
        return f"{low.split()[0]} to {high}"
    return f"{low} to {high}"


def plural(count: int, noun: str, many: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def share(part: int, whole: int) -> str:
    """99.6 % and never "100 %" while something is missing."""
    if not whole:
        return "none"
    if part == whole:
        return "100 %"
    return f"{int(part / whole * 1000) / 10:g} %"


def loss(flow: Flow) -> str:
    """`31 of 300 lost`."""
    unit = "request" if flow.track.series.metric == "http" else "ping"
    return f"{flow.lost:,} of {plural(flow.sent, unit)} lost"
