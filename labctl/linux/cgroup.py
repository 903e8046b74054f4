"""Control groups, v1 (each controller its own tree, also "hybrid") and v2 (one tree), behind one set of functions.

A group is named by its path below the roots, such as `labctl-1f2e3d4c/dc1/r1`. On v1 the same path exists once in every
mounted hierarchy, and `delete` removes all of them, including those that a container runtime made on its own. Killing
is by group and not by pid: a process cannot leave, and it cannot outrun the kill by forking (v1: frozen meanwhile;
v2: cgroup.kill).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

PERIOD_US = 100_000
#: What v1 says for none is the largest number of pages; no machine has an exabyte.
_NO_LIMIT = 1 << 60


@cache
def roots() -> Mapping[str, str]:
    """Mounted hierarchies: controller -> root directory. A pure v2 machine has the single key `unified`."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, _, after = line.rstrip("\n").partition(" - ")
            point = before.split(" ")[4]
            fstype, _, options = after.split(" ", 2)
            if fstype == "cgroup2":
                found.setdefault("unified", point)
            elif fstype == "cgroup":
                for option in options.split(","):
                    if option.startswith("name=") or os.path.isdir(point):
                        found.setdefault(option.removeprefix("name="), point)
    for word in ("rw", "ro", "relatime", "nodev", "noexec", "nosuid", "xattr", "release_agent"):
        found.pop(word, None)
    return found


def unified() -> bool:
    """True where v2 carries the controllers (no freezer hierarchy of v1)."""
    return "freezer" not in roots()


def directories(path: str) -> list[str]:
    """Every directory of the group that exists, one per hierarchy."""
    places = dict.fromkeys(os.path.join(root, path) for root in roots().values())
    return [place for place in places if os.path.isdir(place)]


def create(path: str) -> None:
    """Create the group (and its parents) where processes are accounted; on v2 with the controllers enabled."""
    if unified():
        root = roots()["unified"]
        at = root
        for part in path.split("/"):
            _enable_controllers(at)
            at = os.path.join(at, part)
            os.makedirs(at, exist_ok=True)
        return
    for controller in ("freezer", "pids", "cpu", "memory"):
        if controller in roots():
            os.makedirs(os.path.join(roots()[controller], path), exist_ok=True)


def delete(path: str, *, timeout_s: float = 5.0) -> None:
    """Remove the group and its children in every hierarchy. They must be empty (`kill` first); absent is fine."""
    for place in directories(path):
        for directory in _deepest_first(place):
            _rmdir(directory, timeout_s)


def destroy(path: str, *, timeout_s: float = 15.0) -> int:
    """Kill everything in the group and remove it, also when something enters it meanwhile; how many were killed."""
    deadline = time.monotonic() + timeout_s
    killed = 0
    while True:
        killed += kill(path, timeout_s=timeout_s)
        try:
            delete(path, timeout_s=0.2)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        else:
            return killed


def delete_if_empty(path: str) -> None:
    """Remove the group where it has no children and no processes."""
    for place in directories(path):
        with os.scandir(place) as entries:
            if any(entry.is_dir(follow_symlinks=False) for entry in entries):
                continue
        with contextlib.suppress(OSError):  # somebody has just entered it or made a child
            _rmdir(place, 0.2)


def attach(path: str, pid: int) -> None:
    """Move a process (0: the caller) into the group, in every hierarchy where the group exists."""
    for place in directories(path):
        _write(place, "cgroup.procs", str(pid))


def pids(path: str) -> list[int]:
    """Every process in the group and its children."""
    found: dict[int, None] = {}
    for place in directories(path):
        for directory in _deepest_first(place):
            with contextlib.suppress(FileNotFoundError, OSError):
                found.update(dict.fromkeys(map(int, _read(directory, "cgroup.procs").split())))
    return [pid for pid in found if pid]


def kill(path: str, *, timeout_s: float = 10.0) -> int:
    """SIGKILL everything in the group and its children and wait until it is gone; how many processes there were.

    TimeoutError if something does not die (a process stuck in the kernel).
    """
    deadline = time.monotonic() + timeout_s
    first = pids(path)
    killed = len(first)
    remaining = first
    pause = 0.001
    while remaining:
        _kill_once(path, remaining)
        remaining = pids(path)
        if remaining and time.monotonic() > deadline:
            raise TimeoutError(f"cgroup {path}: processes {remaining} do not die")
        if remaining:
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
    return killed


