"""What we will run: nodes, cables, management network. Shaped like containerlab's file, bound to no runtime.

A `LabSpec` is resolved: inheritance, defaults and magic variables are done, paths are absolute, every cable has a MAC
for each end. Two equal specs deploy to the same lab; runtimes add nothing of their own. `base` state of a lab (no
fault) is a function of the spec alone, see `labctl.model.effects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from labctl.errors import Span
from labctl.names import CableId, PortId, container_name


class NodeKind(StrEnum):
    """The containerlab kinds that labctl emulates."""

    LINUX = "linux"
    BRIDGE = "bridge"  # a Linux bridge inside the panel namespace: a multi-access segment
    HOST = "host"  # the machine itself; only with an explicit link to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or directory of the machine inside a node. `source` is absolute; `options` as in `docker -v` (`ro`).

    `where` is its place in the lab file (also of nodes), for errors that only a deploy can find.
    """

    source: str
    target: str
    options: tuple[str, ...] = ()
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resource limits of a node; None means unlimited. cpu in cores, memory in bytes, pids a count."""

    cpu: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node. `cmd` and `entrypoint` None keep the image's; `exec` runs inside after the start, in order."""

    name: str
    kind: NodeKind = NodeKind.LINUX
    image: str | None = None
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_files: tuple[str, ...] = ()  # absolute; only those that could not be read, which no runtime takes
    exec: tuple[str, ...] = ()
    binds: tuple[Bind, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    user: str | None = None
    hostname: str | None = None  # default: the node's name
    network_mode: str | None = None  # "none": no management interface
    mgmt_ipv4: str | None = None  # address without prefix length, from `MgmtSpec.ipv4_subnet`
    mgmt_ipv6: str | None = None
    startup_delay_s: float = 0.0
    cpus: str | None = None  # the processors it may run on, as the kernel lists them: `0-3,6`; None: any
    shm_bytes: int | None = None  # size of /dev/shm; None: 64 MiB
    tmpfs: Mapping[str, str] = field(default_factory=dict)  # directory in the node -> mount options
    limits: Limits = field(default_factory=Limits)
    where: Span | None = field(default=None, compare=False)
    sysctl_places: Mapping[str, Span] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a cable: a node's port, its MAC, and the addresses (with prefix length) to put on it."""

    port: PortId
    mac: str
    ipv4: str | None = None
    ipv6: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CableSpec:
    """A cable between two ends. MTU as containerlab's default. A stub has carrier and nobody behind: `z` is None."""

    a: End
    z: End | None
    mtu: int = 9500
    labels: Mapping[str, str] = field(default_factory=dict)
    where: Span | None = field(default=None, compare=False)

    @property
    def id(self) -> CableId:
        """Name of the cable; a stub's far end is the pseudo-node `stub`, which no lab node may be called."""
        far = self.z.port if self.z else PortId("stub", f"{self.a.port.node}.{self.a.port.interface}")
        return CableId.of(self.a.port, far)

    @property
    def ends(self) -> tuple[End, ...]:
        return (self.a, self.z) if self.z else (self.a,)


@dataclass(frozen=True, slots=True, kw_only=True)
class MgmtSpec:
    """The management network: eth0 of every node, on a bridge in the panel namespace, with no host address."""

    network: str = "clab"
    ipv4_subnet: str = "172.20.20.0/24"
    ipv6_subnet: str = "3fff:172:20:20::/64"
    mtu: int = 1500
    ipv4_range: str | None = None  # within the subnet; nodes that name no address get one of these
    ipv6_range: str | None = None
    ipv4_gateway: str | None = None  # an address that no node gets
    ipv6_gateway: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSpec:
    """A whole lab. Nodes are sorted by name (containerlab's order), cables are in file order."""

    name: str
    prefix: str = "clab"
    nodes: tuple[NodeSpec, ...] = ()
    cables: tuple[CableSpec, ...] = ()
    mgmt: MgmtSpec = field(default_factory=MgmtSpec)
    source: str = ""  # absolute path of the file it came from

    def node(self, name: str) -> NodeSpec:
        """The node of that name; KeyError if there is none (callers check names at the edge)."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def cable(self, cable: CableId) -> CableSpec:
        for each in self.cables:
            if each.id == cable:
                return each
        raise KeyError(str(cable))

    def container(self, node: str) -> str:
        return container_name(self.prefix, self.name, node)
