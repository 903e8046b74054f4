"""The timeline of a scenario: a list of steps, each a map with one verb.

`fault` (with its settings beside it, as flags stand beside `fault add`), `wait`, `check`, and those that hold steps:
`sequence`, `parallel`, `repeat`, `choose`. A list of steps is a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from labctl.errors import did_you_mean
from labctl.faults.base import FAULTS
from labctl.model.measures import Place
from labctl.model.scenario import (
    CheckStep,
    Choose,
    Fault,
    FaultStep,
    Parallel,
    Query,
    Repeat,
    Sequence,
    Step,
    WaitStep,
)
from labctl.schema import faults as fault_settings
from labctl.schema import fields
from labctl.schema.scenario_expect import read_expectation
from labctl.schema.scenario_read import Reading, read_query
from labctl.schema.yaml import Entry, Map, Scalar, Seq, Value

#: verb -> the keys that may stand beside it (`choose` allows `weight` beside each of its options' verbs).
VERBS: Mapping[str, tuple[str, ...]] = {
    "check": (),
    "choose": (),
    "fault": ("id", "target", "for", "ramp"),
    "parallel": (),
    "repeat": ("steps",),
    "sequence": (),
    "wait": (),
}
_MOST_ID = 80
MOST_ROUNDS = 10_000
UNTIL = ("settled",)


def read_timeline(value: Value | None, reading: Reading) -> Step | None:
    if value is None:
        return None
    if not isinstance(value, Seq):
        fields.wrong(reading.problems, value, "timeline", "a list of steps")
        return None
    if not value.items:
        reading.add("bad-value", "the timeline is empty: nothing would happen", value.span)
        return None
    return _steps(value, "timeline", reading)


def _steps(value: Value | None, what: str, reading: Reading) -> Sequence:
    steps = (_step(item, reading) for item in reading.items(value, what))
    return Sequence(steps=tuple(step for step in steps if step is not None))


def _step(value: Value, reading: Reading, *, beside: tuple[str, ...] = ()) -> Step | None:
    """One step. beside: keys of the caller's."""
    given = fields.mapping(value, "a step", reading.problems)
    if given is None:
        if isinstance(value, Scalar) and value.is_null:
            reading.add("bad-value", "a step is empty", value.span, f"verbs: {', '.join(VERBS)}")
        return None
    verbs = [entry for entry in given if entry.key in VERBS]
    if len(verbs) != 1:
        _no_verb(given, verbs, beside, reading)
        return None
    verb, at = verbs[0].key, verbs[0].value
    if verb != "fault":
        known = (verb, *VERBS[verb], *beside)
        fields.unknown_keys(given, known, f"a `{verb}` step", reading.problems)
    elif "weight" in given and "weight" not in beside:
        fields.add_unknown_key(
            "weight", given.entries["weight"].span, (), "a step outside `choose`", reading.problems
        )
    if verb in ("sequence", "parallel"):
        steps = _nonempty(at, verb, reading)
        return Parallel(steps=steps.steps) if verb == "parallel" else steps
    return _READERS[verb](given, at, reading)


def _no_verb(given: Map, verbs: list[Entry], beside: tuple[str, ...], reading: Reading) -> None:
    if verbs:
        names = " and ".join(f"`{entry.key}`" for entry in verbs)
        reading.add("bad-value", f"a step does one thing, and this one has {names}", given.span)
        return
    first = next((entry for entry in given if entry.key not in beside), None)
    if first is None:
        reading.add("missing-key", "a step does nothing", given.span, f"verbs: {', '.join(VERBS)}")
        return
    hint = did_you_mean(first.key, VERBS)
    reading.add("unknown-key", f"there is no step {first.key!r}", first.span, hint)


def _nonempty(value: Value, verb: str, reading: Reading) -> Sequence:
    if isinstance(value, Seq | Scalar) and not reading.items(value, verb):
        if isinstance(value, Seq) or value.is_null:
            reading.add("bad-value", f"`{verb}` has no steps", value.span)
        return Sequence(steps=())
    return _steps(value, verb, reading)


def _wait(_: Map, value: Value, reading: Reading) -> WaitStep | None:
    if isinstance(value, Map):
        reading.mapping(value, "wait", ("for", "until", "timeout"))
        until_at, timeout_at = value.get("until"), value.get("timeout")
        if until_at is None:
            if timeout_at is not None:
                reading.add("missing-key", "a wait with a timeout has no `until`", value.span)
                return None
            length = reading.duration(reading.required(value, "for", "wait"), "wait")
            return None if length is None else WaitStep(for_s=length)
        if "for" in value:
            reading.add("bad-value", "a wait is `for` a time or `until` something, not both", value.span)
            return None
        until = reading.word(until_at, "until", UNTIL)
        hint = "routing that never settles must not hang a run: `timeout: 60s`"
        timeout = reading.duration(reading.required(value, "timeout", "wait", hint), "timeout")
        return None if until is None or timeout is None else WaitStep(until=until, timeout_s=timeout)
    if isinstance(value, Scalar) and value.is_null:
        reading.add("missing-key", "wait has no time", value.span, "write it like `wait: 5s`")
        return None
    length = reading.duration(value, "wait")
    return None if length is None else WaitStep(for_s=length)


def _check(_: Map, value: Value, reading: Reading) -> CheckStep | None:
    expect = read_expectation(value, "a check", Place.CHECK, reading)
    return None if expect is None else CheckStep(expect=expect)


def _repeat(given: Map, at: Value, reading: Reading) -> Repeat | None:
    count = reading.count(at, "repeat", low=1, high=MOST_ROUNDS)
    steps = reading.required(given, "steps", "a `repeat` step", "write it like `{repeat: 3, steps: […]}`")
    if count is None or steps is None:
        return None
    return Repeat(count=count, step=_nonempty(steps, "steps", reading))