def _kill_once(path: str, found: list[int]) -> None:
    if unified():
        for place in directories(path):
            with contextlib.suppress(FileNotFoundError):
                _write(place, "cgroup.kill", "1")
                return
    with contextlib.suppress(OSError):
        freeze(path, wait=False)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # A frozen process dies only once it is thawed, and a child may have been frozen on its own.
    thaw_all(path)


def freeze(path: str, *, wait: bool = True, timeout_s: float = 5.0) -> None:
    """Stop every process of the group where it stands."""
    deadline = time.monotonic() + timeout_s
    place = _freezer(path)
    if unified():
        _write(place, "cgroup.freeze", "1")
    else:
        _write(place, "freezer.state", "FROZEN")
    while wait and not frozen(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"cgroup {path} does not freeze")
        time.sleep(0.001)


def thaw(path: str) -> None:
    """Let the group's processes run again."""
    place = _freezer(path)
    if unified():
        _write(place, "cgroup.freeze", "0")
    else:
        _write(place, "freezer.state", "THAWED")


def thaw_all(path: str) -> None:
    """Thaw the group and each child; absent is fine."""
    for directory in _deepest_first(_freezer(path)):
        with contextlib.suppress(OSError):
            if unified():
                _write(directory, "cgroup.freeze", "0")
            else:
                _write(directory, "freezer.state", "THAWED")


def frozen(path: str) -> bool:
    """Whether every process of the group is stopped; False if there is no such group."""
    place = _freezer(path)
    with contextlib.suppress(FileNotFoundError):
        if unified():
            return "frozen 1" in _read(place, "cgroup.events").splitlines()
        return _read(place, "freezer.state").strip() == "FROZEN"
    return False


def limit(
    path: str, *, cpu: float | None = None, memory_bytes: int | None = None, pids: int | None = None
) -> None:
    """Set limits (cores, bytes, a count); None lifts them. The group must exist."""
    limit_cpu(path, cpu)
    limit_memory(path, memory_bytes)
    limit_pids(path, pids)


def limit_memory(path: str, limit_bytes: int | None) -> None:
    """Set only the limit of memory and swap together; None lifts it. The group must exist.

    OSError (EBUSY) if what is in use does not fit and cannot be given back: nothing is killed for it.
    """
    if unified():
        place = os.path.join(roots()["unified"], path)
        if limit_bytes is not None and _kept_bytes(place) > limit_bytes:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))  # the kernel would kill for it
        _write_if(place, "memory.max", "max" if limit_bytes is None else str(limit_bytes))
        _write_if(place, "memory.swap.max", "max" if limit_bytes is None else "0")
        return
    value = "-1" if limit_bytes is None else str(limit_bytes)
    # Memory and swap together are never less than memory alone, on the way as well.
    names = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    now = memory_limit(path)
    if limit_bytes is None or (now is not None and limit_bytes > now):
        names.reverse()
    for name in names:
        if os.path.exists(os.path.join(roots().get("memory", ""), path, name)):  # swap may not be counted
            _write_v1("memory", path, name, value)


def memory_limit(path: str) -> int | None:
    """The memory limit in bytes; None if there is none, or no such group."""
    with contextlib.suppress(FileNotFoundError):
        if unified():
            said = _read(os.path.join(roots()["unified"], path), "memory.max").strip()
            return None if said == "max" else int(said)
        if "memory" in roots():
            found = int(_read(os.path.join(roots()["memory"], path), "memory.limit_in_bytes"))
            return None if found > _NO_LIMIT else found
    return None


def memory_in_use(path: str) -> int | None:
    """Bytes that count against the memory limit; None where nobody counts."""
    with contextlib.suppress(FileNotFoundError):
        if unified():
            return int(_read(os.path.join(roots()["unified"], path), "memory.current"))
        if "memory" in roots():
            return int(_read(os.path.join(roots()["memory"], path), "memory.usage_in_bytes"))
    return None


def limit_pids(path: str, most: int | None) -> None:
    """Set only the limit of processes; None lifts it. The group must exist. What runs already goes on."""
    value = "max" if most is None else str(most)
    if unified():
        _write_if(os.path.join(roots()["unified"], path), "pids.max", value)
    else:
        _write_v1("pids", path, "pids.max", value)


