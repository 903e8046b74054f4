"""How long `labctl --help` takes: the price of every call from a script or a shell's completion.

Against two others in the same run: a bare `python -c pass`, which nothing can beat, and labctl with what its verbs
need imported at the top, which is how most command lines are written.

    python benchmarks/startup.py [--rounds 15]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from _common import begin, judged

TARGET_S = 0.3
EAGER = """
import asyncio, cryptography, jinja2, networkx, paramiko, pydantic, pyroute2, pysnmp.hlapi.v3arch.asyncio, yaml
from labctl.cli.main import run
run(["--help"])
"""


def median_s(argv, rounds):
    """The first round warms the page cache and does not count."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    labctl = os.path.join(os.path.dirname(sys.executable), "labctl")
    begin(f"startup: medians of {rounds} rounds")
    bare = median_s([sys.executable, "-c", "pass"], rounds)
    found = median_s([labctl, "--help"], rounds)
    verb = median_s([labctl, "deploy", "--help"], rounds)
    eager = median_s([sys.executable, "-c", EAGER], rounds)
    print(f"python -c pass        {bare * 1e3:6.0f} ms")
    print(f"labctl --help         {found * 1e3:6.0f} ms  {found / bare:.1f} x bare python")
    print(f"labctl deploy --help  {verb * 1e3:6.0f} ms  {verb / bare:.1f} x bare python")
    print(f"eager imports         {eager * 1e3:6.0f} ms  {eager / found:.1f} x labctl --help")
    print(f"labctl --help: {judged(found * 1e3, TARGET_S * 1e3, 'ms')}")


if __name__ == "__main__":
    main()
