"""A fault's settings, from the values of a file or from flags: one reader for all faults, by their dataclasses.

The keys are the fields without their unit's suffix: `delay_s` is `delay`, `rate_bps` is `rate`, `queue_bytes` is
`queue`; in a file `_` and `-` mean the same. What a value may be follows from the field: a duration, a rate and a size
need their unit, a percentage needs its `%` and ends at 100%, a word must be one of its enumeration. What a fault's own
rules refuse (nothing to degrade, a burst without an end) is reported at the fault.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from labctl.errors import LabctlError, Problems, Span, did_you_mean
from labctl.model.scenario import Fault
from labctl.schema import fields
from labctl.schema.yaml import Map, Scalar, Seq, Value
from labctl.units import duration, format_duration, format_percent, format_rate, percent, rate, size

#: suffix of a field -> what it is measured in.
_SUFFIXES: Mapping[str, str] = {"_s": "duration", "_bps": "rate", "_bytes": "size"}
_UNITS: Mapping[str, Callable[..., float]] = {
    "duration": duration,
    "rate": rate,
    "size": size,
    "percent": percent,
}
_MOST = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    """One setting of a fault, as files and flags know it."""

    field: str  # of the dataclass
    key: str  # in files and flags
    unit: str  # "duration", "rate", "size", "percent", "count", "word", "words", "yes or no", "text"
    help: str
    required: bool
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int = 0  # of a count
    most: float = math.inf  # of a time, in seconds

    @property
    def default_text(self) -> str:
        """The default as one would write it; empty where the setting is absent by default."""
        if self.required or (self.default in (None, 0, "", ()) and self.unit != "yes or no"):
            return ""
        return _written(self.unit, self.default)


def settings(fault: type[Fault]) -> tuple[SettingSpec, ...]:
    """All settings of a fault, in the order of its fields."""
    return _settings(fault)


def is_setting(fault: type[Fault], key: str) -> bool:
    """Whether the fault has a setting of this key."""
    return any(spec.key == _key(key) for spec in settings(fault))


def read(fault: type[Fault], given: Map, problems: Problems, *, also: Iterable[str] = ()) -> Fault | None:
    """The fault with these settings; None if a problem was added. also: keys that may stand beside them, for hints."""
    before = len(problems)
    specs = {spec.key: spec for spec in settings(fault)}
    found: dict[str, Any] = {}
    for entry in given:
        setting = read_setting(fault, entry.key, entry.value, problems, entry.span, also=also)
        if setting is not None:
            found[setting[0]] = setting[1]
    for spec in specs.values():
        if spec.required and not any(_key(entry.key) == spec.key for entry in given):
            problems.add(
                "missing-key",
                f"{fault.kind} needs {spec.key}",
                where=given.span,
                hint=f"{spec.key}: {spec.help}",
            )
    if len(problems) > before:
        return None
    try:
        return fault(**found)
    except ValueError as error:
        problems.add("bad-value", f"{fault.kind}: {error}", where=given.span)
    except LabctlError as error:
        problems.add(error.code, error.message, where=error.where or given.span, hint=error.hint)
    return None


def read_setting(
    fault: type[Fault],
    key: str,
    value: Value,
    problems: Problems,
    where: Span,
    *,
    also: Iterable[str] = (),
) -> tuple[str, Any] | None:
    """(field, value) of one setting; None if a problem was added."""
    specs = {spec.key: spec for spec in settings(fault)}
    spec = specs.get(_key(key))
    if spec is None:
        near = did_you_mean(_key(key), [*specs, *also])
        problems.add(
            "unknown-key",
            f"{fault.kind} has no setting {key!r}",
            where=where,
            hint=near or "it has no settings",
        )
        return None
    try:
        found = _value(spec, value, problems)
    except LabctlError as error:
        problems.add(error.code, f"{spec.key}: {error.message}", where=error.where, hint=error.hint)
        return None
    return None if found is None else (spec.field, _typed(fault, spec, found))


def flags(given: Mapping[str, str | list[str]]) -> Map:
    """Flags as a file would say them: `{"delay": "40ms"}`; the place of each is the flag itself."""
    from labctl.schema.yaml import Entry

    entries = {}
    for key, said in given.items():
        span = Span(f"--{key.replace('_', '-')}")
        items = said if isinstance(said, list) else [said]
        scalars = tuple(Scalar(item, plain=False, span=span) for item in items)
        value: Value = scalars[0] if len(scalars) == 1 else Seq(scalars, span)
        entries[_key(key)] = Entry(_key(key), span, value)
    return Map(entries, Span("the command line"))


def _key(key: str) -> str:
    return key.replace("-", "_")


@functools.cache
def _settings(fault: type[Fault]) -> tuple[SettingSpec, ...]:
    annotations = typing.get_type_hints(fault)
    return tuple(
        _spec(each, annotations[each.name]) for each in dataclasses.fields(typing.cast("Any", fault))
    )


def _spec(field: dataclasses.Field[Any], annotation: Any) -> SettingSpec:
    suffix = next((s for s in _SUFFIXES if field.name.endswith(s)), "")
    choices: tuple[str, ...] = ()
    if suffix:
        unit = _SUFFIXES[suffix]
    elif field.metadata.get("unit"):
        unit = field.metadata["unit"]
    elif annotation is bool:
        unit = "yes or no"
    elif annotation is int:
        unit = "count"
    elif typing.get_origin(annotation) is tuple:
        unit = "words"
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        unit, choices = "word", tuple(each.value for each in annotation)
    else:
        unit = "text"
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return SettingSpec(
        field=field.name,
        key=field.name.removesuffix(suffix) if suffix else field.name,
        unit=unit,
        help=field.metadata.get("help", ""),
        required=required,
        default=None if required else field.default,
        choices=choices,
        least=field.metadata.get("least", 0),
        most=field.metadata.get("most", math.inf),
    )


def _value(spec: SettingSpec, value: Value, problems: Problems) -> Any:
    """What the value says; None if a problem was added, or LabctlError of a unit."""
    match spec.unit:
        case "yes or no":
            return fields.boolean(value, spec.key, problems)
        case "count":
            return fields.integer(value, spec.key, problems, low=spec.least, high=_MOST)
        case "words":
            return _words(spec, value, problems)
        case _:
            return _text(spec, value, problems)


def _text(spec: SettingSpec, value: Value, problems: Problems) -> Any:
    said = fields.text(value, spec.key, problems)
    if said is None:
        if isinstance(value, Scalar):
            problems.add("bad-value", f"{spec.key} is empty", where=value.span)
    elif spec.unit in _UNITS:
        measured = _UNITS[spec.unit](said, where=value.span)
        if spec.unit in ("rate", "size") and not measured:
            # inside, 0 is "not limited" and "by default": not what was written
            problems.add("bad-value", f"{spec.key} must be more than nothing", where=value.span)
            return None
        if measured > spec.most:
            most = format_duration(spec.most)
            problems.add(
                "bad-value",
                f"{spec.key} must be at most {most}, not {fields.shorten(said)}",
                where=value.span,
            )
            return None
        return measured
    elif spec.choices and said not in spec.choices:
        problems.add(
            "bad-value",
            f"{spec.key} must be one of {', '.join(spec.choices)}, not {fields.shorten(said)!r}",
            where=value.span,
            hint=did_you_mean(said, spec.choices),
        )
        return None
    return said


def _words(spec: SettingSpec, value: Value, problems: Problems) -> tuple[str, ...] | None:
    """A list of texts; one text is split at commas, or at line ends where it is a block of lines."""
    if isinstance(value, Scalar) and not value.is_null:
        split = value.text.splitlines() if spec.key == "lines" else value.text.split(",")
        return tuple(each if spec.key == "lines" else each.strip() for each in split if each.strip())
    before = len(problems)
    found = tuple(item.text for item in fields.texts(value, spec.key, problems))
    return found if len(problems) == before else None


def _typed(fault: type[Fault], spec: SettingSpec, found: Any) -> Any:
    if not spec.choices:
        return found
    annotation = typing.get_type_hints(fault)[spec.field]
    return annotation(found)


_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "duration": format_duration,
    "rate": format_rate,
    "percent": format_percent,
    "size": lambda value: f"{value}B",
    "yes or no": lambda value: "true" if value else "false",
    "words": ", ".join,
}


def _written(unit: str, value: Any) -> str:
    plain = value.value if isinstance(value, Enum) else value
    return _WRITTEN[unit](plain) if unit in _WRITTEN else str(plain)
