"""How fast the admin-state mirror is, and what an agent costs.

Latency: from the moment `ip link set … up|down` in one node has returned until the node at the other end of the cable
reads its carrier as changed; random ports, seeded. (The kernel's *event* about it may come later: linkwatch gathers
them for up to a second.) The naive way to do the same is a loop that runs `ip link` in every namespace:
one round of it is its worst case, half a round its mean.

    python benchmarks/mirror.py [--nodes 50] [--steps 500] [--seed 1]
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "system"))

from _common import begin
from rig import lab, rig

from labctl.agent import client
from labctl.linux import cgroup
from labctl.run import heal
from labctl.runtime.store import Instance


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    ring = [(f"n{i}:right", f"n{(i + 1) % options.nodes}:left") for i in range(options.nodes)]
    spec = lab(*ring, name="mirror-bench")
    begin(f"mirror: {options.nodes} nodes, {len(ring)} cables, {options.steps} steps, seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root, rig(root, spec, agent=False) as running:
        began = time.monotonic()
        client.start(running.place)
        print(f"agent start to first answer: {(time.monotonic() - began) * 1e3:.0f} ms (all sides levelled)")
        latencies = sorted(changes(running, rng, options.steps))
        costs(running)
        healing(running, root)
        naive = one_naive_round(running)
    p50, p99 = (latencies[int(len(latencies) * q)] * 1e3 for q in (0.5, 0.99))
    print(f"admin to far carrier: p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {latencies[-1] * 1e3:.2f} ms")
    print(
        f"naive round of `ip link` over all nodes: {naive * 1e3:.0f} ms, so its mean is {naive * 500:.0f} ms"
    )
    print(f"ratio naive mean / mirror p50: {naive * 500 / p50:.0f}")


def changes(running, rng, steps):
    """Toggle random ports one at a time and wait for the carrier at the far end."""
    admin = {}
    for _ in range(steps):
        cable = rng.choice(running.spec.cables)
        here, far = rng.sample([cable.a.port, cable.z.port], 2)
        if not admin.get(far, True):  # a port that is down sees no carrier
            running.set_admin(far, True)
            admin[far] = True
            running.settled()
        admin[here] = not admin.get(here, True)
        running.set_admin(here, admin[here])
        done = time.monotonic()
        while running.link(far.node).link(far.interface).carrier is not admin[here]:
            time.sleep(0.0002)
        yield time.monotonic() - done


def costs(running):
    for pid in cgroup.pids(running.place.agent_cgroup):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            sizes = {line.split()[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        role = "agent" if pid == running.agent_pid() else "guard"
        print(
            f"{role}: RSS {sizes['Rss:'] / 1024:.1f} MiB, PSS {sizes['Pss:'] / 1024:.1f} MiB, CPU {cpu:.2f} s"
        )


def healing(running, root):
    """What the implicit heal costs at the start of every command."""
    running.release()
    empty = Instance.here(os.path.join(root, "empty"))
    for what, instance in (("no lab", empty), ("one healthy lab", running.place.instance)):
        times = []
        for _ in range(200):
            began = time.monotonic()
            assert not any(each.put_back or each.left for each in heal.implicit(instance))
            times.append(time.monotonic() - began)
        print(f"implicit heal, {what}: {statistics.median(times) * 1e6:.0f} us")


def one_naive_round(running):
    def once():
        began = time.monotonic()
        for node in running.spec.nodes:
            path = running.place.node_ns(node.name)
            subprocess.run(["nsenter", f"--net={path}", "ip", "link"], check=True, capture_output=True)
        return time.monotonic() - began

    return statistics.median(once() for _ in range(3))


if __name__ == "__main__":
    main()
