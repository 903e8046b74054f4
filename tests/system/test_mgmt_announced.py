"""The lab's management network is announced by no node, whatever production's configuration would take in.

Production says `redistribute connected` in OSPF and in both families of BGP, and its OSPF takes in all of 172.16.0.0/12,
in which labctl's management network lies.
"""

import os
import re
import subprocess
import sys
from ipaddress import ip_address, ip_network

import pytest
from labs import instance, nothing_left
from rig import until

from labctl.app.deploy import Request as Deploy
from labctl.app.deploy import deploy
from labctl.app.destroy import destroy
from labctl.app.render import Request, render_snapshot
from labctl.ingest.frr import parse
from labctl.ingest.redact import Redactor
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Link, Topology
from labctl.names import PortId

pytestmark = pytest.mark.root

PRODUCTION = """\
hostname r{own}
interface eth1
 ip address 172.16.1.{own}/24
 ipv6 address 2001:db8:1::{own}/64
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
interface eth2
 ip address 10.9.{own}.1/24
 ipv6 address 2001:db8:9:{own}::1/64
router ospf
 ospf router-id 10.255.0.{own}
 network 172.16.0.0/12 area 0
 redistribute connected
 redistribute kernel
router bgp {own}
 bgp router-id 10.255.0.{own}
 no bgp ebgp-requires-policy
 neighbor 172.16.1.{other} remote-as {other}
 neighbor 2001:db8:1::{other} remote-as {other}
 address-family ipv4 unicast
  redistribute connected
  redistribute kernel
  redistribute ospf
 address-family ipv6 unicast
  redistribute connected
  redistribute kernel
  neighbor 2001:db8:1::{other} activate
"""
#: What a node knows and tells, and what it must have in it before it is complete
CONNECTED = ("show ip route connected", "show ipv6 route connected")
TOLD = {
    "show ip ospf database router": {"172.16.1.0"},
    "show ip ospf database external": {"10.9.1.0", "10.9.2.0"},
    "show bgp ipv4 unicast json": {"10.9.1.0", "10.9.2.0"},
    "show bgp ipv6 unicast json": {"2001:db8:9:1::", "2001:db8:9:2::"},
}


def production():
    texts = {f"r{own}": PRODUCTION.format(own=own, other=3 - own) for own in (1, 2)}
    return Snapshot(
        topology=Topology(
            name="told",
            devices=tuple(Device(id=name, name=name, polled=True) for name in texts),
            links=(Link(a=PortId("r1", "eth1"), b=PortId("r2", "eth1")),),
        ),
        configs={
            name: parse(text, file=name, device=name, redactor=Redactor()).config
            for name, text in texts.items()
        },
    )


def addresses(here, lab, node, commands):
    """Every address in what the node answers."""
    asked = [word for command in commands for word in ("-c", command)]
    argv = [sys.executable, "-m", "labctl", "exec", node, "-l", lab, "--", "vtysh", *asked]
    environment = os.environ | {"LABCTL_STATE": here.root}
    said = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout
    found = set()
    for word in re.findall(r"[0-9a-f:.]+", said):
        try:
            found.add(ip_address(word))
        except ValueError:
            continue
    return found


def test_the_management_network_is_announced_by_nobody(tmp_path, monkeypatch):
    here = instance(tmp_path / "state", monkeypatch)
    lab = f"told{os.getpid()}"
    request = Request(file="t.yml", out=str(tmp_path / "out"), name=lab)
    rendered = render_snapshot(production(), request, instance=here)
    mgmt = [ip_network(rendered.lab.mgmt.ipv4_subnet), ip_network(rendered.lab.mgmt.ipv6_subnet)]
    assert mgmt[0].subnet_of(ip_network("172.16.0.0/12"))
    deploy(Deploy(file=rendered.file), here)
    try:
        for node in ("r1", "r2"):

            def managed(asked, node=node):
                found = addresses(here, lab, node, asked)
                return {net for net in mgmt if any(a.version == net.version and a in net for a in found)}

            def complete(node=node):
                return all(
                    {ip_address(a) for a in wanted} <= addresses(here, lab, node, [command])
                    for command, wanted in TOLD.items()
                )

            until(lambda managed=managed: managed(CONNECTED) == set(mgmt), f"{node} has a leg in it", 60)
            until(complete, f"{node} has what both announce", 60)
            assert managed(TOLD) == set()
    finally:
        destroy([here.lab(lab)])
    nothing_left(here)
