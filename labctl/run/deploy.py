"""Making a lab real, all of it or nothing.

The order is what makes it safe: the record is on disk before the first thing is touched; namespaces and cables stand
before a node runs, so no node ever sees the network half-built; the phase says `running` only when all of it does. An
error or Ctrl-C on the way removes everything again; `kill -9` leaves a record in phase `deploying`, from which
`destroy` does the same.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from labctl.agent import client, guarded, mirror
from labctl.errors import LabctlError
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec, NodeKind
from labctl.run import apply, base_state, destroy, execs, outputs, stages
from labctl.run.outputs import Outputs
from labctl.run.undisturbed import undisturbed
from labctl.runtime import bound, ended, eventlog, panel
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.store import Instance, LabDir, Phase, Record

#: How long the agent may take to answer while all nodes of the lab start.
AGENT_TIMEOUT_S = 120.0


def deploy(
    instance: Instance,
    lab: LabSpec,
    runtime_name: str,
    emit: Emit = ignore,
    wanted: Outputs = outputs.NONE,
) -> Record:
    """Deploy a lab that was checked. `lab-exists` if there is one of that name; on any error nothing stays."""
    place = instance.lab(lab.name)
    with place.lock(create=True) as held:
        there = place.read()
        if there is not None:
            raise already(there)
        try:
            runtime = RUNTIMES[runtime_name](instance, keep=(held,))
            guarded.put_up(place, lab, held, emit)
            return _build(place, lab, runtime, emit, wanted)
        except BaseException:
            with undisturbed():
                emit(Event(kind="rolling-back", text="removing what was made", subject=lab.name))
                destroy.remove(place)
            raise


def already(record: Record) -> LabctlError:
    """Why a lab of this name cannot be deployed."""
    if record.phase is Phase.RUNNING:
        return LabctlError(
            "lab-exists",
            f"lab {record.lab.name!r} is deployed already",
            hint=f"`labctl apply FILE` changes it while it runs; `labctl destroy {record.lab.name} --yes` removes it",
        )
    if record.phase is Phase.APPLYING:
        return apply.half(record)
    return LabctlError(
        "lab-exists",
        f"lab {record.lab.name!r} was left half-made (it was {record.phase.value} when labctl was killed)",
        hint=f"`labctl destroy {record.lab.name} --yes` removes the rest",
    )


def _build(place: LabDir, lab: LabSpec, runtime: Runtime, emit: Emit, wanted: Outputs) -> Record:
    record = Record(
        lab=lab,
        runtime=runtime.name,
        phase=Phase.DEPLOYING,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        owner=os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid()),
        devices=panel.allocate(lab),
        bound=bound.of(lab),
    )
    place.write(record)
    outputs.write(place, lab, record.owner, wanted)
    with panel.Panel(place, lab, record.devices) as patch:
        patch.create()
        patch.settle(mirror.wanted(mirror.sides(lab), patch.admin(), {}))
    emit(Event(kind="wired", text=f"{len(lab.cables)} cables wired", subject=lab.name))
    names = [node.name for node in lab.nodes if node.kind is NodeKind.LINUX]
    staged = stages.wanted(lab)
    with ThreadPoolExecutor(1, thread_name_prefix="agent") as beside:
        agent = beside.submit(client.start, place, timeout_s=AGENT_TIMEOUT_S)
        with ended.Starting(place):
            if not staged:
                runtime.start(lab, names, emit)
            agent.result()
            client.ask(place, "status", timeout_s=AGENT_TIMEOUT_S)  # from here on it watches the nodes
            base_state.need(place, lab)
            if staged:
                stages.start(place, lab, runtime, emit)
                client.ask(place, "status", timeout_s=AGENT_TIMEOUT_S)
    for node in () if staged else lab.nodes:
        execs.run(lab, node, runtime, emit)
    record = replace(record, phase=Phase.RUNNING)
    place.write(record)
    eventlog.note(place, [eventlog.about_lab(place, "deploy", runtime=runtime.name, file=lab.source)])
    emit(Event(kind="deployed", text=f"lab {lab.name} is running", subject=lab.name))
    return record
