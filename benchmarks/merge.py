"""How long a big production takes to merge, and what matching per component saves.

A synthetic network: every cable heard by LLDP from both ends and by CDP from one, and a share of rows that claim a
port which has another cable (left over, mis-patched). The naive way is one matching of the whole port graph, which is
what the same library does when it is given all of it at once.

    python benchmarks/merge.py [--devices 1000] [--cables 4000] [--conflicts 0.05] [--seed 1]
"""

import argparse
import random
import statistics
import time

import networkx as nx
from _common import begin, judged

from labctl.model.observation import (
    Found,
    Ident,
    IdKind,
    InterfaceRow,
    LocalPort,
    Neighbour,
    Observation,
    Walk,
)
from labctl.topo.identity import identify
from labctl.topo.links import fold_duplicates, hypotheses_of, placed, select
from labctl.topo.merge import merge
from labctl.topo.resolve import resolve
from labctl.topo.segments import find_segments

WANTED_S = 3.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--cables", type=int, default=4000)
    parser.add_argument("--conflicts", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = production(options, random.Random(options.seed))
    rows = sum(len(seen.neighbours) for seen in found.observations)
    begin(
        f"merge: {options.devices} devices, {options.cables} cables, {options.conflicts:.0%} false rows, "
        f"{rows} rows, seed {options.seed}"
    )
    topology, whole = timed(lambda: merge("bench", found), 3)
    right = sum(link.two_sided for link in topology.links)
    print(
        f"  merged in {whole:.2f} s ({judged(whole, WANTED_S)}): {len(topology.links)} links, {right} confirmed, "
        f"{len(topology.conflicts)} conflicts"
    )

    resolved, resolving = timed(lambda: resolve(identify(found)), 3)
    claims = fold_duplicates(placed(resolved), resolved)
    _, used, _ = find_segments(claims, resolved)
    hypotheses = list(hypotheses_of(claims, used, resolved).values())
    (chosen, _), per_component = timed(lambda: select(hypotheses), 5)
    print(f"  of which identities and ports {resolving:.2f} s, matching per component {per_component:.3f} s")

    graph = nx.Graph()
    for h in hypotheses:
        graph.add_edge(h.cable.a, h.cable.z, weight=h.confidence)
    matching, naive = timed(lambda: nx.max_weight_matching(graph), 1)
    print(f"  matching of the whole graph {naive:.2f} s: {len(matching)} links against {len(chosen)}")
    print(f"  ratio {naive / per_component:.0f}")


def timed(work, times):
    took = []
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        took.append(time.perf_counter() - start)
    return result, statistics.median(took)


def production(options, rng):
    """Random cables between free ports; false rows point a used port at another used port."""
    ports = [0] * options.devices
    ends = []
    for _ in range(options.cables):
        pair = []
        for device in rng.sample(range(options.devices), 2):
            ports[device] += 1
            pair.append((device, ports[device]))
        ends.append(tuple(pair))
    rows = [[] for _ in range(options.devices)]
    for a, z in ends:
        hear(rows, a, z, "lldp", 1)
        hear(rows, z, a, "lldp", 1)
        hear(rows, a, z, "cdp", 1)
    for _ in range(int(options.cables * options.conflicts)):
        (a, _), (_, z) = rng.sample(ends, 2)
        hear(rows, a, z, "lldp", 2)
    return Found(observations=tuple(observation(n, ports[n], rows[n]) for n in range(options.devices)))


def mac(device, port=0):
    return f"02:00:{device >> 8:02x}:{device & 255:02x}:00:{port:02x}"


def hear(rows, here, there, protocol, index):
    device, port = here
    far = mac(there[0])
    rows[device].append(
        Neighbour(
            protocol=protocol,
            port=port,
            port_is_index=protocol == "cdp",
            index=(0, port, index),
            chassis=Ident(IdKind.MAC, far, far),
            remote_port=Ident(IdKind.NAME, f"GigabitEthernet1/0/{there[1]}"),
            where=f"r{device}:{protocol}.{port}.{index}",
        )
    )


def observation(number, ports, rows):
    names = [(n, f"GigabitEthernet1/0/{n}") for n in range(1, ports + 1)]
    chassis = mac(number)
    return Observation(
        key=f"r{number}",
        source="bench",
        sys_name=f"r{number}",
        chassis=Ident(IdKind.MAC, chassis, chassis),
        interfaces=tuple(InterfaceRow(index=n, name=name, mac=mac(number, n)) for n, name in names),
        local_ports=tuple(LocalPort(number=n, id=Ident(IdKind.NAME, name)) for n, name in names),
        neighbours=tuple(rows),
        walks=(Walk(table="all", rows=len(rows), complete=True),),
        where=f"r{number}",
    )


if __name__ == "__main__":
    main()
