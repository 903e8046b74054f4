"""What would make a lab fail half-way on runc, found before anything is touched.

All of it is told at once. What the machine lacks comes first and alone: without it nothing else can be judged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence

from labctl import units
from labctl.errors import LabctlError, Problems
from labctl.linux import cgroup
from labctl.linux.disks import Disk
from labctl.model.lab import LabSpec, NodeKind, NodeSpec, Pull
from labctl.runtime import bundle, device_files, machine_check, mgmt, sysctls
from labctl.runtime.images import Image, ImageStore
from labctl.runtime.launch import RUNC
from labctl.runtime.packets_check import check_packets
from labctl.schema import infile


def check(lab: LabSpec, images: ImageStore, on: Sequence[Disk]) -> None:
    """Raise everything that is wrong with the lab on this machine. on: the disks that its nodes' files would be on."""
    _check_machine()
    problems = Problems()
    with images.standing():
        check_nodes(lab, lambda node: image_of(node, images), on, problems)
    problems.stop()


def check_nodes(
    lab: LabSpec, image_of: Callable[[NodeSpec], Image], on: Sequence[Disk], problems: Problems
) -> None:
    """Collect what is wrong with the nodes on any runtime. An image whose files are not here is taken as it is."""
    for node in lab.nodes:
        try:
            _check_network(lab, node)
            _check_node(node, image_of)
            _check_rates(node, on)
            device_files.of(node)
        except LabctlError as error:
            for each in error.each:
                problems.add(each.code, each.message, where=each.where or node.where, hint=each.hint)
    for wrong in (*sysctls.wrong(lab), *machine_check.wrong(lab)):
        problems.extend(wrong)
    if len(mgmt.nodes(lab)) > mgmt.MOST_PORTS:
        problems.add(
            "unsupported",
            f"{len(mgmt.nodes(lab))} nodes have a management interface; one bridge holds {mgmt.MOST_PORTS}",
            hint="set `network-mode: none` where none is needed",
        )


def image_of(node: NodeSpec, images: ImageStore) -> Image:
    """The image that the node runs."""
    if node.image is None:
        raise LabctlError("bad-value", f"node {node.name!r} has no image", hint="give it an `image`")
    return images.resolve(node.image)


def user_of(node: NodeSpec, image: Image, *, rootfs: str | None = None) -> bundle.User:
    """Who the node's first process is. `rootfs`: where the image's files are, if not in the store."""
    wanted = node.user if node.user is not None else image.user
    try:
        return bundle.user(wanted, image.rootfs if rootfs is None else rootfs)
    except KeyError as missing:
        raise LabctlError(
            "bad-value", f"node {node.name!r}: image {image.ref!r} has no user or group {missing}"
        ) from None


def _check_network(lab: LabSpec, node: NodeSpec) -> None:
    if node.shares and lab.home(node.name) not in {each.name for each in lab.nodes}:
        raise LabctlError(
            "unsupported",
            f"node {node.name!r} is to be in the network of {lab.home(node.name)!r}, which is no node of the lab",
            hint="labctl does not enter containers that are not its own",
        )


def _check_node(node: NodeSpec, image_of: Callable[[NodeSpec], Image]) -> None:
    if node.kind is not NodeKind.LINUX:
        return
    try:
        image = image_of(node)
    except LabctlError as error:
        if error.code != "image-not-found" or node.pull is not Pull.NEVER:
            raise
        hint = "`image-pull-policy: Never` of the node keeps labctl from bringing it"
        raise LabctlError(error.code, error.message, where=error.where, hint=hint) from error
    if not bundle.argv(node, image):
        raise LabctlError(
            "bad-value",
            f"node {node.name!r}: image {node.image!r} has no command",
            hint="give the node a `cmd`",
        )
    if image.rootfs:
        user_of(node, image)
    _check_cpus(node)
    from labctl.render.packets import TARGET as PACKETS  # all that configurations are made of comes with it

    for bind in node.binds:
        if not os.path.exists(bind.source):
            raise LabctlError(
                "file-not-found",
                f"node {node.name!r}: bind source {bind.source} does not exist",
                where=bind.where,
            )
        if bind.target == PACKETS and image.rootfs:
            check_packets(
                node.name, infile.read(bind.source).decode(errors="replace"), image, where=bind.where
            )


def _check_cpus(node: NodeSpec) -> None:
    if node.cpus is None:
        return
    if not cgroup.pins():
        raise LabctlError(
            "limit-refused",
            f"node {node.name!r} has a `cpu-set`, and control groups here cannot keep it on some processors",
            hint="the kernel needs CONFIG_CPUSETS, and version 1 its hierarchy: "
            "mount -t cgroup -o cpuset cpuset /sys/fs/cgroup/cpuset",
        )
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        online = file.read().strip()
    missing = sorted(set(units.numbers(node.cpus)) - set(units.numbers(online)))
    if missing:
        raise LabctlError(
            "bad-value",
            f"node {node.name!r}: this machine has no processor {missing[0]} (it has {online})",
            hint="choose others with `cpu-set`, or leave it out",
        )


def _check_rates(node: NodeSpec, on: Sequence[Disk]) -> None:
    if node.kind is not NodeKind.LINUX or not any(node.limits.rates.values()):
        return
    if not cgroup.throttles():
        raise LabctlError(
            "limit-refused",
            f"node {node.name!r} has limits of input and output, and control groups here cannot keep them",
            hint="the kernel needs CONFIG_BLK_DEV_THROTTLING, and version 1 its hierarchy: "
            "mount -t cgroup -o blkio blkio /sys/fs/cgroup/blkio",
        )
    if not on:
        raise LabctlError(
            "limit-refused",
            f"node {node.name!r} has limits of input and output, and its files would be on no disk",
            hint="LABCTL_STATE (for the Docker runtime: the engine's data-root) names a directory; choose one on a disk",
        )


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise LabctlError(
            "no-root",
            "labs on the runc runtime need root: they make network namespaces, mounts and control groups",
            hint="run the same command with sudo",
        )
    if shutil.which(RUNC) is None:
        raise LabctlError("tool-missing", "runc is not installed", hint="apt-get install runc")
    with open("/proc/filesystems", encoding="ascii") as file:
        if "overlay" not in file.read().split():
            raise LabctlError("kernel-missing", "this kernel has no overlayfs", hint="modprobe overlay")
