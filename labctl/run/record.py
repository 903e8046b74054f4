"""A journal and its samples, read back as what the judge judges.

Effects become acts here: what one fault did to one cable or node, from the request that began it to the one that ended
it. An act was made when the last of its resources was read back as made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.analyze import converge
from labctl.errors import LabctlError, Span
from labctl.model import impairment_codec
from labctl.model.measure import Track, Window, shift
from labctl.model.played import Apart, Checked, Played
from labctl.model.routes import AdjacencyChange, Convergence, RouteChange, RouteComparison
from labctl.model.topology import Topology
from labctl.model.verdict import Act, Look, Phase, RunMeta, Stamps
from labctl.names import CableId
from labctl.run import entries, journal, samples
from labctl.schema import files

NEVER = float("inf")
JOURNAL, SAMPLES, TOPOLOGY = "journal.jsonl", "samples.jsonl", "topology.yml"


def read(directory: str) -> Played:
    """The run of a directory."""
    topology = os.path.join(directory, TOPOLOGY)
    path = os.path.join(directory, JOURNAL)
    lines = list(journal.read(path))
    if not lines:
        raise LabctlError(
            "bad-journal", "the journal has no whole line: the run ended before it began", where=Span(path)
        )
    tracks = samples.read(os.path.join(directory, SAMPLES))
    drawn = files.load(Topology, topology) if os.path.exists(topology) else None
    try:
        return played(lines, tracks, drawn)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise LabctlError(
            "bad-journal", f"a line of the journal lacks what such lines have: {error!r}", where=Span(path)
        ) from error


def played(
    lines: Sequence[Mapping[str, Any]], tracks: Mapping[str, Track], topology: Topology | None
) -> Played:
    """Everything in seconds since the first line."""
    found = _by_kind(lines)
    head: Mapping[str, Any] = found.get("run", [{}])[0]
    zero, last = (lines[0]["t"], lines[-1]["t"]) if lines else (0.0, 0.0)
    windows = {w["which"]: _window(w, zero) for w in found.get("window", ())}
    during = windows.get("during")
    ended = windows.get("during-end")
    after = found.get("after", [{}])[-1]
    routes = found.get("routes", [None])[-1]
    # What was measured in a lab that was lost, or whose agent was, in the middle of it is no evidence of the network.
    cut_short = ended is None and ("failed" in found or bool(after.get("unseen")))
    return Played(
        run=_meta(head, last - zero),
        steady=_expectations(head, "steady"),
        expect_during=_expectations(head, "during"),
        expect_after=_expectations(head, "after"),
        subjects={k: v for line in found.get("measuring", ()) for k, v in line["subjects"].items()},
        tracks={probe: shift(track, -zero) for probe, track in tracks.items()},
        acts=tuple(_acts(lines, zero, head.get("names", {}))),
        ready=tuple(_convergence(line["seen"], zero) for line in found.get("ready", ())),
        comparison=_comparison(found.get("compared", ())),
        convergence=tuple(_convergence(line["seen"], zero) for line in found.get("settled", ())),
        route_changes=None if routes is None else _routes(routes["routes"], zero),
        adjacency_changes=None if routes is None else _sessions(routes["sessions"], zero),
        checks=tuple(_check(line, zero) for line in found.get("check", ())),
        before=windows.get("before"),
        during=None
        if cut_short
        else during
        if ended is None or during is None
        else Window(start=during.start, end=ended.start),
        after=windows.get("after"),
        faults_end=max(
            (line["due"] - zero for line in found.get("asked", ()) if line["begin"] or line["end"]),
            default=None,
        ),
        not_steady=tuple(reason for line in found.get("not-steady", ()) for reason in line["reasons"]),
        stopped=tuple(line["why"] for line in found.get("stopped", ())),
        refused={k: v for line in found.get("refused", ()) for k, v in line["faults"].items()},
        failed="; ".join(line["error"] for line in found.get("failed", ())),
        interrupted="interrupted" in found,
        ended="end" in found,
        left=tuple(after["left"]) if after.get("left") is not None else None,
        unseen=after.get("unseen", ""),
        changed=None if after.get("changed") is None else _routes(after["changed"], zero),
        lost_sessions=None if after.get("lost_sessions") is None else tuple(after["lost_sessions"]),
        others=tuple(each for line in found.get("measuring", ()) for each in line["others"]),
        predicted=tuple(head.get("predicted", ())),
        apart=tuple(
            Apart(faults=tuple(each["faults"]), parts=tuple(map(tuple, each["parts"])))
            for each in head.get("apart", ())
        ),
        flows={probe: (ends[0], ends[1]) for probe, ends in head.get("flows", {}).items()},
        topology=topology,
        phases=tuple(_phases(found.get("phase", ()), zero, last)),
    )


def _by_kind(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["kind"], []).append(line)
    return found


def _meta(head: Mapping[str, Any], duration_s: float) -> RunMeta:
    return RunMeta(
        title=head.get("scenario", "run"),
        lab=head.get("lab", ""),
        runtime=head.get("runtime", ""),
        kernel=head.get("kernel", ""),
        started=head.get("started", ""),
        duration_s=duration_s,
        seed=head.get("seed"),
        command=head.get("command", ""),
        versions=tuple((name, version) for name, version in head.get("versions", ())),
    )


def _expectations(head: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    return tuple(entries.decode_expectation(each) for each in head.get(name, ()))


def _window(line: Mapping[str, Any], zero: float) -> Window:
    return Window(start=line["start"] - zero, end=None if line["end"] is None else line["end"] - zero)


def _check(line: Mapping[str, Any], zero: float) -> Checked:
    return Checked(
        expect=entries.decode_expectation(line["expect"]),
        window=_window(line, zero),
        seen=_convergence(line["seen"], zero),
        changed=None if line.get("changed") is None else _routes(line["changed"], zero),
        lost_sessions=None if line.get("lost_sessions") is None else tuple(line["lost_sessions"]),
    )


def _phases(lines: Sequence[Mapping[str, Any]], zero: float, end: float) -> Iterable[Phase]:
    for line, after in zip(lines, [*(each["t"] for each in lines[1:]), end], strict=True):
        yield Phase(name=line["name"], start=line["t"] - zero, took_s=after - line["t"])


def _comparison(lines: Sequence[Mapping[str, Any]]) -> RouteComparison | None:
    return entries.COMPARISON.validate_python(lines[-1]["routes"]) if lines else None


def _convergence(value: Any, zero: float) -> Convergence:
    seen = entries.CONVERGENCE.validate_python(value, strict=False)
    return replace(
        seen,
        start=seen.start - zero,
        route_changes=tuple(replace(c, t=c.t - zero) for c in seen.route_changes),
        adjacency_changes=tuple(replace(c, t=c.t - zero) for c in seen.adjacency_changes),
    )


def _routes(value: Any, zero: float) -> tuple[RouteChange, ...]:
    return tuple(replace(c, t=c.t - zero) for c in entries.ROUTES.validate_python(value))


def _sessions(value: Any, zero: float) -> tuple[AdjacencyChange, ...]:
    return tuple(replace(c, t=c.t - zero) for c in entries.SESSIONS.validate_python(value))


# -- acts ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """One fault on one subject, while it is read together. requests: those that began it; closing: the one that ended
    it. closed_at, again_at: when that was asked for, and when the same fault was asked for here again.
    """

    entry: Mapping[str, Any]
    asked: float
    requests: set[int] = field(default_factory=set)
    closing: int = 0
    closed_at: float = NEVER
    again_at: float = NEVER
    spans: set[int] = field(default_factory=set)
    resources: list[Any] = field(default_factory=list)
    made: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended: float | None = None
    unmade: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    looks: list[Mapping[str, Any]] = field(default_factory=list)


def _acts(lines: Iterable[Mapping[str, Any]], zero: float, names: Mapping[str, str]) -> Iterable[Act]:
    latest: dict[tuple[str, str], _Open] = {}
    every: list[_Open] = []
    request = 0
    for line in lines:
        if line["kind"] == "asked":
            request = line.get("request", request + 1)
            for entry in line["end"]:
                _end(latest, entry, line, request)
            for entry in line["begin"]:
                _begin(latest, every, entry, line, request)
        elif line["kind"] == "made":
            for act in every:
                _made(act, line["readings"], line.get("request", request))
        elif line["kind"] == "looked":
            for act in latest.values():
                if not act.closing:
                    _looked(act, line["looks"], line["t"])
    return [_act(each, zero, names) for each in every]


def _from(line: Mapping[str, Any]) -> float:
    """Since when what a line asks for is wanted: it is asked for a little before its time, or too late."""
    return float(max(line["t"], line["due"]))


def _begin(
    latest: dict[tuple[str, str], _Open],
    every: list[_Open],
    entry: Mapping[str, Any],
    line: Mapping[str, Any],
    request: int,
) -> None:
    key = (entry["fault"], entry["on"])
    act = latest.get(key)
    if act is None or act.closing:
        if act is not None and act.closing != request:  # what one answer ended and began, it proves both of
            act.again_at = _from(line)
        act = latest[key] = _Open(entry, line["due"])
        every.append(act)
    act.spans.add(entry["span"])
    act.requests.add(request)
    act.resources.append(entry["resource"])


def _end(
    latest: dict[tuple[str, str], _Open], entry: Mapping[str, Any], line: Mapping[str, Any], request: int
) -> None:
    act = latest.get((entry["fault"], entry["on"]))
    if act is None or act.closing:
        return
    act.spans.discard(entry["span"])
    if not act.spans:
        act.ended, act.closing, act.closed_at = line["due"], request, _from(line)


def _made(act: _Open, readings: Iterable[Mapping[str, Any]], request: int) -> None:
    """What an answer says of an act. Its beginning is proven by the answer to what began it; its end also by a later
    one, if the run did not wait for its own. Who looked at a resource only after the opposite had been asked for has
    seen nothing of it: what takes its turn late is brought to what it should be then.
    """
    for reading in readings:
        if not reading["taken"]:
            continue
        looked_at = reading.get("asked", reading["applied"])["monotonic"]
        for resource in act.resources:
            if not _is(reading, resource):
                continue
            if request in act.requests and looked_at < act.closed_at:
                act.made.setdefault(str(resource), reading)
            if act.closing and looked_at < act.again_at:
                if request == act.closing:
                    act.unmade[str(resource)] = reading
                elif request > act.closing:
                    act.unmade.setdefault(str(resource), reading)


def _looked(act: _Open, looks: Iterable[Mapping[str, Any]], t: float) -> None:
    """Looks at its resources; one without a resource is about the whole fault."""
    for look in looks:
        if look["fault"] != act.entry["fault"]:
            continue
        if not _names(look) or any(_is(look, resource) for resource in act.resources):
            act.looks.append({"t": t, **look})


def _is(said: Mapping[str, Any], resource: Mapping[str, Any]) -> bool:
    return _names(said) == _names(resource)


def _names(value: Mapping[str, Any]) -> dict[str, Any]:
    """What names a resource in an entry, see `labctl.agent.codec.resource`."""
    keys = ("a", "z", "direction", "node", "process", "port", "config")
    return {key: value[key] for key in keys if key in value}


def _look(value: Mapping[str, Any], zero: float) -> Look:
    asked = value.get("wanted")
    return Look(
        t=value["t"] - zero,
        on=str(value.get("direction") or value.get("process") or ""),
        note=value["note"],
        found=value.get("found", ""),
        asked=None if asked is None else impairment_codec.decode(asked),
        counts=_causes(value.get("counts", {})),
    )


def _causes(counts: Mapping[str, int]) -> dict[str, int]:
    """Of two backends on one way the gate sees every frame first; both may lose."""
    return {
        name: counts.get(name, 0) + (counts.get(f"wire_{name}", 0) if name != "frames" else 0)
        for name in dict.fromkeys(each.removeprefix("wire_") for each in counts)
    }


def _act(each: _Open, zero: float, names: Mapping[str, str]) -> Act:
    on = each.entry["on"]
    wanted = {str(resource) for resource in each.resources}
    return Act(
        id=each.entry["fault"],
        what=each.entry["kind"],
        on=names.get(on, on),
        start=_stamps(each.asked, each.made, wanted, zero),
        end=None if each.ended is None else _stamps(each.ended, each.unmade, wanted, zero),
        cable=CableId.parse(on) if each.entry["cable"] else None,
        said=each.entry.get("said", ""),
        looks=tuple(_look(look, zero) for look in each.looks),
    )


def _stamps(asked: float, made: Mapping[str, Mapping[str, Any]], wanted: set[str], zero: float) -> Stamps:
    """Of several resources the last counts; one that is missing leaves the whole unmade."""
    if not made or made.keys() != wanted:
        return Stamps(requested=asked - zero)
    return Stamps(
        requested=asked - zero,
        applied=max(r["applied"]["monotonic"] for r in made.values()) - zero,
        read_back=max(r["read"]["monotonic"] for r in made.values()) - zero,
    )


def changed(before: Mapping[str, Any], now: Mapping[str, Any], *, at: float) -> tuple[RouteChange, ...]:
    """Routes of all nodes that differ between two looks."""
    return tuple(
        change
        for node in sorted(before)
        for change in converge.changes(node, before[node], now.get(node, {}), since=at, announced={})
    )
