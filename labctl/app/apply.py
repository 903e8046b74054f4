"""`labctl apply`: make a running lab what a file says, by the least change, while everything else runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from labctl.app import attached, deploy, images, kinds
from labctl.app.kinds import Kind
from labctl.errors import LabctlError, Problems, Span, did_you_mean
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import CableSpec, LabSpec, NodeKind
from labctl.render import change
from labctl.render.change import Do, Refusal, Step
from labctl.run import apply as changing
from labctl.run import heal
from labctl.runtime import machine_check, mgmt, published
from labctl.runtime.base import RUNTIMES
from labctl.runtime.images import ImageStore
from labctl.runtime.impair import check as impair_check
from labctl.runtime.store import Instance, LabDir, Phase, Record
from labctl.schema import clab
from labctl.schema.clab_places import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the lab is to be. lab: which one; name: what the file's lab is called instead of what the file says.

    wait_s: how long a scenario that is being played on the lab is waited for.
    """

    file: str
    lab: str | None = None
    name: str | None = None
    runtime: str = deploy.AUTO
    images: Mapping[str, str] = field(default_factory=dict)
    lenient: bool = False
    variables: tuple[str, ...] = ()  # files of what the lab file's template names
    dry_run: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps, in the order in which they are done. interrupted: an earlier change of the lab was not finished."""

    lab: str
    runtime: str
    steps: tuple[Step, ...]
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was done; the faults that ended because what they were about is gone."""

    plan: Plan
    ended: tuple[str, ...] = ()


def apply(
    request: Request,
    instance: Instance,
    emit: Emit = ignore,
    tell: Callable[[Plan], None] = lambda _: None,
) -> Applied:
    """Apply a file to the lab of its name; with `dry_run` only plan it. The plan is told before the first touch.

    `nothing-to-apply` if there is nothing to do, `cannot-apply` for another lab, `half-applied` if it stops on the way:
    then doing it again goes on.
    """
    kinds.need(request.file, "apply", Kind.LAB)
    places = Places(file=request.file)
    wanted = clab.load(
        request.file,
        lenient=request.lenient,
        name=request.name,
        variables=request.variables,
        notify=lambda notice: emit(Event(kind="warning", text=f"warning: {notice}")),
        places=places,
    )
    return apply_lab(wanted, request, instance, emit, tell, places=places)


def apply_lab(
    wanted: LabSpec,
    request: Request,
    instance: Instance,
    emit: Emit = ignore,
    tell: Callable[[Plan], None] = lambda _: None,
    *,
    places: Places | None = None,
) -> Applied:
    """The same for a lab that is in memory already. places: where its file says what, if it came from one."""
    images.check_place()
    place = _place(instance, wanted, request, places)
    if not request.dry_run:
        heal.implicit(instance, emit)
    record = _settled(place)
    target = _target(wanted, record, request, places)
    plan = _plan(record, target)
    _keeps_company(plan, record, target, places)
    if not plan.steps and not plan.interrupted:
        tell(plan)
        raise LabctlError("nothing-to-apply", f"lab {plan.lab!r} is what {request.file or 'this'} says")
    had = set(map(str, published.of(record.lab)))
    published.check(each for each in published.of(target) if str(each) not in had)
    if starting := _starting(plan, target):
        runtime = RUNTIMES[record.runtime](instance)
        deploy.ready(runtime, starting, ImageStore(instance), emit, dry_run=request.dry_run)
    _fits_the_machine(place, plan, target)
    if request.dry_run:
        tell(plan)
        return Applied(plan=plan)
    with place.lock() as held, place.quiet(wait_s=request.wait_s):
        now = place.need()
        if now != record and (_target(wanted, now, request, places) != target or _plan(now, target) != plan):
            raise LabctlError(
                "lab-busy",
                f"another labctl has changed lab {plan.lab!r} meanwhile",
                hint="look at it and try again",
            )
        tell(plan)
        ended = changing.execute(place, now, target, plan.steps, held=held, emit=emit)
    return Applied(plan=plan, ended=ended)


def _place(instance: Instance, wanted: LabSpec, request: Request, places: Places | None) -> LabDir:
    """The lab that is meant: the one of the file's name, and no other."""
    if request.lab is not None and request.lab != wanted.name:
        text = f"the file is about lab {wanted.name!r}, not {request.lab!r}"
        raise _other(request, text, request.lab, places)
    if not instance.lab_exists(wanted.name):
        source = os.path.abspath(request.file)
        for place in instance.labs():
            record = place.read()
            if record is not None and request.file and record.lab.source == source:
                text = f"the lab that was deployed from this file is {place.name!r}, and the file now calls it {wanted.name!r}"
                raise _other(request, text, place.name, places)
        if not any(gone.name == wanted.name for gone in instance.elsewhere()):
            attached.refuse(instance, wanted.name)
            there = [place.name for place in instance.labs()]
            raise LabctlError(
                "no-lab",
                f"no lab is called {wanted.name!r}, so there is nothing to change",
                hint=did_you_mean(wanted.name, there) or "`labctl deploy FILE` makes it",
            )
    return instance.find(wanted.name)


