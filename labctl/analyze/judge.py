"""From what was done and measured to a verdict: a pure function, so a run can be judged again from its record.

What is expected of a failure: that it was really made (read back, not only requested), that traffic comes back while
it lasts and within `max_outage_s` where that is set, that routing settles, and that afterwards all is as before.
What could not be seen is UNKNOWN with its reason. Loss before anything was broken spoils the measurement and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labctl.analyze import loss
from labctl.analyze.words import outage, plural, seconds, share
from labctl.model.measure import Flow, LossWindow, Track, Window
from labctl.model.routes import Convergence, RouteChange, RouteComparison
from labctl.model.topology import Evidence, Topology
from labctl.model.verdict import Act, Finding, Phase, Report, RunMeta, Verdict, worst

MIN_SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """max_outage_s None: traffic has to come back while the failure lasts, however long that takes."""

    max_outage_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything a run saw, in seconds since its start and in production's names.

    changed_after: routes that differ between before the first act and after the last one ended (None: not looked).
    """

    run: RunMeta
    acts: tuple[Act, ...] = ()
    tracks: tuple[Track, ...] = ()
    convergence: tuple[Convergence, ...] = ()
    comparison: RouteComparison | None = None
    changed_after: tuple[RouteChange, ...] | None = None
    topology: Topology | None = None
    phases: tuple[Phase, ...] = ()
    limits: tuple[str, ...] = ()


def judge(seen: Observed, expect: Expect = Expect()) -> Report:
    """The report of a run."""
    flows = tuple(loss.flow(track) for track in seen.tracks)
    evidence = evidence_of(seen.topology)
    findings = [
        *_of_comparison(seen.comparison),
        *(of_act(act, evidence.get(str(act.cable), ())) for act in seen.acts),
        *(f for flow in flows for f in _of_flow(flow, seen.acts, expect)),
        *(of_convergence(c) for c in seen.convergence),
        *_of_restoration(seen.changed_after),
    ]
    return Report(
        run=seen.run,
        verdict=worst(*(f.verdict for f in findings)),
        headline=headline(seen.acts, flows, seen.comparison),
        findings=tuple(findings),
        acts=seen.acts,
        flows=flows,
        convergence=seen.convergence,
        comparison=seen.comparison,
        topology=seen.topology,
        phases=seen.phases,
        limits=seen.limits,
    )


def headline(acts: Sequence[Act], flows: Sequence[Flow], comparison: RouteComparison | None) -> str:
    """The one sentence that people repeat."""
    if not acts:
        return _equal(comparison) if comparison else "Nothing was broken, nothing was compared."
    did = " and ".join(f"{a.what} ({a.on})" for a in acts)
    did = did[:1].upper() + did[1:]
    hit = [(f, w) for f in flows if (w := worst_window(f, acts)) is not None]
    if not flows:
        return f"{did}: no traffic was measured."
    if not hit:
        return f"{did}: no traffic was lost."
    flow, window = max(
        hit, key=lambda each: (not each[1].recovered, _ended_by_healing(each[1], acts), *_sharp(*each))
    )
    name = flow.track.series.subject
    if not window.recovered:
        return f"{did}: {name} was lost and did not come back."
    if _ended_by_healing(window, acts):
        return f"{did}: {name} was cut off until the healing, {outage(window)}."
    return f"{did}: {name} was interrupted for {outage(window)}, then took another way."


def _sharp(flow: Flow, window: LossWindow) -> tuple[bool, float]:
    """Pings are sent at a faster pace than requests, so they say more exactly how long it was."""
    return flow.track.series.metric == "rtt", window.at_least_s


def worst_window(flow: Flow, acts: Sequence[Act]) -> LossWindow | None:
    """The longest stretch of loss that began at or after the first act."""
    begin = min((a.window.start for a in acts), default=0.0)
    after = [w for w in flow.windows if w.last_lost >= begin]
    return max(after, key=lambda w: (not w.recovered, w.at_least_s, w.lost), default=None)


def _of_comparison(comparison: RouteComparison | None) -> Iterable[Finding]:
    if comparison is None:
        return
    if not comparison.compared:
        verdict = Verdict.UNKNOWN
    elif comparison.differences:
        verdict = Verdict.FAIL
    else:
        absent = comparison.unread or comparison.only_production  # a shadow is to have all of it
        verdict = Verdict.UNKNOWN if absent else Verdict.PASS
    seen = [
        f"{d.node} {d.prefix}: {d.kind}{': ' + d.reason if d.reason else ''}" for d in comparison.differences
    ]
    if comparison.unread:
        seen.append("not read: " + ", ".join(comparison.unread))
    if comparison.only_production:
        seen.append("not in the shadow: " + ", ".join(comparison.only_production))
    yield Finding(
        verdict=verdict,
        subject="shadow against production",
        summary=_equal(comparison),
        seen=tuple(seen[:20]),
    )


def _equal(comparison: RouteComparison) -> str:
    if not comparison.compared:
        return "No route could be compared."
    if not comparison.differences:
        text = f"All {comparison.compared:,} routes of {comparison.nodes} nodes are equal"
        if comparison.unread:
            text += f"; {plural(len(comparison.unread), 'node')} could not be asked"
        if comparison.only_production:
            text += f"; the shadow lacks {plural(len(comparison.only_production), 'node')}"
        return f"{text}."
    part = share(comparison.equal, comparison.compared)
    return f"{part} of {comparison.compared:,} routes are equal; {len(comparison.differences)} differ."


