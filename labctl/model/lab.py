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
from labctl.model.impairment import Impairment
from labctl.model.stages import Healthcheck, StageCommand, Wait
from labctl.names import CableId, PortId, container_name

#: What a link ends at that is no node of the lab: the machine's own network, and the management network.
MACHINE, MGMT_NET = "host", "mgmt-net"
VXLAN_PORT = 14789  # containerlab's, not the standard's 4789


class NodeKind(StrEnum):
    """The containerlab kinds that labctl emulates."""

    LINUX = "linux"
    BRIDGE = "bridge"  # a Linux bridge inside the panel namespace: a multi-access segment
    HOST = "host"  # the machine itself; only with an explicit link to it


class Restart(StrEnum):
    """Whether a node whose command has ended is started again. The last two differ for one that somebody has stopped past
    labctl (`agent.again`); a fault that takes a node's power is no end of its command.
    """

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"

    def after(self, code: int | None) -> bool:
        """Whether after this exit status; None: nobody saw it."""
        return self not in (Restart.NO, Restart.ON_FAILURE) or (self is Restart.ON_FAILURE and bool(code))


class Pull(StrEnum):
    """When an image is brought to this machine for a node."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"  # from its registry each time, also if it is here
    NEVER = "Never"  # neither pulled nor built


class Stands(StrEnum):
    """Where the end of a cable is."""

    NODE = "node"  # an interface inside a node's network
    SEGMENT = "segment"  # a port of a bridge in the panel
    MACHINE = "machine"  # an interface of the machine itself


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
class DeviceFile:
    """A device file of the machine inside a node. access: some of `rwm`, what it may be used for and whether it may be made."""

    source: str
    target: str
    access: str = "rwm"
    where: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.target}:{self.access}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resource limits of a node; None means unlimited. cpu in cores, memory in bytes, pids a count.

    What it reads and writes per second on each disk that its own files are on: bytes (bps) and operations (iops).
    """

    cpu: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    read_bps: int | None = None
    write_bps: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None

    @property
    def rates(self) -> dict[str, int | None]:
        """The limits of input and output, by their names here."""
        return {name: getattr(self, name) for name in RATES}


