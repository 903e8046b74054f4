"""The exact texts of the agent's errors. Requests go to an agent of a lab whose nodes never started."""

import json
import os
import select

import pytest
from agent_labs import lab

from labctl.agent import client, ledger, protocol, server
from labctl.agent.core import Agent
from labctl.errors import LabctlError, render
from labctl.runtime.store import Instance, Phase, Record

ERRORS = os.path.join(os.path.dirname(__file__), "..", "..", "errors")


def golden(code):
    with open(os.path.join(ERRORS, f"{code}.txt")) as file:
        return file.read()


@pytest.fixture
def place(tmp_path):
    place = Instance.here(str(tmp_path)).lab("dc1")
    with place.lock(create=True):
        spec = lab(("r1:eth1", "r2:eth1"), name="dc1")
        place.write(Record(lab=spec, runtime="runc", phase=Phase.RUNNING))
        os.mkdir(place.agent_dir)
    return place


@pytest.mark.parametrize("code", ["bad-request", "unknown-resource", "effect-not-taken"])
def test_a_request_and_the_text_of_its_error(place, code):
    agent = Agent(place)
    try:
        with open(os.path.join(ERRORS, f"{code}.json"), "rb") as file:
            replies = []
            server.answer(agent, file.read(), replies.append)
        while not replies:
            select.select([agent.nodes], [], [])
            agent.collect()
        assert agent.ledger.active == {}
    finally:
        agent.close()
    error = protocol.raised(json.loads(json.dumps(replies[0])))
    assert error.code == code
    assert render(error) + "\n" == golden(code)


def test_agent_unreachable(place):
    with open(os.path.join(ERRORS, "agent-unreachable.json")) as file:
        request = json.load(file)
    with pytest.raises(LabctlError) as caught:
        client.ask(place, request["op"])
    assert render(caught.value) + "\n" == golden("agent-unreachable")


def test_ledger_corrupt():
    with (
        open(os.path.join(ERRORS, "ledger-corrupt.jsonl"), "rb") as file,
        pytest.raises(LabctlError) as caught,
    ):
        ledger.replay(file.read(), "ledger.jsonl")
    assert render(caught.value) + "\n" == golden("ledger-corrupt")
