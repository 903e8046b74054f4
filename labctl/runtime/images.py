"""Images: from a reference in a lab file to a root file system that runc can stand a container on.

`buildah` builds and pulls (daemonless, in a storage of its own below the image directory), and each image is unpacked
once, into a directory named by its digest, which containers then share as the lower layer of their overlay. A
reference is a small JSON file beside them, so `resolve` needs no tool and takes a millisecond.

    <images>/refs/<quoted reference>.json     the `Image`, and the key of what it was built from
    <images>/<digest>/rootfs                  unpacked; appears whole, by rename, or not at all
    <images>/work/                            buildah's (`runtime.buildah`): storage, temporary files, logs
    <images>/lock                             flock; held by whoever builds, and by the buildah it started
    <images>/use                              flock; shared by nodes that start, alone by who prunes (`runtime.prune`)

`LABCTL_IMAGES` moves the image directory out of the state root, so that several state roots share one.
A Docker engine has its own image store; the docker runtime asks that one and needs nothing of this module.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, unquote

from labctl.errors import LabctlError, Span
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import LabSpec, NodeKind, Pull
from labctl.runtime import prune
from labctl.runtime.buildah import Buildah, write_whole
from labctl.runtime.store import Instance

#: The reference every labctl image starts from. Pulled where a registry answers, else bootstrapped.
BASE = "debian:bookworm-slim"
#: What labctl ships Dockerfiles for; `labctl.app.images.shipped` finds them.
OWN = ("labctl/base", "labctl/frr", "labctl/host", "labctl/prod")
_BASE_SUITE = "bookworm"
#: What debian:bookworm-slim leaves out as well.
_BASE_EXCLUDES = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is unpacked here. `rootfs` is read-only by convention: containers put an overlay on it."""

    ref: str
    digest: str  # hex, without "sha256:" (a colon separates the lower directories of an overlay)
    rootfs: str
    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = "/"
    user: str = ""  # as in the Dockerfile: "", "frr", "101:101"