#: The fields of `Limits` that are about input and output.
RATES = ("read_bps", "write_bps", "read_iops", "write_iops")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dns:
    """A node's /etc/resolv.conf: addresses of name servers, domains to search, options as in resolv.conf(5)."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A port of the machine that leads to one of a node. host: an address of the machine; protocol: `tcp` or `udp`."""

    host: str
    outside: int
    inside: int
    protocol: str = "tcp"
    where: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.outside}:{self.inside}/{self.protocol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One node. `cmd` and `entrypoint` None keep the image's; `exec` runs inside after the start, in order."""

    name: str
    kind: NodeKind = NodeKind.LINUX
    image: str | None = None
    pull: Pull = Pull.IF_NOT_PRESENT
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
    network_mode: str | None = None  # "none": no management interface; "container:NODE": NODE's network
    mgmt_ipv4: str | None = None  # address without prefix length, from `MgmtSpec.ipv4_subnet`
    mgmt_ipv6: str | None = None
    mgmt_assigned: tuple[str, ...] = field(default=(), compare=False)  # those of them that labctl chose
    startup_delay_s: float = 0.0
    aliases: tuple[str, ...] = ()  # other names of its management addresses, in every node
    dns: Dns | None = None  # None: no resolver
    cpus: str | None = None  # the processors it may run on, as the kernel lists them: `0-3,6`; None: any
    shm_bytes: int | None = None  # size of /dev/shm; None: 64 MiB
    ports: tuple[Published, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)  # directory in the node -> mount options
    limits: Limits = field(default_factory=Limits)
    restart: Restart = Restart.NO
    privileged: bool = True  # everything that a node may do to itself, else Docker's defaults and `cap_add`
    cap_add: tuple[str, ...] = ()  # full names, `CAP_NET_ADMIN`, or `ALL`
    devices: tuple[DeviceFile, ...] = ()
    healthcheck: Healthcheck | None = None
    waits: tuple[Wait, ...] = ()
    stage_commands: tuple[StageCommand, ...] = ()
    where: Span | None = field(default=None, compare=False)
    sysctl_places: Mapping[str, Span] = field(default_factory=dict, compare=False)

    @property
    def shares(self) -> str | None:
        """The node whose network this one is in (`network-mode: container:NODE`); None if it has its own."""
        mode, colon, node = (self.network_mode or "").partition(":")
        return node if colon and mode == "container" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a cable: a node's port, its MAC, and the addresses (with prefix length) to put on it."""

    port: PortId
    mac: str
    ipv4: str | None = None
    ipv6: str | None = None
    vars: str = ""  # a JSON object, for tools that read the lab's topology data


class MacvlanMode(StrEnum):
    """What macvlan interfaces on one parent hear of each other."""

    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"
    PASSTHRU = "passthru"


@dataclass(frozen=True, slots=True, kw_only=True)
class Macvlan:
    """A way out over an interface of the machine, `parent`, with the MAC of the cable's port."""

    parent: str
    mode: MacvlanMode = MacvlanMode.BRIDGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Vxlan:
    """A way out as UDP from the machine to `remote`, an address. `src_port` and `parent` None: the kernel chooses."""

    remote: str
    vni: int
    dst_port: int = VXLAN_PORT
    src_port: int | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """An interface of a node that has no cable of its own: its frames cross that of `port`, with the 802.1Q tag `vlan`."""

    port: str  # an interface of the same node
    vlan: int  # 1..4094

    def __str__(self) -> str:
        return f"{self.port} with tag {self.vlan}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CableSpec:
    """A cable between two ends. MTU as containerlab's default.

    `z` is None where the far end is in no node, bridge or network of this machine: a stub has carrier and nobody
    behind, unless the cable leads out over one of `macvlan` and `vxlan`, or is a sub-interface's (`over`): that one has
    the carrier of the port below it, and whoever is behind that.
    """

    a: End
    z: End | None
    mtu: int = 9500
    labels: Mapping[str, str] = field(default_factory=dict)
    vars: str = ""  # as an end's
    macvlan: Macvlan | None = None
    vxlan: Vxlan | None = None
    over: Over | None = None
    #: Settings of `link.degrade` as the file has them: what the cable is like when nothing is broken.
    degrade: Mapping[str, str] = field(default_factory=dict)
    #: What they make of each direction ("a->z", "z->a", by the ends of `id`) that they touch.
    impaired: Mapping[str, Impairment] = field(default_factory=dict, compare=False)
    where: Span | None = field(default=None, compare=False)

    @property
    def below(self) -> PortId | None:
        """The port whose cable the frames of a sub-interface cross."""
        return PortId(self.a.port.node, self.over.port) if self.over else None

    @property
    def id(self) -> CableId:
        """Name of the cable; without a far end it is a pseudo-node's, which no lab node may be called."""
        return CableId.of(self.a.port, self.z.port if self.z else self.pseudo)

    @property
    def pseudo(self) -> PortId:
        """What stands for the far end that is none: `stub:r1.eth1`, `macvlan:r1.eth1`, `vxlan:r1.eth1`."""
        kind = "macvlan" if self.macvlan else "vxlan" if self.vxlan else "stub"
        return PortId(kind, f"{self.a.port.node}.{self.a.port.interface}")

    @property
    def ports(self) -> tuple[PortId, ...]:
        """What has a panel side: its ends, and the device that leads out."""
        return (*(end.port for end in self.ends), *((self.outside,) if self.outside else ()))

    @property
    def outside(self) -> PortId | None:
        """The far end of a cable that leads out; it is a device of the panel, not an interface of anything."""
        return self.pseudo if self.macvlan or self.vxlan else None

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

    def stands(self) -> dict[str, Stands]:
        """Where ends are, by what their ports say for a node."""
        kinds = {
            NodeKind.LINUX: Stands.NODE,
            NodeKind.BRIDGE: Stands.SEGMENT,
            NodeKind.HOST: Stands.MACHINE,
        }
        return {
            MACHINE: Stands.MACHINE,
            MGMT_NET: Stands.SEGMENT,
            **{node.name: Stands.NODE if node.shares else kinds[node.kind] for node in self.nodes},
        }

    def home(self, node: str) -> str:
        """The node whose network this one is in, over any number of steps; itself if it has its own."""
        nodes = {each.name: each for each in self.nodes}
        while node in nodes and (shares := nodes[node].shares):
            node = shares
        return node

    def above(self, port: PortId) -> tuple[CableSpec, ...]:
        """The sub-interfaces whose frames cross this port's cable."""
        return tuple(each for each in self.cables if each.below == port)

    def guests(self, node: str) -> tuple[NodeSpec, ...]:
        """The other nodes that are in this one's network."""
        return tuple(each for each in self.nodes if each.shares and self.home(each.name) == node)

    @property
    def leaves(self) -> bool:
        """Whether a cable of the lab ends at the machine itself or leads out over it."""
        stands = self.stands()
        return any(
            cable.outside or any(stands[end.port.node] is Stands.MACHINE for end in cable.ends)
            for cable in self.cables
        )

    def container(self, node: str) -> str:
        return container_name(self.prefix, self.name, node)
