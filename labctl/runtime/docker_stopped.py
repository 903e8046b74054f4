"""Whether somebody has stopped a container with the engine's own tools, so that its restart-policy is to leave it alone.

Docker's rule: who runs `docker stop` or `docker kill` means it, and no policy fights that; `always` and `on-failure` count
again when the engine was started anew, `unless-stopped` when the container was. An engine keeps that to itself, but it
tells what happened, and labctl ends nodes without asking it: so an end that it was asked for is somebody's.
"""

from __future__ import annotations

import calendar
import signal
import time
from collections.abc import Mapping
from typing import Any

from labctl.runtime.docker_engine import REMEMBERED, Engine

_EVER = "1"  # as for an engine 0 is now


def by_hand(engine: Engine, container: Mapping[str, Any]) -> bool | None:
    """Whether that is so of this container (as the engine describes it) since its last start; None: the engine has forgotten,
    which one that was started anew since has not, because it knows of little.
    """
    if container["State"]["Running"]:
        return False
    since = instant(container["State"]["StartedAt"])
    found = engine.events(since=since, container=container["Id"], kinds=("kill", "stop"))
    if any(_ends(event) for event in found):
        return True
    return None if len(engine.events(since=_EVER)) >= REMEMBERED else False


def _ends(event: Mapping[str, Any]) -> bool:
    """Any other signal is the command's own matter."""
    said = event["Actor"]["Attributes"].get("signal")
    return bool(event["Action"] == "stop" or said == str(int(signal.SIGKILL)))


def instant(text: str) -> str:
    """An engine's time of day as it takes it itself, in seconds since 1970, to the nanosecond.

    >>> instant("2026-11-20T17:52:31.0034Z")
    '1795197151.003400000'
    """
    head, _, fraction = text.removesuffix("Z").partition(".")
    return f"{calendar.timegm(time.strptime(head, '%Y-%m-%dT%H:%M:%S'))}.{fraction:0<9}"
