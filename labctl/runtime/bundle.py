"""A node as an OCI bundle: the configuration that `runc` takes, as a pure function of node, image and places.

A node is as privileged as containerlab's are *inside*: it configures its interfaces, mounts, traces, runs its own
namespaces. What leads out is kept from it: no device of the machine (but see `runtime.device_files`), no kernel modules, no
clock, no raw I/O, the machine's part of /proc/sys and /sys read-only; its network namespace is the only one it ever sees, and
of the control groups it sees its own, so there is no `release_agent` in what it can mount. That keeps mistakes in, not
attackers: with CAP_SYS_ADMIN, which FRR needs, a node can mount a writable /proc, and lift the limits of its own group.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.model import capabilities
from labctl.model.lab import LabSpec, Limits, NodeKind, NodeSpec
from labctl.runtime import mgmt, sysctls
from labctl.runtime.device_files import Found
from labctl.runtime.images import Image

#: name -> number (linux/capability.h). Everything a node may do to itself.
CAPABILITIES: Mapping[str, int] = capabilities.OF_NODES
LAST_CAPABILITY = 40

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What needs no proxy in any lab.
_LOCAL = ("localhost", "127.0.0.1", "::1", "*.local")

MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware")
#: /proc/sys/net and /sys/devices/virtual/net stay writable: they are the node's own.
READ_ONLY = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sysrq-trigger",
    "/proc/sys/dev",
    "/proc/sys/fs",
    "/proc/sys/kernel",
    "/proc/sys/vm",
    "/sys/block",
    "/sys/bus",
    "/sys/dev",
    "/sys/fs",
    "/sys/kernel",
    "/sys/module",
    "/sys/power",
)
_DEVICES = (("c", 1, 3), ("c", 1, 5), ("c", 1, 7), ("c", 1, 8), ("c", 1, 9), ("c", 5, 0), ("c", 5, 2))
TUN, _TUN = "/dev/net/tun", (10, 200)
_PTS = 136
#: What all nodes of a lab may use at most, as a v1 control group writes it; runc lets every node make any device file.
DEVICE_RULES: tuple[str, ...] = (
    "b *:* m",
    "c *:* m",
    *(f"{kind} {major}:{minor} rwm" for kind, major, minor in (*_DEVICES, ("c", *_TUN))),
    f"c {_PTS}:* rwm",
)
#: Only these reach a mount; the rest of docker's `-v` options is about SELinux labels and propagation.
_BIND_OPTIONS = ("ro", "rw", "noexec", "nosuid", "nodev")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who the node's first process is."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


def allowed(node: NodeSpec) -> Mapping[str, int]:
    """The capabilities of a node, name -> number."""
    return capabilities.of(privileged=node.privileged, added=node.cap_add)


def dropped(node: NodeSpec) -> tuple[int, ...]:
    """What a command that enters a node drops, so that it has what the node has."""
    return tuple(sorted(set(range(LAST_CAPABILITY + 1)) - set(allowed(node).values())))


def argv(node: NodeSpec, image: Image) -> tuple[str, ...]:
    """Docker's rule: a node's entrypoint replaces the image's and drops the image's command."""
    if node.entrypoint is not None:
        return (*node.entrypoint, *(node.cmd or ()))
    return (*image.entrypoint, *(image.cmd if node.cmd is None else node.cmd))


def environment(lab: LabSpec, node: NodeSpec, image: Image) -> dict[str, str]:
    """The image's environment, containerlab's variables, then the node's own."""
    return {"PATH": PATH, **dict(image.env), **told(lab, node)}


def told(lab: LabSpec, node: NodeSpec) -> dict[str, str]:
    """The part of the environment that the lab file says."""
    ports = sum(end.port.node == node.name for cable in lab.cables for end in cable.ends)
    return {
        "HOSTNAME": node.hostname or node.name,
        "CLAB_INTFS": str(ports),
        **{f"CLAB_LABEL_{_variable(key)}": value for key, value in node.labels.items()},
        **node.env,
        **dict.fromkeys(("no_proxy", "NO_PROXY"), _no_proxy(lab, node)),
    }


def _no_proxy(lab: LabSpec, node: NodeSpec) -> str:
    """What is not asked for through a proxy, as containerlab 0.79 writes it: what the node says, or the machine's own names;
    then the lab's nodes, the addresses that the file names and the management subnets, sorted.
    """
    said = next((node.env[name] for name in ("no_proxy", "NO_PROXY") if name in node.env), None)
    first = [said] if said else []
    first += [each for each in _LOCAL if each not in (said or "")]  # as a part of an entry as well
    return ",".join([*first, _names(_Same(lab))])


class _Same:
    """A lab that is equal to itself alone: a lab's hash would be that of all that is in it."""

    __slots__ = ("lab",)

    def __init__(self, lab: LabSpec) -> None:
        self.lab = lab

    def __hash__(self) -> int:
        return id(self.lab)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.lab is other.lab