def _choose(_: Map, value: Value, reading: Reading) -> Choose | None:
    options: list[tuple[float, Step]] = []
    items = reading.items(value, "choose")
    if isinstance(value, Seq) and not items:
        reading.add("bad-value", "`choose` has no options", value.span)
    for item in items:
        step = _step(item, reading, beside=("weight",))
        weight_at = item.get("weight") if isinstance(item, Map) else None
        weight = fields.decimal(weight_at, "weight", reading.problems)
        if step is not None:
            options.append((1.0 if weight is None else weight, step))
    if options and not any(weight for weight, _ in options):
        reading.add("bad-value", "every option of `choose` has the weight 0", value.span)
    return Choose(options=tuple(options)) if options else None


# ---- faults


def _fault(given: Map, at: Value, reading: Reading) -> FaultStep | None:
    kind = read_kind(at, reading)
    if kind is None:
        return None
    own = {"fault", "weight", *VERBS["fault"]}
    settings = Map({e.key: e for e in given if e.key not in own}, given.span)
    fault_type = FAULTS[kind]
    ramp = _ramp(given.get("ramp"), fault_type, settings, reading)
    full = _with_first(settings, given.get("ramp"))
    fault = fault_settings.read(fault_type, full, reading.problems)
    hint = "every fault ends by itself: `for: 60s`"
    for_s = reading.duration(reading.required(given, "for", f"fault {kind}", hint), "for")
    target = read_target(given, fault_type, reading)
    fault_id = read_id(given, kind, reading)
    if fault is None or for_s is None or target is None or ramp is None:
        return None
    return FaultStep(id=fault_id, fault=fault, target=target, for_s=for_s, ramp=ramp, where=given.span)


def read_kind(at: Value, reading: Reading) -> str | None:
    """The name of a fault that there is."""
    kind = reading.text(at, "fault")
    if kind is None:
        if isinstance(at, Scalar):
            reading.add("missing-key", "a step names no fault", at.span, "`labctl fault kinds` lists them")
        return None
    if kind not in FAULTS:
        reading.add("unknown-fault", f"there is no fault {kind!r}", at.span, did_you_mean(kind, FAULTS))
        return None
    return kind


def read_id(given: Map, kind: str, reading: Reading) -> str:
    at = given.get("id")
    said = reading.text(at, "id")
    if at is None or not said:
        return kind
    if said in reading.steps:
        first = reading.steps[said].line
        reading.add(
            "bad-value", f"the id {said!r} is given twice", at.span, f"the first one is at line {first}"
        )
    elif len(said) > _MOST_ID or not said.isprintable():
        reading.add("bad-value", f"an id is at most {_MOST_ID} characters that can be printed", at.span)
    elif said in FAULTS or "#" in said:
        reading.add("reserved-name", f"the id {said!r} is one that labctl gives itself", at.span)
    reading.steps[said] = at.span
    return said


def read_target(given: Map, fault: type[Fault], reading: Reading) -> Query | str | None:
    what = f"fault {fault.kind}"
    hint = f"write it like `target: {{{fault.on}: …}}`, or name one of `targets`"
    at = reading.required(given, "target", what, hint)
    if at is None:
        return None
    if isinstance(at, Scalar):
        if at.text not in reading.target_names:
            near = did_you_mean(at.text, reading.target_names) or hint
            reading.add("unknown-target", f"the scenario defines no target {at.text!r}", at.span, near)
            return None
        found = reading.targets.get(at.text)
    else:
        found = read_query(at, f"the target of {fault.kind}", reading)
    if found is None:
        return None
    if found.kind is not fault.on:
        reading.add("bad-value", f"{what} acts on {fault.on}s, and its target selects {found.kind}s", at.span)
        return None
    return at.text if isinstance(at, Scalar) else found


def _ramp(
    value: Value | None, fault: type[Fault], settings: Map, reading: Reading
) -> dict[str, tuple[object, ...]] | None:
    """Field of the fault -> its values; None if something is wrong with it."""
    found: dict[str, tuple[object, ...]] = {}
    before = len(reading.problems)
    given = fields.mapping(value, "ramp", reading.problems)
    for entry in given or ():
        if entry.key in settings:
            reading.add("bad-value", f"{entry.key} is both set and ramped", entry.span)
        if not isinstance(entry.value, Seq):
            fields.wrong(reading.problems, entry.value, f"ramp: {entry.key}", "a list of values")
            continue
        if len(entry.value.items) < 2:
            reading.add("bad-value", f"ramp: {entry.key} has no second value to go to", entry.value.span)
        for item in entry.value.items:
            named = fault_settings.read_setting(fault, entry.key, item, reading.problems, entry.span)
            if named is not None:
                name, value_ = named
                found[name] = (*found.get(name, ()), value_)
    if len({len(values) for values in found.values()}) > 1 and len(reading.problems) == before:
        assert value is not None
        reading.add("bad-value", "the lists of a ramp must be of one length", value.span)
    return found if len(reading.problems) == before else None


def _with_first(settings: Map, ramp: Value | None) -> Map:
    """The fault's settings at the foot of its ramp."""
    entries = dict(settings.entries)
    for entry in ramp if isinstance(ramp, Map) else ():
        if isinstance(entry.value, Seq) and entry.value.items:
            entries.setdefault(entry.key, Entry(entry.key, entry.span, entry.value.items[0]))
    return Map(entries, settings.span)


_READERS: Mapping[str, Callable[[Map, Value, Reading], Step | None]] = {
    "check": _check,
    "choose": _choose,
    "fault": _fault,
    "repeat": _repeat,
    "wait": _wait,
}
