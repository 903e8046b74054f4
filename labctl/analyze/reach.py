"""What the graph foretold of each measured flow, beside what became of it.

The graph knows ways, not routes: a flow that keeps a way may still be interrupted until routing has found it, and one
whose nodes lose each other must be cut off until the failure is over. So "cut off" agrees with a loss that only the end of a
failure ended, and "keeps a way" with none or with one that ended before. What does not agree is the interesting part
(a way without a route, or a route that the graph does not know) and no verdict: expectations are for that.
"""

from __future__ import annotations

from collections.abc import Sequence

from labctl.analyze import judge
from labctl.analyze.words import outage, plural
from labctl.model.measure import Flow
from labctl.model.played import Played
from labctl.model.verdict import Act, Reach


def compare(run: Played, flows: Sequence[Flow]) -> tuple[Reach, ...]:
    """One row for each flow of a run that broke something."""
    if not run.acts:
        return ()
    return tuple(_row(run, probe, flow) for probe, flow in zip(run.tracks, flows, strict=True))


def _row(run: Played, probe: str, flow: Flow) -> Reach:
    cut = _apart(run, *run.flows[probe]) if probe in run.flows else None
    if cut is None:
        predicted = "not known: its end is no node of the graph"
    else:
        predicted = f"cut off while {', '.join(cut)} lasts" if cut else "keeps a way"
    measured, lost = _measured(flow, run.acts)
    return Reach(
        flow=flow.track.series.subject,
        predicted=predicted,
        measured=measured,
        agrees=None if cut is None or lost is None else bool(cut) == lost,
    )


def _apart(run: Played, source: str, target: str) -> tuple[str, ...] | None:
    """The faults that part the two; None if one of them is no node."""
    nodes = {device.id for device in run.topology.devices} if run.topology else set()
    if nodes and not {source, target} <= nodes:
        return None
    found: list[str] = []
    for each in run.apart:
        where = [
            next((i for i, part in enumerate(each.parts) if node in part), None) for node in (source, target)
        ]
        if where[0] != where[1]:
            found += [fault for fault in each.faults if fault not in found]
    return tuple(found)


def _measured(flow: Flow, acts: Sequence[Act]) -> tuple[str, bool | None]:
    """In words, and whether it was cut off as long as a failure lasted; None where the probe cannot tell."""
    if flow.track.error or not flow.sent:
        return flow.track.error or "nothing was sent", None
    window = judge.worst_window(flow, acts)
    if window is None:
        return f"nothing lost in {plural(flow.sent, 'sample')}", False
    lost = f"{flow.lost:,} of {flow.sent:,} lost"
    if not window.recovered:
        return f"{lost}; did not come back", True
    if judge.ended_by_healing(window, acts):
        return f"{lost}; cut off for {outage(window)}, until the failure was over", True
    return f"{lost}; longest outage {outage(window)}, then another way", False
