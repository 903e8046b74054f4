"""A lab without containers: record, namespaces, panel and agent, made and removed in a few milliseconds.

What the agent does needs namespaces and cables, not processes; suites that try hundreds of sequences use this, suites
about containers use `deploy`.
"""

import contextlib
import functools
import os
import select
import subprocess
import time

from labctl.agent import client
from labctl.linux import cgroup, exits, mounts
from labctl.linux.netlink import Netlink
from labctl.linux.offload import Offloads
from labctl.model.lab import CableSpec, End, LabSpec, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.runtime import panel
from labctl.runtime.store import Instance, Phase, Record


def lab(*cables, bridges=(), name="rig", mgmt=False):
    """A lab of the nodes that the cables name; a far end None is a stub. Names `r1:eth1`."""
    names = sorted({port.partition(":")[0] for pair in cables for port in pair if port})
    nodes = tuple(
        NodeSpec(
            name=each,
            kind=NodeKind.BRIDGE if each in bridges else NodeKind.LINUX,
            network_mode=None if mgmt else "none",
        )
        for each in names
    )

    def end(port, number):
        return End(port=PortId.parse(port), mac=mac(number))

    specs = tuple(
        CableSpec(a=end(a, 2 * i), z=None if z is None else end(z, 2 * i + 1))
        for i, (a, z) in enumerate(cables)
    )
    return LabSpec(name=name, nodes=nodes, cables=specs)


def mac(number):
    """Of the rigs' n-th end. No other process that runs tests has it: what is left of a lab is told by its MACs."""
    return "02:5e:" + (os.getpid() << 16 | number).to_bytes(8, "big")[-4:].hex(":")


class Rig:
    """A running rig. `link(node)` is a netlink socket inside the node, as its own `ip link` would be."""

    def __init__(self, place, spec):
        self.place = place
        self.spec = spec
        self._sockets = {}

    def link(self, node):
        path = self.place.panel_ns if node == "panel" else self.place.node_ns(node)
        if path not in self._sockets:
            self._sockets[path] = Netlink(path)
        return self._sockets[path]

    def set_admin(self, port, up):
        self.link(port.node).set_link(port.interface, up=up)

    def carrier(self, port):
        """Carrier as the node sees it, whatever its own admin state: its panel side is up."""
        device = self.place.need().devices[str(port)]
        link = self.link("panel").link(device)
        return link is not None and link.up

    def settled(self):
        """Wait until the agent has read every event that is older than this call: it handles events before requests."""
        client.ask(self.place, "status")

    def agent_pid(self):
        return client.ask(self.place, "status")["pid"]

    def close(self):
        for each in self._sockets.values():
            each.close()


@contextlib.contextmanager
def rig(root, spec, *, agent=True):
    """The lab's lock is held until `release`, as while a command works on it."""
    place = Instance.here(str(root)).lab(spec.name)
    with contextlib.ExitStack() as held:
        held.enter_context(place.lock(create=True))
        devices = panel.allocate(spec)
        place.write(Record(lab=spec, runtime="runc", phase=Phase.DEPLOYING, devices=devices))
        cgroup.create(place.agent_cgroup)
        running = Rig(place, spec)
        running.release = held.close
        try:
            with panel.Panel(place, spec, devices) as made:
                made.create()
            place.set_phase(Phase.RUNNING)
            if agent:
                client.start(place)
            yield running
        finally:
            running.close()
            cgroup.kill(place.cgroup)
            mounts.unmount_below(place.path)
            cgroup.delete(place.cgroup)
            with contextlib.suppress(OSError):
                cgroup.delete(place.instance.cgroup)
            place.remove()


def until(condition, what, timeout_s=20.0):
    """Poll; a generous limit so that only a thing that never happens fails."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.005)


@functools.cache
def hears_exits():
    """Whether this kernel tells how processes end (CONFIG_PROC_EVENTS). Without, listening is possible all the same."""
    try:
        with exits.Exits() as listener:
            subprocess.run(["true"], check=True)
            return bool(select.select([listener], [], [], 2)[0])
    except OSError:
        return False


def ip(place, node, *argv):
    """`ip` inside a node's namespace."""
    path = place.panel_ns if node == "panel" else place.node_ns(node)
    return subprocess.run(
        ["nsenter", f"--net={path}", "ip", *argv], check=True, capture_output=True, text=True
    ).stdout


def mount_disk(directory, size):
    """Put a disk of its own, which is a file beside it, under the directory; whoever unmounts it is rid of it."""
    file = f"{directory}.disk"
    with open(file, "wb") as made:
        made.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", file], check=True)
    subprocess.run(["mount", "-o", "loop", file, directory], check=True)


def has_offload(path, interface, which):
    """Whether the interface leaves it to the hardware."""
    with Offloads(path) as offloads:
        return offloads.get(interface, which)
