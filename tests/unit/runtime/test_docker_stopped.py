"""Whose end of a container it was, as an engine's events tell."""

import pytest

from labctl.runtime import docker_stopped
from labctl.runtime.docker_engine import REMEMBERED


class Told:
    """What an engine answers."""

    def __init__(self, *events, others=0):
        self._mine, self._others = list(events), others

    def events(self, *, since, container="", kinds=()):
        if not container:
            return [{}] * (len(self._mine) + self._others)
        assert (since, container) == ("1795197151.500000000", "c")
        return [event for event in self._mine if event["Action"] in kinds]


def event(action, **attributes):
    return {"Action": action, "Actor": {"Attributes": attributes}}


ENDED = {"Id": "c", "State": {"Running": False, "StartedAt": "2026-11-20T17:52:31.5Z"}}


@pytest.mark.parametrize(
    ("told", "by_hand"),
    [
        (Told(event("kill", signal="9"), event("die", exitCode="137"), event("stop")), True),
        (Told(event("kill", signal="9"), event("die", exitCode="137")), True),
        (Told(event("kill", signal="1"), event("die", exitCode="0")), False),
        (Told(event("die", exitCode="137")), False),
        (Told(others=REMEMBERED - 1), False),
        (Told(others=REMEMBERED), None),
    ],
)
def test_what_an_engine_was_asked_for_is_somebodys_doing(told, by_hand):
    assert docker_stopped.by_hand(told, ENDED) is by_hand


def test_what_runs_has_not_been_stopped():
    assert docker_stopped.by_hand(Told(), {"Id": "c", "State": {"Running": True}}) is False
