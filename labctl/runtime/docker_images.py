"""Images for containers of a Docker engine: the engine's own, or those of labctl's image store, taken in once.

labctl builds its images without an engine (`runtime.images`). The engine gets their root file systems as they are, with
what describes them, under the same reference and without any network; a label says from which build each was made, so
an image that was built anew is taken in anew. What the store does not have is whatever the engine has of that name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from labctl.errors import LabctlError
from labctl.linux import proc
from labctl.model.event import Emit, Event, ignore
from labctl.runtime import images
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import Image, ImageStore

#: Which build of labctl's store an image of the engine was made from.
DIGEST_LABEL = "labctl-digest"


def engine_ref(ref: str) -> str:
    """The reference under which the engine keeps it.

    >>> engine_ref("labctl/base"), engine_ref("quay.io/frrouting/frr:9.1")
    ('labctl/base:latest', 'quay.io/frrouting/frr:9.1')
    """
    return images.normal(ref).removeprefix("localhost/").removeprefix("docker.io/").removeprefix("library/")


def find(engine: Engine, store: ImageStore, ref: str) -> Image | None:
    """The image that a node of this reference would run, wherever it is now; `rootfs` is empty if only the engine has it.

    The store's wins for labctl's own images, the engine's for all others, as with `docker run`.
    """
    kept = store.find(ref)
    if kept is not None and images.own(ref):
        return kept
    there = engine.image(engine_ref(ref))
    if there is None or (kept is not None and _label(there)):  # ours, taken in: perhaps from an older build
        return kept
    return _described(ref, there)


def provide(engine: Engine, store: ImageStore, refs: Iterable[str], emit: Emit = ignore) -> None:
    """Have the engine know all of these."""
    for ref in dict.fromkeys(refs):
        with store.standing():
            image = find(engine, store, ref)
            if image is None:
                raise missing(engine, ref)
            if image.rootfs and _label(engine.image(engine_ref(ref))) != image.digest:
                emit(Event(kind="image-import", text=f"Docker takes in image {ref}", subject=ref))
                _take_in(engine, image)


def pull(engine: Engine, ref: str, emit: Emit = ignore) -> None:
    """Have the engine fetch an image from the registry that its reference names. From then on it is the engine's own."""
    emit(Event(kind="image-pull", text=f"Docker pulls image {ref}", subject=ref))
    engine.pull(engine_ref(ref))


def missing(engine: Engine, ref: str) -> LabctlError:
    """Neither the engine nor labctl has it."""
    if images.own(ref):
        hint = "run `make images`"
    else:
        hint = f"`docker pull {ref}` where a registry answers, or `--image {ref}=OTHER`"
    return LabctlError(
        "image-not-found",
        f"image {ref!r} is neither in the Docker engine at {engine.url} nor on this machine",
        hint=hint,
    )


def _take_in(engine: Engine, image: Image) -> None:
    argv = ["tar", "-C", image.rootfs, "--numeric-owner", "--xattrs", "--xattrs-include=security.capability"]
    try:
        with proc.output_of([*argv, "-c", "."]) as tree:
            engine.load(engine_ref(image.ref), tree, instructions(image))
    except proc.CommandFailed as failed:
        engine.drop_image(engine_ref(image.ref))  # a part of it, if anything
        raise LabctlError("engine-refused", f"image {image.ref!r} cannot be read: {failed}") from failed


def instructions(image: Image) -> list[str]:
    """What a Dockerfile would say of an image beside its files."""
    said = [f"LABEL {DIGEST_LABEL}={image.digest}", f"WORKDIR {image.workdir or '/'}"]
    said += [f"ENV {name}={json.dumps(value)}" for name, value in image.env]
    if image.user:
        said.append(f"USER {image.user}")
    if image.entrypoint:
        said.append(f"ENTRYPOINT {json.dumps(list(image.entrypoint))}")
    if image.cmd:
        said.append(f"CMD {json.dumps(list(image.cmd))}")
    return said


def _described(ref: str, said: Mapping[str, Any]) -> Image:
    config = said["Config"]
    return Image(
        ref=ref,
        digest=said["Id"].removeprefix("sha256:"),
        rootfs="",
        cmd=tuple(config.get("Cmd") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        env=tuple((name, value) for name, _, value in (e.partition("=") for e in config.get("Env") or ())),
        workdir=config.get("WorkingDir") or "/",
        user=config.get("User") or "",
    )


def _label(said: Mapping[str, Any] | None) -> str | None:
    labels = (said or {}).get("Config", {}).get("Labels") or {}
    return labels.get(DIGEST_LABEL)
