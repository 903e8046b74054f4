"""What labctl may not leave on a machine and what it may not touch, read from the kernel and not from labctl.

`of` finds whatever belongs to one instance and its labs: by the state root in command lines and mounts, by the cgroup
name, and by the labs' MACs inside every reachable network namespace (so its labs need names of their own: MACs come
from names). `machine` lists everything there is, for
a comparison of before and after that is fair only when nobody else works on the machine. `Decoy` is somebody else's
network: whatever labctl does, its fingerprint stays the same.
"""

import json
import os
import re
import shutil
import subprocess
import uuid

from rig import until

from labctl.linux import cgroup, netns, proc
from labctl.linux.netlink import Netlink


def of(instance, labs=()):
    """Everything of the instance that is there now; an empty dict is a clean machine."""
    macs = {end.mac for spec in labs for cable in spec.cables for end in cable.ends}
    found = {
        "processes": processes(instance),
        "mounts": [line for _, line in all_mounts() if mentions(line, instance)],
        "cgroups": [path for path in all_cgroups() if f"/{instance.cgroup}" in path],
        "namespaces": namespaces_with(macs),
        "files": files(instance),
        "packet filter": [table for table in filter_tables() if f" labctl-{instance.tag}" in table],
    }
    return {kind: things for kind, things in found.items() if things}


def mentions(line, instance):
    return instance.root + "/boots" in line


def processes(instance):
    family = ancestors(os.getpid())
    found = []
    for pid in pids():
        if pid in family or proc.start_ticks(pid) is None:
            continue  # (None: it has ended and waits for an init that does not reap)
        command = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        if mentions(command, instance) or f"/{instance.cgroup}" in read(f"/proc/{pid}/cgroup"):
            found.append(f"{pid} {command}")
    return found


def namespaces_with(macs):
    """Network namespaces (and devices in them) that hold an end of one of the labs' cables."""
    found = []
    for inode, path in all_namespaces().items():
        try:
            with Netlink(path) as inside:
                links = inside.links()
        except OSError:
            continue  # it ended while we looked
        ours = [link.name for link in links if link.mac in macs]
        if ours:
            found.append(f"net:[{inode}] at {path}: {', '.join(ours)}")
    return found


def files(instance):
    """Everything below the state root but the image store and what is not labctl's to remove."""
    return [
        os.path.join(at, name)
        for at, directories, names in os.walk(instance.labs_dir)
        for name in (*directories, *names)
    ]


def filter_tables():
    """Tables of the machine's packet filter, as `table inet NAME`."""
    if shutil.which("nft") is None:
        return []
    done = subprocess.run(["nft", "list", "tables"], check=False, capture_output=True, text=True)
    return done.stdout.splitlines()


def machine():
    """All namespaces, mounts, cgroups, devices and qdiscs of the machine."""
    tc = subprocess.run(["tc", "qdisc", "show"], check=True, capture_output=True, text=True).stdout
    with Netlink() as own:
        links = [f"{link.index} {link.name} {link.mac} {link.mtu}" for link in own.links()]
    return {
        "namespaces": set(map(str, all_namespaces())),
        "mounts": {line for _, line in all_mounts()},
        "cgroups": set(all_cgroups()),
        "links": set(links),
        "qdiscs": set(tc.splitlines()),
        "packet filter": set(filter_tables()),
    }


def difference(before, after):
    """kind -> what is only in `after` (+) or only in `before` (-)."""
    changes = {
        kind: [f"+ {x}" for x in sorted(after[kind] - before[kind])]
        + [f"- {x}" for x in sorted(before[kind] - after[kind])]
        for kind in before
    }
    return {kind: lines for kind, lines in changes.items() if lines}


# -- reading the machine ---------------------------------------------------------------------------------------


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def ancestors(pid):
    found = set()
    while pid and pid not in found:
        found.add(pid)
        stat = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        pid = int(stat[1]) if stat else 0
    return found


def all_mounts():
    """(mount namespace, line without its ids) over every mount namespace that a process is in."""
    found = {}
    for pid in pids():
        try:
            inode = os.stat(f"/proc/{pid}/ns/mnt").st_ino
        except OSError:
            continue
        if inode not in found:
            found[inode] = read(f"/proc/{pid}/mountinfo").splitlines()
    return [(inode, " ".join(line.split(" ")[2:])) for inode, lines in found.items() for line in lines]


def all_cgroups():
    roots = dict.fromkeys(cgroup.roots().values())
    return [at for root in roots for at, _, _ in os.walk(root)]


