"""A router inside a scope has the routes that it has in the whole network: static speakers say what production says."""

import contextlib
import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest
from labs import instance, nothing_left
from rig import until

from labctl.app.deploy import Request as Deploy
from labctl.app.deploy import deploy
from labctl.app.destroy import destroy
from labctl.app.render import Request, render_snapshot
from labctl.app.scope import Ask
from labctl.ingest.frr import parse
from labctl.ingest.redact import Redactor
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Link, Topology
from labctl.names import PortId

pytestmark = pytest.mark.root

#: r1 (AS 1) - r2 (AS 2) - r3 (AS 3) - r4 (AS 3, by iBGP); r1 - o2 - o3 by OSPF
ASN = {"r1": 1, "r2": 2, "r3": 3, "r4": 3}
OSPF_COSTS = {"o2": 20, "o3": 7}


def interface(number, address, cost=None):
    lines = [f"interface eth{number}", f" ip address {address}"]
    if cost is not None:
        lines += [" ip ospf area 0", f" ip ospf cost {cost}", " ip ospf network point-to-point"]
        lines += [" ip ospf hello-interval 1", " ip ospf dead-interval 4"]
    return [*lines, "!"]


def production():
    texts = {name: [f"hostname {name}", "!"] for name in (*ASN, *OSPF_COSTS)}
    peers = {name: [] for name in ASN}
    links = []
    for number, (a, b) in enumerate(pairwise(ASN), 1):
        texts[a] += interface(number, f"10.0.{number}.0/31")
        texts[b] += interface(number, f"10.0.{number}.1/31")
        peers[a].append(f" neighbor 10.0.{number}.1 remote-as {ASN[b]}")
        peers[b].append(f" neighbor 10.0.{number}.0 remote-as {ASN[a]}")
        links.append((PortId(a, f"eth{number}"), PortId(b, f"eth{number}")))
    for number, (a, b) in enumerate(pairwise(["r1", "o2", "o3"]), 8):
        texts[a] += interface(number, f"10.0.{number}.0/31", cost=OSPF_COSTS.get(a, 1))
        texts[b] += interface(number, f"10.0.{number}.1/31", cost=OSPF_COSTS[b])
        links.append((PortId(a, f"eth{number}"), PortId(b, f"eth{number}")))
    texts["o3"] += interface(10, "172.20.3.1/24", cost=33)
    for name in ("r1", "o2", "o3"):
        texts[name] += ["router ospf", f" ospf router-id 10.255.0.{name[1]}", "!"]
    for name, asn in ASN.items():
        texts[name] += [f"router bgp {asn}", f" bgp router-id 10.255.0.{name[1]}", *peers[name]]
        texts[name] += [" no bgp ebgp-requires-policy", " no bgp network import-check"]
        texts[name] += [" address-family ipv4 unicast", f"  network 192.168.{name[1]}.0/24", "!"]
    configs = {
        name: parse("\n".join(lines) + "\n", file=name, device=name, redactor=Redactor()).config
        for name, lines in texts.items()
    }
    return Snapshot(
        topology=Topology(
            name="scoped",
            devices=tuple(Device(id=name, name=name, polled=True) for name in texts),
            links=tuple(Link(a=a, b=b) for a, b in links),
        ),
        configs=configs,
    )


def vtysh(here, lab, command):
    """What r1 answers."""
    argv = [sys.executable, "-m", "labctl", "exec", "r1", "-l", lab, "--", "vtysh", "-c", command]
    environment = os.environ | {"LABCTL_STATE": here.root}
    return json.loads(subprocess.run(argv, check=True, capture_output=True, env=environment).stdout)


def learnt(here, lab):
    """Of r1: prefix -> AS path, prefix -> OSPF metric and next hops."""
    bgp = vtysh(here, lab, "show bgp ipv4 unicast json").get("routes", {})
    ospf = vtysh(here, lab, "show ip route ospf json")
    paths = {prefix: routes[0]["path"] for prefix, routes in bgp.items()}
    metrics = {
        prefix: (routes[0]["metric"], [hop.get("ip") for hop in routes[0]["nexthops"]])
        for prefix, routes in ospf.items()
    }
    return paths, metrics


def complete(paths, metrics):
    return {f"192.168.{n}.0/24" for n in range(1, 5)} <= paths.keys() and {
        "10.0.9.0/31",
        "172.20.3.0/24",
    } <= metrics.keys()


def test_a_scope_learns_what_the_whole_learns(tmp_path, monkeypatch):
    here = instance(tmp_path / "state", monkeypatch)
    found = {}
    with contextlib.ExitStack() as running:
        for name, ask in (("whole", Ask()), ("part", Ask(query="r1", safe=True))):  # both: they wait together
            lab = f"sc{os.getpid()}-{name}"
            request = Request(file="t.yml", out=str(tmp_path / name), name=lab, scope=ask)
            rendered = render_snapshot(production(), request, instance=here)
            running.callback(lambda lab=lab: here.lab_exists(lab) and destroy([here.lab(lab)]))
            deploy(Deploy(file=rendered.file), here)
            found[name] = lab, len(rendered.lab.nodes)
        for name, (lab, nodes) in found.items():
            until(lambda lab=lab: complete(*learnt(here, lab)), f"the routes of {lab}", 60)
            found[name] = nodes, learnt(here, lab)
    assert (found["whole"][0], found["part"][0]) == (6, 3)
    assert found["part"][1] == found["whole"][1]
    assert found["part"][1][0]["192.168.4.0/24"] == "2 3"
    nothing_left(here)
