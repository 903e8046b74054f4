"""Where labs live on this machine, who may change one, and what labctl wrote down about it.

The one rule: the record (`lab.json`, synced to disk) exists before the first thing of a lab is touched and is the last
thing to go. So whatever a crash leaves, a record or at least the lab's directory names it, and `destroy` needs nothing
else. Directories are named by the boot: after a reboot nothing of the kernel's part is left, and two kernels that share
a disk never see each other's labs.

Changing a lab takes its `flock`. Helpers that labctl runs inherit the descriptor, so the lock outlives a killed labctl
for exactly as long as its stray children still work.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from labctl import names
from labctl.errors import LabctlError, did_you_mean
from labctl.linux import mounts
from labctl.model.lab import LabSpec
from labctl.runtime import codec

DEFAULT_ROOT = "/var/lib/labctl"
RECORD_VERSION = 1


class Phase(StrEnum):
    """What labctl was doing with the lab when it last wrote the record."""

    DEPLOYING = "deploying"
    RUNNING = "running"
    APPLYING = "applying"  # from `Record.lab` to the last of `Record.targets`
    DESTROYING = "destroying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a lab. `devices` names what stands in the panel: port or node -> device name.

    While it is changed, `lab` is as far as that has come, `targets` is what it is to be (the last one) and what changes
    that were interrupted wanted before, and `pending` are nodes that are being made.
    """

    lab: LabSpec
    runtime: str
    phase: Phase
    created: str = ""  # ISO 8601, UTC
    owner: str = ""
    devices: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)  # node -> digest
    bound: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # see `labctl.runtime.bound`
    targets: tuple[LabSpec, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def target(self) -> LabSpec:
        """What the lab is to be."""
        return self.targets[-1] if self.targets else self.lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One state root on one boot of one kernel."""

    root: str
    boot: str

    @staticmethod
    def here(root: str | None = None) -> Instance:
        """The instance of this process: `LABCTL_STATE`, else /var/lib/labctl."""
        place = root or os.environ.get("LABCTL_STATE") or DEFAULT_ROOT
        if any(char in os.path.realpath(place) for char in ",:\\"):
            raise LabctlError(
                "bad-value",
                f"labs cannot be kept in {place}: overlayfs takes no path with `,`, `:` or a backslash",
                hint="LABCTL_STATE names another directory",
            )
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return Instance(root=os.path.realpath(place), boot=file.read().strip())

    @property
    def tag(self) -> str:
        """8 hex digits that name this instance outside its directory (in cgroups)."""
        return hashlib.sha256(f"{self.root}\0{self.boot}".encode()).hexdigest()[:8]

    @property
    def labs_dir(self) -> str:
        return os.path.join(self.root, "boots", self.boot, "labs")

    @property
    def cgroup(self) -> str:
        return f"labctl-{self.tag}"

    def lab(self, name: str) -> LabDir:
        """The place of a lab, whether it exists or not. Its name becomes a path, so `bad-name` for what is none."""
        names.check_lab(name)
        return LabDir(instance=self, name=name)

    def labs(self) -> list[LabDir]:
        """Every lab that has a directory, sorted by name: also half-made and half-removed ones."""
        try:
            there = sorted(entry.name for entry in os.scandir(self.labs_dir) if entry.is_dir())
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise _no_state(self.root, error) from None
        except PermissionError:
            raise LabctlError(
                "no-root",
                f"the labs of this machine belong to root ({self.labs_dir})",
                hint="run the same command with sudo",
            ) from None
        return [LabDir(instance=self, name=name) for name in there]

    def elsewhere(self) -> list[LabDir]:
        """Labs of other boots: of this kernel before it was started again, or of another one that shares the disk.

        Their namespaces, cables and processes went with their kernel. What is here is files, and nothing can be healed.
        """
        boots = os.path.dirname(os.path.dirname(self.labs_dir))
        with contextlib.suppress(OSError):
            others = sorted(name for name in os.listdir(boots) if name != self.boot)
            return [lab for boot in others for lab in replace(self, boot=boot).labs()]
        return []

    def lab_exists(self, name: str) -> bool:
        return name in {lab.name for lab in self.labs()}

    def find(self, name: str | None) -> LabDir:
        """The lab called `name`; without a name the only one. Errors list what there is."""
        there = [lab.name for lab in self.labs()]
        if name is None:
            if len(there) == 1:
                return self.labs()[0]
            if not there:
                raise LabctlError("no-lab", "no lab is running", hint="start one with `labctl deploy FILE`")
            raise LabctlError(
                "no-lab",
                f"{len(there)} labs are running: {', '.join(there)}",
                hint="choose one with `-l LAB`",
            )
        if name not in there and any(lab.name == name for lab in self.elsewhere()):
            raise LabctlError(
                "lab-gone",
                f"lab {name!r} ran on another boot or kernel: nothing of it is here but its files",
                hint=f"`labctl destroy {name} --yes` removes them, `labctl deploy` makes the lab anew",
            )
        if name not in there:
            raise LabctlError(
                "no-lab", f"no lab is called {name!r}", hint=did_you_mean(name, there) or "no lab is running"
            )
        return self.lab(name)

    def prune(self) -> None:
        """Remove directories that became empty; never fails because somebody is using them."""
        boot = os.path.dirname(self.labs_dir)
        for directory in (self.labs_dir, boot, os.path.dirname(boot)):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDir:
    """The directory of one lab. Every path and name of what belongs to it comes from here."""

    instance: Instance
    name: str

    @staticmethod
    def at(path: str) -> LabDir:
        """The lab whose directory is `path`; the inverse of `path`."""
        labs_dir, name = os.path.split(os.path.abspath(path))
        boot_dir = os.path.dirname(labs_dir)
        root = os.path.dirname(os.path.dirname(boot_dir))
        return LabDir(instance=Instance(root=root, boot=os.path.basename(boot_dir)), name=name)

    @property
    def path(self) -> str:
        return os.path.join(self.instance.labs_dir, self.name)

    @property
    def record_file(self) -> str:
        return os.path.join(self.path, "lab.json")

    @property
    def lock_file(self) -> str:
        return os.path.join(self.path, "lock")

    @property
    def runs_file(self) -> str:
        """Whoever plays a scenario on the lab shares a lock of it."""
        return os.path.join(self.path, "runs")

    @property
    def ns_dir(self) -> str:
        return os.path.join(self.path, "ns")

    @property
    def panel_ns(self) -> str:
        """The panel's namespace. It stands beside the nodes', so no node name can collide with it."""
        return os.path.join(self.ns_dir, "panel")

    def node_ns(self, node: str) -> str:
        return os.path.join(self.ns_dir, "nodes", node)

    def node_dir(self, node: str) -> str:
        return os.path.join(self.path, "nodes", node)

    def container_file(self, node: str) -> str:
        """What is known of the container that an engine made for a node."""
        return os.path.join(self.node_dir(node), "container.json")

    def container_id(self, node: str) -> str:
        """12 hex digits: an engine's id where there is one, else like it; node names may hold characters that runc refuses."""
        with (
            contextlib.suppress(OSError, ValueError, KeyError),
            open(self.container_file(node), encoding="utf-8") as file,
        ):
            return str(json.load(file)["id"])[:12]
        text = f"{self.instance.tag}\0{self.name}\0{node}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def runc_dir(self) -> str:
        return os.path.join(self.path, "runc")

    @property
    def engine_file(self) -> str:
        """Names the Docker engine that the lab's containers are in; written before the first of them."""
        return os.path.join(self.path, "engine.json")

    @property
    def agent_dir(self) -> str:
        return os.path.join(self.path, "agent")

    @property
    def ledger_file(self) -> str:
        return os.path.join(self.path, "ledger.jsonl")

    @property
    def saved_dir(self) -> str:
        return os.path.join(self.path, "saved")

    @property
    def cgroup(self) -> str:
        """The lab's control group; a node's is `<this>/<node>`, the agent's `<this>/.agent`."""
        return f"{self.instance.cgroup}/{self.name}"

    @property
    def agent_cgroup(self) -> str:
        return f"{self.cgroup}/.agent"

    def node_cgroup(self, node: str) -> str:
        return f"{self.cgroup}/{node}"

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def newest(self) -> float:
        """When anything of the lab was last written, in wall time."""
        found = [0.0]
        for at, _, files in os.walk(self.path):
            for each in (at, *(os.path.join(at, name) for name in files)):
                with contextlib.suppress(OSError):
                    found.append(os.lstat(each).st_mtime)
        return max(found)

    def read(self) -> Record | None:
        """The record; None if there is none (nothing was touched yet, or everything is removed)."""
        try:
            with open(self.record_file, encoding="utf-8") as file:
                return _decode_record(json.load(file))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise LabctlError(
                "bad-record",
                f"{self.record_file}: {error}",
                hint=f"another labctl version made it; `labctl destroy {self.name} --yes` removes the lab",
            ) from error

    def need(self) -> Record:
        """The record of a lab that must be there."""
        record = self.read()
        if record is None:
            raise self._absent()
        return record

    def write(self, record: Record) -> None:
        """Replace the record; it is on disk when this returns."""
        value = {"version": RECORD_VERSION, **codec.encode(record)}
        temporary = self.record_file + ".new"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(_lines(value))
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, self.record_file)
        _sync_directory(self.path)

    def set_phase(self, phase: Phase) -> Record:
        """Write the record again with another phase."""
        record = replace(self.need(), phase=phase)
        self.write(record)
        return record

    @contextlib.contextmanager
    def lock(self, *, wait_s: float = 30.0, create: bool = False) -> Iterator[int]:
        """Hold the lab's lock; yields the descriptor that helpers inherit. `lab-busy` when someone else keeps it.

        Whoever removes a lab unlinks the lock file while holding it, so a lock counts only while the file it was
        taken on is still the one at the path.
        """
        fd = self._acquire(wait_s, create)
        try:
            if not create and self._bare():
                raise self._absent()
            yield fd
        finally:
            if self._is_lock(fd) and self._bare():
                self.remove()
            os.close(fd)

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """While this is open a scenario is played on the lab, and `apply` changes nothing. `lab-busy` during one."""
        with self._runs(fcntl.LOCK_SH) as free:
            if not free:
                raise LabctlError(
                    "lab-busy",
                    f"lab {self.name!r} is being changed by `labctl apply`",
                    hint="wait for it to finish and try again",
                )
            yield

    def plays(self) -> bool:
        """Whether a scenario is being played on the lab now. Looks only: nobody who takes the lock is in its way."""
        try:
            inode = os.stat(self.runs_file).st_ino
        except FileNotFoundError:
            return False
        with open("/proc/locks", encoding="ascii") as file:
            rows = [line.split() for line in file]
        return any(
            row[1] == "FLOCK"
            and row[3] == "READ"
            and row[5].endswith(f":{inode}")  # `apply` takes it for WRITE
            for row in rows
        )

    @contextlib.contextmanager
    def quiet(self, *, wait_s: float = 0.0) -> Iterator[None]:
        """While this is open no scenario is played. `lab-busy` if one still is after `wait_s`."""
        deadline = time.monotonic() + wait_s
        with contextlib.ExitStack() as held:
            while not held.enter_context(self._runs(fcntl.LOCK_EX)):
                held.close()
                if time.monotonic() >= deadline:
                    raise LabctlError(
                        "lab-busy",
                        f"a scenario is being played on lab {self.name!r}, and a change would spoil what it measures",
                        hint="`--wait 10m` waits for its end; `labctl fault` effects outlast a change, so they need no waiting",
                    )
                time.sleep(0.1)
            yield

    @contextlib.contextmanager
    def _runs(self, kind: int) -> Iterator[bool]:
        """Whether the lock that runs share could be had at once."""
        try:
            fd = os.open(self.runs_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise self._absent() from None
        try:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)

    def _acquire(self, wait_s: float, create: bool) -> int:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                if create:
                    self._make()
                fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                if create:
                    continue  # removed between the two steps
                raise self._absent() from None
            if self._locked(fd, deadline):
                return fd
            os.close(fd)

    def _bare(self) -> bool:
        """Whether nothing but the lock is there: a lab that was never made, or has just been removed."""
        try:
            return os.listdir(self.path) == [os.path.basename(self.lock_file)]
        except FileNotFoundError:
            return False

    def _absent(self) -> LabctlError:
        return LabctlError(
            "no-lab", f"no lab is called {self.name!r}", hint="`labctl inspect --all` lists the labs"
        )

    def busy(self) -> LabctlError:
        """What to tell whoever finds the lab locked."""
        return LabctlError(
            "lab-busy",
            f"another labctl is changing lab {self.name!r}",
            hint="wait for it to finish and try again",
        )

    def _make(self) -> None:
        try:
            os.makedirs(self.instance.root, exist_ok=True)
        except OSError as error:
            raise _no_state(self.instance.root, error) from None
        at = self.instance.root
        for part in os.path.relpath(self.path, at).split(os.sep):
            at = os.path.join(at, part)
            with contextlib.suppress(FileExistsError):
                os.mkdir(at, 0o700)

    def _locked(self, fd: int, deadline: float) -> bool:
        """Take the lock on `fd`; False if the lab was removed meanwhile, so that the file is no longer its lock."""
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(fd)
                    raise self.busy() from None
                time.sleep(0.02)
        return self._is_lock(fd)

    def _is_lock(self, fd: int) -> bool:
        """Whether `fd` is the lock file that is at the path now, and not of a lab that was removed since."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.lock_file))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Remove the directory, the record and then the lock last. Nothing may be mounted below it any more."""
        left = mounts.below(self.path)
        if left:
            raise AssertionError(f"still mounted: {left}")
        last = (self.record_file, self.lock_file)
        with contextlib.suppress(FileNotFoundError):
            for entry in list(os.scandir(self.path)):
                if entry.path in last:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
        for path in last:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        with contextlib.suppress(OSError):  # already gone, or somebody is making a new lab in it
            os.rmdir(self.path)
        self.instance.prune()


def _no_state(root: str, error: OSError) -> LabctlError:
    reason = (error.strerror or str(error)).lower()
    return LabctlError(
        "cannot-write",
        f"labs cannot be kept in {root}: {reason}",
        hint="LABCTL_STATE names another directory",
    )


def _lines(value: Mapping[str, Any]) -> str:
    """JSON with a line a key: for people, and for who reads one key; json's own indentation takes ten times as long."""
    inner = (f" {json.dumps(key)}: {json.dumps(each, ensure_ascii=False)}" for key, each in value.items())
    return "{\n" + ",\n".join(inner) + "\n}\n"


def _decode_record(value: Any) -> Record:
    if not isinstance(value, dict):
        raise ValueError("not a record")  # noqa: TRY004  (one error for all that is wrong with the file)
    version = value.pop("version", None)
    if version != RECORD_VERSION:
        raise ValueError(f"version {version!r} is not {RECORD_VERSION}")
    return codec.decode(Record, value)


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
