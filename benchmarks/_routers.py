"""The lab of OSPF routers that several benchmarks deploy, and how its way up and down is timed.

A torus, every router with four links, zebra and ospfd from the image `labctl/frr`. *Up* means that ospfd of every node
answers on its vty with its configuration read; *converged*, that every router has a route to the network of every cable.
"""

import os
import socket
import time

from labctl.app import deploy
from labctl.linux import cgroup
from labctl.model.lab import Bind, CableSpec, End, LabSpec, MgmtSpec, NodeSpec
from labctl.names import PortId
from labctl.run import destroy
from labctl.runtime import mgmt
from labctl.runtime.base import RUNTIMES

IMAGE = "labctl/frr"
#: The first part of every router id: how an answer shows that a configuration was read.
ROUTER_ID = "198.18"
#: Room for as many as fit on a machine; the usual /24 ends at 253.
MGMT = MgmtSpec(ipv4_subnet="172.20.16.0/20")


def lab(root, count):
    """A torus of so many routers, as square as the number allows; their files are in `root`."""
    rows = max(n for n in range(1, int(count**0.5) + 1) if count % n == 0)
    columns = count // rows
    if rows < 3:
        raise SystemExit(f"{count} routers make no torus: try {columns // 3 * 3 or 9}")
    ends, cables = {}, []
    for i in range(count):
        row, column = divmod(i, columns)
        for far, mine, theirs in (
            (row * columns + (column + 1) % columns, "eth1", "eth2"),
            ((row + 1) % rows * columns + column, "eth3", "eth4"),
        ):
            number = len(cables)
            net = f"10.{number >> 6 & 255}.{(number & 63) << 2}"

            def end(node, name, host, net=net, number=number):
                ends.setdefault(node, []).append((name, f"{net}.{host}/30"))
                mac = f"02:05:{number >> 8:02x}:{number & 255:02x}:{node & 255:02x}:{host:02x}"
                return End(port=PortId(f"r{node:03d}", name), mac=mac)

            cables.append(CableSpec(a=end(i, mine, 1), z=end(far, theirs, 2), mtu=1500))
    nodes = tuple(_router(root, node, ends[node]) for node in sorted(ends))
    return mgmt.assign(LabSpec(name="ospf", nodes=nodes, cables=tuple(cables), mgmt=MGMT))


def _router(root, number, interfaces):
    name = f"r{number:03d}"
    lines = ["frr defaults traditional", f"hostname {name}"]
    for interface, address in interfaces:
        lines += [
            f"interface {interface}",
            f" ip address {address}",
            " ip ospf area 0",
            " ip ospf network point-to-point",
            "exit",
        ]
    lines += ["router ospf", f" ospf router-id {ROUTER_ID}.{number + 1 >> 8}.{number + 1 & 255}", "exit"]
    files = {"frr.conf": "\n".join(lines) + "\n", "daemons": "ospfd=yes\n"}
    binds = []
    for file, content in files.items():
        path = os.path.join(root, f"{name}-{file}")
        with open(path, "w") as out:
            out.write(content)
        binds.append(Bind(source=path, target=f"/etc/frr/{file}", options=("ro",)))
    return NodeSpec(name=name, image=IMAGE, binds=tuple(binds))


class Timed:
    """One deploy and destroy on a runtime; a context manager, in which the lab is up. All times in seconds.

    wired, deployed, up: since the beginning; gone: what destroying took.
    """

    def __init__(self, here, spec, runtime):
        self.place = here.lab(spec.name)
        self._here, self._spec, self._runtime = here, spec, runtime
        self.began = time.perf_counter()
        self.wired = self.gone = 0.0

    def since(self):
        return time.perf_counter() - self.began

    def __enter__(self):
        self.began = time.perf_counter()
        request = deploy.Request(file="", runtime=self._runtime)
        try:
            deploy.deploy_lab(self._spec, request, self._here, self._heard)
            self.deployed = self.since()
            status = RUNTIMES[self._runtime](self._here).status(self.place.need().lab)
            self.pids = [each.pid for each in status]
            wait_up(self.pids)
            self.up = self.since()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _heard(self, event):
        if event.kind == "wired":
            self.wired = self.since()

    def __exit__(self, *_):
        if self.place.exists():
            began = time.perf_counter()
            destroy.destroy(self.place)
            self.gone = time.perf_counter() - began

    def converged(self):
        """Wait until every router has a route to every cable's network; seconds since the beginning."""
        networks = len(self._spec.cables)
        waiting = set(self.pids)
        while waiting:
            waiting = {pid for pid in waiting if _networks(pid) < networks}
            time.sleep(0.1 if waiting else 0)
        return self.since()

    def memory(self):
        """Bytes of all processes in the nodes: as they share pages (PSS), and as if they did not (RSS)."""
        shared = alone = 0
        for node in self._spec.nodes:
            for pid in cgroup.pids(self.place.node_cgroup(node.name)):
                sizes = _smaps(pid)
                shared, alone = shared + sizes.get("Pss:", 0), alone + sizes.get("Rss:", 0)
        return shared, alone


def _networks(pid):
    """How many of the lab's networks a process's namespace has a route to."""
    with open(f"/proc/{pid}/net/route", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return len({row[1] for row in rows if row[7] == "FCFFFFFF"})  # /30, as the kernel writes it


def _smaps(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return {row[0]: int(row[1]) * 1024 for line in file if (row := line.split())[-1] == "kB"}
    except OSError:  # it has ended meanwhile
        return {}


def available():
    """Bytes of memory that the machine could still give away."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))


def wait_up(pids):
    """Until ospfd of every node, seen through its first process, answers on its vty with its configuration read."""
    waiting = set(pids)
    while waiting:
        for pid in list(waiting):
            with socket.socket(socket.AF_UNIX) as vty:
                try:
                    directory = os.open(f"/proc/{pid}/root/run/frr", os.O_PATH)
                except OSError:
                    continue
                try:
                    vty.settimeout(5)
                    vty.connect(f"/proc/self/fd/{directory}/ospfd.vty")
                    vty.sendall(b"enable\0show running-config\0")
                    answer = b""
                    while answer.count(b"\0\0\0") < 2 and (data := vty.recv(1 << 16)):
                        answer += data
                    if f"router-id {ROUTER_ID}.".encode() in answer:
                        waiting.discard(pid)
                except OSError:
                    pass
                finally:
                    os.close(directory)
        time.sleep(0.02)
