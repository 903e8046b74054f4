"""`labctl deploy`: read the file, find everything that is wrong with it on this machine, then build the lab."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labctl.app import images, kinds
from labctl.app.kinds import Kind
from labctl.errors import LabctlError, Problems, Span, did_you_mean
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec, NodeKind, Pull
from labctl.run import heal, outputs
from labctl.run.outputs import Outputs
from labctl.runtime import mgmt, published
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.images import ImageStore, each_time
from labctl.runtime.impair import check as impair_check
from labctl.runtime.store import Instance, Phase
from labctl.schema import clab

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to deploy. `images` replaces image references: what the file says -> what is run."""

    file: str
    runtime: str = AUTO
    images: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    lenient: bool = False
    variables: tuple[str, ...] = ()  # files of what the lab file's template names
    dry_run: bool = False
    outputs: Outputs = outputs.NONE  # files for other tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be deployed, and on what."""

    lab: LabSpec
    runtime: str
    why: str


def deploy(request: Request, instance: Instance, emit: Emit = ignore) -> Plan:
    """Deploy the lab of a file; with `dry_run` only check it. Raises before anything is touched, or undoes it all."""
    kinds.need(request.file, "deploy", Kind.LAB)
    lab = clab.load(
        request.file,
        lenient=request.lenient,
        name=request.name,
        variables=request.variables,
        notify=lambda notice: emit(Event(kind="warning", text=f"warning: {notice}")),
    )
    return deploy_lab(lab, request, instance, emit)


def deploy_lab(lab: LabSpec, request: Request, instance: Instance, emit: Emit = ignore) -> Plan:
    """The same for a lab that is in memory already."""
    from labctl.run import deploy as making  # `apply`, which shares the checks, needs nothing of it

    if not request.dry_run:
        heal.implicit(instance, emit)
    plan = prepare(lab, request, instance, emit)
    if not request.dry_run:
        making.deploy(instance, plan.lab, plan.runtime, emit, request.outputs)
    return plan


def prepare(lab: LabSpec, request: Request, instance: Instance, emit: Emit = ignore) -> Plan:
    """Everything that can be decided and checked without touching the machine, but for images that are built."""
    images.check_place()
    lab = mgmt.assign(with_images(lab, request.images))
    runtime, why = choose_runtime(request.runtime)
    emit(Event(kind="runtime", text=f"runtime {runtime}: {why}", subject=runtime))
    place = instance.lab(lab.name)
    there = place.read()
    if there is not None:
        if there.phase is not Phase.RUNNING and heal.busy(place):
            raise place.busy()
        from labctl.run import deploy as making

        raise making.already(there)
    outputs.check(lab, request.outputs)
    published.check(published.of(lab))
    if not request.dry_run:
        _can_impair(lab)
    there_by_then = _without_binds(lab, outputs.coming(lab, request.outputs))
    ready(RUNTIMES[runtime](instance), there_by_then, ImageStore(instance), emit, dry_run=request.dry_run)
    return Plan(lab=lab, runtime=runtime, why=why)


def _can_impair(lab: LabSpec) -> None:
    problems = Problems()
    for wrong in impair_check.wrong(lab.cables):
        problems.extend(wrong)
    problems.stop()


def ready(runtime: Runtime, lab: LabSpec, store: ImageStore, emit: Emit, *, dry_run: bool) -> None:
    """Raise what would make a node fail before anything is touched; images are made and brought unless `dry_run`."""
    anew = each_time(lab)
    try:
        runtime.check(lab)
    except LabctlError as error:
        if dry_run or any(each.code != "image-not-found" for each in error.each):
            raise
        images.ensure(store, _brought(lab), emit)
        if not anew:
            runtime.check(lab)
    if not dry_run:
        runtime.provide(lab, emit)
        if anew:
            runtime.check(lab)  # what was pulled may be another image than that of before


def _brought(lab: LabSpec) -> list[str]:
    """The images that are built or pulled when they are missing; others are pulled anyway, or never."""
    some = tuple(node for node in lab.nodes if node.pull is not Pull.NEVER)
    return [ref for ref in references(replace(lab, nodes=some)) if ref not in each_time(lab)]


def _without_binds(lab: LabSpec, sources: frozenset[str]) -> LabSpec:
    """The lab but for binds of files that the deploy itself writes before a node starts."""
    if not sources:
        return lab
    nodes = (replace(n, binds=tuple(b for b in n.binds if b.source not in sources)) for n in lab.nodes)
    return replace(lab, nodes=tuple(nodes))


def choose_runtime(wanted: str) -> tuple[str, str]:
    """The runtime, and why this one."""
    if wanted != AUTO:
        if wanted not in RUNTIMES:
            raise LabctlError(
                "unknown-plugin",
                f"no runtime is called {wanted!r}",
                hint=did_you_mean(wanted, [*RUNTIMES, AUTO]),
            )
        return wanted, "asked for"
    if os.geteuid() != 0:
        raise LabctlError(
            "no-root",
            "labs on the runc runtime need root: they make network namespaces, mounts and control groups",
            hint="run the same command with sudo",
        )
    from labctl.runtime import docker_engine  # with its HTTP client, which nobody else here needs

    try:
        version = docker_engine.answers(docker_engine.address())
    except LabctlError:
        return "runc", "root, and no daemon is needed"
    return "docker", f"an engine answers (Docker {version})"


def with_images(lab: LabSpec, replaced: Mapping[str, str]) -> LabSpec:
    known = set(references(lab))
    for ref in replaced:
        if ref not in known:
            raise LabctlError(
                "bad-option",
                f"no node of lab {lab.name!r} uses image {ref!r}",
                where=Span("--image"),
                hint=did_you_mean(ref, known),
            )
    nodes = tuple(replace(node, image=replaced.get(node.image or "", node.image)) for node in lab.nodes)
    return replace(lab, nodes=nodes)


def references(lab: LabSpec) -> list[str]:
    found = (node.image for node in lab.nodes if node.kind is NodeKind.LINUX and node.image)
    return list(dict.fromkeys(found))