@functools.lru_cache(maxsize=4)
def _names(of: _Same) -> str:
    """Nodes, addresses and subnets of the lab. Found out once for all its nodes: each of a thousand names a thousand."""
    lab = of.lab
    found = [name for each in lab.nodes for name in (each.name, *mgmt.named(each))]
    found += [subnet for subnet in (lab.mgmt.ipv4_subnet, lab.mgmt.ipv6_subnet) if subnet]
    return ",".join(sorted(found))


def user(wanted: str, rootfs: str) -> User:
    """`""`, `frr`, `101`, `frr:frrvty`, `101:101` as the image's own passwd and group files define them."""
    name, _, group = (wanted or "root").partition(":")
    passwd = _colon_file(rootfs, "etc/passwd")
    groups = _colon_file(rootfs, "etc/group")
    row = next((r for r in passwd if len(r) > 3 and name in (r[0], r[2])), None)
    if row is None and not name.isdigit():
        raise KeyError(name)
    uid = int(row[2]) if row else int(name)
    gid = int(row[3]) if row else 0
    if group:
        found = next((r for r in groups if len(r) > 2 and group in (r[0], r[2])), None)
        if found is None and not group.isdigit():
            raise KeyError(group)
        return User(uid=uid, gid=int(found[2]) if found else int(group))
    member = tuple(int(r[2]) for r in groups if len(r) > 3 and row and row[0] in r[3].split(","))
    return User(uid=uid, gid=gid, groups=member)


