"""Who a container's first process is, where only the engine has the image's passwd file.

A container starts as root, to pass the gate, and then becomes its user, by number. For an image whose files are here the
numbers are known. Else they are read from the container itself, which is created, looked into, and created again.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable

from labctl.model.lab import NodeSpec
from labctl.runtime import runc_check
from labctl.runtime.bundle import User
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import Image

_ROOT = frozenset({"", "root", "0", "root:root", "0:0"})


def create_as(
    engine: Engine, node: NodeSpec, image: Image, home: str, create: Callable[[User], str]
) -> tuple[str, User]:
    """Create the container for the user that the node or its image asks for; `bad-value` if the image has no such user."""
    wanted = node.user if node.user is not None else image.user
    if wanted in _ROOT:
        return create(User()), User()
    if image.rootfs:
        who = runc_check.user_of(node, image)
        return create(who), who
    container = create(User())
    for name in ("passwd", "group"):
        unpack(engine.files(container, f"/etc/{name}"), home, "image/etc")
    who = runc_check.user_of(node, image, rootfs=os.path.join(home, "image"))
    engine.remove(container)
    return create(who), who


def unpack(archive: bytes | None, home: str, directory: str) -> None:
    """Put what an engine gave of a path into `<home>/<directory>`, with its owners; a directory's contents, not itself."""
    target = os.path.join(home, directory)
    os.makedirs(target, mode=0o755, exist_ok=True)
    if archive is None:
        return
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            top, _, rest = member.name.partition("/")
            if member.isdir() and not rest:
                continue
            member.name = rest or top
            if not (member.isdir() or member.isfile() or member.issym()) or ".." in member.name.split("/"):
                continue
            tar.extract(member, target, numeric_owner=True)
