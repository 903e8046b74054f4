"""How long a recorded walk of some megabytes takes to become an observation, beside the least that reading it can cost.

A synthetic snmprec file: the interface tables of a large chassis, its LLDP neighbours, its forwarding table and ARP
table. The naive way is one regular expression over the lines and nothing else: no type is decoded, nothing is refused.

    python benchmarks/walks.py [--megabytes 5] [--seed 1] [FILE...]
"""

import argparse
import random
import re
import statistics
import tempfile
import time
from pathlib import Path

from _common import begin, judged

from labctl.ingest import mibs, snmprec

LINE = re.compile(rb"([\d.]+)\|(\w+)\|(.*)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    begin(f"walks: seed {options.seed}")
    if options.files:
        for name in options.files:
            measure(Path(name))
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "chassis.snmprec"
        path.write_bytes(walk(options.megabytes, random.Random(options.seed)))
        measure(path)


def measure(path):
    size = path.stat().st_size / 1e6
    read, reading = timed(lambda: snmprec.read(path), 3)
    seen, decoding = timed(lambda: mibs.decode(read.cells, key="x", source="snmprec", where=str(path)), 3)
    _, naive = timed(lambda: [LINE.match(line).groups() for line in path.read_bytes().splitlines()], 3)
    print(
        f"walk: {size:.1f} MB, {len(read.cells)} cells, {len(seen.interfaces)} interfaces, "
        f"{len(seen.neighbours)} neighbours, {len(seen.stations)} stations, {len(seen.rejected)} rejected"
    )
    print(
        f"  read {reading:.2f} s, decoded {decoding:.2f} s: {reading + decoding:.2f} s ({judged(reading + decoding, round(size / 5, 2))}); "
        f"lines alone {naive:.2f} s"
    )


def timed(work, times):
    took = []
    for _ in range(times):
        start = time.process_time()  # of this process: the machine may be busy with others
        result = work()
        took.append(time.process_time() - start)
    return result, statistics.median(took)


def walk(megabytes, rng):
    """Columns one after another, as a walk has them; a third interfaces, the rest forwarding and ARP tables."""
    ports = int(megabytes * 600)
    hosts = int(megabytes * 14000)
    lines = [b"1.3.6.1.2.1.1.1.0|4|chassis", b"1.3.6.1.2.1.1.5.0|4|core1"]
    for column, kind, value in (
        (2, "4", "TenGigE0/{n}"),
        (3, "2", "6"),
        (4, "2", "9216"),
        (7, "2", "1"),
        (8, "2", "1"),
    ):
        lines += [
            f"1.3.6.1.2.1.2.2.1.{column}.{n}|{kind}|{value.format(n=n)}".encode() for n in range(1, ports)
        ]
    lines += [
        f"1.3.6.1.2.1.4.22.1.2.7.10.{n >> 16}.{n >> 8 & 255}.{n & 255}|4x|02{n:010x}".encode()
        for n in range(hosts // 4)
    ]
    for column, kind in ((2, "2"), (3, "2")):
        for n in range(hosts // 2):
            mac = ".".join(str(part) for part in (2, *n.to_bytes(5)))
            value = 3 if column == 3 else rng.randrange(1, ports)
            lines.append(f"1.3.6.1.2.1.17.7.1.2.2.1.{column}.10.{mac}|{kind}|{value}".encode())
    lines += [f"1.3.6.1.2.1.17.1.4.1.2.{n}|2|{n}".encode() for n in range(1, ports)]
    lines += [f"1.3.6.1.2.1.31.1.1.1.1.{n}|4|Te0/{n}".encode() for n in range(1, ports)]
    lines += [f"1.0.8802.1.1.2.1.3.7.1.3.{n}|4|Te0/{n}".encode() for n in range(1, ports)]
    for column, kind, value in (
        (4, "2", "4"),
        (5, "4x", "04{n:010x}"),
        (6, "2", "5"),
        (7, "4", "Te0/1"),
        (9, "4", "peer{n}"),
    ):
        lines += [
            f"1.0.8802.1.1.2.1.4.1.1.{column}.0.{n}.1|{kind}|{value.format(n=n)}".encode()
            for n in range(1, ports // 2)
        ]
    return b"\n".join(lines) + b"\n"


if __name__ == "__main__":
    main()
