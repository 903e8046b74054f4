"""A node as a Docker container: what the engine is asked to create, a pure function of node, image and places.

The same node as `runtime.bundle` makes for runc: its capabilities, what of /proc and /sys is hidden or read-only, its
files in /etc, its environment. Names and labels are containerlab's, so that its users find their way, and one label of ours
says whose container it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from labctl.model.lab import LabSpec, Limits, NodeSpec
from labctl.runtime import bundle, docker_gate
from labctl.runtime.bundle import User
from labctl.runtime.device_files import Found
from labctl.runtime.images import Image

#: The instance (`runtime.store.Instance.tag`) that a container belongs to.
INSTANCE_LABEL = "labctl-instance"
LAB_LABEL, NODE_LABEL = "containerlab", "clab-node-name"
#: CAP_BPF is newer than engines that are in use, and part of CAP_SYS_ADMIN.
_UNKNOWN_TO_ENGINES = frozenset({"CAP_BPF"})
#: What a lab's control group allows beside what runc's nodes have: engines list the console and FUSE for every container.
DEVICE_RULES = (*bundle.DEVICE_RULES, "c 5:1 rwm", "c 10:229 rwm")
_SHM = 64 << 20
#: Engines cannot lift a memory limit (0 leaves it, -1 is refused); the largest that kernels count is none to them.
_ALL_MEMORY = (1 << 63) - 4096
#: Files of its own that a node's /etc has, by name; they lie in `<home>/etc`.
ETC = ("hostname", "hosts", "resolv.conf")
_RATES: Mapping[str, str] = {
    "read_bps": "BlkioDeviceReadBps",
    "write_bps": "BlkioDeviceWriteBps",
    "read_iops": "BlkioDeviceReadIOps",
    "write_iops": "BlkioDeviceWriteIOps",
}


def dropped(node: NodeSpec) -> tuple[int, ...]:
    """What a command that enters a node drops, so that it has what the node has."""
    unknown = {bundle.CAPABILITIES[name] for name in _UNKNOWN_TO_ENGINES}
    return tuple(sorted(unknown.union(bundle.dropped(node))))


def marks(tag: str, lab: str, node: str | None = None) -> list[str]:
    """The labels by which the containers of a lab are found, or of a node of it. tag: the instance whose it is."""
    of_node = [f"{NODE_LABEL}={node}"] if node is not None else []
    return [f"{LAB_LABEL}={lab}", f"{INSTANCE_LABEL}={tag}", *of_node]


def labels(lab: LabSpec, node: NodeSpec, *, tag: str, home: str, owner: str) -> dict[str, str]:
    """containerlab's labels, the node's own, and ours."""
    long = lab.container(node.name)
    return {
        **node.labels,
        LAB_LABEL: lab.name,
        NODE_LABEL: node.name,
        "clab-node-longname": long,
        "clab-node-kind": node.kind.value,
        "clab-node-type": "",
        "clab-node-group": node.group,
        "clab-node-lab-dir": home,
        "clab-topo-file": lab.source,
        "clab-mgmt-net-bridge": "",
        "clab-owner": owner,
        INSTANCE_LABEL: tag,
    }


def body(
    lab: LabSpec,
    node: NodeSpec,
    image: Image,
    *,
    reference: str,
    who: User,
    program: str,
    home: str,
    netns: str,
    gate: str,
    cgroup_parent: str,
    tag: str,
    owner: str,
    nofile: int,
    held: int,
    tun: bool,
    disks: Sequence[str] = (),
    devices: Sequence[Found] = (),
) -> dict[str, Any]:
    """What `POST /containers/create` takes.

    reference: the image as the engine knows it. program: the first word of the node's command, as a path. held: the capabilities this process has itself, as a bit mask.
    cgroup_parent: empty where the engine decides (systemd's driver). nofile: descriptors.
    disks: those that its files are on, `/dev/sda`. devices: those that its file asks for.
    """
    return {
        "Image": reference,
        "Hostname": node.hostname or node.name,
        "User": f"0:{who.gid}",
        "Entrypoint": list(docker_gate.entrypoint(who.uid)),
        "Cmd": [program, *bundle.argv(node, image)[1:]],
        "Env": [f"{name}={value}" for name, value in bundle.environment(lab, node, image).items()],
        "WorkingDir": image.workdir or "/",
        "OpenStdin": True,  # a shell that is the node's command waits for input and never sees its end
        "StopSignal": "SIGKILL",
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": labels(lab, node, tag=tag, home=home, owner=owner),
        "HostConfig": {
            "NetworkMode": "none",
            "CgroupParent": cgroup_parent,
            "CgroupnsMode": "private",
            "IpcMode": "private",
            "CapDrop": ["ALL"],
            "CapAdd": sorted(
                name
                for name, bit in bundle.allowed(node).items()
                if held >> bit & 1 and name not in _UNKNOWN_TO_ENGINES
            ),
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
            "GroupAdd": [str(group) for group in who.groups],
            "Mounts": _mounts(node, home=home, netns=netns, gate=gate),
            "Tmpfs": {"/tmp": "exec,nosuid,nodev,mode=1777", **node.tmpfs},
            "MaskedPaths": list(bundle.MASKED),
            "ReadonlyPaths": [*bundle.READ_ONLY, *bundle.machine_devices()],
            "Ulimits": [{"Name": "nofile", "Soft": nofile, "Hard": nofile}],
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "2"}},
            "Devices": _devices(devices, tun=tun),
            "Sysctls": bundle.not_of_the_network(node),
            "ShmSize": _SHM if node.shm_bytes is None else node.shm_bytes,
            "CpusetCpus": node.cpus or "",
            **limited(node.limits),
            **throttled(node.limits, disks),
        },
    }


def limited(limits: Limits, *, there: bool = False) -> dict[str, int]:
    """Limits as the engine has them. That there is none is said in one way to a new container, in others to one that is `there`."""
    cpu, memory, pids = limits.cpu, limits.memory_bytes, limits.pids
    none, all_memory = (-1, _ALL_MEMORY) if there else (0, 0)
    return {
        "CpuPeriod": 100_000,
        "CpuQuota": none if cpu is None else round(cpu * 100_000),
        "Memory": all_memory if memory is None else memory,
        "MemorySwap": none if memory is None else memory,
        "PidsLimit": none if pids is None else pids,
    }


def throttled(limits: Limits, disks: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The limits of input and output on these disks. An engine takes them for a container that it creates, never later."""
    return {
        _RATES[name]: [{"Path": disk, "Rate": rate} for disk in disks]
        for name, rate in limits.rates.items()
        if rate is not None and disks
    }


def _devices(asked: Sequence[Found], *, tun: bool) -> list[dict[str, str]]:
    files = {bundle.TUN: (bundle.TUN, "rwm")} if tun else {}
    files |= {each.target: (each.source, each.access) for each in asked}
    return [
        {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}
        for target, (source, access) in files.items()
    ]


def _mounts(node: NodeSpec, *, home: str, netns: str, gate: str) -> list[Mapping[str, Any]]:
    """/sys shows the network namespace that it was mounted in, so it is mounted outside, in the node's."""
    found = [
        _bind(netns, docker_gate.NAMESPACE, read_only=True),
        _bind(gate, docker_gate.PROGRAM, read_only=True),
        _bind(os.path.join(home, "sys"), "/sys"),
        _bind(os.path.join(home, "run"), "/run"),
        *(_bind(os.path.join(home, "etc", name), f"/etc/{name}") for name in ETC),
    ]
    asked = [_bind(b.source, b.target, read_only="ro" in b.options) for b in node.binds]
    targets = {*(each["Target"] for each in asked), *node.tmpfs}
    return [*(each for each in found if each["Target"] not in targets), *asked]


def _bind(source: str, target: str, *, read_only: bool = False) -> Mapping[str, Any]:
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }
