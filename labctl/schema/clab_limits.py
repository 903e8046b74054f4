"""Limits of a node, from keys of containerlab's and from labels where it has none, and the sizes that it writes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from labctl import units
from labctl.errors import LabctlError, Span
from labctl.model.lab import RATES, Limits
from labctl.schema import fields
from labctl.schema.clab_levels import Levels
from labctl.schema.clab_read import Reading

#: Limits that containerlab has no keys for, as labels: what a node reads and writes per second on the disks of its files.
PIDS_LABEL = "labctl-pids"
RATE_LABELS: Mapping[str, str] = {name: f"labctl-{name.replace('_', '-')}" for name in RATES}
#: What the kernel, runc and Docker take. Below 6 MiB (Docker's least as well) the start of a container does not fit.
_LEAST_MEMORY = 6 << 20
_CPUS = (0.01, 8192.0)
_MOST_PIDS = 1 << 22
_LEAST_RATE, _MOST_IOPS = 4096, (1 << 32) - 1
_MOST_BYTES = float(2**63)
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtpe]?i?b?)", re.IGNORECASE)


def limits(reading: Reading, levels: Levels, labels: dict[str, str], where: Span) -> Limits:
    """From keys, and from labels, which are taken out of `labels`."""
    places = levels.places("labels")
    rates = {
        name: _rate(reading, name, labels.pop(label), places.get(label, where))
        for name, label in RATE_LABELS.items()
        if label in labels
    }
    return Limits(
        cpu=number(reading, levels, "cpu", *_CPUS),
        memory_bytes=_memory(reading, levels),
        pids=_pids(reading, labels.pop(PIDS_LABEL, None), places.get(PIDS_LABEL, where)),
        **rates,
    )


def _rate(reading: Reading, name: str, text: str, where: Span) -> int | None:
    """Bytes per second as sizes are written, or a number of operations."""
    label = RATE_LABELS[name]
    if name.endswith("_iops"):
        if re.fullmatch(r"[1-9][0-9]{0,9}", text) and int(text) <= _MOST_IOPS:
            return int(text)
        problem, hint = "is not a number of operations per second", f"from 1 to {_MOST_IOPS}"
    else:
        try:
            found = _bytes(text, where)
        except LabctlError:
            found = 0
        if found >= _LEAST_RATE:
            return found
        problem, hint = "is not a rate of at least 4096 bytes per second", "write it like `10MiB`"
    reading.problems.add(
        "bad-value", f"label {label} {problem}: {fields.shorten(text)!r}", where=where, hint=hint
    )
    return None


def _pids(reading: Reading, text: str | None, where: Span) -> int | None:
    if text is None:
        return None
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) and int(text) <= _MOST_PIDS:
        return int(text)
    reading.problems.add(
        "bad-value",
        f"label {PIDS_LABEL} is not a number of processes: {fields.shorten(text)!r}",
        where=where,
        hint=f"from 1 to {_MOST_PIDS}",
    )
    return None


def number(reading: Reading, levels: Levels, key: str, least: float, most: float) -> float | None:
    """The most specific number of this key, within these bounds."""
    found = levels.number(key)
    if found is None:
        return None
    value, where = found
    if not least <= value <= most:
        reading.problems.add(
            "bad-value", f"{key} must be from {least:g} to {most:g}, not {value:g}", where=where
        )
    return value


def cpus(reading: Reading, levels: Levels) -> str | None:
    """The processors that a node runs on, as the kernel lists them."""
    found = levels.first("cpu-set")
    if found is None:
        return None
    try:
        units.numbers(found.text)
    except ValueError:
        reading.problems.add(
            "bad-value",
            f"cpu-set {fields.shorten(found.text)!r} is no list of processors",
            where=found.span,
            hint="write it like `0-3,6`",
        )
        return None
    return found.text.replace(" ", "")


def size(reading: Reading, levels: Levels, key: str) -> int | None:
    """The most specific size of this key, in bytes; zero is none."""
    found = levels.first(key)
    if found is None:
        return None
    try:
        return _bytes(found.text, found.span) or None
    except LabctlError as error:
        reading.problems.extend(error)
        return None


def _memory(reading: Reading, levels: Levels) -> int | None:
    found, count = levels.first("memory"), size(reading, levels, "memory")
    if found is None or count is None:
        return None
    if count < _LEAST_MEMORY:
        reading.problems.add(
            "bad-unit",
            f"memory {fields.shorten(found.text)!r} is too small: a node does not start in it",
            where=found.span,
            hint="at least `6MiB`",
        )
    return count


def _bytes(text: str, where: Span) -> int:
    """containerlab's sizes: any case, `kb` and `k` are 1000, `kib` and `ki` 1024, no unit is bytes."""
    match = _BYTES.fullmatch(text.strip())
    if not match:
        return units.size(text, where=where)  # says what is wrong
    unit = match[2].lower().removesuffix("b")
    power = "kmgtpe".find(unit[:1]) + 1 if unit else 0
    if unit == "i":
        return units.size(text, where=where)
    base = 1024 if unit.endswith("i") else 1000
    count = float(match[1]) * float(base**power)
    if count >= _MOST_BYTES:
        raise LabctlError("bad-unit", f"size {fields.shorten(text)!r} is too large", where=where)
    return round(count)
