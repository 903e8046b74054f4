"""What `labctl apply` takes for one cable on a lab of 100 nodes, from the start of the command to its end.

A ring of nodes with the base image; each round one cable is patched to another port and back, with the command line as a
user has it. The naive ways to the same lab, in the same run: to destroy it and deploy the new file, and to make the two
nodes at the cable anew (what an orchestrator does that cannot change a link in place).

    python benchmarks/apply.py [--nodes 100] [--rounds 7]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from _common import begin, judged

BAR_S = 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    begin(f"apply: {options.nodes} nodes, one cable patched elsewhere, {2 * options.rounds} times")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root:
        measure(root, options.nodes, options.rounds)


def measure(root, nodes, rounds):
    from labctl.runtime.images import ImageStore
    from labctl.runtime.store import Instance

    environment = os.environ | {
        "LABCTL_IMAGES": ImageStore(Instance.here()).root,
        "LABCTL_STATE": os.path.join(root, "state"),
    }
    files = {
        "old": write(root, "old", nodes, "eth1"),
        "new": write(root, "new", nodes, "eth9"),
        "anew": write(root, "anew", nodes, "eth9", env="{A: B}"),
    }

    def labctl(*argv):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "labctl", *argv], env=environment, check=True, capture_output=True
        )
        return time.monotonic() - began

    try:
        labctl("deploy", files["old"], "--runtime", "runc")
        cable = [labctl("apply", files["new" if i % 2 == 0 else "old"]) for i in range(2 * rounds)]
        bare = statistics.median(labctl("apply", "--help") for _ in range(rounds))
        labctl("apply", files["new"])
        recreate = labctl("apply", files["anew"])
        again = labctl("destroy", "ring", "--yes") + labctl("deploy", files["new"], "--runtime", "runc")
    finally:
        labctl("destroy", "--all", "--yes")
    p50, worst = statistics.median(cable), max(cable)
    print(
        f"  one cable: median {p50:.3f} s, best {min(cable):.3f} s, worst {worst:.3f} s; {judged(p50, BAR_S)}"
    )
    print(f"  of which {bare:.3f} s before it begins: `labctl apply --help`")
    print(f"  two nodes anew: {recreate:.2f} s, ratio {recreate / p50:.1f}")
    print(f"  destroy and deploy: {again:.2f} s, ratio {again / p50:.0f}")


def write(root, name, nodes, port, env=""):
    """A ring in which the cable from n0 ends at this port of n1; env: what the two nodes at it have besides."""
    lines = ["name: ring", "topology:", "  defaults: {kind: linux, image: labctl/base, cmd: sleep infinity}"]
    lines += ["  nodes:"]
    lines += [f"    n{i}: {{{f'env: {env}' if env and i < 2 else ''}}}" for i in range(nodes)]
    lines += ["  links:"]
    for i in range(nodes):
        far = port if i == 0 else "eth1"
        lines.append(f'    - endpoints: ["n{i}:eth2", "n{(i + 1) % nodes}:{far}"]')
    path = os.path.join(root, f"{name}.clab.yml")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main()
