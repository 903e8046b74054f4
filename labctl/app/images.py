"""Images that labctl brings itself: built from the Dockerfiles it ships, when they are not there yet.

`labctl/prod` starts from `labctl/frr`, which starts from `labctl/base`: parents are ensured before children, and an
image whose Dockerfile, files and parents are unchanged is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from labctl.errors import LabctlError, did_you_mean
from labctl.model.event import Emit, ignore
from labctl.runtime import images
from labctl.runtime.images import Image, ImageStore


def shipped() -> dict[str, str]:
    """reference -> build context. Beside the package in a wheel, in `images/` of a source tree."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for directory in (os.path.join(package, "_images"), os.path.join(os.path.dirname(package), "images")):
        if os.path.isfile(os.path.join(directory, "base", "Dockerfile")):
            return {
                f"labctl/{name}": os.path.join(directory, name)
                for name in sorted(os.listdir(directory))
                if os.path.isfile(os.path.join(directory, name, "Dockerfile"))
            }
    return {}


def check_place() -> None:
    """`bad-value` if LABCTL_IMAGES names a directory that no container can stand on."""
    place = os.environ.get("LABCTL_IMAGES", "")
    if place and any(char in os.path.realpath(place) for char in ",:\\"):
        raise LabctlError(
            "bad-value",
            f"images cannot be kept in {place}: overlayfs takes no path with `,`, `:` or a backslash",
            hint="LABCTL_IMAGES names another directory",
        )


def ensure(store: ImageStore, refs: Iterable[str], emit: Emit = ignore) -> tuple[Image, ...]:
    """These images, whatever it takes: labctl's own are built, others are pulled when they are not here."""
    contexts = {images.normal(ref): path for ref, path in shipped().items()}
    return tuple(_ensure_one(store, ref, contexts, emit) for ref in dict.fromkeys(refs))


def _ensure_one(store: ImageStore, ref: str, contexts: dict[str, str], emit: Emit) -> Image:
    if not images.own(ref):
        return store.find(ref) or store.pull(ref, emit)
    context = contexts.get(images.normal(ref))
    if context is None:
        known = store.find(ref)
        if known is not None:
            return known
        raise LabctlError(
            "image-not-found",
            f"image {ref!r} is not one of labctl's and not on this machine",
            hint=did_you_mean(ref, shipped()),
        )
    for parent in images.parents(context):
        if images.own(parent):
            _ensure_one(store, parent, contexts, emit)
    return store.build(context, ref, emit)
