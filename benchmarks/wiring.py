"""How fast cables are made: stitched links per second, beside what a script with `ip` does.

A link here is all that a lab needs: two veth pairs with MAC and MTU 9500, each end created in its namespace, both
redirects, all four ends up. Every round makes the same ring-like lab in fresh namespaces; the figure is the median.
The baseline does what most tools do, create in one namespace and move, one `ip` process per step, without any
stitching: on a sample, because it is slow.

    benchmarks/wiring.py [LINKS] [NAMESPACES] [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from _common import begin, judged

from labctl.agent import mirror
from labctl.linux import mounts, netns
from labctl.model.lab import CableSpec, End, LabSpec, NodeSpec
from labctl.names import PortId
from labctl.runtime import panel
from labctl.runtime.store import Instance, Phase, Record

WANTED_PER_S = 500
BASELINE_LINKS = 20


def lab(links, nodes):
    def end(node, name, number):
        mac = f"02:00:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        return End(port=PortId(f"r{node}", name), mac=mac)

    cables = tuple(
        CableSpec(
            a=end(i % nodes, f"a{i}", 2 * i),
            z=end((i + 1 + i // nodes % (nodes - 1)) % nodes, f"z{i}", 2 * i + 1),
        )
        for i in range(links)
    )
    return LabSpec(
        name="wiring",
        nodes=tuple(NodeSpec(name=f"r{i}", network_mode="none") for i in range(nodes)),
        cables=cables,
    )


def ours(root, spec):
    """Seconds for the cables alone; the namespaces are there before."""
    place = Instance.here(root).lab(spec.name)
    with place.lock(create=True):
        place.write(Record(lab=spec, runtime="runc", phase=Phase.DEPLOYING))
        try:
            with panel.Panel(place, spec, panel.allocate(spec)) as patch:
                patch.create_namespaces()
                began = time.perf_counter()
                patch.wire()
                patch.settle(mirror.wanted(mirror.sides(spec), patch.admin(), {}))
                took = time.perf_counter() - began
                prove(patch, spec)
        finally:
            mounts.unmount_below(place.path)
            place.remove()
    return took


def prove(patch, spec):
    """What was timed is what was meant: every cable stitched, all four ends up, MTU 9500 in the nodes."""
    assert all(patch.sides().values())
    assert len(patch.sides()) == 2 * len(spec.cables)
    assert all(patch.stitched(cable) for cable in spec.cables[:: max(1, len(spec.cables) // 20)])
    ports = [link for node in spec.nodes for link in patch.links(node.name) if link.name != "lo"]
    assert len(ports) == 2 * len(spec.cables)
    assert all(link.up and link.carrier and link.mtu == 9500 for link in ports)


def naive(root, links):
    """Seconds for create, move, rename, configure and raise with one `ip` process each."""
    paths = [os.path.join(root, f"n{i}") for i in range(2)]
    for path in paths:
        netns.create(path)

    def ip(*argv, inside=None):
        enter = ["nsenter", f"--net={inside}"] if inside else []
        subprocess.run([*enter, "ip", *argv], check=True)

    try:
        # In a namespace of its own instead of the machine's: nothing of this shows outside.
        middle = os.path.join(root, "middle")
        netns.create(middle)
        paths.append(middle)
        began = time.perf_counter()
        for i in range(links):
            ip("link", "add", f"x{i}", "type", "veth", "peer", "name", f"y{i}", inside=middle)
            for side, path in (("x", paths[0]), ("y", paths[1])):
                with netns.opened(path) as fd:
                    subprocess.run(
                        [
                            "nsenter",
                            f"--net={middle}",
                            "ip",
                            "link",
                            "set",
                            f"{side}{i}",
                            "netns",
                            f"/proc/self/fd/{fd}",
                        ],
                        check=True,
                        pass_fds=[fd],
                    )
                ip("link", "set", f"{side}{i}", "name", f"eth{i}", "mtu", "9500", "up", inside=path)
        return time.perf_counter() - began
    finally:
        for path in paths:
            netns.delete(path)


def main(links=500, nodes=50, rounds=5):
    begin(f"wiring: {links} links, {nodes} namespaces, {rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root:
        spec = lab(links, nodes)
        before = time.process_time()
        rates = [links / ours(root, spec) for _ in range(rounds)]
        cpu = time.process_time() - before
        slow = statistics.median(BASELINE_LINKS / naive(root, BASELINE_LINKS) for _ in range(3))
    rate = statistics.median(rates)
    print(f"  labctl   {rate:7.0f} stitched links/s (median; {min(rates):.0f} to {max(rates):.0f})")
    print(
        f"  labctl   {links * rounds / cpu:7.0f} stitched links per CPU second, namespaces and proof included"
    )
    print(f"  ip, move {slow:7.1f} links/s, not stitched")
    print(f"  ratio    {rate / slow:7.1f}")
    print(f"  {judged(rate, WANTED_PER_S, 'stitched links/s', least=True)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
