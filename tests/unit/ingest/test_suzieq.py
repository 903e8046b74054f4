"""Networks that SuzieQ recorded: a small one written here, and the public ones (LABCTL_CORPUS)."""

import os
from pathlib import Path

import pytest

from labctl.app.discover import discover
from labctl.errors import LabctlError
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import SOURCES, Context, recognise
from labctl.model.observation import Found
from labctl.model.topology import Role
from labctl.topo.merge import merge

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("LABCTL_CORPUS", ROOT / "../shared/corpus")) / "suzieq"
LLDP = """hostname,ifname,peerHostname,peerIfname,peerIfindex,peerMacaddr,subtype,mgmtIP,description
leaf1,eth1,spine1,Ethernet1,0,00:00:00:00:00:00,interface name,,
spine1,Ethernet1,leaf1,-,0,02:00:00:00:00:01,mac address,192.0.2.1,"two
lines"
spine1,Ethernet2,leaf2,-,517,00:00:00:00:00:00,locally assigned,-,
leaf2,xe-0/0/1,spine1,Ethernet2,0,00:00:00:00:00:00,interface name,,
leaf1,eth0,oob,Gi0/1,0,00:00:00:00:00:00,interface name,,
"""
INTERFACES = """hostname,ifname,ifindex,macaddr,type,speed,mtu,state,adminState,master,vlan,ipAddressList,ip6AddressList,description
leaf1,eth0,0,02:00:00:00:00:00,ethernet,1000,1500,up,up,,0,"[""192.0.2.1/24""]",[],
leaf1,eth1,2.0,02:00:00:00:00:01,ethernet,-1,1500,up,up,,0,[],"[""2001:db8::1/64""]",
spine1,Ethernet1,1,,ethernet,1000,1500,up,up,,0,[],[],
spine1,Ethernet2,2,,ethernet,1000,1500,up,up,,0,[],[],
leaf2,xe-0/0/1,517,,ethernet,1000,1500,up,up,,0,[],[],
"""
DEVICE = "hostname,address,model,vendor,version,os,serialNumber\nleaf1,192.0.2.1,vm,Debian,12,linux,\n"


def observe(directory):
    inputs, _ = recognise([str(directory)])
    assert "suzieq" in [each.source for each in inputs]
    (path,) = [each.path for each in inputs if each.source == "suzieq"]
    return SOURCES["suzieq"].read(path, Context(redactor=Redactor())).observations


def test_ports_are_resolved_through_the_peer(tmp_path):
    for name, text in (("lldp.csv", LLDP), ("interfaces.csv", INTERFACES), ("device.csv", DEVICE)):
        (tmp_path / name).write_text(text)
    topology = merge("net", Found(observations=tuple(observe(tmp_path))))
    links = {str(link.id): link for link in topology.links}
    assert list(links) == [
        "leaf1:eth0--oob:Gi0/1",
        "leaf1:eth1--spine1:Ethernet1",
        "leaf2:xe-0/0/1--spine1:Ethernet2",
    ]
    assert [link.two_sided for link in links.values()] == [False, True, True]
    assert [link.role for link in links.values()] == [Role.MGMT, Role.DATA, Role.DATA]
    by_index = links["leaf2:xe-0/0/1--spine1:Ethernet2"]
    assert any("remote ifIndex" in evidence.rule for evidence in by_index.evidence)
    assert {evidence.where for evidence in by_index.evidence} == {
        f"{tmp_path}/lldp.csv:5",
        f"{tmp_path}/lldp.csv:6",
    }
    assert topology.device("leaf1").interfaces[1].addresses == ("2001:db8::1/64",)
    assert topology.device("leaf1").platform == "Debian vm linux 12"


def test_without_its_interfaces_a_recording_is_not_read(tmp_path):
    (tmp_path / "lldp.csv").write_text(LLDP)
    with pytest.raises(LabctlError) as error:
        observe(tmp_path)
    assert (error.value.code, str(error.value.where)) == ("file-not-found", f"{tmp_path}/interfaces.csv")


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
@pytest.mark.parametrize(
    ("network", "cables"), [("dual-bgp", 22), ("eos", 18), ("mixed", 12), ("nxos", 18), ("ospf-single", 14)]
)
def test_the_recorded_networks_have_exactly_their_cables(network, cables):
    topology = merge(network, Found(observations=tuple(observe(CORPUS / network))))
    confirmed = [link for link in topology.links if link.two_sided and link.role is Role.DATA]
    assert len(confirmed) == cables
    assert all(link.evidence for link in topology.links)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)")
@pytest.mark.parametrize(
    ("network", "cables", "configured"),
    [("dual-bgp", 22, 0), ("eos", 18, 8), ("mixed", 12, 4), ("nxos", 18, 0), ("ospf-single", 14, 0)],
)
def test_a_directory_with_the_configurations_beside_is_read_as_it_is(network, cables, configured):
    """What a user points at: tables and configurations, none of which may stop the others."""
    found = discover([str(CORPUS / network)], write=False)
    data = [each for each in found.snapshot.topology.links if each.role is Role.DATA and each.two_sided]
    assert (len(data), len(found.snapshot.configs)) == (cables, configured)
