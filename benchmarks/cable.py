"""What a stitched cable carries and how long it takes, beside a plain veth pair between the same two namespaces.

A cable of a lab is two veth pairs whose panel sides are joined by tc redirects, so a frame passes two more devices than
on one pair; that is the price of cutting and impairing it without touching a node. Both are measured in turns, so that a
machine that gets busier is so for both.

    python benchmarks/cable.py [--seconds 2] [--rounds 5]
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time

from _common import begin
from _traffic import clean_rate, goodput, pings, quantile
from impair_field import ADDRESSES, MACS, Field, cable

from labctl.linux import mounts, netns
from labctl.linux.netlink import Netlink, VethEnd


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    begin(f"cable: medians of {options.rounds} rounds, in turns")
    for mtu in (1500, 9500):
        with fields(mtu) as both:
            report(f"TCP, MTU {mtu}", "Gbit/s", turns(both, options, goodput), 1e9)
            if mtu == 1500:
                report("60-byte frames", "kpps", turns(both, options, clean_rate), 1e3)
                round_trips(both, options)


@contextlib.contextmanager
def fields(mtu):
    """The stitched cable and the plain pair."""
    with (
        tempfile.TemporaryDirectory(prefix="labctl-bench-") as one,
        tempfile.TemporaryDirectory(prefix="labctl-bench-") as other,
        cable(one, mtu, addresses=True) as stitched,
        pair(other, mtu) as plain,
    ):
        time.sleep(1)  # neighbour discovery
        yield stitched, plain


@contextlib.contextmanager
def pair(root, mtu):
    """One veth pair, each end in its namespace: nothing between them."""
    made = Field(root)
    netns.prepare(os.path.join(root, "ns"))
    try:
        for name in "az":
            netns.create(made.path(name))
        with Netlink(made.path("a")) as here, netns.opened(made.path("z")) as fd:
            far = VethEnd(name="eth1", netns_fd=fd, mac=MACS["z"], mtu=mtu)
            here.create_veth(VethEnd(name="eth1", mac=MACS["a"], mtu=mtu), far)
        for name in "az":
            with Netlink(made.path(name)) as inside:
                inside.set_link("lo", up=True)
                inside.set_link("eth1", up=True)
                inside.add_address(inside.index("eth1"), f"{ADDRESSES[name][0]}/24")
        yield made
    finally:
        for name in "az":
            netns.delete(made.path(name))
        mounts.unmount(os.path.join(root, "ns"))


def turns(both, options, measure):
    """The figures of each field, taken in turns."""
    rounds = [[measure(made, options.seconds) for made in both] for _ in range(options.rounds)]
    return zip(*rounds, strict=True)


def report(what, unit, figures, scale):
    stitched, plain = ([each / scale for each in found] for found in figures)
    here, there = statistics.median(stitched), statistics.median(plain)
    print(
        f"  {what:14} stitched {here:7.2f} {unit} ({min(stitched):.2f} to {max(stitched):.2f}), "
        f"plain veth {there:7.2f} ({min(plain):.2f} to {max(plain):.2f}), ratio {here / there:.2f}",
        flush=True,
    )


def round_trips(both, options):
    count = int(1000 * options.seconds)
    found = [[pings(made, count) for made in both] for _ in range(options.rounds)]
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        here, there = (
            statistics.median(quantile(each, share) for each in column) * 1e6
            for column in zip(*found, strict=True)
        )
        print(
            f"  RTT {name:10} stitched {here:7.1f} us, plain veth {there:7.1f} us, "
            f"{here - there:+.1f} us, ratio {here / there:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
