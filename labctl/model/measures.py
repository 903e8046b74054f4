"""The vocabulary of expectations and probes: what can be measured, in which unit, and which way is good.

The reader of scenario files takes its keys from here and the judge its meaning, so that neither knows a word that the
other does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a limit or a setting is written in; inside, seconds, fractions, plain numbers and text."""

    DURATION = "duration"  # "1500ms" -> 1.5
    PERCENT = "percent"  # "99%" -> 0.99
    COUNT = "count"  # a whole number
    NODE = "node"  # a node of the lab
    HOST = "host"  # a node of the lab, or an IP address
    TEXT = "text"
    WORD = "word"  # one of `Measure.words`


class Place(StrEnum):
    """Where an expectation stands, in the words that errors use."""

    STEADY = "the steady state"
    DURING = "`during`"
    AFTER = "`after`"
    CHECK = "a check"
    STOP = "a stop rule"


#: What is compared with before says nothing about a stretch of time: `route_changes` and `sessions_down` are for that.
_COMPARED = frozenset({Place.STEADY, Place.AFTER, Place.CHECK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that an expectation can be about. op: what a bare limit means; words: limits that are words;
    places: where it can be judged at all.
    """

    unit: Unit
    about: str
    op: str = "<="
    probe: bool = True  # about a probe; else about the lab as a whole
    words: tuple[str, ...] = ()
    places: frozenset[Place] = frozenset(Place)


#: key in a scenario -> what it means. `settled_within` limits seconds.
MEASURES: Mapping[str, Measure] = {
    "adjacencies": Measure(
        unit=Unit.WORD,
        op="==",
        probe=False,
        words=("same",),
        places=_COMPARED,
        about="routing neighbours that are up, against those before the first step",
    ),
    "availability": Measure(
        unit=Unit.PERCENT, op=">=", about="fraction of the probe's sends that were answered, late or not"
    ),
    "late": Measure(unit=Unit.PERCENT, about="fraction of the sends that were answered too late"),
    "leftovers": Measure(
        unit=Unit.WORD,
        op="==",
        probe=False,
        words=("none",),
        places=frozenset({Place.STEADY, Place.AFTER}),
        about="what the faults left behind in the lab, read back after they ended",
    ),
    "loss": Measure(unit=Unit.PERCENT, about="fraction of the sends that were never answered"),
    "max_outage": Measure(
        unit=Unit.DURATION,
        about="longest stretch without an answer, at most (last answer before to first after)",
    ),
    "route_changes": Measure(unit=Unit.COUNT, probe=False, about="how many routes of the kernels changed"),
    "routes": Measure(
        unit=Unit.WORD,
        op="==",
        probe=False,
        words=("same",),
        places=_COMPARED,
        about="routing tables of the kernels, against those before the first step",
    ),
    "rtt_median": Measure(unit=Unit.DURATION, about="median time until the answer"),
    "rtt_p95": Measure(unit=Unit.DURATION, about="95th percentile of the time until the answer"),
    "rtt_p99": Measure(unit=Unit.DURATION, about="99th percentile of the time until the answer"),
    "sessions_down": Measure(
        unit=Unit.COUNT, probe=False, about="how many routing sessions went from up to down"
    ),
    "settled_within": Measure(
        unit=Unit.DURATION,
        probe=False,
        places=frozenset(Place) - {Place.STOP},
        about="time from the last change of a fault until routing no longer changes",
    ),
    "total_outage": Measure(unit=Unit.DURATION, about="all stretches without an answer together"),
}

OPERATORS: tuple[str, ...] = ("<=", ">=", "<", ">", "==")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSetting:
    """One setting of a probe. `name` is its key in `ProbeSpec.settings`; default None: it must be given."""

    name: str
    unit: Unit
    about: str
    default: float | int | str | None = None


_FROM = ProbeSetting(name="from", unit=Unit.NODE, about="the node that asks")
_TO = ProbeSetting(name="to", unit=Unit.HOST, about="the node or address that answers")
_LATE = ProbeSetting(
    name="late_s", unit=Unit.DURATION, about="an answer that takes longer is late", default=1.0
)


def _every(default: float) -> ProbeSetting:
    return ProbeSetting(
        name="every_s", unit=Unit.DURATION, about="how often a new one leaves", default=default
    )


#: kind of probe -> key in a scenario -> setting. A `ProbeSpec` holds all of them by name, defaults filled in.
PROBE_KINDS: Mapping[str, Mapping[str, ProbeSetting]] = {
    "http": {
        "from": _FROM,
        "to": _TO,
        "port": ProbeSetting(name="port", unit=Unit.COUNT, about="TCP port", default=80),
        "path": ProbeSetting(name="path", unit=Unit.TEXT, about="what is asked for", default="/"),
        "every": _every(0.1),
        "late": _LATE,
    },
    "ping": {
        "from": _FROM,
        "to": _TO,
        "size": ProbeSetting(name="size", unit=Unit.COUNT, about="bytes of an echo request", default=64),
        "every": _every(0.02),
        "late": _LATE,
    },
}
