"""`labctl events`: what happens to labs and their nodes, while it happens and before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from labctl.app import attached
from labctl.run import heal
from labctl.runtime.eventlog import Follower
from labctl.runtime.store import Instance, LabDir

_PAUSE_S = 0.1


def events(
    instance: Instance, lab: str | None, *, since_s: float | None, follow: bool
) -> Iterator[dict[str, Any]]:
    """Events as `labctl schema event` has them, of one lab or of all of them, also those that are still to come.

    since_s: from this time on (seconds since 1970); None: from now on, or all there is if nothing is followed. Following
    one lab ends when it is destroyed. Of several labs' histories the older event comes first.
    """
    heal.implicit(instance)
    one = attached.own(instance, lab) if lab is not None else None
    past = since_s is not None or not follow
    followers = {each.name: Follower(each, past=past) for each in ([one] if one else instance.labs())}
    try:
        first = [event for each in followers.values() for event in each.read()]
        first.sort(key=lambda event: str(event["timestamp"]))
        yield from (event for event in first if since_s is None or event["timestamp"] >= utc(since_s))
        while follow and (one is None or followers):
            yield from _round(instance, one, followers)
            time.sleep(_PAUSE_S)
    finally:
        for each in followers.values():
            each.close()


def _round(
    instance: Instance, one: LabDir | None, followers: dict[str, Follower]
) -> Iterator[dict[str, Any]]:
    if one is None:
        for place in instance.labs():
            if place.name not in followers:  # a new one: nothing of it is too old
                followers[place.name] = Follower(place, past=True)
    for name, follower in list(followers.items()):
        over = follower.over()
        yield from follower.read()
        if over:
            follower.close()
            del followers[name]


def utc(wall_s: float) -> str:
    """The beginning of a timestamp: those of events compare with it as texts."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall_s)) + f".{int(wall_s % 1 * 1e9):09d}Z"
