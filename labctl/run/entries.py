"""Values of the model as journal entries, and back. What is read back is equal to what was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from labctl.model.routes import AdjacencyChange, Convergence, RouteChange, RouteComparison
from labctl.model.scenario import Expectation

COMPARISON = TypeAdapter(RouteComparison)
CONVERGENCE = TypeAdapter(Convergence)
ROUTES = TypeAdapter(tuple[RouteChange, ...])
SESSIONS = TypeAdapter(tuple[AdjacencyChange, ...])


def encode_expectation(value: Expectation) -> dict[str, Any]:
    return {
        "measure": value.measure,
        "op": value.op,
        "limit": value.limit,
        "probe": value.probe,
        "within_s": value.within_s,
        "why": value.why,
    }


def decode_expectation(value: Mapping[str, Any]) -> Expectation:
    return Expectation(**value)
