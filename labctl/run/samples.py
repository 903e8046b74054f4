"""The samples of a run: one JSON object a line for each probe, columns instead of rows.

Numbers are written with all their digits, so what is read back is what was measured, to the bit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from labctl.errors import LabctlError, Span
from labctl.linux import whole
from labctl.model.measure import Sample, Series, Track
from labctl.schema import infile

VERSION = 1


def write(path: str, tracks: Mapping[str, Track]) -> None:
    lines = [
        json.dumps(
            {"v": VERSION, "probe": probe, **_encode(track)}, ensure_ascii=False, separators=(",", ":")
        )
        for probe, track in tracks.items()
    ]
    whole.write(path, "".join(f"{line}\n" for line in lines).encode())


def read(path: str) -> dict[str, Track]:
    """By probe id; empty where the run was killed before it wrote them."""
    if not os.path.exists(path):
        return {}
    lines = infile.read(path, limit=infile.MEASURED).splitlines()
    found = {}
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
            found[value["probe"]] = _decode(value)
        except (ValueError, KeyError, TypeError) as error:
            raise LabctlError(
                "bad-journal", f"the samples are damaged: {error!r}", where=Span(path, number)
            ) from error
    return found


def _encode(track: Track) -> dict[str, Any]:
    return {
        "subject": track.series.subject,
        "metric": track.series.metric,
        "unit": track.series.unit,
        "interval_s": track.interval_s,
        "late_s": track.late_s,
        "skipped": track.skipped,
        "open": track.open,
        "duplicates": track.duplicates,
        "error": track.error,
        "seq": [s.seq for s in track.samples],
        "sent": [s.sent for s in track.samples],
        "value": [s.value for s in track.samples],
        "errors": {str(s.seq): s.error for s in track.samples if s.error},
    }


def _decode(value: Mapping[str, Any]) -> Track:
    if value["v"] != VERSION:
        raise ValueError(f"version {value['v']!r} is not {VERSION}")
    errors = value["errors"]
    return Track(
        series=Series(subject=value["subject"], metric=value["metric"], unit=value["unit"]),
        interval_s=value["interval_s"],
        late_s=value["late_s"],
        skipped=value["skipped"],
        open=value["open"],
        duplicates=value["duplicates"],
        error=value["error"],
        samples=tuple(
            Sample(seq=seq, sent=sent, value=got, error=errors.get(str(seq), ""))
            for seq, sent, got in zip(value["seq"], value["sent"], value["value"], strict=True)
        ),
    )
