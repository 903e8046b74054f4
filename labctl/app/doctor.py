"""`labctl doctor`: what this machine can do, found out by doing it, and one command for each thing that it cannot.

A check is needed for a runtime or useful beside it; only a needed one decides the verdict. Nothing is cached, because
what was true before the last upgrade is of no use to anybody.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from labctl.agent import guarded
from labctl.app import doctor_fixes
from labctl.app.images import check_place, shipped
from labctl.linux import trial
from labctl.linux.trial import Tried
from labctl.model.event import Emit, Event, ignore
from labctl.runtime import docker_gate, primitives
from labctl.runtime.images import Image, ImageStore
from labctl.runtime.store import Instance

#: Room for the images and their building, and for a lab beside images that are there.
_BUILD_BYTES, _LAB_BYTES = 3_000_000_000, 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing, tried. `ok` is None when it was not tried, and `said` tells why; `fix` is one command."""

    name: str
    why: str
    needed: bool
    ok: bool | None
    said: str
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All of them. `ok`: the machine can run labs with this runtime."""

    runtime: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks if check.needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    name: str
    why: str
    fix: str
    work: Callable[[], str]
    needed_for: frozenset[str] = frozenset()
    needs_root: bool = True
    apart: bool = True  # in namespaces of its own


def doctor(instance: Instance, runtime: str = "runc", emit: Emit = ignore) -> Checkup:
    """Try everything, in the order in which one thing stands on another."""
    items = _items(instance, ImageStore(instance))
    checks = []
    for number, item in enumerate(items, start=1):
        emit(Event(kind="doctor", text="checking", subject=item.name, done=number, total=len(items)))
        checks.append(_check(item, runtime))
    return Checkup(runtime=runtime, checks=tuple(checks))


def _check(item: _Item, runtime: str) -> Check:
    ok: bool | None
    if item.needs_root and os.geteuid() != 0:
        ok, said = None, "not tried: only root may"
    else:
        tried: Tried = trial.attempt(item.work, timeout_s=30) if item.apart else trial.here(item.work)
        ok, said = tried.ok, tried.said
    return Check(
        name=item.name,
        why=item.why,
        needed=runtime in item.needed_for,
        ok=ok,
        said=said,
        fix=None if ok else ("sudo labctl doctor" if ok is None else item.fix),
    )


def _items(instance: Instance, store: ImageStore) -> list[_Item]:
    present = {ref: store.find(ref) for ref in shipped()}
    missing = sorted(ref for ref, image in present.items() if image is None)
    any_image = next((image for image in present.values() if image), None)
    place = primitives.nearest(instance.root)
    group = f"{instance.cgroup}-doctor-{os.getpid()}"
    runc, real = frozenset({"runc"}), frozenset({"runc", "docker"})
    kernel, fix_images = doctor_fixes.KERNEL, doctor_fixes.images()
    room = _BUILD_BYTES if missing else _LAB_BYTES
    return [
        _Item(
            name="root",
            why="namespaces, cables, control groups",
            fix="sudo labctl doctor",
            work=primitives.root,
            needed_for=real,
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="kernel",
            why="processes and files named without a race (5.6)",
            fix=kernel,
            work=primitives.kernel,
            needed_for=real,
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="root directory",
            why="containers replace it",
            fix=doctor_fixes.in_root(),
            work=primitives.root_directory,
            needed_for=real,
            apart=False,
        ),
        _Item(
            name="network namespaces",
            why="every node, and the patch panel",
            fix=kernel,
            work=primitives.namespaces,
            needed_for=real,
        ),
        _Item(
            name="veth",
            why="both ends of every cable",
            fix=doctor_fixes.module("veth"),
            work=primitives.veth,
            needed_for=real,
        ),
        _Item(
            name="stitching",
            why="the middle of every cable: clsact, u32, mirred",
            fix=doctor_fixes.module("sch_ingress", "cls_u32", "act_mirred"),
            work=primitives.stitch,
            needed_for=real,
        ),
        _Item(
            name="overlay",
            why="the root file systems of nodes that share an image",
            fix=doctor_fixes.larger(instance.root, room),
            work=lambda: primitives.overlay(place),
            needed_for=runc,
        ),
        _Item(
            name="control groups",
            why="freezing, limiting and killing nodes",
            fix="mount -t cgroup2 cgroup2 /sys/fs/cgroup",
            work=lambda: primitives.cgroups(group),
            needed_for=real,
            apart=False,
        ),
        _Item(
            name="runc",
            why="starting nodes without a daemon",
            fix="apt-get install runc",
            work=lambda: primitives.runc(any_image, group),
            needed_for=runc,
            apart=False,
        ),
        _Item(
            name="image directory",
            why="where LABCTL_IMAGES says that images are; containers stand on it",
            fix="unset LABCTL_IMAGES",
            work=lambda: _image_place(store),
            needed_for=runc,
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="images",
            why="what nodes run",
            fix=fix_images,
            work=lambda: _images(missing, len(present)),
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="buildah",
            why="building images without a daemon",
            fix="apt-get install buildah mmdebstrap",
            work=lambda: _builder(missing),
            needed_for=runc,
            apart=False,
        ),
        _Item(
            name="FRR",
            why="the routing daemons in labctl/frr",
            fix=fix_images,
            work=lambda: _frr(present.get("labctl/frr")),
            needed_for=frozenset({"runc"} if present.get("labctl/frr") else ()),
        ),
        _Item(
            name="disk",
            why="images, and what nodes write",
            fix=doctor_fixes.larger(instance.root, room),
            work=lambda: primitives.disk(place, room),
            needed_for=runc,
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="nftables",
            why="faults that drop packets and expire by themselves",
            fix=doctor_fixes.module("nf_tables") if shutil.which("nft") else "apt-get install nftables",
            work=primitives.nftables,
        ),
        _Item(
            name="packet filter",
            why="keeping the kernel's own errors about a lab on this machine",
            fix=doctor_fixes.module("nf_tables") if shutil.which("nft") else "apt-get install nftables",
            work=guarded.trial,
        ),
        _Item(
            name="netem",
            why="delay and loss in the kernel; without it labctl relays packets itself",
            fix=doctor_fixes.module("sch_netem"),
            work=primitives.netem,
        ),
        _Item(
            name="tbf",
            why="rate limits in the kernel",
            fix=doctor_fixes.module("sch_tbf"),
            work=primitives.tbf,
        ),
        _Item(
            name="ends of processes",
            why="telling how a node's command ended",
            fix=kernel,
            work=doctor_fixes.exit_statuses,
            apart=False,
        ),
        _Item(
            name="inotify",
            why="keeping nodes' logs bounded, and the times of what they print",
            fix="sysctl -w fs.inotify.max_user_instances=1024",
            work=doctor_fixes.writes,
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="libpcap",
            why="`labctl capture --filter`",
            fix="apt-get install libpcap0.8",
            work=doctor_fixes.captures,
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="labs",
            why="labctl's own, as they are now",
            fix="labctl heal",
            work=lambda: doctor_fixes.labs(instance),
            apart=False,
        ),
        _Item(
            name="static busybox",
            why="starts the nodes of labs under Docker in their networks",
            fix="apt-get install busybox-static",
            work=docker_gate.program,
            needed_for=frozenset({"docker"}),
            needs_root=False,
            apart=False,
        ),
        _Item(
            name="Docker engine",
            why="labs under Docker; runc needs none",
            fix=doctor_fixes.engine(),
            work=primitives.docker,
            needed_for=frozenset({"docker"}),
            needs_root=False,
            apart=False,
        ),
    ]


def _image_place(store: ImageStore) -> str:
    check_place()
    return store.root


def _images(missing: list[str], count: int) -> str:
    if missing:
        raise LookupError(f"not built yet: {', '.join(missing)}")
    return f"all {count} of labctl's are here"


def _builder(missing: list[str]) -> str:
    try:
        return primitives.tool("buildah", "--version")
    except FileNotFoundError:
        if missing:
            raise
        return "absent, and not needed while all images are here"


def _frr(image: Image | None) -> str:
    if image is None:
        raise LookupError("labctl/frr is not built yet")
    return f"FRR {primitives.frr(image)}"
