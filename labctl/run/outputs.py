"""Files outside of a lab's own directory that were asked for: `clab-<lab>/` for other tools, lines of a hosts file.

What will be written is noted in the lab's directory first (`outputs.json`, synced), so `destroy` removes it from any
state that a crash left, and removes nothing else: a file that was there before is in the way (`would-overwrite`), a
directory goes only if labctl made it and it is empty, and of a hosts file only the lines between the lab's marks.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labctl.errors import LabctlError, Span
from labctl.linux import whole
from labctl.model.lab import LabSpec
from labctl.render import clab_outputs
from labctl.runtime.store import LabDir

BASE_VARIABLE = "CLAB_LABDIR_BASE"
_NOTE = "outputs.json"
_LOCK = "/run/lock/clab-hosts.lock"  # containerlab takes it, too
_LARGEST_HOSTS = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What is asked for: whether the lab's directory is written, and which hosts file gets its names."""

    directory: bool = False
    hosts_file: str | None = None

    def __bool__(self) -> bool:
        return self.directory or self.hosts_file is not None


NONE = Outputs()


def place_of(lab: LabSpec) -> str:
    """The lab's directory: below `CLAB_LABDIR_BASE`, else beside the lab file."""
    base = os.environ.get(BASE_VARIABLE) or os.path.dirname(lab.source) or os.getcwd()
    return clab_outputs.directory_of(lab, os.path.abspath(base))


def check(lab: LabSpec, wanted: Outputs) -> None:
    """Everything that is in the way, before anything is touched."""
    if wanted.directory:
        directory = place_of(lab)
        whole.check_directory(directory)
        for name in _names():
            path = os.path.join(directory, name)
            if os.path.lexists(path):
                raise LabctlError(
                    "would-overwrite",
                    f"{path} is there already",
                    hint="another lab of this name wrote it: destroy that, or move the file away",
                )
    if wanted.hosts_file is not None:
        begin, _ = clab_outputs.marks(lab.name)
        if begin in _read(wanted.hosts_file).splitlines():
            raise LabctlError(
                "would-overwrite",
                f"{wanted.hosts_file} has lines of a lab {lab.name!r} already",
                hint=f"remove what stands from `{begin}` on",
            )


def coming(lab: LabSpec, wanted: Outputs) -> frozenset[str]:
    """What will be there before a node starts: nodes may bind it."""
    if not wanted.directory:
        return frozenset()
    directory = place_of(lab)
    return frozenset({directory, *(os.path.join(directory, name) for name in _names())})


def write(place: LabDir, lab: LabSpec, owner: str, wanted: Outputs) -> None:
    """Write what is asked for; the caller holds the lab's lock and has checked."""
    if not wanted:
        return
    directory = place_of(lab) if wanted.directory else ""
    note = {
        "version": 1,
        "directory": directory,
        "made": bool(directory) and not os.path.isdir(directory),
        "hosts_file": os.path.abspath(wanted.hosts_file) if wanted.hosts_file else "",
    }
    whole.write(os.path.join(place.path, _NOTE), json.dumps(note).encode())
    _write(note, lab, owner)


def refresh(place: LabDir, lab: LabSpec, owner: str) -> None:
    """Write again what was asked for when the lab was made, now that it is another one."""
    note = _noted(place)
    if note:
        _write(note, lab, owner)


def remove(place: LabDir) -> None:
    """Remove what was written, whatever of it is there."""
    note = _noted(place)
    if not note:
        return
    if note["hosts_file"]:
        with _hosts_locked():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(_aside(note["hosts_file"]))
            _replace_block(note["hosts_file"], place.name, "")
    if note["directory"]:
        for path in (os.path.join(note["directory"], name) for name in _names()):
            for each in (path, _aside(path)):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(each)
        if note["made"]:
            with contextlib.suppress(OSError):  # somebody keeps something in it
                os.rmdir(note["directory"])
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(place.path, _NOTE))


def _names() -> tuple[str, ...]:
    return clab_outputs.TOPOLOGY_DATA, clab_outputs.ANSIBLE, clab_outputs.NORNIR


def _noted(place: LabDir) -> dict[str, Any] | None:
    try:
        with open(os.path.join(place.path, _NOTE), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None  # (a note that is cut short was not complete before anything was written)
    return found


def _write(note: dict[str, Any], lab: LabSpec, owner: str) -> None:
    if directory := note["directory"]:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory)
            for name, text in clab_outputs.texts(lab, directory, owner).items():
                _put(os.path.join(directory, name), text.encode(), 0o644, (os.getuid(), os.getgid()))
        except OSError as error:
            raise LabctlError(
                "cannot-write", f"{error.filename or directory}: {(error.strerror or '').lower()}"
            ) from None
    if note["hosts_file"]:
        with _hosts_locked():
            _replace_block(note["hosts_file"], lab.name, clab_outputs.hosts_block(lab))


@contextlib.contextmanager
def _hosts_locked() -> Iterator[None]:
    os.makedirs(os.path.dirname(_LOCK), exist_ok=True)
    fd = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _replace_block(path: str, lab: str, block: str) -> None:
    """The file without the lab's lines, and with the new ones at its end."""
    try:
        old = _read(path)
    except LabctlError:
        if block:
            raise
        return
    begin, end = clab_outputs.marks(lab)
    kept: list[str] = []
    inside = False
    for line in old.splitlines(keepends=True):
        word = line.rstrip("\r\n")
        inside = inside or word == begin
        if not inside:
            kept.append(line)
        if word == end:
            inside = False
    if inside:
        raise LabctlError(
            "would-overwrite",
            f"{path}: `{begin}` has no `{end}` after it",
            hint="put the end mark back where the lab's lines end",
        )
    if block and kept and not kept[-1].endswith("\n"):
        kept.append("\n")
    new = "".join(kept) + block
    if new != old:
        _store(path, new)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read(_LARGEST_HOSTS)
    except OSError as error:
        raise LabctlError(
            "file-not-found",
            f"cannot read the hosts file: {(error.strerror or '').lower()}",
            where=Span(path),
        ) from None


def _aside(path: str) -> str:
    """Where a file is written before it takes its place: a name that `remove` finds again after a crash."""
    directory, name = os.path.split(os.path.realpath(path))
    return os.path.join(directory, f".{name}.labctl")


def _put(path: str, data: bytes, mode: int, owner: tuple[int, int]) -> None:
    """The file is there in one piece, or as it was."""
    aside = _aside(path)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(fd, mode)
            os.fchown(fd, *owner)
            os.fsync(fd)
        os.rename(aside, os.path.realpath(path))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


def _store(path: str, text: str) -> None:
    """In one piece; where nothing can be put in the file's place (it is mounted there), in place."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        was = os.stat(path)
        _put(path, data, stat.S_IMODE(was.st_mode), (was.st_uid, was.st_gid))
    except OSError:
        try:
            with open(path, "r+b") as file:
                file.write(data)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LabctlError("cannot-write", f"{path}: {(error.strerror or '').lower()}") from None