class ImageStore:
    """The images of one state root (or of LABCTL_IMAGES). Reading needs no lock; building takes one."""

    def __init__(self, instance: Instance) -> None:
        self.root = os.environ.get("LABCTL_IMAGES") or os.path.join(instance.root, "images")

    def find(self, ref: str) -> Image | None:
        """The image, if it is unpacked here."""
        record = self._record(ref)
        if record is None:
            return None
        image = record["image"]
        return Image(
            ref=image["ref"],
            digest=image["digest"],
            rootfs=self._rootfs(image["digest"]),
            cmd=tuple(image["cmd"]),
            entrypoint=tuple(image["entrypoint"]),
            env=tuple((name, value) for name, value in image["env"]),
            workdir=image["workdir"],
            user=image["user"],
        )

    def resolve(self, ref: str) -> Image:
        """The image, or `image-not-found` with what to do about it."""
        image = self.find(ref)
        if image is None:
            raise LabctlError(
                "image-not-found",
                f"image {ref!r} is not on this machine",
                hint=self._remedy(ref),
            )
        return image

    def _remedy(self, ref: str) -> str:
        if not own(ref):
            return f"have: {', '.join(self.refs()) or 'none'}; `labctl deploy` pulls what a registry has"
        if normal(ref) in {normal(each) for each in OWN}:
            return "run `make images`"
        near = get_close_matches(
            ref.removeprefix("labctl/"), [each.removeprefix("labctl/") for each in OWN], n=1
        )
        return f"did you mean `labctl/{near[0]}`?" if near else f"labctl has {', '.join(OWN)}"

    def refs(self) -> tuple[str, ...]:
        """Every reference that resolves, sorted."""
        try:
            names = os.listdir(self._path("refs"))
        except FileNotFoundError:
            return ()
        refs = (unquote(name.removesuffix(".json")) for name in names if name.endswith(".json"))
        found = (self.find(ref) for ref in refs)
        return tuple(sorted(image.ref for image in found if image is not None))

    def build(self, context_dir: str, tag: str, emit: Emit = ignore) -> Image:
        """Build the Dockerfile of `context_dir` as `tag`; nothing to do when neither it nor its parents changed."""
        starts_from = parents(context_dir)
        current = self._current(context_dir, tag, starts_from)
        if current is not None:
            return current
        with self._locked(emit) as buildah:
            for parent in starts_from:
                self._provide(buildah, parent, context_dir, emit)
            current = self._current(context_dir, tag, starts_from)
            if current is not None:  # another builder made it while this one waited
                return current
            emit(Event(kind="image-build", text=f"building image {tag}", subject=tag))
            options = ("--isolation", "chroot", "--format", "docker", "--layers=false", "--pull=never")
            buildah.call(tag, "bud", *options, "--tag", normal(tag), context_dir)
            return self._unpack(buildah, tag, self._key(context_dir, starts_from), emit)

    def pull(self, ref: str, emit: Emit = ignore) -> Image:
        """Fetch an image from the registry that its reference names, also if it is here."""
        with self._locked(emit) as buildah:
            return self._pull(buildah, ref, emit)

    def _provide(self, buildah: Buildah, parent: str, context_dir: str, emit: Emit) -> None:
        """The image that a Dockerfile starts from. labctl's own are built in order by `labctl.app.images`."""
        if self.find(parent) is not None:
            return
        if normal(parent) == normal(BASE):
            self._base(buildah, emit)
        elif own(parent):
            dockerfile = os.path.join(context_dir, "Dockerfile")
            raise LabctlError(
                "image-not-found",
                f"image {parent!r} is not on this machine",
                where=Span(dockerfile),
                hint="build it first",
            )
        else:
            self._pull(buildah, parent, emit)

    def _pull(self, buildah: Buildah, ref: str, emit: Emit) -> Image:
        emit(Event(kind="image-pull", text=f"pulling image {ref}", subject=ref))
        buildah.call(ref, "pull", "--quiet", "--policy", "always", normal(ref))
        return self._unpack(buildah, ref, "pulled", emit)

    def _base(self, buildah: Buildah, emit: Emit) -> None:
        """debian:bookworm-slim from a registry; where none answers, the same packages from the Debian mirror."""
        try:
            self._pull(buildah, BASE, emit)
        except LabctlError as error:
            if error.code != "image-build-failed":
                raise
            emit(
                Event(
                    kind="image-bootstrap",
                    text=f"no registry answers; bootstrapping {BASE} from the Debian mirror",
                    subject=BASE,
                )
            )
        else:
            return
        tar = self._path("work", "unpack-base.tar")
        excludes = [f"--dpkgopt=path-exclude={path}" for path in _BASE_EXCLUDES]
        languages = '--aptopt=Acquire::Languages "none"'
        buildah.run(
            BASE, ["mmdebstrap", "--variant=minbase", "--quiet", languages, *excludes, _BASE_SUITE, tar]
        )
        container = buildah.call(BASE, "from", "scratch").strip()
        buildah.call(BASE, "add", "--quiet", container, tar, "/")
        buildah.call(BASE, "config", "--cmd", "bash", container)
        buildah.call(BASE, "commit", "--quiet", "--rm", "--format", "docker", container, normal(BASE))
        os.unlink(tar)
        self._unpack(buildah, BASE, "bootstrapped", emit)

    def _unpack(self, buildah: Buildah, ref: str, key: str, emit: Emit) -> Image:
        digest, config = buildah.inspect(ref, normal(ref))
        image = Image(
            ref=ref,
            digest=digest,
            rootfs=self._rootfs(digest),
            cmd=tuple(config.get("Cmd") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            env=tuple(_variable(each) for each in config.get("Env") or ()),
            workdir=config.get("WorkingDir") or "/",
            user=config.get("User") or "",
        )
        if not os.path.isdir(image.rootfs):
            emit(Event(kind="image-unpack", text=f"unpacking image {ref}", subject=ref))
            temporary = self._path("work", f"unpack-{digest}")
            os.makedirs(os.path.join(temporary, "rootfs"))
            buildah.unpack(ref, normal(ref), os.path.join(temporary, "rootfs"))
            os.rename(temporary, self._path(digest))
        record = {"version": 1, "key": key, "image": asdict(image)}
        write_whole(self._ref_path(ref), json.dumps(record, indent=1))
        emit(Event(kind="image-ready", text=f"image {ref} is ready", subject=ref))
        self._prune(buildah, ref, emit)
        return image

    def _prune(self, buildah: Buildah, ref: str, emit: Emit) -> None:
        """Older builds that nothing names or uses. The new image is there already, so what fails here is only told."""
        try:
            removed = prune.prune(self.root, self._named(), self._path("work"))
            buildah.call(ref, "rmi", "--prune")
        except (LabctlError, OSError) as error:
            emit(Event(kind="warning", text=f"warning: old images are not removed: {error}"))
        else:
            for digest in removed:
                text = f"removed an older image ({digest[:12]}) that nothing uses"
                emit(Event(kind="image-pruned", text=text, subject=digest))

    def _named(self) -> set[str]:
        """The digest of every reference, also of one whose root file system is missing."""
        files = (os.path.join(self._path("refs"), name) for name in os.listdir(self._path("refs")))
        records = (_read(path) for path in files if path.endswith(".json"))
        return {str(record["image"]["digest"]) for record in records if record}

    def standing(self) -> contextlib.AbstractContextManager[None]:
        """While this is open no image is removed: from looking one up until it is mounted."""
        return prune.standing(self.root)

    def _current(self, context_dir: str, tag: str, starts_from: Sequence[str]) -> Image | None:
        known = self._record(tag)
        if known is None or any(self.find(parent) is None for parent in starts_from):
            return None
        return self.find(tag) if known["key"] == self._key(context_dir, starts_from) else None

    def _key(self, context_dir: str, starts_from: Sequence[str]) -> str:
        """What a build depends on: the context's bytes and modes, and the digests of the images it starts from."""
        digest = hashlib.sha256()
        for path, mode, content in _walk(context_dir):
            digest.update(f"{path}\0{mode:o}\0{len(content)}\0".encode() + content)
        for parent in starts_from:
            digest.update(f"{parent}\0{self.resolve(parent).digest}\0".encode())
        return digest.hexdigest()

    @contextlib.contextmanager
    def _locked(self, emit: Emit) -> Iterator[Buildah]:
        os.makedirs(self._path("work"), exist_ok=True)
        os.makedirs(self._path("refs"), exist_ok=True)
        lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                emit(Event(kind="image-wait", text="waiting for another build of images"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield Buildah(self._path("work"), lock)
        finally:
            os.close(lock)

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def _rootfs(self, digest: str) -> str:
        return self._path(digest, "rootfs")

    def _ref_path(self, ref: str) -> str:
        return self._path("refs", quote(normal(ref), safe="") + ".json")

    def _record(self, ref: str) -> dict[str, Any] | None:
        record = _read(self._ref_path(ref))
        return record if record and os.path.isdir(self._rootfs(record["image"]["digest"])) else None


def normal(ref: str) -> str:
    """The full form: `labctl/frr` -> `localhost/labctl/frr:latest`, `debian:12` -> `docker.io/library/debian:12`."""
    name, at, digest = ref.partition("@")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif first == "labctl":
        name = f"localhost/{name}"
    elif not re.search(r"[.:]", first) and first != "localhost":
        name = f"docker.io/{name}"
    if at:
        return f"{name}@{digest}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def each_time(lab: LabSpec) -> tuple[str, ...]:
    """The images that nodes of the lab want pulled at each deploy. labctl's own are in no registry."""
    found = (node.image for node in lab.nodes if node.kind is NodeKind.LINUX and node.pull is Pull.ALWAYS)
    return tuple(dict.fromkeys(ref for ref in found if ref and not own(ref)))


def own(ref: str) -> bool:
    """Is it one of labctl's images, built from a Dockerfile that labctl ships?"""
    return normal(ref).startswith("localhost/labctl/")


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except FileNotFoundError:
        return None
    return record if isinstance(record, dict) and record.get("version") == 1 else None


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def parents(context_dir: str) -> tuple[str, ...]:
    """The images that the Dockerfile's FROM lines name, without its own stages."""
    dockerfile = os.path.join(context_dir, "Dockerfile")
    try:
        with open(dockerfile, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise LabctlError("file-not-found", f"there is no {dockerfile}") from None
    found = re.findall(
        r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", text, flags=re.IGNORECASE | re.MULTILINE
    )
    stages = {stage for _, stage in found if stage}
    return tuple(dict.fromkeys(ref for ref, _ in found if ref != "scratch" and ref not in stages))


def _walk(context_dir: str) -> Iterator[tuple[str, int, bytes]]:
    """Every file and link of a build context, in a fixed order."""
    for directory, directories, files in os.walk(context_dir):
        directories.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                content = os.readlink(path).encode()
            else:
                with open(path, "rb") as file:
                    content = file.read()
            yield os.path.relpath(path, context_dir), stat.S_IMODE(mode), content
