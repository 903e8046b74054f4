"""Which sysctls a node can have of its own, found out before a lab is touched.

Most of /proc/sys is the machine's: a node that set it would set it for everybody, so runc refuses it, halfway through a
deploy. What belongs to a node is what its network, IPC and UTS namespaces keep. For those that the kernel's
documentation and the kernel agree on there is a table; of `net.*` only the kernel knows (`net.core.rmem_max` is of the
machine, `net.ipv4.ip_forward` of the namespace, and it changes with the version), so each is written in namespaces made
for the purpose, which also tells whether its value is taken. An interface that is not there yet is tried as `default`.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping

from labctl.errors import LabctlError, did_you_mean
from labctl.linux import netns, trial
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.runtime import mgmt

#: What the IPC and UTS namespaces keep, as runc takes it; besides `net.*` and `fs.mqueue.*`.
KERNEL = frozenset(
    f"kernel.{name}"
    for name in ("domainname", "msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)  # fmt: skip
_ROOT = "/proc/sys/"
_ABSENT = "absent"
_ALWAYS_THERE = ("all", "default", "lo")


def dotted(key: str) -> str:
    """The key as runc knows it: `kernel/sem` and `kernel.sem` are one. Not for names that have dots themselves."""
    return netns.sysctl_file(key).removeprefix(_ROOT).replace("/", ".")


def wrong(lab: LabSpec) -> Iterator[LabctlError]:
    """Every sysctl of the lab's nodes that would not be taken, with its place."""
    tried: dict[str, Mapping[str, str]] = {}  # what nodes have in common is tried once
    for node in lab.nodes:
        if node.kind is not NodeKind.LINUX or not node.sysctls:
            continue
        mine = {key: value for key, value in node.sysctls.items() if _of_a_node(key)}
        files = {key: (_stand_in(key), value) for key, value in mine.items()}
        question = json.dumps(sorted(files.values()))
        if question not in tried:
            tried[question] = _refused(dict(files.values()))
        for key in node.sysctls:
            if key not in mine:
                yield _of_the_machine(node, key)
            elif (device := _device(key)) and device not in (known := _devices(lab, node)):
                yield _no_device(node, key, device, known)
            elif files[key][0] in tried[question]:
                yield _not_taken(node, key, tried[question][files[key][0]])


def not_taken(node: NodeSpec, key: str, reason: str) -> LabctlError:
    """The kernel does not take the value."""
    return LabctlError(
        "bad-sysctl",
        f"node {node.name!r}: this kernel does not take sysctl {key}={node.sysctls[key]}: {reason}",
        where=node.sysctl_places.get(key, node.where),
        hint="remove it from the node's `sysctls`, or use a kernel that has it",
    )


def _not_taken(node: NodeSpec, key: str, reason: str) -> LabctlError:
    if reason != _ABSENT:
        return not_taken(node, key, reason)
    if os.path.exists(_stand_in(key)):
        return _of_the_machine(node, key)
    return LabctlError(
        "bad-sysctl",
        f"node {node.name!r}: this kernel has no sysctl {key}",
        where=node.sysctl_places.get(key, node.where),
        hint="remove it from the node's `sysctls`, or use a kernel that has it",
    )


def _of_the_machine(node: NodeSpec, key: str) -> LabctlError:
    if dotted(key) == "kernel.hostname":
        said, hint = "runc sets the host name itself", f"`hostname: {node.sysctls[key]}` says the same"
    else:
        said = "it belongs to the whole machine, nodes have none of their own"
        hint = f"remove it from the node's `sysctls`; `sysctl -w {dotted(key)}=…` sets it for the machine"
    return LabctlError(
        "bad-sysctl",
        f"node {node.name!r}: sysctl {key}: {said}",
        where=node.sysctl_places.get(key, node.where),
        hint=hint,
    )


def _no_device(node: NodeSpec, key: str, device: str, known: list[str]) -> LabctlError:
    return LabctlError(
        "bad-sysctl",
        f"node {node.name!r}: sysctl {key}: the node has no interface {device!r} when it starts",
        where=node.sysctl_places.get(key, node.where),
        hint=did_you_mean(device, known),
    )


def _of_a_node(key: str) -> bool:
    name = dotted(key)
    return name.startswith(("net.", "fs.mqueue.")) or name in KERNEL


def _device(key: str) -> str | None:
    """The interface that a sysctl is about: `net.ipv4.conf.eth1.rp_filter`; a dot in its name is written `/`."""
    parts = netns.sysctl_file(key).removeprefix(_ROOT).split("/")
    named = len(parts) > 4 and parts[0] == "net" and parts[2] in ("conf", "neigh")
    return parts[3] if named else None


def _stand_in(key: str) -> str:
    """The file to try: that of an interface which is in every namespace."""
    path = netns.sysctl_file(key)
    device = _device(key)
    if device is None or device in _ALWAYS_THERE:
        return path
    parts = path.removeprefix(_ROOT).split("/")
    found = (_ROOT + "/".join((*parts[:3], other, *parts[4:])) for other in ("default", "lo"))
    return next((file for file in found if os.path.exists(file)), path)


def _devices(lab: LabSpec, node: NodeSpec) -> list[str]:
    ports = [e.port.interface for cable in lab.cables for e in cable.ends if e.port.node == node.name]
    return [*_ALWAYS_THERE, *((mgmt.INTERFACE,) if mgmt.managed(node) else ()), *ports]


def _refused(files: Mapping[str, str]) -> Mapping[str, str]:
    """file -> why it is not taken, by writing it in namespaces that end with the attempt."""

    def work() -> str:
        said: dict[str, str] = {}
        for path, value in files.items():
            try:
                with open(path, "w", encoding="ascii") as file:
                    file.write(value)
            except OSError as error:
                said[path] = _ABSENT if error.errno == errno.ENOENT else error.strerror or str(error)
        return json.dumps(said)

    if not files:
        return {}
    done = trial.attempt(work, also=trial.CLONE_NEWIPC | trial.CLONE_NEWUTS)
    if not done.ok:
        raise LabctlError("kernel-missing", f"sysctls cannot be tried in namespaces: {done.said}")
    found: Mapping[str, str] = json.loads(done.said)
    return found
