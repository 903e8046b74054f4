"""Campaign files: a pool to draw from, what a draw may never do, and what every trial measures and expects.

A pool entry is a step of a scenario with a weight and, where a value would stand, how it is drawn
(`delay: {uniform: [5ms, 80ms]}`); or it names a scenario file, relative to this one. Probes, expectations and stop rules are
those of scenarios. docs/campaigns.md is the manual.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping

from labctl.errors import LabctlError, Span, did_you_mean
from labctl.faults.base import FAULTS
from labctl.model.campaign import (
    AtMost,
    Campaign,
    Constraint,
    How,
    Measured,
    NeverCut,
    NeverTouch,
    NotTogether,
    PoolEntry,
    PoolFault,
    PoolScenario,
    Spread,
)
from labctl.model.measures import Place
from labctl.model.scenario import Fault, Kind, ProbeSpec, Query
from labctl.names import LAB
from labctl.schema import faults as fault_settings
from labctl.schema import fields, scenario, yaml
from labctl.schema.scenario import EXPECT_KEYS, MOST_SEED
from labctl.schema.scenario_expect import read_expectations, read_probes, read_stop_rules
from labctl.schema.scenario_read import Reading, document, read_expression, read_query
from labctl.schema.scenario_steps import read_id, read_kind, read_target
from labctl.schema.yaml import Entry, Map, Scalar, Seq, Value

KEYS = (
    "name",
    "description",
    "seed",
    "trials",
    "for",
    "faults",
    "spread",
    "settle",
    "gap",
    "cooldown",
    "coverage",
    "shrink",
    "probes",
    "steady",
    "expect",
    "stop_when",
    "pool",
    "constraints",
)
FAULT_KEYS = ("fault", "id", "weight", "target", "for")
SCENARIO_KEYS = ("scenario", "id", "weight")
COUNT_KEYS = ("min", "max")
COOLDOWN_KEYS = (Kind.LINK.value, Kind.NODE.value)
COVERAGE = ("least-recently-failed", "random")
CONSTRAINTS = ("never_cut", "never_touch", "not_together", *(each.value for each in Measured))
MOST_TRIALS, MOST_AT_ONCE, MOST_RERUNS = 100_000, 20, 1000
#: Of more drawn settings than this, only the lowest and the highest values are tried together while reading.
_CORNERS = 8


def load(path: str | os.PathLike[str]) -> Campaign:
    """The campaign of a file, or everything that is wrong with it."""
    return parse(yaml.read_text(path), file=os.fspath(path))


def parse(text: str, *, file: str) -> Campaign:
    """The campaign of a text; `file` is the name that errors carry and what scenarios are looked for beside."""
    return document(text, file, "campaign", KEYS, lambda given, reading: _campaign(given, file, reading))


def _campaign(given: Map, file: str, reading: Reading) -> Campaign:
    probes = read_probes(given.get("probes"), reading)
    expect = reading.mapping(given.get("expect"), "expect", EXPECT_KEYS)
    coverage_at = given.get("coverage")
    coverage = None if coverage_at is None else reading.word(coverage_at, "coverage", COVERAGE)
    return Campaign(
        name=_name(given, reading),
        description=(reading.text(given.get("description"), "description") or "").strip(),
        seed=reading.count(given.get("seed"), "seed", high=MOST_SEED),
        trials=reading.count(given.get("trials"), "trials", low=1, high=MOST_TRIALS),
        for_s=reading.duration(given.get("for"), "for"),
        faults=_at_once(given.get("faults"), reading),
        spread_s=reading.duration(given.get("spread"), "spread", zero=True) or 0.0,
        settle_s=reading.duration(given.get("settle"), "settle") or 120.0,
        gap_s=reading.duration(given.get("gap"), "gap", zero=True) or 0.0,
        cooldown_s=_cooldown(given.get("cooldown"), reading),
        least_recent=coverage != "random",
        reruns=_or(reading.count(given.get("shrink"), "shrink", high=MOST_RERUNS), 16),
        probes=probes,
        steady=read_expectations(given.get("steady"), "steady", Place.STEADY, reading),
        during=read_expectations(expect.get("during") if expect else None, "during", Place.DURING, reading),
        after=read_expectations(expect.get("after") if expect else None, "after", Place.AFTER, reading),
        stop_when=read_stop_rules(given.get("stop_when"), reading),
        pool=_pool(reading.required(given, "pool", "the campaign"), file, probes, reading),
        constraints=_constraints(given.get("constraints"), reading),
        source=file,
    )


def _or(found: int | None, default: int) -> int:
    return default if found is None else found


def _name(given: Map, reading: Reading) -> str:
    at = reading.required(given, "name", "the campaign")
    name = reading.text(at, "name") or ""
    if at is not None and name and not LAB.fullmatch(name):
        hint = "letters, digits, `.`, `_` and `-`, beginning with a letter or digit"
        reading.add("bad-name", f"{name!r} cannot be a campaign's name", at.span, hint)
    return name


def _at_once(value: Value | None, reading: Reading) -> tuple[int, int]:
    """`faults: 2`, or `faults: {min: 1, max: 3}`."""
    if not isinstance(value, Map):
        count = reading.count(value, "faults", low=1, high=MOST_AT_ONCE) or 1
        return count, count
    found = reading.mapping(value, "faults", COUNT_KEYS)
    assert found is not None
    low = reading.count(found.get("min"), "faults: min", low=1, high=MOST_AT_ONCE) or 1
    high = reading.count(reading.required(found, "max", "faults"), "faults: max", low=1, high=MOST_AT_ONCE)
    if high is not None and high < low:
        reading.add("bad-value", f"faults: max must be at least min, {low}, not {high}", value.span)
    return low, max(low, high or low)


def _cooldown(value: Value | None, reading: Reading) -> Mapping[Kind, float]:
    """`cooldown: 3m` for all elements, or by their kind."""
    if value is None or isinstance(value, Scalar):
        length = reading.duration(value, "cooldown", zero=True)
        return {} if length is None else {Kind(key): length for key in COOLDOWN_KEYS}
    found: dict[Kind, float] = {}
    for entry in reading.mapping(value, "cooldown", COOLDOWN_KEYS) or ():
        length = reading.duration(entry.value, f"cooldown: {entry.key}", zero=True)
        if length is not None and entry.key in COOLDOWN_KEYS:
            found[Kind(entry.key)] = length
    return found


# ---- the pool


def _pool(
    value: Value | None, file: str, probes: tuple[ProbeSpec, ...], reading: Reading
) -> tuple[PoolEntry, ...]:
    items = reading.items(value, "pool")
    if isinstance(value, Seq) and not items:
        reading.add("bad-value", "the pool is empty: nothing could be drawn", value.span)
    before = len(reading.problems)
    made = [_entry(item, file, reading) for item in items]
    found = tuple(entry for entry in made if entry is not None)
    if items and len(reading.problems) == before and not any(entry.weight for entry in found):
        assert value is not None
        reading.add("bad-value", "every entry of the pool has the weight 0", value.span)
    for entry in found:
        if isinstance(entry, PoolScenario):
            _check_probes(entry, probes, reading)
    return found


def _entry(value: Value, file: str, reading: Reading) -> PoolEntry | None:
    given = fields.mapping(value, "a pool entry", reading.problems)
    if given is None:
        return None
    named = [entry for entry in given if entry.key in ("fault", "scenario")]
    if len(named) != 1:
        if named:
            reading.add("bad-value", "a pool entry is a fault or a scenario, not both", given.span)
        else:
            near = next((did_you_mean(e.key, ("fault", "scenario")) for e in given), None)
            said = "a pool entry names neither a fault nor a scenario"
            reading.add("missing-key", said, given.span, near)
        return None
    weight = fields.decimal(given.get("weight"), "weight", reading.problems)
    weight = 1.0 if weight is None else weight
    if named[0].key == "fault":
        return _fault(given, named[0].value, weight, reading)
    reading.mapping(given, "a scenario of the pool", SCENARIO_KEYS)
    path = reading.text(named[0].value, "scenario")
    if not path:
        return None
    where = named[0].value.span
    found = reading.try_(lambda: scenario.load(_beside(file, path, where)))
    own = _own_id(given, reading)
    return None if found is None else PoolScenario(id=own, scenario=found, weight=weight, where=given.span)


def _check_probes(entry: PoolScenario, probes: tuple[ProbeSpec, ...], reading: Reading) -> None:
    """A scenario gets the campaign's probes beside its own: one id must not mean two things."""
    assert entry.where is not None
    same = {probe.id: probe for probe in probes}
    for probe in entry.scenario.probes:
        if probe != same.get(probe.id, probe):
            said = f"probe {probe.id} of the campaign is another one in scenario {entry.scenario.name}"
            reading.add("bad-value", said, entry.where, "give one of them another id")


