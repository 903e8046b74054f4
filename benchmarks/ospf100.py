"""A hundred OSPF routers: from `deploy` to the last daemon up, and back to nothing.

A torus of ten by ten, every router with four links, zebra and ospfd from the image `labctl/frr`. Up means that ospfd
of every node answers on its vty, with its configuration read. The baseline is a script that makes one router after
the other: `ip` for its namespace and links, `runc run`, wait for its daemons; on a sample, times the number of nodes.

    benchmarks/ospf100.py [SIDE] [ROUNDS]
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from labctl.app import deploy
from labctl.app.images import ensure
from labctl.linux import cgroup, mounts, netns, proc
from labctl.model.lab import Bind, CableSpec, End, LabSpec, NodeSpec
from labctl.names import PortId
from labctl.run import destroy
from labctl.runtime import bundle, mgmt
from labctl.runtime.images import ImageStore
from labctl.runtime.runc import RuncRuntime
from labctl.runtime.store import Instance

IMAGE = "labctl/frr"
WANTED_UP_S, WANTED_GONE_S = 12.0, 5.0
SAMPLE = 5


def lab(root, side):
    ends, cables = {}, []
    for i in range(side * side):
        row, column = divmod(i, side)
        for far, mine, theirs in (
            (row * side + (column + 1) % side, "eth1", "eth2"),
            ((row + 1) % side * side + column, "eth3", "eth4"),
        ):
            number = len(cables)
            net = f"10.{number >> 6 & 255}.{(number & 63) << 2}"

            def end(node, name, host, net=net, number=number):
                ends.setdefault(node, []).append((name, f"{net}.{host}/30"))
                mac = f"02:05:{number >> 8:02x}:{number & 255:02x}:{node & 255:02x}:{host:02x}"
                return End(port=PortId(f"r{node:03d}", name), mac=mac)

            cables.append(CableSpec(a=end(i, mine, 1), z=end(far, theirs, 2), mtu=1500))
    nodes = tuple(router(root, node, ends[node]) for node in sorted(ends))
    return mgmt.assign(LabSpec(name="ospf", nodes=nodes, cables=tuple(cables)))


def router(root, number, interfaces):
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
    lines += [
        "router ospf",
        f" ospf router-id 192.0.2.{number}" if number else " ospf router-id 192.0.2.254",
        "exit",
    ]
    files = {"frr.conf": "\n".join(lines) + "\n", "daemons": "ospfd=yes\n"}
    binds = []
    for file, content in files.items():
        path = os.path.join(root, f"{name}-{file}")
        with open(path, "w") as out:
            out.write(content)
        binds.append(Bind(source=path, target=f"/etc/frr/{file}", options=("ro",)))
    return NodeSpec(name=name, image=IMAGE, binds=tuple(binds))


def wait_up(pids):
    """Until ospfd of every node, seen through its first process, answers on its vty with its configuration read."""
    import socket

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
                    if b"router-id 192.0.2." in answer:
                        waiting.discard(pid)
                except OSError:
                    pass
                finally:
                    os.close(directory)
        time.sleep(0.02)


def ours(here, spec):
    began = time.perf_counter()
    steps = []
    deploy.deploy_lab(
        spec,
        deploy.Request(file="", runtime="runc"),
        here,
        lambda e: steps.append((e.kind, time.perf_counter() - began)),
    )
    deployed = time.perf_counter() - began
    runtime, place = RuncRuntime(here), here.lab(spec.name)
    try:
        wait_up([status.pid for status in runtime.status(place.need().lab)])
        up = time.perf_counter() - began
        wired = next(at for kind, at in steps if kind == "wired")
    finally:
        began = time.perf_counter()
        destroy.destroy(place)
        gone = time.perf_counter() - began
    return wired, deployed, up, gone


def naive(root, here, spec):
    """Seconds a node, for one after the other with `ip` and `runc run`."""
    image = ImageStore(here).resolve(IMAGE)
    began = time.perf_counter()
    homes = []
    try:
        for node in spec.nodes[:SAMPLE]:
            home = os.path.join(root, "naive", node.name)
            homes.append((node.name, home))
            for directory in ("upper", "work", "rootfs"):
                os.makedirs(os.path.join(home, directory))
            pin = os.path.join(home, "ns")
            netns.create(pin)
            inside = ["nsenter", f"--net={pin}", "ip"]
            for number in range(1, 5):
                subprocess.run(
                    [*inside, "link", "add", f"eth{number}", "type", "veth", "peer", "name", f"p{number}"],
                    check=True,
                )
                subprocess.run([*inside, "link", "set", f"eth{number}", "up", "mtu", "1500"], check=True)
                subprocess.run([*inside, "link", "set", f"p{number}", "up"], check=True)
            subprocess.run(
                ["mount", "-t", "overlay", "overlay", "-o",
                 f"lowerdir={image.rootfs},upperdir={home}/upper,workdir={home}/work", f"{home}/rootfs"], check=True,
            )  # fmt: skip
            config = bundle.config(
                spec, node, image, who=bundle.User(), rootfs=f"{home}/rootfs", netns=pin,
                cgroup=f"labctl-bench/{node.name}", nofile=1024, tun=False, held=proc.bounding_set(),
            )  # fmt: skip
            with open(os.path.join(home, "config.json"), "w") as file:
                json.dump(config, file)
            with open(os.path.join(home, "log"), "ab") as log:
                subprocess.run(
                    ["runc", "--root", f"{root}/runc", "run", "-d", "--bundle", home, "--pid-file", f"{home}/pid", node.name],
                    check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
            with open(f"{home}/pid") as file:
                wait_up([int(file.read())])
        up = time.perf_counter() - began
        began = time.perf_counter()
    finally:
        for name, home in homes:
            subprocess.run(["runc", "--root", f"{root}/runc", "delete", "--force", name], check=False)
            mounts.unmount_below(home)
        cgroup.destroy("labctl-bench")
    return up / SAMPLE, (time.perf_counter() - began) / SAMPLE


def main(side=10, rounds=3):
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root:
        here = Instance.here(os.path.join(root, "state"))
        os.environ.setdefault("LABCTL_IMAGES", ImageStore(Instance.here()).root)
        ensure(ImageStore(here), [IMAGE])
        spec = lab(root, side)
        count = len(spec.nodes)
        print(
            f"ospf100: {count} routers, {len(spec.cables)} cables, {rounds} rounds, "
            f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs",
            flush=True,
        )
        wired, deployed, up, gone = (
            statistics.median(each) for each in zip(*(ours(here, spec) for _ in range(rounds)), strict=True)
        )
        slow_up, slow_gone = naive(root, here, spec)
        shutil.rmtree(os.path.join(root, "naive"))
    for what, took, slow, wanted in (
        ("daemons up", up, slow_up * count, WANTED_UP_S),
        ("destroyed", gone, slow_gone * count, WANTED_GONE_S),
    ):
        print(
            f"  {what:10} {took:6.2f} s (median), one by one {slow:6.1f} s (from {SAMPLE}), ratio {slow / took:4.1f}, "
            f"wanted {wanted:g} s: {'met' if took <= wanted else 'MISSED'}"
        )
    print(f"  of which wired after {wired:.2f} s, `deploy` back after {deployed:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
