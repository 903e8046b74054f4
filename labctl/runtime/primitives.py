"""What labs stand on, each tried by the very functions that labs use. One probe is one function: it does the thing and
returns what it saw, or raises what went wrong. `labctl.app.doctor` says what each is needed for and how to get it.

Probes run in `labctl.linux.trial`, in namespaces of their own; those that must touch something outside (a control group,
a directory on the disk that labs would use) remove it themselves.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Iterator

from labctl.linux import cgroup, mounts, netns, proc, rooted, rootns, tc
from labctl.linux.netlink import Netlink, VethEnd
from labctl.linux.rtnl import NLM_F_CREATE, NLM_F_EXCL, attr
from labctl.runtime.images import Image
from labctl.runtime.panel import PANEL_MTU

_ETHERTYPE = 0x88B5  # for local experiments (IEEE 802)
_TCA_TBF_PARMS = 1


def root() -> str:
    """The user, for what follows."""
    if os.geteuid() != 0:
        raise PermissionError(f"this is user {os.geteuid()}")
    return "this is root"


def kernel() -> str:
    """The two newest system calls that labctl cannot do without: pidfd_open (5.3) and openat2 (5.6)."""
    os.close(os.pidfd_open(os.getpid()))
    os.close(rooted.open_in("/", "proc"))
    return f"Linux {os.uname().release}"


def root_directory() -> str:
    """/ is the root of the mount namespace, which it is not in a chroot."""
    if not rootns.at_root():
        raise OSError("this is a chroot: runc starts no containers in one, and entering nodes would leave it")
    return "/ is the root of its mount namespace"


def namespaces() -> str:
    """A network namespace pinned at a path, and a socket inside it."""
    with _scratch() as directory:
        path = _pinned(directory, "a")
        with Netlink(path) as inside:
            found = [link.name for link in inside.links()]
        netns.delete(path)
    return f"a pinned namespace holds {', '.join(found)}"


def veth() -> str:
    """A pair made with each end directly in its namespace, with a lab's MTU."""
    with _scratch() as directory:
        a, b = _pinned(directory, "a"), _pinned(directory, "b")
        with netns.opened(a) as there, netns.opened(b) as here, Netlink(a) as inside:
            end = VethEnd(name="eth1", netns_fd=there, mac="02:00:00:00:00:01", mtu=9500)
            inside.create_veth(end, VethEnd(name="p0", netns_fd=here, mtu=PANEL_MTU))
            mtu = inside.link("eth1").mtu  # type: ignore[union-attr]
    return f"a pair across two namespaces, MTU {mtu}"


def stitch() -> str:
    """Two pairs joined by clsact, u32 and mirred; a frame crosses from end to end."""
    with Netlink() as here:
        for near, far in (("a0", "a1"), ("b0", "b1")):
            here.create_veth(VethEnd(name=near, mtu=9500), VethEnd(name=far, mtu=PANEL_MTU), up=True)
            here.set_link(far, up=True)
        for arrives, leaves in (("a1", "b1"), ("b1", "a1")):
            tc.add_clsact(here, here.index(arrives))
            tc.redirect(here, here.index(arrives), here.index(leaves))
        frame = bytes.fromhex("ffffffffffff020000000001") + struct.pack("!H", _ETHERTYPE) + bytes(8900)
        with _packet_socket("a0") as sender, _packet_socket("b0") as receiver:
            _until_carrier(here, "a0", "b0")
            sender.send(frame)
            got = receiver.recv(65536)
    if got != frame:
        raise OSError("the frame arrived changed")
    return f"a frame of {len(frame)} bytes crossed"


def overlay(directory: str) -> str:
    """An overlay whose upper layer is on the file system of `directory`."""
    with _scratch(directory) as place:
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(os.path.join(place, name))
        _write(os.path.join(place, "lower", "file"), "below")
        merged = os.path.join(place, "merged")
        mounts.overlay(
            merged,
            lower=os.path.join(place, "lower"),
            upper=os.path.join(place, "upper"),
            work=os.path.join(place, "work"),
        )
        try:
            _write(os.path.join(merged, "file"), "above")
            with open(os.path.join(place, "lower", "file"), encoding="ascii") as file:
                kept = file.read() == "below"
        finally:
            mounts.unmount(merged)
    if not kept:
        raise OSError("a write went through to the lower layer")
    return f"works on {directory}"


def cgroups(name: str) -> str:
    """A control group that limits, freezes, thaws and kills a process."""
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    try:
        cgroup.create(name)
        cgroup.attach(name, child)
        cgroup.limit(name, pids=64, memory_bytes=64 << 20)
        cgroup.freeze(name)
        if not cgroup.frozen(name):
            raise OSError("a frozen group is not frozen")
        cgroup.thaw(name)
        if cgroup.kill(name) != 1:
            raise OSError("killing a group did not find its process")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        cgroup.delete(name)
    return "version 2" if cgroup.unified() else "version 1: " + ", ".join(sorted(cgroup.roots()))


