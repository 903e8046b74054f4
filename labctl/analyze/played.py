"""From what a scenario left behind to its report. Pure: judged again, the same run gives the same bytes.

PASS needs all of it: a lab that was built for the run has settled and routes as it is to, the steady state held before, every effect was read back as made and as ended, every expectation
held during and after, the steady state holds again, nothing is left. A stop rule that struck is FAIL; a run that did
not get to its end, for whatever reason, is at best UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable

from labctl.analyze import expect, judge, loss, reach
from labctl.analyze.words import outage, plural
from labctl.model.measure import Flow, LossWindow, Window
from labctl.model.played import Played
from labctl.model.routes import Convergence
from labctl.model.scenario import Expectation
from labctl.model.verdict import Act, Finding, Report, Verdict, worst

#: What the findings about the steady state after everything begin with.
AGAIN = "steady again"
LIMITS = (
    "Timing is that of routing daemons in containers on this machine; ASICs, line cards and vendors' own software are "
    "not reproduced."
)


def report(run: Played) -> Report:
    """The report of a run."""
    flows = tuple(loss.flow(track) for track in run.tracks.values())
    findings = tuple(_findings(run))
    return Report(
        run=run.run,
        verdict=worst(*(f.verdict for f in findings)),
        headline=headline(run, flows, findings),
        findings=findings,
        acts=run.acts,
        flows=flows,
        convergence=(*run.ready, *run.convergence),
        comparison=run.comparison,
        topology=run.topology,
        phases=run.phases,
        predicted=run.predicted,
        reach=reach.compare(run, flows),
        limits=(*_notes(run), LIMITS),
    )


def headline(run: Played, flows: tuple[Flow, ...], findings: tuple[Finding, ...]) -> str:
    """The one sentence that people repeat."""
    name = run.run.title
    if run.not_steady:
        return f"{name}: nothing was broken, the steady state did not hold: {run.not_steady[0]}."
    for verdict, word in ((Verdict.FAIL, "failed"), (Verdict.UNKNOWN, "could not be judged")):
        hit = [f for f in findings if f.verdict is verdict]
        if hit:
            more = f" (and {len(hit) - 1} more)" if len(hit) > 1 else ""
            return f"{name} {word}: {hit[0].subject}: {hit[0].summary}{more}."
    did = f"{name}: {_did(run.acts)}"
    hit_flows = (
        [(f, w) for f in flows if (w := judge.worst_window(f, run.acts)) is not None] if run.acts else []
    )
    if not hit_flows:
        return f"{did}; no traffic was lost." if flows else f"{did}; all held."
    flow, window = max(
        hit_flows, key=lambda each: (judge.ended_by_healing(each[1], run.acts), *_sharp(*each))
    )
    subject = flow.track.series.subject
    if judge.ended_by_healing(window, run.acts):
        return f"{did}; {subject} was cut off until the failure was over, {outage(window)}, as allowed."
    return f"{did}; {subject} was interrupted for {outage(window)}, as allowed."


def _sharp(flow: Flow, window: LossWindow) -> tuple[bool, float]:
    """Pings are sent at a faster pace than requests, so they say more exactly how long it was."""
    return flow.track.series.metric == "rtt", window.at_least_s


def _did(acts: tuple[Act, ...]) -> str:
    if not acts:
        return "nothing was broken"
    if len(acts) == 1:
        return f"{acts[0].what} ({acts[0].on})"
    places = {act.on for act in acts}
    return f"{plural(len(acts), 'failure')} in {plural(len(places), 'place')}"


def _notes(run: Played) -> Iterable[str]:
    for each in run.others:
        yield f"Beside this run, another fault was active: {each}."


def _findings(run: Played) -> Iterable[Finding]:
    yield from _endings(run)
    for seen in run.ready:
        yield judge.of_convergence(seen)
    if run.comparison is not None:
        yield judge.of_comparison(run.comparison)
    yield from _before(run)
    evidence = judge.evidence_of(run.topology)
    for act in run.acts:
        unseen = run.unseen or ("" if run.ended else "the journal ends before it")
        yield judge.of_act(act, evidence.get(str(act.cable), ()), unseen)
    if not run.not_steady:
        yield from _during(run)
        yield from _after(run)
    yield from _left(run)


def _endings(run: Played) -> Iterable[Finding]:
    """Why the run is not what it was to be."""
    for why in run.stopped:
        yield Finding(verdict=Verdict.FAIL, subject="stop rule", summary=f"ended the run: {why}")
    for fault, why in run.refused.items():
        yield _unknown(f"fault {fault}", f"did not take, and the run was ended: {why}")
    if run.failed:
        yield _unknown("run", f"ended by an error: {run.failed}")
    if run.interrupted:
        yield _unknown("run", "was interrupted")
    if not run.ended:
        yield _unknown("run", "was killed: its journal has no end")


def _before(run: Played) -> Iterable[Finding]:
    for why in run.not_steady:
        yield _unknown("steady state before", f"did not hold, so nothing was broken: {why}")
    if run.not_steady or run.before is None:
        return
    seen = expect.Seen(
        tracks=run.tracks,
        subjects=run.subjects,
        convergence=_phase(run, "before"),
        route_changes=run.route_changes,
        adjacency_changes=run.adjacency_changes,
        changed=(),
        lost_sessions=(),
        left=(),
    )
    for each in run.steady:
        yield expect.judge(each, seen, run.before, "before")


def _during(run: Played) -> Iterable[Finding]:
    """What was to hold while things were broken, and at the moments that the timeline checks."""
    waits = [c for c in run.convergence if c.phase not in ("before", "after")]
    for seen in waits:
        yield judge.of_convergence(seen)
    slowest = max(waits, key=lambda c: (not c.settled, c.took_s), default=None)
    for each in run.expect_during:
        yield _judge_over(each, _seen(run, slowest), run.during, "during")
    for check in run.checks:
        evidence = expect.Seen(
            tracks=run.tracks,
            subjects=run.subjects,
            route_changes=run.route_changes,
            adjacency_changes=run.adjacency_changes,
            convergence=check.seen,
            changed=check.changed,
            lost_sessions=check.lost_sessions,
        )
        yield expect.judge(check.expect, evidence, check.window, f"check at {check.window.end or 0.0:.1f} s")


def _after(run: Played) -> Iterable[Finding]:
    """What was to hold again."""
    settled = _phase(run, "after")
    if settled is not None:
        yield judge.of_convergence(settled)
    seen = _seen(run, settled)
    for each in run.expect_after:
        window = run.after
        if window is not None and each.within_s is not None and run.faults_end is not None:
            window = Window(start=run.faults_end + each.within_s, end=window.end)
        yield _judge_over(each, seen, window, "after")
    for each in run.steady:
        yield _judge_over(each, seen, run.after, AGAIN)


def _left(run: Played) -> Iterable[Finding]:
    """Always judged, asked for or not."""
    for measure in ("routes", "leftovers"):
        wanted = Expectation(measure=measure, op="==", limit="same" if measure == "routes" else "none")
        if any(each.measure == measure for each in run.expect_after) or (
            measure == "routes" and run.after is None
        ):
            continue
        span = Window(start=run.run.duration_s, end=run.run.duration_s)
        yield expect.judge(wanted, _seen(run, None), span, "at the end")


def _judge_over(wanted: Expectation, seen: expect.Seen, window: Window | None, phase: str) -> Finding:
    if window is None:
        subject = f"{phase}: {expect.words(wanted, seen.subjects)}"
        return _unknown(subject, "the run did not get so far")
    return expect.judge(wanted, seen, window, phase)


def _seen(run: Played, settled: Convergence | None) -> expect.Seen:
    return expect.Seen(
        tracks=run.tracks,
        subjects=run.subjects,
        route_changes=run.route_changes,
        adjacency_changes=run.adjacency_changes,
        convergence=settled,
        changed=run.changed,
        lost_sessions=run.lost_sessions,
        left=run.left,
        unseen=run.unseen,
    )


def _phase(run: Played, name: str) -> Convergence | None:
    return next((c for c in reversed(run.convergence) if c.phase == name), None)


def _unknown(subject: str, text: str) -> Finding:
    return Finding(verdict=Verdict.UNKNOWN, subject=subject, summary=text)
