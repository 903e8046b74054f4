"""What has to be known of an image's files before a container is created: who its user is, and where its command lies.

A container starts as root, to pass the gate, and then becomes its user, by number. And its command must be a path: busybox
has commands of its own, and would take `sh` for one of those. For an image whose files are here both are looked up there;
else in a container, which is created, looked into, and created again.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable

from labctl.errors import LabctlError
from labctl.linux import rooted
from labctl.model.lab import LabSpec, NodeSpec
from labctl.runtime import bundle, runc_check
from labctl.runtime.bundle import User
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import Image

_ROOT = frozenset({"", "root", "0", "root:root", "0:0"})


def create(
    engine: Engine, lab: LabSpec, node: NodeSpec, image: Image, *, home: str, make: Callable[[User, str], str]
) -> tuple[str, User]:
    """Create the node's container by `make` (user, program -> id); its id and user. home: the node's directory.

    `bad-value` if the image has no such user, `node-not-started` if it has no such program.
    """
    word = bundle.argv(node, image)[0]
    if image.rootfs:
        who = runc_check.user_of(node, image)
        return make(who, _program(lab, node, image, lambda path: _runs(image.rootfs, path))), who
    container = make(User(), word)
    wanted = node.user if node.user is not None else image.user
    who, program = User(), _program(lab, node, image, lambda path: engine.has(container, path))
    if wanted not in _ROOT:
        for name in ("passwd", "group"):
            unpack(engine.files(container, f"/etc/{name}"), home, "image/etc")
        who = runc_check.user_of(node, image, rootfs=os.path.join(home, "image"))
    if (who, program) == (User(), word):
        return container, who
    engine.remove(container)
    return make(who, program), who


def _program(lab: LabSpec, node: NodeSpec, image: Image, there: Callable[[str], bool]) -> str:
    """The first word of the node's command as a path, found as `execvp` finds it."""
    word = bundle.argv(node, image)[0]
    if "/" in word:
        return word
    for directory in bundle.environment(lab, node, image)["PATH"].split(":"):
        path = os.path.join(directory or "/", word)
        if _bound(node, path) or there(path):
            return path
    raise LabctlError(
        "node-not-started",
        f"node {node.name!r} did not start: its image {image.ref!r} has no {word!r} in its PATH",
        where=node.where,
        hint="check its `image`, `cmd` and `binds`",
    )


def _bound(node: NodeSpec, path: str) -> bool:
    """Whether one of the node's binds brings this path."""
    return any(
        path == bind.target
        or (
            path.startswith(bind.target.rstrip("/") + "/")
            and os.path.exists(bind.source + path[len(bind.target.rstrip("/")) :])
        )
        for bind in node.binds
    )


def _runs(root: str, path: str) -> bool:
    """Whether there is a program at `path`, as a process whose root is `root` sees it."""
    try:
        fd = rooted.open_in(root, path.lstrip("/"), os.O_PATH)
    except OSError:
        return False
    try:
        mode = os.fstat(fd).st_mode
        return stat.S_ISREG(mode) and bool(mode & 0o111)
    finally:
        os.close(fd)


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