def _other(request: Request, text: str, name: str, places: Places | None) -> LabctlError:
    """With `--name` no line of the file is what it is called by."""
    return LabctlError(
        "cannot-apply",
        text,
        where=places.of_lab("name") if places and request.name is None else None,
        hint=f"`--name {name}` takes the file for it; a lab that runs cannot be renamed",
    )


def _settled(place: LabDir) -> Record:
    """The record of a lab that runs, or was being changed."""
    record = place.need()
    if record.phase not in (Phase.RUNNING, Phase.APPLYING):
        raise (
            place.busy()
            if heal.busy(place)
            else LabctlError(
                "no-lab",
                f"lab {place.name!r} does not run: it is {record.phase.value}",
                hint=f"`labctl destroy {place.name} --yes` removes the rest, `labctl deploy` makes it anew",
            )
        )
    return record


def _keeps_company(plan: Plan, record: Record, target: LabSpec, places: Places | None) -> None:
    """`cannot-apply` if a node whose network is shared would be made anew, unless that has begun."""
    problems = Problems()
    for step in change.torn(target, plan.steps):
        if step.subject not in record.pending:
            problems.add(
                "cannot-apply",
                f"lab {record.lab.name!r}: node {step.subject}: its network is shared, so it cannot be made anew: "
                + "; ".join(map(str, step.reasons)),
                where=places.of_node(target.node(step.subject), (r.field for r in step.reasons))
                if places
                else None,
                hint="a running lab keeps it; destroy the lab and deploy it again to change it",
            )
    problems.stop()


def _fits_the_machine(place: LabDir, plan: Plan, target: LabSpec) -> None:
    """Raise what would keep links to the machine and out of it from being made, before anything is touched."""
    problems = Problems()
    cables = change.touched_cables(target, plan.steps)
    for wrong in (*machine_check.wrong_with_change(place, target, cables), *impair_check.wrong(cables)):
        problems.extend(wrong)
    problems.stop()


def _target(wanted: LabSpec, record: Record, request: Request, places: Places | None) -> LabSpec:
    """The wanted lab with every address that nobody asks to change, or what it cannot be."""
    problems = Problems()
    if request.runtime not in (deploy.AUTO, record.runtime):
        problems.add(
            "cannot-apply",
            f"lab {record.lab.name!r} runs on {record.runtime}, and a running lab cannot change to {request.runtime!r}",
            hint="destroy it and deploy it again",
        )
    target = deploy.with_images(wanted, request.images)
    for before in (record.lab, *record.targets):
        target = mgmt.keep(target, before)
    target = mgmt.assign(target)
    for refusal in change.refused(record.lab, target):
        problems.add(
            "cannot-apply",
            f"lab {record.lab.name!r}: {refusal}",
            where=_asked(refusal, target, places) if places else None,
            hint="a running lab keeps it; destroy the lab and deploy it again to change it",
        )
    problems.stop()
    return target


def _asked(refusal: Refusal, target: LabSpec, places: Places) -> Span:
    """Where the file asks for what cannot be; of what it does not have any more, where it would be."""
    about = refusal.about
    if not about:
        return places.of_lab(*refusal.fields)
    node = next((each for each in target.nodes if each.name == about), None)
    return places.of_node(node, refusal.fields) if node else places.of_lab("nodes")


def _plan(record: Record, target: LabSpec) -> Plan:
    return Plan(
        lab=target.name,
        runtime=record.runtime,
        steps=changing.plan(record, target),
        interrupted=record.phase is Phase.APPLYING,
    )


def _starting(plan: Plan, target: LabSpec) -> LabSpec | None:
    """The part of the lab that is to be started, or to get what only the kernel knows whether it takes."""
    names = {
        step.subject
        for step in plan.steps
        if step.do in (Do.ADD_NODE, Do.RECREATE_NODE)
        or (step.do is Do.CHANGE_NODE and any(each.startswith("sysctls") for each in step.fields))
    }
    names -= {n.name for n in target.nodes if n.kind is NodeKind.HOST}  # `_fits_the_machine` looks at these
    if not names:
        return None
    ends = (end for cable in target.cables for end in cable.ends if end.port.node in names)
    return replace(
        target,
        nodes=tuple(n for n in target.nodes if n.name in names),
        cables=tuple(CableSpec(a=end, z=None) for end in ends),  # their ports; what is behind stands already
    )