def _beside(file: str, path: str, where: Span) -> str:
    """The file of a scenario; the error names the line that asks for it."""
    found = os.path.normpath(os.path.join(os.path.dirname(file), path))
    if not os.path.isfile(found):
        raise LabctlError("file-not-found", f"there is no scenario {found}", where=where)
    return found


def _own_id(given: Map, reading: Reading) -> str:
    """An id that was given; else nothing."""
    return read_id(given, "", reading)


def _fault(given: Map, at: Value, weight: float, reading: Reading) -> PoolFault | None:
    kind = read_kind(at, reading)
    if kind is None:
        return None
    before = len(reading.problems)
    fault = FAULTS[kind]
    settings = _settings(fault, given, reading)
    hint = "every fault ends by itself: `for: 60s`, or `for: {uniform: [20s, 60s]}`"
    for_s = _length(reading.required(given, "for", f"fault {kind}", hint), reading)
    target = _target(given, fault, reading)
    own = _own_id(given, reading)
    if len(reading.problems) > before or for_s is None or target is None:
        return None
    return PoolFault(
        id=own, kind=kind, target=target, for_s=for_s, settings=settings, weight=weight, where=given.span
    )


def _target(given: Map, fault: type[Fault], reading: Reading) -> Query | None:
    """A query: a campaign has no targets with names."""
    at = given.get("target")
    if isinstance(at, Scalar) and not at.is_null:
        hint = f"write it like `target: {{{fault.on}: …, pick: 1}}`"
        fields.wrong(reading.problems, at, "target", "a query", hint)
        return None
    found = read_target(given, fault, reading)
    return found if isinstance(found, Query) else None


