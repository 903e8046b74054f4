"""The one-page HTML report: verdict first, then what was broken, what it cost, what the routes did.

One file, nothing loaded from anywhere, readable in light, in dark and on paper. Values are put in by Jinja with
autoescape, and a name that the template does not get is an error (StrictUndefined), never an empty cell. The only
markup that goes in unescaped are the pictures drawn by `svg` and `timeline`, which escape what they draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

import labctl
from labctl.analyze import loss, took
from labctl.analyze.words import outage, plural, seconds, share
from labctl.model.measure import Flow
from labctl.model.routes import Convergence, Route, RouteChange
from labctl.model.topology import Evidence
from labctl.model.verdict import Act, Report
from labctl.report import svg, timeline

ROWS, ROWS_LATER = 24, 8  # of groups of route changes, first phase and others; all changes are in the JSON
TOGETHER_S = 0.02  # changes of one device within this time and of the same kind are one row


def write(report: Report) -> bytes:
    """The page, as bytes."""
    picture = svg.draw(report.topology, marks(report)) if report.topology else ""
    zoom = timeline.onset(report)
    zero = report.acts[0].window.start if report.acts else 0.0
    text = _template().render(
        report=report,
        version=labctl.__version__,
        style=style(),
        headline=report.headline.replace(" → ", "\u00a0→\u00a0"),
        facts=list(_facts(report)),
        picture=Markup(picture),  # noqa: S704  (drawn and escaped by svg)
        timeline=Markup(timeline.draw(report, timeline.whole(report))),  # noqa: S704
        zoomed=Markup(timeline.draw(report, zoom, zero=zero)) if zoom else "",  # noqa: S704
        broken=list(_broken(report)),
        took=[_took(act) for act in report.acts],
        changes=list(_changes(report)),
        comparison=report.comparison,
    )
    return text.encode()


def marks(report: Report) -> svg.Marks:
    """What the picture of this run points out."""
    return svg.Marks(
        broken=frozenset(str(a.cable) for a in report.acts if a.cable is not None),
        off=frozenset(a.on for a in report.acts if a.cable is None),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(
        seconds=seconds, since=_since, maybe=_maybe, way=_way, longest=_longest, share=share, pace=_pace
    )
    return environment.from_string(source("report.html.j2"))


def source(name: str) -> str:
    """A file of `templates/`."""
    return resources.files("labctl.report").joinpath(f"templates/{name}").read_text("utf-8")


def style() -> Markup:
    """What all pages look like: in light, in dark and on paper."""
    return Markup(source("style.css"))  # noqa: S704  (ours)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    """The few figures that belong in the first screen."""
    worst = max(report.flows, key=lambda f: (f.lost, f.sent), default=None)
    if worst is not None and report.acts:
        longest = loss.longest(worst)
        yield (outage(longest) if longest else "none", f"outage of {worst.track.series.subject}")
        yield (f"{worst.lost:,} of {worst.sent:,}", "requests lost" if _is_web(worst) else "pings lost")
    after = [c for c in report.convergence if report.acts and c.start >= report.acts[0].start.requested]
    if after:
        yield (seconds(after[0].routes_took_s), "until the last route had moved")
        yield (plural(len(after[0].route_changes), "change"), "in the devices' routes")
    if report.comparison and report.comparison.compared:
        part = share(report.comparison.equal, report.comparison.compared)
        yield (part, f"of {report.comparison.compared:,} routes as in production")


def _broken(report: Report) -> Iterator[tuple[Act, str, tuple[Evidence, ...]]]:
    links = {str(link.id): link for link in report.topology.links} if report.topology else {}
    for act in report.acts:
        link = links.get(str(act.cable))
        if link is not None and link.evidence:
            yield act, str(link.id), link.evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One act: asked for, read back, measured."""

    id: str
    on: str
    asked: str
    found: str
    measured: str
    wrong: bool


def _took(act: Act) -> Took:
    return Took(
        id=act.id,
        on=act.on,
        asked=act.said or act.what,
        found=took.found(act) or ("as asked" if act.start.read_back is not None else ""),
        measured=took.measured(act),
        wrong=bool(took.strayed(act) or took.contradicted(act)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Route changes that are one event: same device, same moment, same way before and after."""

    t: float
    node: str
    before: str
    after: str
    prefixes: tuple[str, ...]
    lost: bool


def _changes(report: Report) -> Iterator[tuple[Convergence, list[Moved], int]]:
    """The phases of the failure; what happened while the lab started is not what the report is about."""
    begin = report.acts[0].start.requested if report.acts else 0.0
    first = True
    for phase in report.convergence:
        if phase.route_changes and phase.start >= begin:
            rows = grouped(phase.route_changes)
            room = ROWS if first else ROWS_LATER
            yield phase, rows[:room], sum(len(row.prefixes) for row in rows[room:])
            first = False


def grouped(changes: Sequence[RouteChange]) -> list[Moved]:
    """Forty prefixes that move together are one row, in the order of time."""
    rows: list[Moved] = []
    latest: dict[tuple[str, str, str], int] = {}
    for change in changes:
        key = (change.node, _way(change.before), _way(change.after))
        at = latest.get(key)
        if at is not None and change.t - rows[at].t <= TOGETHER_S:
            rows[at] = replace(rows[at], prefixes=(*rows[at].prefixes, change.prefix))
            continue
        latest[key] = len(rows)
        lost = change.after is None or not (change.after.next_hops or change.after.kind)
        rows.append(
            Moved(t=change.t, node=key[0], before=key[1], after=key[2], prefixes=(change.prefix,), lost=lost)
        )
    return rows


def _since(t: float | None, start: float) -> str:
    return "never" if t is None else seconds(max(0.0, t - start))


def _maybe(value: float | None) -> str:
    return "–" if value is None else seconds(value)


def _way(route: Route | None) -> str:
    if route is None:
        return "no route"
    if not route.next_hops:
        return f"{route.protocol}, {route.kind or 'no way left'}"
    hops = " or ".join(
        f"{h.via} on {h.interface}" if h.via and h.interface else h.via or f"on {h.interface}"
        for h in sorted(route.next_hops)
    )
    return f"{route.protocol}, {hops}" if route.protocol == "connected" else f"{route.protocol} via {hops}"


def _longest(flow: Flow) -> str:
    window = loss.longest(flow)
    return outage(window) if window else "none"


def _pace(flow: Flow) -> str:
    return f"{'web request' if _is_web(flow) else 'ping'} every {seconds(flow.track.interval_s)}"


def _is_web(flow: Flow) -> bool:
    return flow.track.series.metric == "http"
