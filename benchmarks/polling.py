"""How long 200 devices take to be asked over SNMP, and how many are asked at once: bounded, whatever their number.

The agents are one snmpsim process on loopback that serves a small switch under 200 communities, so its speed is the
limit, not labctl's. Each conversation has a socket of its own: the most that were open is the most that were asked at
once. The naive way is one after another.

    python benchmarks/polling.py [--devices 200] [--ports 6] [--version 2]
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "ingest"))
from _common import begin
from snmpsim_agent import Simulator

from labctl.ingest import inventory, snmp


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--ports", type=int, default=6)
    parser.add_argument("--version", type=int, choices=(2, 3), default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        walks = Path(directory) / "walks"
        walks.mkdir()
        for n in range(options.devices):
            (walks / f"sw{n}.snmprec").write_text(switch(n, options.ports))
        with Simulator(sorted(walks.glob("*")), directory) as simulator:
            file = simulator.inventory(
                Path(directory) / "inventory.yml", version=options.version, timeout=30, retries=1
            )
            targets = inventory.load(file)
            begin(f"polling: {options.devices} devices, {options.ports} ports each, SNMPv{options.version}")
            ask("bounded", targets, snmp.CONCURRENCY)
            ask("one after another (a tenth of them)", targets[: options.devices // 10], 1)


def ask(name, targets, concurrency):
    watch = Sockets()
    watch.start()
    start, cpu = time.perf_counter(), time.process_time()
    answers = snmp.collect(targets, concurrency=concurrency)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    watch.stop.set()
    watch.join()
    good = sum(answer.error is None for answer in answers)
    cells = sum(walk.rows for a in answers if a.observation for walk in a.observation.walks)
    print(
        f"  {name}: {took:.1f} s ({cpu:.1f} s of CPU), {good} of {len(targets)} answered, {cells} rows, "
        f"at most {watch.most} sockets"
    )


class Sockets(threading.Thread):
    """The most UDP sockets that this process had open."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.most = 0

    def run(self):
        while not self.stop.wait(0.02):
            inodes = {line.split()[9] for line in Path("/proc/net/udp").read_text().splitlines()[1:]}
            self.most = max(self.most, sum(self.inode(fd) in inodes for fd in os.listdir("/proc/self/fd")))

    @staticmethod
    def inode(fd):
        try:
            return os.readlink(f"/proc/self/fd/{fd}").removeprefix("socket:[").rstrip("]")
        except OSError:
            return ""


def switch(number, ports):
    """Interfaces and LLDP neighbours, as a walk sorted by OID."""
    lines = ["1.0.8802.1.1.2.1.3.1.0|2|4", f"1.0.8802.1.1.2.1.3.2.0|4x|0200{number:08x}"]
    lines += [f"1.0.8802.1.1.2.1.3.7.1.3.{n}|4|eth{n}" for n in range(1, ports + 1)]
    for column, kind, value in (
        (4, "2", "4"),
        (5, "4x", f"0200{number + 1:08x}"),
        (6, "2", "5"),
        (7, "4", "eth1"),
    ):
        lines += [f"1.0.8802.1.1.2.1.4.1.1.{column}.0.{n}.1|{kind}|{value}" for n in range(1, ports + 1)]
    lines += [f"1.3.6.1.2.1.1.5.0|4|sw{number}"]
    for column, kind, value in (
        (2, "4", "eth{n}"),
        (3, "2", "6"),
        (4, "2", "1500"),
        (7, "2", "1"),
        (8, "2", "1"),
    ):
        lines += [f"1.3.6.1.2.1.2.2.1.{column}.{n}|{kind}|{value.format(n=n)}" for n in range(1, ports + 1)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