def runc(image: Image | None, group: str) -> str:
    """runc itself, and a container of an image that is here."""
    version = proc.run(["runc", "--version"]).stdout.partition("\n")[0].removeprefix("runc version ")
    if image is None:
        return f"runc {version}; there is no image yet to run"
    name = f"doctor-{os.getpid()}"
    with _scratch() as directory:
        _write(os.path.join(directory, "config.json"), json.dumps(_bundle(image, group)))
        state = os.path.join(directory, "state")
        try:
            proc.run(["runc", "--root", state, "run", "--bundle", directory, name], timeout_s=20)
        finally:
            proc.run(["runc", "--root", state, "delete", "--force", name], check=False)
            cgroup.delete(group)
    return f"runc {version} ran a container of {image.ref}"


def frr(image: Image) -> str:
    """FRR's version, asked of the image's own zebra. Changes the root of the process: only in `trial.attempt`."""
    os.chroot(image.rootfs)
    os.chdir("/")
    said = proc.run(["/usr/lib/frr/zebra", "--version"], timeout_s=10).stdout
    return said.partition("\n")[0].removeprefix("zebra version ")


def tool(name: str, *argv: str) -> str:
    """A program, by asking it for its version."""
    return proc.run([name, *argv], timeout_s=10).stdout.partition("\n")[0]


def nftables() -> str:
    """A table with a set whose elements expire: how a packet filter undoes itself."""
    element = "elements = { 192.0.2.1 timeout 9s }"
    rules = f"table inet t {{ set s {{ type ipv4_addr; flags timeout; {element}; }}; }}"
    proc.run(["nft", "-f", "-"], stdin=rules, timeout_s=10)
    if "expires" not in proc.run(["nft", "list", "set", "inet", "t", "s"], timeout_s=10).stdout:
        raise OSError("an element with a timeout does not expire")
    return proc.run(["nft", "--version"]).stdout.strip()


def netem() -> str:
    """Delay and loss in the kernel. Without it labctl relays packets in user space."""
    options = struct.pack(
        "=IIIIII", 1000, 1000, 0, 0, 0, 0
    )  # latency (ticks), limit, loss, gap, duplicate, jitter
    _qdisc("netem", options)
    return "a netem qdisc was made"


def tbf() -> str:
    """A rate limit in the kernel."""
    ethernet = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, 125_000)
    options = attr(_TCA_TBF_PARMS, ethernet + bytes(12) + struct.pack("=III", 100_000, 100_000, 0))
    _qdisc("tbf", options)
    return "a tbf qdisc was made"


def docker() -> str:
    """An engine that answers a ping on its socket."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        raise OSError(f"DOCKER_HOST is {address}, which is not on this machine")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(3)
        path = address.removeprefix("unix://")
        try:
            sock.connect(path)
        except FileNotFoundError:
            raise OSError(f"no engine listens at {path}") from None
        connection = http.client.HTTPConnection("localhost")
        connection.sock = sock
        connection.request("GET", "/version")
        version = json.loads(connection.getresponse().read())["Version"]
    return f"Docker Engine {version}"


def disk(directory: str, needed_bytes: int) -> str:
    """Room for what labs write."""
    free = shutil.disk_usage(directory).free
    if free < needed_bytes:
        raise OSError(f"{free / 1e9:.1f} GB free on {directory}, {needed_bytes / 1e9:.1f} GB needed")
    return f"{free / 1e9:.1f} GB free on {directory}"


def nearest(directory: str) -> str:
    """The directory, or what there is of the way to it."""
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


@contextlib.contextmanager
def _scratch(parent: str | None = None) -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix=".labctl-doctor-", dir=parent)
    try:
        yield directory
    finally:
        mounts.unmount_below(directory)
        shutil.rmtree(directory)


def _pinned(directory: str, name: str) -> str:
    path = os.path.join(directory, name)
    netns.create(path)
    return path


def _packet_socket(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE))
    sock.bind((interface, _ETHERTYPE))
    sock.settimeout(3)
    return sock


def _until_carrier(netlink: Netlink, *names: str) -> None:
    for _ in range(100):
        if all((link := netlink.link(name)) and link.carrier for name in names):
            return
        time.sleep(0.01)
    raise OSError("a veth pair that is up has no carrier")


def _qdisc(kind: str, options: bytes) -> None:
    with Netlink() as here:
        here.create_veth(VethEnd(name="q0"), VethEnd(name="q1"))
        body = struct.pack("=BxxxiIII", socket.AF_UNSPEC, here.index("q0"), 0x10000, 0xFFFFFFFF, 0)
        body += attr(tc.TCA_KIND, kind.encode() + b"\0") + attr(tc.TCA_OPTIONS, options)
        here.request(tc.RTM_NEWQDISC, body, NLM_F_CREATE | NLM_F_EXCL, what=f"add {kind}")


def _bundle(image: Image, group: str) -> dict[str, object]:
    """The least that is a container: the image read-only, its own namespaces, /bin/true."""
    namespaces = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "args": ["/bin/true"],
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
            "env": ["PATH=/usr/bin:/bin"],
        },
        "root": {"path": image.rootfs, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {"namespaces": namespaces, "cgroupsPath": f"/{group}", "resources": {"pids": {"limit": 64}}},
    }


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(content)
