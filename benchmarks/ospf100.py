"""A hundred OSPF routers: from `deploy` to the last daemon up, to the last route learned, and back to nothing.

The lab is that of `_routers.py`. The baseline is a script that makes one router after the other: `ip` for its namespace
and links, `runc run`, wait for its daemons; on a sample, times the number of nodes. Memory is what the machine has less
when all routes are there (the agent, the kernel's part and page caches included), beside what the processes share and
what they would take if they shared nothing, as they would on machines of their own.

    benchmarks/ospf100.py [ROUTERS] [ROUNDS]
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from _common import begin, judged
from _routers import IMAGE, Timed, available, lab, wait_up

from labctl.app.images import ensure
from labctl.linux import cgroup, mounts, netns, proc
from labctl.runtime import bundle
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

#: For a hundred; others are printed without a bar.
WANTED_UP_S, WANTED_GONE_S = 12.0, 5.0
SAMPLE = 5
MIB = 1 << 20


def ours(here, spec):
    """(wired, deployed, up, converged, gone, less memory, PSS, RSS): seconds and bytes."""
    before = available()
    with Timed(here, spec, "runc") as run:
        converged = run.converged()
        less = before - available()
        shared, alone = run.memory()
    return run.wired, run.deployed, run.up, converged, run.gone, less, shared, alone


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


def main(count=100, rounds=3):
    begin(f"ospf: {count} routers, {2 * count} cables, {rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root:
        here = Instance.here(os.path.join(root, "state"))
        os.environ.setdefault("LABCTL_IMAGES", ImageStore(Instance.here()).root)
        ensure(ImageStore(here), [IMAGE])
        spec = lab(root, count)
        wired, deployed, up, converged, gone, less, shared, alone = (
            statistics.median(each) for each in zip(*(ours(here, spec) for _ in range(rounds)), strict=True)
        )
        slow_up, slow_gone = naive(root, here, spec)
        shutil.rmtree(os.path.join(root, "naive"))
    for what, took, slow, wanted in (
        ("daemons up", up, slow_up * count, WANTED_UP_S),
        ("destroyed", gone, slow_gone * count, WANTED_GONE_S),
    ):
        print(
            f"  {what:10} {took:6.2f} s (median), one by one {slow:6.1f} s (from {SAMPLE}), ratio {slow / took:4.1f}"
            + (f", {judged(took, wanted)}" if count == 100 else "")
        )
    print(f"  of which wired after {wired:.2f} s, `deploy` back after {deployed:.2f} s")
    print(f"  converged  {converged:6.2f} s: every router has a route to all {2 * count} networks")
    print(
        f"  memory     {less / MIB:6.0f} MiB of the machine's, {less / count / MIB:.1f} MiB a node; processes "
        f"{shared / count / MIB:.1f} MiB a node, {alone / count / MIB:.1f} if they shared nothing, ratio {alone / shared:.1f}"
    )
    return less


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