def pids_limit(path: str) -> int | None:
    """The limit of processes; None if there is none, or no such group."""
    root = roots().get("unified" if unified() else "pids")
    with contextlib.suppress(FileNotFoundError):
        if root is not None:
            said = _read(os.path.join(root, path), "pids.max").strip()
            return None if said == "max" else int(said)
    return None


#: What v1 calls each rate; v2's are in one file, `io.max`.
_RATES_V1: Mapping[str, str] = {
    "read_bps": "blkio.throttle.read_bps_device",
    "write_bps": "blkio.throttle.write_bps_device",
    "read_iops": "blkio.throttle.read_iops_device",
    "write_iops": "blkio.throttle.write_iops_device",
}
_RATES_V2: Mapping[str, str] = {
    "read_bps": "rbps",
    "write_bps": "wbps",
    "read_iops": "riops",
    "write_iops": "wiops",
}


def throttles() -> bool:
    """Whether groups here can limit input and output."""
    if unified():
        return "io" in _read(roots()["unified"], "cgroup.controllers").split()
    return os.path.exists(os.path.join(roots().get("blkio", ""), _RATES_V1["read_bps"]))


def pins() -> bool:
    """Whether groups here can keep what runs in them on some processors."""
    if unified():
        return "cpuset" in _read(roots()["unified"], "cgroup.controllers").split()
    return "cpuset" in roots()


def limit_io(path: str, disk: str, rates: Mapping[str, int | None]) -> None:
    """Set what the group reads and writes per second on a disk (`8:0`): read_bps, write_bps, read_iops, write_iops; None
    lifts one. The group must exist. v1 counts what a process reads and what it writes itself (direct, fsync), v2 with the
    file systems that can also what the kernel writes for it later.
    """
    if unified():
        words = (f"{_RATES_V2[name]}={'max' if rate is None else rate}" for name, rate in rates.items())
        _write_if(os.path.join(roots()["unified"], path), "io.max", " ".join((disk, *words)))
        return
    for name, rate in rates.items():
        place = os.path.join(roots().get("blkio", ""), path)
        if "blkio" in roots() and os.path.exists(os.path.join(place, _RATES_V1[name])):
            _write(place, _RATES_V1[name], f"{disk} {rate or 0}")


def io_limits(path: str, disk: str) -> dict[str, int | None]:
    """The rates of `limit_io`; None where there is none, or no such group."""
    found: dict[str, int | None] = dict.fromkeys(_RATES_V1)
    if unified():
        with contextlib.suppress(FileNotFoundError):
            for line in _read(os.path.join(roots()["unified"], path), "io.max").splitlines():
                which, *words = line.split()
                said = dict(word.split("=") for word in words) if which == disk else {}
                found |= {
                    name: int(said[word])
                    for name, word in _RATES_V2.items()
                    if said.get(word, "max") != "max"
                }
        return found
    for name, file in _RATES_V1.items():
        with contextlib.suppress(FileNotFoundError):
            rows = (
                line.split()
                for line in _read(os.path.join(roots().get("blkio", ""), path), file).splitlines()
            )
            found[name] = next((int(rate) for which, rate in rows if which == disk), None)
    return found


def oom_kills(path: str) -> int:
    """How many processes of the group the kernel has ended for want of memory; 0 if there is no such group."""
    root, name = (
        (roots()["unified"], "memory.events") if unified() else (roots().get("memory"), "memory.oom_control")
    )
    with contextlib.suppress(FileNotFoundError):
        if root is not None:
            said = dict(line.split() for line in _read(os.path.join(root, path), name).splitlines())
            return int(said.get("oom_kill", 0))
    return 0


def _kept_bytes(place: str) -> int:
    """What the group cannot give back (v2): no page of a file on disk."""
    with contextlib.suppress(FileNotFoundError):
        said = dict(line.split() for line in _read(place, "memory.stat").splitlines())
        return sum(int(said.get(key, 0)) for key in ("anon", "shmem", "kernel_stack", "slab_unreclaimable"))
    return 0


