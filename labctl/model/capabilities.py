"""The kernel's capabilities (linux/capability.h): which a node may have, and which it has when it is not privileged.

A node that is `privileged`, as nodes are unless said otherwise, has everything that it may do to itself. One that is not has
Docker's defaults and what its file adds. What reaches the machine no node gets, whatever its file says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: name -> number. Everything a node may do to itself.
OF_NODES: Mapping[str, int] = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_BROADCAST": 11,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_IPC_OWNER": 15,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,  # zebra insists on it
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_TTY_CONFIG": 26,
    "CAP_MKNOD": 27,
    "CAP_LEASE": 28,
    "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
    "CAP_BPF": 39,
}
#: name -> number. What reaches the machine.
OF_NO_NODE: Mapping[str, int] = {
    "CAP_DAC_READ_SEARCH": 2,  # opens files by handle
    "CAP_LINUX_IMMUTABLE": 9,
    "CAP_SYS_MODULE": 16,
    "CAP_SYS_RAWIO": 17,
    "CAP_SYS_PACCT": 20,
    "CAP_SYS_BOOT": 22,
    "CAP_SYS_TIME": 25,
    "CAP_AUDIT_CONTROL": 30,
    "CAP_MAC_OVERRIDE": 32,
    "CAP_MAC_ADMIN": 33,
    "CAP_SYSLOG": 34,
    "CAP_WAKE_ALARM": 35,
    "CAP_BLOCK_SUSPEND": 36,
    "CAP_AUDIT_READ": 37,
    "CAP_PERFMON": 38,
    "CAP_CHECKPOINT_RESTORE": 40,
}
#: What a container has that nobody has said anything about (Docker's list).
_DEFAULTS = frozenset(
    f"CAP_{name}"
    for name in (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    )
)  # fmt: skip
ALL = "ALL"


def full_name(said: str) -> str:
    """`net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are one, as for Docker."""
    name = said.upper()
    return name if name == ALL or name.startswith("CAP_") else f"CAP_{name}"


def of(*, privileged: bool, added: Iterable[str]) -> Mapping[str, int]:
    """What a node has. added: full names, or `ALL`."""
    added = frozenset(added)
    if privileged or ALL in added:
        return OF_NODES
    return {name: bit for name, bit in OF_NODES.items() if name in _DEFAULTS or name in added}