def _settings(fault: type[Fault], given: Map, reading: Reading) -> dict[str, object]:
    """Field -> value or spread. What a fault refuses is found by making it with the ends of every spread."""
    before = len(reading.problems)
    found: dict[str, object] = {}
    plain: dict[str, Entry] = {}
    drawn: dict[str, tuple[Entry, ...]] = {}
    for entry in (e for e in given if e.key not in FAULT_KEYS):
        spreads = isinstance(entry.value, Map) and fault_settings.is_setting(fault, entry.key)
        if not spreads:
            plain[entry.key] = entry
            named = fault_settings.read_setting(
                fault, entry.key, entry.value, reading.problems, entry.span, also=FAULT_KEYS
            )
            if named is not None:
                found[named[0]] = named[1]
            continue
        said = _spread(entry, reading)
        if said is None:
            continue
        how, items = said
        named_all = [
            fault_settings.read_setting(fault, entry.key, item, reading.problems, entry.span, also=FAULT_KEYS)
            for item in items
        ]
        values = [named for named in named_all if named is not None]
        if len(values) == len(items):
            name = values[0][0]
            found[name] = _checked(how, tuple(value for _, value in values), entry, reading)
            drawn[entry.key] = tuple(Entry(entry.key, entry.span, item) for item in items)
    if len(reading.problems) == before:
        _try_corners(fault, plain, drawn, given.span, reading)
    return found


def _spread(entry: Entry, reading: Reading) -> tuple[How, tuple[Value, ...]] | None:
    """`{uniform: [A, B]}`: how it is drawn, and from what."""
    given = reading.mapping(entry.value, entry.key, tuple(How))
    if given is None:
        return None
    hows = [each for each in given if each.key in tuple(How)]
    if len(hows) != 1:
        if not any(each.key not in tuple(How) for each in given):
            said = f"{entry.key} must be a value or one of {', '.join(How)}"
            reading.add(
                "bad-value", said, entry.value.span, f"write it like `{entry.key}: {{uniform: [A, B]}}`"
            )
        return None
    how, at = How(hows[0].key), hows[0].value
    items = reading.items(at, f"{entry.key}: {how}")
    wanted = "at least one value" if how is How.CHOICE else "two values"
    if isinstance(at, Seq) and not (items if how is How.CHOICE else len(items) == 2):
        reading.add("bad-value", f"{entry.key}: {how} needs {wanted}, not {len(items)}", at.span)
        return None
    return (how, items) if items else None


