"""When it happened: failure, lost traffic and route changes on one time axis, as a small SVG.

One row for each measured flow, one for the routes. The failure is a red band; every run of lost samples a red block
at its real place and at least two pixels wide, so that a loss of 20 ms in four minutes can still be seen. In a short
window every single sample is drawn: a dot where an answer came, a tick where none did.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from labctl.analyze.words import outage
from labctl.model.measure import Flow, Window
from labctl.model.verdict import Report

WIDTH, LEFT, RIGHT, ROW, TOP = 1000.0, 168.0, 34.0, 34.0, 30.0
LETTER = 6.6  # width of one, about
EACH_SAMPLE = 200  # at most so many samples are drawn one by one


def whole(report: Report) -> Window:
    """From the first thing that was measured or done to the last."""
    starts = [s.sent for f in report.flows for s in f.track.samples[:1]] + [
        a.start.requested for a in report.acts
    ]
    ends = [s.sent for f in report.flows for s in f.track.samples[-1:]]
    ends += [e for a in report.acts if (e := a.window.end) is not None]
    ends += [c.start + c.took_s for c in report.convergence]
    start = min(starts, default=0.0)
    return Window(start=start, end=max([*ends, start + 1.0]))


def onset(report: Report) -> Window | None:
    """The time around the first failure, wide enough for its outages; None when that is nearly the whole run."""
    if not report.acts or not report.flows:
        return None
    act = report.acts[0]
    begin = act.window.start
    healing = act.end.requested if act.end else begin + 30
    ends = [
        w.next_good or w.last_lost
        for f in report.flows
        for w in f.windows
        if begin <= w.last_lost and w.first_lost < healing
    ]
    reroute = [c.t for p in report.convergence for c in p.route_changes if begin <= c.t < healing]
    last = max([begin + 0.2, *(ends or reroute)])
    span = (last - begin) * 1.5
    full = whole(report)
    if span * 3 > (full.duration or 0.0):
        return None
    return Window(start=begin - span * 0.2, end=begin + span)


def draw(report: Report, window: Window, *, zero: float = 0.0) -> str:
    """The SVG text; the axis counts from `zero`."""
    end = window.start + 1.0 if window.end is None else window.end
    scale = _Scale(window.start, end)
    rows = [*report.flows]
    height = TOP + ROW * (len(rows) + 1) + 34
    bottom = TOP + ROW * (len(rows) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="timeline" role="img" viewBox="0 0 {WIDTH:.0f} {height:.0f}">',
        "<title>Failure, lost traffic and route changes over time</title>",
        *_grid(scale, zero, bottom),
        *_bands(report, scale, bottom),
    ]
    for i, flow in enumerate(rows):
        parts += _flow_row(flow, scale, TOP + ROW * i + ROW / 2)
    parts += _routes_row(report, scale, TOP + ROW * len(rows) + ROW / 2)
    parts.append("</svg>")
    return "\n".join(parts)


class _Scale:
    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end
        self._px = (WIDTH - LEFT - RIGHT) / max(end - start, 1e-9)

    def __call__(self, t: float) -> float:
        return LEFT + (min(max(t, self.start), self.end) - self.start) * self._px

    def holds(self, t: float) -> bool:
        return self.start <= t <= self.end


def _grid(scale: _Scale, zero: float, bottom: float) -> Iterable[str]:
    step = _nice((scale.end - scale.start) / 8)
    k = math.ceil((scale.start - zero) / step - 1e-9)
    while zero + k * step <= scale.end + 1e-9:
        x = scale(zero + k * step)
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 16}">{_clock(k * step, step)}</text>'
        k += 1


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(step, 1e-6)))
    return next((m * power for m in (1, 2, 5) if m * power >= step), 10 * power)


def _clock(t: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{t:+.{digits}f} s" if abs(t) > 1e-9 else "0"


def _bands(report: Report, scale: _Scale, bottom: float) -> Iterable[str]:
    """One band an act; its name above it where there is room, for all of them when the pointer rests on it."""
    free = LEFT
    for act in sorted(report.acts, key=lambda each: each.window.start):
        span = act.window
        end = scale.end if span.end is None else span.end
        if end < scale.start or span.start > scale.end:
            continue
        x1, x2 = scale(span.start), scale(end)
        width = max(2.0, x2 - x1)
        label = escape(act.what)
        name = ""
        if x1 >= free and x1 + LETTER * len(act.what) <= WIDTH:
            name = f'<text x="{x1 + 4:.1f}" y="{TOP - 14}">{label}</text>'
            free = x1 + LETTER * (len(act.what) + 2)
        yield (
            f'<g class="band"><rect x="{x1:.1f}" y="{TOP - 6}" width="{width:.1f}" height="{bottom - TOP + 6}"/>'
            f"<title>{label}: {escape(act.on)}</title>{name}</g>"
        )


def _flow_row(flow: Flow, scale: _Scale, y: float) -> list[str]:
    name = flow.track.series.subject
    metric = "web" if flow.track.series.metric == "http" else "ping"
    shown = [s for s in flow.track.samples if scale.holds(s.sent)]
    out = [_label(name, metric, y)]
    if not shown:
        return [*out, f'<text class="none" x="{LEFT + 8}" y="{y}">not measured here</text>']
    out.append(
        f'<line class="good" x1="{scale(shown[0].sent):.1f}" y1="{y}" x2="{scale(shown[-1].sent):.1f}" y2="{y}"/>'
    )
    if len(shown) <= EACH_SAMPLE:
        late_s = flow.track.late_s
        kinds = {
            "dots": [s for s in shown if s.value is not None and s.value <= late_s],
            "late": [s for s in shown if s.value is not None and s.value > late_s],
            "lost": [s for s in shown if s.value is None],
        }
        for kind, samples in kinds.items():
            mark = "".join(
                f"M{scale(s.sent):.1f},{y - 8:.0f}v16"
                if kind == "lost"
                else f"M{scale(s.sent):.1f},{y:.0f}h.01"
                for s in samples
            )
            out += [f'<path class="{kind}" d="{mark}"/>'] if mark else []
    for window in flow.windows:
        end = window.last_lost + flow.track.interval_s
        if end < scale.start or window.first_lost > scale.end:
            continue
        x1, x2 = scale(window.first_lost), scale(end)
        words = f"{window.lost} lost, outage of {outage(window)}"
        out.append(
            f'<rect class="outage" x="{x1:.1f}" y="{y - 9:.0f}" width="{max(2.0, x2 - x1):.1f}" height="18" rx="2">'
            f"<title>{escape(words)}</title></rect>"
        )
    return out


def _routes_row(report: Report, scale: _Scale, y: float) -> list[str]:
    times = sorted({round(c.t, 4) for p in report.convergence for c in p.route_changes if scale.holds(c.t)})
    out = [_label("routes", f"{len(times)} moments of change" if times else "no change", y)]
    drawn: list[float] = []
    for t in times:
        x = scale(t)
        if not drawn or x - drawn[-1] >= 1.0:
            drawn.append(x)
    ticks = "".join(f"M{x:.1f},{y - 8:.0f}v16" for x in drawn)
    if ticks:
        out.append(f'<path class="change" d="{ticks}"/>')
    return out


def _label(text: str, under: str, y: float) -> str:
    shown = text if len(text) <= 24 else text[:23] + "…"
    return (
        f'<text class="name" x="{LEFT - 12}" y="{y - 5}">{escape(shown)}<title>{escape(text)}</title></text>'
        f'<text class="under" x="{LEFT - 12}" y="{y + 8}">{escape(under)}</text>'
    )
