"""What a lab wants its cables to be like, compared with what this machine can do, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labctl.errors import LabctlError
from labctl.model.lab import CableSpec
from labctl.runtime.impair import choose


def wrong(cables: Iterable[CableSpec]) -> Iterator[LabctlError]:
    """Of each cable that cannot be as its lab says why, with its place. Nothing is tried unless one is impaired."""
    for cable in cables:
        for impairment in cable.impaired.values():
            try:
                choose.plan(impairment, choose.capabilities())
            except LabctlError as error:
                said = f"cable {cable.id}: {error.message}"
                yield LabctlError(error.code, said, where=cable.where, hint=error.hint)
                break