def all_namespaces():
    """inode -> a path to it, for every network namespace with a process or a pin in our mount namespace."""
    found = {}
    for pid in pids():
        try:
            path = f"/proc/{pid}/ns/net"
            found.setdefault(os.stat(path).st_ino, path)
        except OSError:
            continue
    for line in read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("nsfs "):
            path = before.split(" ")[4]
            try:
                if before.split(" ")[3].startswith("net:"):
                    found.setdefault(os.stat(path).st_ino, path)
            except OSError:
                continue
    return found


# -- somebody else's network -----------------------------------------------------------------------------------


class Decoy:
    """A foreign namespace, veth pair (one end in the machine's own namespace), cgroup, mount, packet
    filter table, process and files."""

    def __init__(self, directory, *beside):
        """`beside`: directories of labctl's state in which a foreign file lies too."""
        self.name = f"decoy-{uuid.uuid4().hex[:6]}"
        self.directory = os.path.join(str(directory), self.name)
        self.mount = os.path.join(self.directory, "mount")
        self.pin = os.path.join(self.directory, "ns")
        self.files = [os.path.join(self.mount, "file"), *(os.path.join(d, self.name) for d in beside)]
        self.veth = "dc" + self.name[6:]
        self.table = f"labctl-{self.name}"

    def __enter__(self):
        self.process = None
        try:
            self._make()
            until(self._sleeps, "the decoy sleeps")
            until(self._settled, "the decoy's link has settled")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        os.makedirs(self.mount)
        subprocess.run(["mount", "-t", "tmpfs", self.name, self.mount], check=True)
        for path in self.files:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(self.name)
        netns.create(self.pin)
        run = subprocess.run
        if shutil.which("nft"):  # one that looks like a lab's; without nftables there is nothing to spare
            run(["nft", f"add table inet {self.table}; add chain inet {self.table} c"], check=False)
        run(["ip", "link", "add", self.veth, "type", "veth", "peer", "name", "p0"], check=True)
        with netns.opened(self.pin) as fd:
            run(["ip", "link", "set", "p0", "netns", f"/proc/self/fd/{fd}"], check=True, pass_fds=[fd])
        run(["nsenter", f"--net={self.pin}", "tc", "qdisc", "add", "dev", "p0", "clsact"], check=True)
        run(["nsenter", f"--net={self.pin}", "ip", "link", "set", "p0", "up", "mtu", "1400"], check=True)
        cgroup.create(f"{self.name}/inner")
        self.process = subprocess.Popen(
            ["nsenter", f"--net={self.pin}", "sleep", "3600"], start_new_session=True
        )
        cgroup.attach(f"{self.name}/inner", self.process.pid)

    def _settled(self):
        """The kernel notices up to a second later that nobody is at the other end."""
        argv = ["nsenter", f"--net={self.pin}", "ip", "-j", "link", "show", "p0"]
        shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        return json.loads(shown)[0]["operstate"] in ("DOWN", "LOWERLAYERDOWN")

    def _sleeps(self):
        pid = self.process.pid
        return read(f"/proc/{pid}/comm") == "sleep\n" and "State:\tS" in read(f"/proc/{pid}/status")

    def __exit__(self, *_):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        cgroup.delete(self.name)
        subprocess.run(["ip", "link", "del", self.veth], check=False)
        if shutil.which("nft"):
            subprocess.run(["nft", "delete", "table", "inet", self.table], check=False, capture_output=True)
        netns.delete(self.pin)
        subprocess.run(["umount", self.mount], check=False)
        for path in self.files[1:]:
            if os.path.exists(path):
                os.unlink(path)

    def fingerprint(self):
        """Equal to an earlier one, byte for byte, if nobody touched anything."""

        def show(*argv):
            return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

        inside = ["nsenter", f"--net={self.pin}"]
        return {
            "process": (proc.start_ticks(self.process.pid), read(f"/proc/{self.process.pid}/cgroup")),
            "state": re.search(r"State:.*", read(f"/proc/{self.process.pid}/status"))[0],
            "namespace": os.stat(self.pin).st_ino,
            "links": json.loads(show(*inside, "ip", "-d", "-j", "link")),
            "qdiscs": show(*inside, "tc", "qdisc"),
            "veth": json.loads(show("ip", "-d", "-j", "link", "show", self.veth)),
            "packet filter": [each for each in filter_tables() if each.endswith(self.table)],
            "mount": [line for line in read("/proc/self/mountinfo").splitlines() if self.directory in line],
            "cgroup": [path for path in all_cgroups() if f"/{self.name}" in path],
            "files": [
                (path, read(path), os.stat(path).st_mtime_ns, os.stat(path).st_ino) for path in self.files
            ],
        }