def of_act(act: Act, because: tuple[Evidence, ...]) -> Finding:
    if act.start.applied is None:
        verdict, text = Verdict.UNKNOWN, "was requested and never made"
    elif act.start.read_back is None:
        verdict, text = Verdict.UNKNOWN, "was made, but could not be read back"
    elif act.end is not None and act.end.read_back is None:
        verdict, text = Verdict.FAIL, "was made, and its end could not be confirmed"
    else:
        verdict, text = (
            Verdict.PASS,
            f"made {seconds(act.start.applied - act.start.requested)} after the request",
        )
    return Finding(
        verdict=verdict, subject=f"{act.what}: {act.on}", summary=text, window=act.window, because=because
    )


def _of_flow(flow: Flow, acts: Sequence[Act], expect: Expect) -> Iterable[Finding]:
    subject = flow.track.series.subject
    if flow.track.error:
        yield Finding(
            verdict=Verdict.UNKNOWN, subject=subject, summary=f"the probe failed: {flow.track.error}"
        )
        return
    if flow.sent < MIN_SAMPLES:
        text = f"only {plural(flow.sent, 'sample')}: too few to judge"
        yield Finding(verdict=Verdict.UNKNOWN, subject=subject, summary=text)
        return
    begin = min((a.window.start for a in acts), default=float("inf"))
    early = [w for w in flow.windows if w.last_lost < begin]
    if early and acts:
        lost = sum(w.lost for w in early)
        text = f"{lost} lost before anything was broken: what follows cannot be blamed on the failure alone"
        yield Finding(verdict=Verdict.UNKNOWN, subject=subject, summary=text, window=_span(early[0]))
    window = worst_window(flow, acts) if acts else loss.longest(flow)
    if window is None:
        yield Finding(
            verdict=Verdict.PASS, subject=subject, summary=f"nothing lost in {plural(flow.sent, 'sample')}"
        )
        return
    yield _of_window(flow, window, acts, expect)


def _of_window(flow: Flow, window: LossWindow, acts: Sequence[Act], expect: Expect) -> Finding:
    limit = expect.max_outage_s
    others = len([w for w in flow.windows if w is not window])
    text = f"{flow.lost:,} of {flow.sent:,} lost; longest outage {outage(window)}"
    if others:
        text += f"; {plural(others, 'shorter one')}"
    if not acts:
        verdict, text = Verdict.FAIL, f"{text}, though nothing was broken"
    elif not window.recovered:
        verdict, text = Verdict.FAIL, f"{text}, and it had not come back at the end"
    elif _ended_by_healing(window, acts):
        verdict, text = Verdict.FAIL, f"{text}: there was no other way until the healing"
    elif limit is None:
        verdict = Verdict.PASS
    elif window.at_least_s > limit:
        verdict, text = Verdict.FAIL, f"{text}; allowed were {seconds(limit)}"
    elif window.at_most_s is None or window.at_most_s > limit:
        verdict, text = Verdict.UNKNOWN, f"{text}; the probe is too coarse to tell from {seconds(limit)}"
    else:
        verdict, text = Verdict.PASS, f"{text}; allowed were {seconds(limit)}"
    return Finding(
        verdict=verdict,
        subject=flow.track.series.subject,
        summary=text,
        window=_span(window),
        seen=tuple(f"sender was told: {e}" for e in window.errors),
    )


def _ended_by_healing(window: LossWindow, acts: Sequence[Act]) -> bool:
    """Whether it began under an act that lasted, and not before that act's end did an answer come back."""
    for act in acts:
        end = act.window.end
        if end is not None and act.window.start <= window.last_lost and window.first_lost < end:
            return window.next_good is not None and window.next_good >= end
    return False


def of_convergence(seen: Convergence) -> Finding:
    notes = [f"not up: {a}" for a in seen.stuck] + [f"does not answer: {s}" for s in seen.silent]
    if seen.settled:
        verdict = Verdict.PASS
        text = (
            f"settled: {plural(len(seen.route_changes), 'route change')}, the last after {seconds(seen.routes_took_s)}"
            if seen.route_changes
            else "settled: no route changed"
        )
    else:
        verdict = Verdict.UNKNOWN
        text = f"had not settled after {seconds(seen.waited_s)}"
    end = seen.start + seen.took_s
    return Finding(
        verdict=verdict,
        subject=f"routing, {seen.phase}",
        summary=text,
        window=Window(start=seen.start, end=end if seen.settled else None),
        seen=tuple(notes[:20]),
    )


def _of_restoration(changed: tuple[RouteChange, ...] | None) -> Iterable[Finding]:
    if changed is None:
        return
    text = (
        f"{plural(len(changed), 'route')} not as before the failure"
        if changed
        else "every route is as it was before the failure"
    )
    yield Finding(
        verdict=Verdict.FAIL if changed else Verdict.PASS,
        subject="routing, restored",
        summary=text,
        seen=tuple(
            f"{c.node} {c.prefix}: {c.before or 'no route'} is now {c.after or 'gone'}" for c in changed[:20]
        ),
    )


def _span(window: LossWindow) -> Window:
    return Window(start=window.first_lost, end=window.next_good)


def evidence_of(topology: Topology | None) -> Mapping[str, tuple[Evidence, ...]]:
    return {str(link.id): link.evidence for link in topology.links} if topology else {}