def config(
    lab: LabSpec,
    node: NodeSpec,
    image: Image,
    *,
    who: User,
    rootfs: str,
    netns: str,
    cgroup: str,
    nofile: int,
    tun: bool,
    held: int,
    disks: Sequence[str] = (),
    devices: Sequence[Found] = (),
) -> dict[str, Any]:
    """`config.json` of the node's bundle. `held`: the capabilities this process has itself, as a bit mask. disks: those that
    its files are on, `8:0`. devices: those that its file asks for.
    """
    may = sorted(name for name, bit in allowed(node).items() if held >> bit & 1)
    effective = may if who.uid == 0 else []
    return {
        "ociVersion": "1.0.2",
        "hostname": node.hostname or node.name,
        "root": {"path": rootfs, "readonly": False},
        "process": {
            "terminal": False,
            "user": {"uid": who.uid, "gid": who.gid, "additionalGids": list(who.groups)},
            "args": list(argv(node, image)),
            "env": [f"{key}={value}" for key, value in environment(lab, node, image).items()],
            "cwd": image.workdir or "/",
            "capabilities": {
                "bounding": may,
                "effective": effective,
                "permitted": effective,
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": nofile, "soft": nofile}],
            "noNewPrivileges": False,
        },
        "mounts": [*_mounts(node), *(_bind(b.source, b.target, b.options) for b in node.binds)],
        "linux": {
            "cgroupsPath": f"/{cgroup}",
            "namespaces": [
                {"type": "pid"},
                {"type": "ipc"},
                {"type": "uts"},
                {"type": "mount"},
                {"type": "cgroup"},
                {"type": "network", "path": netns},
            ],
            "devices": _devices(devices, tun=tun),
            "resources": _resources(node, disks, devices),
            "sysctl": not_of_the_network(node),
            "maskedPaths": list(MASKED),
            "readonlyPaths": [*READ_ONLY, *machine_devices()],
        },
    }


def hosts(lab: LabSpec, node: NodeSpec) -> str:
    """/etc/hosts: the node and every other one, by short and by container name."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    if not mgmt.managed(node):
        lines.append(f"127.0.1.1 {node.hostname or node.name}")
    guests: dict[str, list[NodeSpec]] = {}  # those who are in a node's network have its address
    for each in lab.nodes:
        if each.shares and each.kind is NodeKind.LINUX:
            guests.setdefault(lab.home(each.name), []).append(each)
    for other in mgmt.nodes(lab):
        names = dict.fromkeys(
            (other.name, lab.container(other.name), f"{other.name}.{lab.name}.io", *other.aliases)
        )
        for guest in guests.get(other.name, ()):
            names |= dict.fromkeys((guest.name, *guest.aliases))
        if other.name == node.name and node.hostname:
            names[node.hostname] = None
        lines += [f"{a} {' '.join(names)}" for a in (other.mgmt_ipv4, other.mgmt_ipv6) if a]
    return "\n".join(lines) + "\n"


def resolv_conf(node: NodeSpec) -> str:
    """/etc/resolv.conf. No resolver of the machine leaks in; a lab that has one of its own says so with `dns`."""
    if node.dns is None:
        return "# the lab reaches nothing outside, so there is no resolver\n"
    lines = [f"nameserver {server}" for server in node.dns.servers]
    for word, values in (("search", node.dns.search), ("options", node.dns.options)):
        if values:
            lines.append(f"{word} {' '.join(values)}")
    return "\n".join(lines) + "\n"


_MOUNTS: tuple[dict[str, Any], ...] = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev"]},
    {
        "destination": "/run",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", "mode=755", "tmpcopyup"],
    },
    {
        "destination": "/tmp",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", "mode=1777", "tmpcopyup"],
    },
)


def _mounts(node: NodeSpec) -> Iterator[dict[str, Any]]:
    """The node's `tmpfs` takes the place of one of ours; a directory comes before what lies in it."""
    for mount in _MOUNTS:
        if mount["destination"] in node.tmpfs:
            continue
        if mount["destination"] == "/dev/shm" and node.shm_bytes is not None:
            kept = [option for option in mount["options"] if not option.startswith("size=")]
            yield mount | {"options": [*kept, f"size={node.shm_bytes}"]}
        else:
            yield mount
    for target in sorted(node.tmpfs):
        own = [option for option in node.tmpfs[target].split(",") if option]
        defaults = [word for word in ("noexec", "nosuid", "nodev") if word.removeprefix("no") not in own]
        options = list(dict.fromkeys([*defaults, *own]))
        yield {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _bind(source: str, target: str, options: Iterable[str]) -> dict[str, Any]:
    kept = [option for option in options if option in _BIND_OPTIONS]
    return {"destination": target, "type": "bind", "source": source, "options": ["rbind", "rprivate", *kept]}


def _devices(asked: Sequence[Found], *, tun: bool) -> list[dict[str, Any]]:
    """The files; where the node asks for one at the place of ours, its own."""
    own: dict[str, Any] = {"path": TUN, "type": "c", "major": _TUN[0], "minor": _TUN[1], "fileMode": 0o666}
    return [
        *([own] if tun and TUN not in {each.target for each in asked} else []),
        *(
            {
                "path": each.target, "type": "c", "major": each.major, "minor": each.minor,
                "fileMode": each.mode, "uid": each.uid, "gid": each.gid,
            }
            for each in asked
        ),
    ]  # fmt: skip


def _resources(node: NodeSpec, disks: Sequence[str], asked: Sequence[Found]) -> dict[str, Any]:
    devices = [{"allow": False, "access": "rwm"}]
    devices += [
        {"allow": True, "type": t, "major": a, "minor": b, "access": "rwm"}
        for t, a, b in (*_DEVICES, ("c", *_TUN))
    ]
    devices.append({"allow": True, "type": "c", "major": _PTS, "access": "rwm"})
    devices += [
        {"allow": True, "type": "c", "major": each.major, "minor": each.minor, "access": each.access}
        for each in asked
    ]
    found: dict[str, Any] = {"devices": devices} | limited(node.limits, disks)
    if node.cpus is not None:
        found["cpu"] = found.get("cpu", {}) | {"cpus": node.cpus}
    return found


#: The keys of `limited`.
LIMITED = frozenset({"cpu", "memory", "pids", "blockIO"})
_RATES: Mapping[str, str] = {
    "read_bps": "throttleReadBpsDevice",
    "write_bps": "throttleWriteBpsDevice",
    "read_iops": "throttleReadIOPSDevice",
    "write_iops": "throttleWriteIOPSDevice",
}


def limited(limits: Limits, disks: Sequence[str] = ()) -> dict[str, Any]:
    """Limits as a bundle has them, below `linux.resources`; those of input and output for each of these disks."""
    found: dict[str, Any] = {}
    if limits.cpu is not None:
        found["cpu"] = {"quota": round(limits.cpu * 100_000), "period": 100_000}
    if limits.memory_bytes is not None:
        found["memory"] = {"limit": limits.memory_bytes, "swap": limits.memory_bytes}
    if limits.pids is not None:
        found["pids"] = {"limit": limits.pids}
    rates = {
        _RATES[name]: [_throttled(disk, rate) for disk in disks]
        for name, rate in limits.rates.items()
        if rate is not None and disks
    }
    return found | ({"blockIO": rates} if rates else {})


def _throttled(disk: str, rate: int) -> dict[str, int]:
    major, minor = map(int, disk.split(":"))
    return {"major": major, "minor": minor, "rate": rate}


def not_of_the_network(node: NodeSpec) -> dict[str, str]:
    """The sysctls that runc sets; those of the network are the panel's."""
    named = {sysctls.dotted(key): value for key, value in node.sysctls.items()}
    return {name: value for name, value in named.items() if not name.startswith("net.")}


def machine_devices() -> list[str]:
    """/sys/devices but for the virtual ones, where the node's own interfaces are."""
    return [f"/sys/devices/{name}" for name in sorted(os.listdir("/sys/devices")) if name != "virtual"]


def _variable(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text).upper()


def _colon_file(rootfs: str, path: str) -> list[list[str]]:
    full = os.path.join(rootfs, path)
    if os.path.islink(full) or not os.path.isfile(full):
        return []
    with open(full, encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n").split(":") for line in file]
