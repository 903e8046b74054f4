"""Registries: names to things that are imported only when asked for.

Each extension point (sources, parsers, runtimes, faults, probes, writers) is a `Registry` whose built-ins are dotted
strings, so looking at a registry imports nothing and `labctl --help` stays fast. Packages outside labctl join through
an entry-point group of the same name; a name that two of them claim is an error that names both.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar, cast

from labctl.errors import LabctlError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """`REGISTRY["name"]` imports exactly one module and returns its object."""

    def __init__(self, noun: str, *, group: str, builtin: Mapping[str, str]) -> None:
        self.noun = noun
        self.group = group
        self._builtin = dict(builtin)
        self._all: dict[str, str] | None = None

    def where(self) -> dict[str, str]:
        """name -> `module:object`, built-ins and entry points."""
        if self._all is None:
            from importlib.metadata import entry_points

            found = dict(self._builtin)
            for point in entry_points(group=self.group):
                if point.name in found:
                    raise LabctlError(
                        "unknown-plugin",
                        f"two {self.noun}s are called {point.name!r}: {found[point.name]} and {point.value}",
                    )
                found[point.name] = point.value
            self._all = found
        return self._all

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.where()))

    def __contains__(self, name: object) -> bool:
        return name in self.where()

    def __getitem__(self, name: str) -> T:
        found = self.where()
        if name not in found:
            raise LabctlError(
                "unknown-plugin", f"no {self.noun} is called {name!r}", hint=did_you_mean(name, found)
            )
        module, _, attribute = found[name].partition(":")
        return cast("T", getattr(importlib.import_module(module), attribute))
