"""A plan that was saved is the plan that was played."""

import json

import pytest

from labctl.errors import LabctlError
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef
from labctl.model.scenario import (
    CheckStep,
    Expectation,
    Lost,
    Plan,
    PlannedFault,
    PlannedParallel,
    PlannedSequence,
    Predicted,
    ProbeSpec,
    StopRule,
    Targets,
    TimedEffect,
    WaitStep,
)
from labctl.names import CableId
from labctl.schema import plan_file

CABLE = CableId.parse("r1:eth1--r2:eth-1--0")
LOSS = Expectation(measure="loss", limit=0.1 + 0.2, probe="ping", within_s=3.0, why="SLA")


def fault(name, *effects):
    return PlannedFault(
        id=name,
        kind="link.down",
        said="a cable",
        targets=Targets(cables=(CABLE,)),
        for_s=2.5,
        spans=tuple(TimedEffect(start_s=0.1, end_s=2.5, effect=each) for each in effects),
    )


WHOLE = Plan(
    scenario="whole",
    lab="dc1",
    seed=2**62,
    root=PlannedSequence(
        steps=(
            PlannedParallel(
                steps=(
                    fault("a", *(Effect(id="a", on=HalfCable(CABLE, d), change=Down()) for d in Direction)),
                    fault("b", Effect(id="b", on=NodeRef("r1"), change=Frozen())),
                )
            ),
            WaitStep(until="settled", timeout_s=30.0),
            CheckStep(expect=LOSS),
            WaitStep(for_s=1.5),
        )
    ),
    probes=(ProbeSpec(id="ping", kind="ping", settings={"from": "h1", "to": "h2", "every_s": 0.02}),),
    steady=(LOSS,),
    during=(LOSS,),
    after=(LOSS,),
    stop_when=(StopRule(unless=LOSS, window_s=4.0),),
    predicted=Predicted(
        links=(CABLE,),
        lost=(Lost(start_s=0.0, end_s=2.0, faults=("a",), parts=(("r1",), ("r2", "r3")), pairs=2),),
        max_unreachable_pairs=2,
        unknown=("what r1 does",),
    ),
    min_s=5.0,
    max_s=35.0,
)


def test_it_reads_back_as_it_was():
    assert plan_file.parse(plan_file.dump(WHOLE), file="plan.json") == WHOLE


@pytest.mark.parametrize("key", ["kind", "version", "scenario", "lab", "seed", "root"])
def test_a_plan_without_what_it_needs_is_no_plan(key):
    value = json.loads(plan_file.dump(WHOLE))
    del value[key]
    with pytest.raises(LabctlError, match="plan"):
        plan_file.parse(json.dumps(value), file="plan.json")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("kind", "link.foo", "no known kind: 'link.foo'"),
        ("for_s", -5.0, "lasts -5 s"),
        ("for_s", 0.5, "lasts 0.5 s and has an effect from"),
    ],
)
def test_a_plan_that_somebody_edited_into_something_that_cannot_be_played(key, value, said):
    def edited(node):
        if isinstance(node, list):
            return [edited(each) for each in node]
        if isinstance(node, dict):
            node = {name: edited(each) for name, each in node.items()}
            return node | {key: value} if "spans" in node else node
        return node

    text = json.dumps(edited(json.loads(plan_file.dump(WHOLE))))
    with pytest.raises(LabctlError, match=said):
        plan_file.parse(text, file="plan.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": "plan", "version": 99}', "null", "[" * 100_000])
def test_something_else_is_no_plan(text):
    with pytest.raises(LabctlError, match=r"plan|JSON") as error:
        plan_file.parse(text, file="plan.json")
    assert error.value.where.file == "plan.json"
