"""What was seen of one thing, as a finding: a failure that was made, a wait for quiet, a comparison of routes.

What could not be seen is UNKNOWN with its reason. `labctl.analyze.played` puts a run's findings together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labctl.analyze import took
from labctl.analyze.words import plural, seconds, share
from labctl.model.measure import Flow, LossWindow, Window
from labctl.model.routes import Convergence, RouteComparison
from labctl.model.topology import Evidence, Topology
from labctl.model.verdict import Act, Finding, Verdict


def of_act(act: Act, because: tuple[Evidence, ...], unseen: str = "") -> Finding:
    """Whether it was made, stayed and was ended. unseen: why nobody saw its end, if so."""
    if act.start.applied is None:
        verdict, text = Verdict.UNKNOWN, "was requested and never made"
    elif act.start.read_back is None:
        verdict, text = Verdict.UNKNOWN, "was made, but could not be read back"
    elif strayed := took.strayed(act):
        verdict, text = Verdict.UNKNOWN, f"was made, but did not stay: {strayed}"
    elif contradicted := took.contradicted(act):
        verdict, text = Verdict.UNKNOWN, f"was made, but measured otherwise: {contradicted}"
    elif act.end is not None and act.end.read_back is None and unseen:
        verdict, text = Verdict.UNKNOWN, f"was made, and nobody saw its end: {unseen}"
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


def of_comparison(comparison: RouteComparison) -> Finding:
    """The shadow's routes against those it is to have: all of them, on every node."""
    if comparison.differences:
        verdict = Verdict.FAIL
    else:
        absent = comparison.unread or comparison.only_production or not comparison.compared
        verdict = Verdict.UNKNOWN if absent else Verdict.PASS
    seen = [
        f"{d.node} {d.prefix}: {d.kind}{': ' + d.reason if d.reason else ''}" for d in comparison.differences
    ]
    if comparison.unread:
        seen.append("not read: " + ", ".join(comparison.unread))
    if comparison.only_production:
        seen.append("not in the shadow: " + ", ".join(comparison.only_production))
    return Finding(
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


def worst_window(flow: Flow, acts: Sequence[Act]) -> LossWindow | None:
    """The longest stretch of loss that began at or after the first act."""
    begin = min((a.window.start for a in acts), default=0.0)
    after = [w for w in flow.windows if w.last_lost >= begin]
    return max(after, key=lambda w: (not w.recovered, w.at_least_s, w.lost), default=None)


def ended_by_healing(window: LossWindow, acts: Sequence[Act]) -> bool:
    """Whether it began under an act that lasted, and not before that act's end did an answer come back."""
    for act in acts:
        end = act.window.end
        if end is not None and act.window.start <= window.last_lost and window.first_lost < end:
            return window.next_good is not None and window.next_good >= end
    return False


def evidence_of(topology: Topology | None) -> Mapping[str, tuple[Evidence, ...]]:
    return {str(link.id): link.evidence for link in topology.links} if topology else {}
