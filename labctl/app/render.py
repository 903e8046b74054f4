"""`labctl render`: from the model of production to a lab file that deploys, and the configurations of its routers.

    <name>.clab.yml            containerlab's format
    <name>/<node>/frr.conf     with `daemons` beside it
    <name>.alloc.yml           which lab name stands for which production name; read before, kept for ever
    <name>/rendered.yml        which files are ours, and what we wrote into them
    DIR/<device>.txt           on request: each configuration line with what became of it

Everything is computed and checked by FRR before the first byte is written. The same input gives the same bytes. A file
that is not ours, or that somebody has edited since, is left alone unless `force`.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.app import fidelity, kinds
from labctl.app.fidelity import Fidelity
from labctl.app.kinds import Kind
from labctl.app.scope import Ask, check, scoped
from labctl.errors import LabctlError, Problems, Span
from labctl.linux import whole
from labctl.model.account import FidelityAccount
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec
from labctl.model.snapshot import Snapshot
from labctl.model.verdict import Verdict
from labctl.names import LAB
from labctl.render.allocation import AllocationTable
from labctl.render.lab import RenderedLab, RenderOptions, allocation, render_lab
from labctl.render.packets import TARGET as PACKETS
from labctl.render.project import Note
from labctl.runtime.frr_check import check_frr
from labctl.runtime.images import ImageStore
from labctl.runtime.packets_check import check_packets
from labctl.runtime.store import Instance
from labctl.schema import clab_out, files, infile
from labctl.topo.boundary import Boundary
from labctl.topo.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """out: a directory, or the lab file (`*.yml`); empty: beside the snapshot. name: of the lab, else the topology's.

    least: the fidelity (0..1) below which nothing is written. annotated: a directory for annotated configurations.
    """

    file: str
    out: str = ""
    name: str = ""
    images: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str, str], ...] = ()
    mgmt_subnet: str | None = None
    lenient: bool = False
    force: bool = False
    dry_run: bool = False
    least: float | None = None
    annotated: str = ""
    scope: Ask = field(default_factory=Ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an earlier render wrote: path relative to the lab file's directory -> SHA-256 of the content."""

    lab: str
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """checked_by: whose FRR read the configurations; empty if there was none. written: paths that changed."""

    lab: LabSpec
    file: str
    table: AllocationTable
    written: tuple[str, ...]
    removed: tuple[str, ...]
    notes: tuple[Note, ...]
    checked_by: str
    fidelity: Fidelity
    gate: Verdict = Verdict.PASS
    scope: Scope | None = None
    boundary: Boundary | None = None


def render(request: Request, emit: Emit = ignore, *, instance: Instance | None = None) -> Result:
    """Read the snapshot, render, check, write."""
    check(request.scope)
    kinds.need(request.file, "render", Kind.SNAPSHOT)
    snapshot, accounts = files.load_snapshot(request.file), fidelity.load(request.file)
    return render_snapshot(snapshot, request, emit, instance=instance, accounts=accounts)


def render_snapshot(
    snapshot: Snapshot,
    request: Request,
    emit: Emit = ignore,
    *,
    instance: Instance | None = None,
    accounts: FidelityAccount | None = None,
) -> Result:
    """The same for a snapshot in memory; `request.file` says where it would be."""
    directory, lab_file, name = _place(request, snapshot)
    if not request.dry_run:
        whole.check_directory(directory)
        if request.annotated:
            fidelity.check_annotated(request.annotated, force=request.force)
    part = scoped(snapshot, request.scope, emit)
    snapshot = part.snapshot
    options = RenderOptions(
        name=name,
        directory=directory,
        images=request.images,
        env=request.env,
        mgmt_subnet=request.mgmt_subnet,
        lenient=request.lenient,
        speakers=part.speakers,
    )
    table = allocation(snapshot, options, _known_table(directory, name))
    rendered = render_lab(snapshot, table, options)
    emit(
        Event(
            kind="lab-rendered",
            text=f"rendered {len(rendered.spec.nodes)} nodes, {len(rendered.spec.cables)} cables",
        )
    )
    store = ImageStore(instance or Instance.here())
    checked_by = _check(rendered, directory, options.router_image, store, emit)
    _check_filters(rendered, directory, store)
    texts = {os.path.relpath(lab_file, directory): clab_out.dump(rendered.spec, relative_to=directory)}
    texts |= {f"{name}.alloc.yml": files.dump(table), **rendered.files}
    told = fidelity.fidelity(snapshot, accounts, rendered.notes, set(table.devices) - part.speakers)
    gate = Verdict.PASS if request.least is None else fidelity.gate(told, request.least)
    written, removed = _write(directory, name, texts, request) if gate is Verdict.PASS else ((), ())
    if request.annotated and gate is Verdict.PASS and not request.dry_run:
        fidelity.write_annotated(request.annotated, told)
    return Result(
        lab=rendered.spec,
        file=lab_file,
        table=table,
        written=written,
        removed=removed,
        notes=(*part.notes, *rendered.notes),
        checked_by=checked_by,
        fidelity=told,
        gate=gate,
        scope=part.scope,
        boundary=part.boundary,
    )


