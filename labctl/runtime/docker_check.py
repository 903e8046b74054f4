"""What would make a lab fail half-way on Docker, found before anything is touched.

What the machine and the engine lack comes first and alone; then everything that is wrong with the lab, all at once.
"""

from __future__ import annotations

import os
import re

from labctl.errors import LabctlError, Problems
from labctl.linux import disks, rootns
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.runtime import bundle, docker_engine, docker_gate, docker_images, runc_check
from labctl.runtime.docker_container import INSTANCE_LABEL, LAB_LABEL
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import Image, ImageStore

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
#: What a bind of the engine can be beside what containerlab's users write out of habit.
_NOT_BOUND = frozenset({"noexec", "nosuid", "nodev"})


def check(lab: LabSpec, images: ImageStore, url: str, *, tag: str) -> None:
    """Raise everything that is wrong with the lab on this machine and this engine.

    tag: the instance whose lab it is. A container that this lab has already, because it is being changed, is in nobody's way.
    """
    _check_machine()
    docker_engine.answers(url)
    docker_gate.program()
    problems = Problems()
    with Engine(url) as engine, images.standing():
        found: dict[str, Image | None] = {}
        for node in lab.nodes:
            if node.kind is NodeKind.LINUX and node.image and node.image not in found:
                found[node.image] = docker_images.find(engine, images, node.image)

        def image_of(wanted: NodeSpec) -> Image:
            image = found.get(wanted.image or "")
            if wanted.image is None or image is None:
                raise (
                    docker_images.missing(engine, wanted.image)
                    if wanted.image
                    else LabctlError(
                        "bad-value", f"node {wanted.name!r} has no image", hint="give it an `image`"
                    )
                )
            return image

        on = disks.of_files([engine.information()["DockerRootDir"]])
        runc_check.check_nodes(lab, image_of, on, problems)
        _check_names(lab, engine, tag, problems)
    for node in lab.nodes:
        _check_node(lab, node, problems)
    problems.stop()


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise LabctlError(
            "no-root",
            "labs need root, also on the Docker runtime: their cables are made by labctl, not by the engine",
            hint="run the same command with sudo",
        )
    if not rootns.at_root():
        raise LabctlError(
            "engine-unfit",
            "this is a chroot: a Docker engine does not see the files and namespaces of labs in here",
            hint=".venv/bin/python tools/in_root.py bash",
        )


def _check_names(lab: LabSpec, engine: Engine, tag: str, problems: Problems) -> None:
    """Somebody else's container of one of the names, which an engine has once."""
    for node in lab.nodes:
        if node.kind is not NodeKind.LINUX:
            continue
        name = lab.container(node.name)
        there = engine.inspect(name)
        if there is None:
            continue
        marks = there["Config"].get("Labels") or {}
        if (marks.get(INSTANCE_LABEL), marks.get(LAB_LABEL)) == (tag, lab.name):
            continue
        if INSTANCE_LABEL in marks:
            whose = "another labctl instance (LABCTL_STATE) made it"
        elif LAB_LABEL in marks:
            whose = f"containerlab made it for its lab {marks[LAB_LABEL]!r}"
        else:
            whose = "labctl did not make it"
        problems.add(
            "lab-exists",
            f"the Docker engine has a container {name!r} already: {whose}",
            where=node.where,
            hint="`--name` gives this lab, and so its containers, another name",
        )


def _check_node(lab: LabSpec, node: NodeSpec, problems: Problems) -> None:
    if node.kind is not NodeKind.LINUX:
        return
    name = lab.container(node.name)
    if not _NAME.fullmatch(name):
        problems.add(
            "bad-name",
            f"node {node.name!r}: Docker has no containers called {name!r}",
            where=node.where,
            hint="letters, digits, `_`, `.` and `-` are what it takes",
        )
    if "CAP_SYS_ADMIN" not in bundle.allowed(node):
        problems.add(
            "unsupported",
            f"node {node.name!r}: on Docker a node cannot be without CAP_SYS_ADMIN, by which it steps into its network",
            where=node.where,
            hint="`--runtime runc` takes it away; or add `cap-add: [SYS_ADMIN]`",
        )
    for bind in node.binds:
        for option in bind.options:
            if option in _NOT_BOUND:
                problems.add(
                    "unsupported",
                    f"node {node.name!r}: Docker does not bind {bind.target} with `{option}`",
                    where=bind.where,
                    hint="`--runtime runc` does",
                )