def limit_cpu(path: str, cores: float | None) -> None:
    """Set only the CPU limit; None lifts it. The group must exist."""
    if unified():
        quota = "max" if cores is None else str(round(cores * PERIOD_US))
        _write_if(os.path.join(roots()["unified"], path), "cpu.max", f"{quota} {PERIOD_US}")
        return
    _write_v1("cpu", path, "cpu.cfs_period_us", str(PERIOD_US))
    _write_v1("cpu", path, "cpu.cfs_quota_us", "-1" if cores is None else str(round(cores * PERIOD_US)))


def cpu_limit(path: str) -> float | None:
    """The CPU limit in cores; None if there is none, or no such group."""
    with contextlib.suppress(FileNotFoundError):
        if unified():
            quota, period = _read(os.path.join(roots()["unified"], path), "cpu.max").split()
        elif "cpu" in roots():
            place = os.path.join(roots()["cpu"], path)
            quota, period = _read(place, "cpu.cfs_quota_us"), _read(place, "cpu.cfs_period_us")
        else:
            return None
        return None if quota.strip() in ("max", "-1") else int(quota) / int(period)
    return None


def confine_devices(path: str, rules: Iterable[str]) -> None:
    """Let nothing in the group or below it use other devices than these (`c 1:3 rwm`), whatever a child allows itself.

    v1 only: there a process with CAP_SYS_ADMIN can mount its own group's `devices.allow` and write to it, and only a
    parent that has less stops it. v2 has no such file; this does nothing there.
    """
    if "devices" not in roots():
        return
    place = os.path.join(roots()["devices"], path)
    os.makedirs(place, exist_ok=True)
    if _read(place, "devices.list").startswith("a "):
        _write(place, "devices.deny", "a")
    for rule in rules:
        _write(place, "devices.allow", rule)


def weigh(path: str, weight: int) -> None:
    """Its share of the CPUs beside its siblings when all are busy: 1 to 10000, 100 is what each has."""
    if unified():
        _write_if(os.path.join(roots()["unified"], path), "cpu.weight", str(weight))
    else:
        _write_v1("cpu", path, "cpu.shares", str(max(2, weight * 1024 // 100)))


def children(path: str) -> list[str]:
    """Names of the group's direct children, over all hierarchies."""
    names: dict[str, None] = {}
    for place in directories(path):
        names.update(dict.fromkeys(e.name for e in os.scandir(place) if e.is_dir(follow_symlinks=False)))
    return sorted(names)


def of_process(pid: int) -> set[str]:
    """The groups a process is in, as paths below the roots (one per hierarchy, duplicates folded)."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        return {line.rstrip("\n").split(":", 2)[2].strip("/") for line in file}


def home_of(pid: int) -> str:
    """The group that accounts for a process: the freezer's on v1, the only one on v2. ProcessLookupError if it is gone."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            rows = [line.rstrip("\n").split(":", 2) for line in file]
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    wanted = "" if unified() else "freezer"
    return next(path.strip("/") for _, kinds, path in rows if wanted in kinds.split(","))


def _freezer(path: str) -> str:
    return os.path.join(roots()["unified" if unified() else "freezer"], path)


def _deepest_first(directory: str) -> Iterator[str]:
    for at, _, _ in os.walk(directory, topdown=False):
        yield at


def _rmdir(directory: str, timeout_s: float) -> None:
    # A group whose last process has just died stays busy until it is reaped.
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


def _enable_controllers(directory: str) -> None:
    available = _read(directory, "cgroup.controllers").split()
    for controller in ("cpu", "memory", "pids", "io"):
        if controller in available:
            _write(directory, "cgroup.subtree_control", f"+{controller}")


def _write_v1(controller: str, path: str, name: str, value: str) -> None:
    if controller in roots():
        _write(os.path.join(roots()[controller], path), name, value)


def _write_if(place: str, name: str, value: str) -> None:
    if os.path.exists(os.path.join(place, name)):
        _write(place, name, value)


def _read(place: str, name: str) -> str:
    """A group that goes between the opening and the reading is not there: version 2 says ENODEV."""
    with open(os.path.join(place, name), encoding="ascii") as file:
        try:
            return file.read()
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file.name) from error


def _write(place: str, name: str, value: str) -> None:
    with open(os.path.join(place, name), "w", encoding="ascii") as file:
        file.write(value)