def _checked(how: How, values: tuple[object, ...], entry: Entry, reading: Reading) -> Spread:
    """A range has numbers, the lesser one first, and a logarithm where it needs one."""
    made = Spread(how=how, values=values)
    if how is How.CHOICE:
        return made
    numbers = [each for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    span = entry.value.span
    if len(numbers) != 2:
        reading.add("bad-value", f"{entry.key} is no number: it can only be drawn by `choice`", span)
    elif numbers[0] > numbers[1]:
        reading.add("bad-value", f"{entry.key}: {how}: the lesser value comes first", span)
    elif how is How.LOGUNIFORM and not numbers[0]:
        reading.add("bad-value", f"{entry.key}: loguniform cannot begin at nothing", span)
    return made


def _try_corners(
    fault: type[Fault],
    plain: Mapping[str, Entry],
    drawn: Mapping[str, tuple[Entry, ...]],
    where: Span,
    reading: Reading,
) -> None:
    """Make the fault with every combination of the ends; of very many, with all first and all last ones."""
    ends = [tuple(dict.fromkeys((entries[0], entries[-1]))) for entries in drawn.values()]
    if len(ends) > _CORNERS:
        corners = [tuple(each[0] for each in ends), tuple(each[-1] for each in ends)]
    else:
        corners = list(itertools.product(*ends))
    for corner in corners:
        entries = {**plain, **{entry.key: entry for entry in corner}}
        if fault_settings.read(fault, Map(entries, where), reading.problems, also=FAULT_KEYS) is None:
            return


def _length(value: Value | None, reading: Reading) -> float | Spread | None:
    if not isinstance(value, Map):
        return reading.duration(value, "for")
    entry = Entry("for", value.span, value)
    said = _spread(entry, reading)
    if said is None:
        return None
    lengths = [reading.duration(item, "for") for item in said[1]]
    if any(each is None for each in lengths):
        return None
    return _checked(said[0], tuple(lengths), entry, reading)


# ---- constraints


def _constraints(value: Value | None, reading: Reading) -> tuple[Constraint, ...]:
    made = [_constraint(item, reading) for item in reading.items(value, "constraints")]
    return tuple(each for each in made if each is not None)


def _constraint(value: Value, reading: Reading) -> Constraint | None:
    given = reading.mapping(value, "a constraint", (*CONSTRAINTS, "why"))
    if given is None:
        return None
    verbs = [entry for entry in given if entry.key in CONSTRAINTS]
    if len(verbs) != 1:
        if verbs or all(entry.key == "why" for entry in given):
            said = f"a constraint forbids one thing, and this one {len(verbs)}"
            reading.add("bad-value", said, given.span, f"one of {', '.join(CONSTRAINTS)}")
        return None
    verb, at = verbs[0].key, verbs[0].value
    why = reading.text(given.get("why"), "why") or ""
    if verb == "never_cut":
        return _never_cut(at, why, given.span, reading)
    if verb in tuple(Measured):
        most = reading.count(at, verb)
        return None if most is None else AtMost(what=Measured(verb), most=most, why=why, where=given.span)
    return _of_target(verb, at, why, given.span, reading)


def _of_target(verb: str, at: Value, why: str, where: Span, reading: Reading) -> Constraint | None:
    target = read_query(at, verb, reading)
    if target is None:
        return None
    if target.pick is not None:
        reading.add("bad-value", f"{verb} is about all that a query selects and takes no `pick`", at.span)
    kind = NeverTouch if verb == "never_touch" else NotTogether
    return kind(target=target, why=why, where=where)


def _never_cut(value: Value, why: str, where: Span, reading: Reading) -> NeverCut | None:
    given = reading.mapping(value, "never_cut", ("from", "to"))
    if given is None:
        return None
    hint = "write it like `never_cut: {from: client1, to: web1}`"
    one, other = (
        read_expression(
            reading.required(given, key, "never_cut", hint), Kind.NODE, f"never_cut: {key}", reading
        )
        for key in ("from", "to")
    )
    return None if one is None or other is None else NeverCut(one=one, other=other, why=why, where=where)