def _place(request: Request, snapshot: Snapshot) -> tuple[str, str, str]:
    """Directory, lab file and lab name."""
    name = request.name or snapshot.topology.name
    if not LAB.fullmatch(name):
        raise LabctlError(
            "bad-name",
            f"{name!r} cannot be the name of a lab",
            where=Span(request.file),
            hint="letters, digits, `.`, `_` and `-`; give another with --name",
        )
    out = os.path.abspath(request.out or os.path.dirname(os.path.abspath(request.file)))
    if out.endswith((".yml", ".yaml")):
        return os.path.dirname(out), out, name
    return out, os.path.join(out, f"{name}.clab.yml"), name


def _known_table(directory: str, name: str) -> AllocationTable | None:
    path = os.path.join(directory, f"{name}.alloc.yml")
    return files.load(AllocationTable, path) if os.path.exists(path) else None


def _check(rendered: RenderedLab, directory: str, image: str, store: ImageStore, emit: Emit) -> str:
    configs = {
        os.path.join(directory, path): text
        for path, text in rendered.files.items()
        if path in rendered.sources
    }
    who = check_frr(configs, store.find(image))
    if who:
        emit(Event(kind="frr-checked", text=f"{len(configs)} configurations accepted by FRR ({who})"))
    elif configs:
        text = f"not checked by FRR: no image {image} and no vtysh here (`make images` gives the image)"
        emit(Event(kind="frr-unchecked", text=f"warning: {text}"))
    return who


def _check_filters(rendered: RenderedLab, directory: str, store: ImageStore) -> None:
    """Of nodes whose image is here; a deploy looks at them all."""
    texts = {os.path.join(directory, path): text for path, text in rendered.files.items()}
    problems = Problems()
    for node in rendered.spec.nodes:
        image = store.find(node.image) if node.image else None
        for bind in node.binds if image else ():
            if image and bind.target == PACKETS:
                where, text = Span(bind.source), texts[bind.source]
                problems.attempt(functools.partial(check_packets, node.name, text, image, where=where))
    problems.stop()


# --- writing ---


def _write(
    directory: str, name: str, texts: Mapping[str, str], request: Request
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    manifest_path = os.path.join(name, "rendered.yml")
    old = _manifest(os.path.join(directory, manifest_path), name)
    changed = {path: text for path, text in texts.items() if _content(directory, path) != text.encode()}
    stale = [path for path in old.files if path not in texts and _content(directory, path) is not None]
    if not request.force:
        _refuse(directory, [*changed, *stale], old)
    if request.dry_run:
        return tuple(sorted(changed)), tuple(sorted(stale))
    manifest = Manifest(
        lab=name, files={path: _digest(text.encode()) for path, text in sorted(texts.items())}
    )
    for path in stale:  # first: what cannot be removed is still in the manifest the next time
        os.unlink(os.path.join(directory, path))
        _prune(os.path.join(directory, os.path.dirname(path)))
    for path, text in {**changed, manifest_path: files.dump(manifest)}.items():
        whole.write(os.path.join(directory, path), text.encode())
    return tuple(sorted(changed)), tuple(sorted(stale))


def _manifest(path: str, name: str) -> Manifest:
    return files.load(Manifest, path) if os.path.exists(path) else Manifest(lab=name)


def _refuse(directory: str, paths: list[str], old: Manifest) -> None:
    """A file in the way is ours only if it still has the content that we wrote."""
    problems = Problems()
    for path in sorted(paths):
        content = _content(directory, path)
        if content is None or _digest(content) == old.files.get(path) or path == f"{old.lab}.alloc.yml":
            continue  # the table is input as well: it was read, and what it says is kept
        ours = path in old.files
        problems.add(
            "would-overwrite",
            "it was changed after labctl wrote it"
            if ours
            else "it is in the way, and labctl did not write it",
            where=Span(os.path.join(directory, path)),
            hint="--force overwrites it; -o renders somewhere else",
        )
    problems.stop()


def _content(directory: str, path: str) -> bytes | None:
    place = os.path.join(directory, path)
    return infile.read(place) if os.path.lexists(place) else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _prune(directory: str) -> None:
    if not os.listdir(directory):
        os.rmdir(directory)
