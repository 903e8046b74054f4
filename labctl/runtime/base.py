"""The runtime protocols: small, cut by the caller, the same for runc, Docker and the simulator.

A runtime makes nodes run and answers what they are; the patch panel (`runtime.panel`) makes cables. No file
descriptor or pid crosses these protocols, and every call that starts something names a host (only "local" for now),
so a runtime on another machine can stand behind them later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from labctl.model.event import Emit, ignore
from labctl.model.lab import LabSpec, Limits
from labctl.model.stages import Health
from labctl.plugins import Registry

if TYPE_CHECKING:
    from labctl.model.effects import NodeRef, Setting


class NodeState(StrEnum):
    RUNNING = "running"
    FROZEN = "frozen"
    EXITED = "exited"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What a node is now.

    Of one that ended: its exit status (128 and more: killed by a signal) and when that was (seconds since 1970), None
    where nobody saw it, and the last line that it printed. `health` is None where the lab file asks for none.
    """

    node: str
    container: str
    container_id: str
    image: str
    state: NodeState
    pid: int | None = None
    exit_code: int | None = None
    ended_s: float | None = None
    last_line: str = ""
    health: Health | None = None
    mgmt_ipv4: str | None = None
    mgmt_ipv6: str | None = None
    uptime_s: float | None = None
    oom_kills: int = 0  # processes that the kernel ended for want of memory, since the node was started


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that ran inside a node to its end."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A durable name of a spawned process: (host, pid, start time in clock ticks since boot) never repeats."""

    host: str
    pid: int
    start_ticks: int
    lease_s: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of a node: its name (`comm`), command line, program file, and whether it is stopped (SIGSTOP).

    `leads`: it was not started by another process of its name. `ends_node`: the node ends with it, because it is the first
    process or the command that the first one was started for.
    """

    handle: Handle
    name: str
    argv: tuple[str, ...]
    program: str
    stopped: bool = False
    leads: bool = True
    ends_node: bool = False


class Lifecycle(Protocol):
    """Nodes: each method is idempotent and brings the machine to the state its name says."""

    name: str

    def check(self, lab: LabSpec) -> None:
        """Raise, before anything is touched, what would make this lab fail: missing images, binds, privileges."""
        ...

    def provide(self, lab: LabSpec, emit: Emit = ignore) -> None:
        """Bring the lab's images, which `check` has found, to where its nodes can run them; some are pulled anew for that."""
        ...

    def start(self, lab: LabSpec, nodes: Sequence[str], emit: Emit = ignore) -> None:
        """Create (if absent) and start these nodes in their namespaces, in parallel."""
        ...

    def stop(self, lab: LabSpec, nodes: Sequence[str]) -> None:
        """End these nodes' processes; namespaces and cables stay."""
        ...

    def discard(self, lab_name: str, nodes: Sequence[str]) -> None:
        """Remove these nodes' processes, files, mounts and cgroups, whatever there is of them; namespaces and cables stay."""
        ...

    def update(self, before: LabSpec, lab: LabSpec, nodes: Sequence[str]) -> None:
        """The lab became another around these nodes, which run on: their /etc/hosts, and what commands see from now on."""
        ...

    def remove(self, lab_name: str) -> None:
        """Remove every container, mount and cgroup of the lab, from the record alone, whatever state it is in."""
        ...

    def stopped_by_hand(self, lab: LabSpec, node: str) -> bool | None:
        """Whether somebody has ended the node, since it was last started, with what the runtime has for that, past labctl; None
        if that cannot be known any more.
        """
        ...

    def status(self, lab: LabSpec) -> tuple[NodeStatus, ...]: ...


class Shell(Protocol):
    """Commands inside nodes."""

    def exec(
        self,
        lab: LabSpec,
        node: str,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        stdin: str | None = None,
    ) -> Completed: ...

    def attach(self, lab: LabSpec, node: str, argv: Sequence[str]) -> int:
        """Run a command on the caller's own terminal; its exit status."""
        ...

    def spawn(
        self, lab: LabSpec, node: str, argv: Sequence[str], *, lease_s: float | None = None
    ) -> Handle: ...


class Console(Protocol):
    """What nodes print."""

    def output(
        self,
        lab: LabSpec,
        node: str,
        *,
        since_s: float | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """What the node printed since then (seconds since 1970), of that the last `tail` lines; then, with follow, what
        it prints until the lab is destroyed, also after it was started again.
        """
        ...


class NodeShaper(Protocol):
    """Node settings (power, freeze, CPU) and processes: idempotent, readable back."""

    def ensure(self, lab: LabSpec, resource: NodeRef, setting: Setting) -> None:
        """Freeze or thaw, take or give power, limit the CPU (`cpu` None: as the lab says)."""
        ...

    def read(self, lab: LabSpec, resource: NodeRef) -> Setting:
        """`off` says that nothing of the node runs; `cpu` is None where the limit is the lab's own, infinite if it has none
        and the lab's is missing.
        """
        ...

    def limit(self, lab: LabSpec, node: str, limits: Limits) -> Limits:
        """Give a node these limits of memory, processes, input and output from now on, also after it is started again; read back.

        The CPU's is `ensure`'s, because faults take part in it: here it is only noted for the next start. A node that
        does not run reads back what was noted. OSError (EBUSY) if it uses more than that and cannot give it back.
        """
        ...

    def processes(self, lab: LabSpec, node: str) -> tuple[Process, ...]: ...

    def signal(self, handle: Handle, number: int) -> bool:
        """Signal exactly this process; False if it is gone."""
        ...


class Runtime(Lifecycle, Shell, Console, NodeShaper, Protocol):
    """All of them."""


#: Each is called with the `runtime.store.Instance`, and `keep=` descriptors that its helpers inherit.
RUNTIMES: Registry[Callable[..., Runtime]] = Registry(
    "runtime",
    group="labctl.runtimes",
    builtin={
        "docker": "labctl.runtime.docker:DockerRuntime",
        "runc": "labctl.runtime.runc:RuncRuntime",
    },
)
