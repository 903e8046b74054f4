"""Small labs and scenarios that are planned on them."""

from labctl.faults.plan import plan
from labctl.model.lab import CableSpec, End, LabSpec, NodeSpec
from labctl.model.scenario import PlannedFault
from labctl.names import CableId
from labctl.schema.scenario import parse

#: h1 - r1 = r2 - h2, with r3 beside.
CABLES = ("h1:1--r1:1", "r1:2--r2:2", "r1:3--r2:3", "r1:4--r3:1", "r2:4--r3:2", "h2:1--r2:1")


def lab_of(*cables):
    ids = [CableId.parse(text) for text in cables]
    names = sorted({port.node for c in ids for port in (c.a, c.z)})
    return LabSpec(
        name="t",
        nodes=tuple(NodeSpec(name=n) for n in names),
        cables=tuple(
            CableSpec(a=End(port=c.a, mac="02:00:00:00:00:01"), z=End(port=c.z, mac="02:00:00:00:00:02"))
            for c in ids
        ),
    )


LAB = lab_of(*CABLES)


def scenario(timeline, rest=""):
    return parse(f"name: t\n{rest}\ntimeline:\n{timeline}", file="s.yml")


def planned(timeline, rest="", *, lab=LAB, seed=1):
    return plan(scenario(timeline, rest), lab, seed)


def faults_of(step):
    if isinstance(step, PlannedFault):
        return [step]
    return [f for each in getattr(step, "steps", ()) for f in faults_of(each)]
