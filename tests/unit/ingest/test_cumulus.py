"""A Cumulus switch in one file: addresses from ifupdown's stanzas, routing from FRR's part."""

import os
from pathlib import Path

import pytest

from labctl.ingest.frr.cumulus import is_cumulus, parse
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import recognise
from labctl.model.account import LineClass

CORPUS = Path(__file__).parents[3] / os.environ.get("LABCTL_CORPUS", "../shared/corpus")

SWITCH = """\
leaf
# This file describes the network interfaces
source /etc/network/interfaces.d/*.intf

auto lo
iface lo inet loopback
    address 10.255.0.1/32

auto eth0
iface eth0 inet dhcp

auto swp1
iface swp1
    address 10.0.1.1/30
    mtu 9000
    bridge-vids 10

# ports.conf --
frr version 4.0+cl3u8
frr defaults datacenter
hostname leaf1
username cumulus nopassword
!
interface swp1
 ip ospf area 0
!
router ospf
 ospf router-id 10.255.0.1
!
line vty
!
"""


def parsed(text):
    return parse(text, file="leaf.cfg", device="leaf", redactor=Redactor())


def test_addresses_and_routing_come_together():
    found = parsed(SWITCH)
    lo, eth0, swp1 = found.config.interfaces
    assert (lo.ipv4, eth0.mgmt, swp1.ipv4, swp1.mtu) == (("10.255.0.1/32",), True, ("10.0.1.1/30",), 9000)
    assert swp1.ospf.area == "0.0.0.0"
    assert found.config.hostname == "leaf"
    assert [line.text for line in found.account.of(LineClass.UNSUPPORTED)] == ["bridge-vids 10"]
    assert found.account.of(LineClass.UNKNOWN) == ()


def test_a_word_alone_is_a_name_only_in_the_first_line():
    assert [line.text for line in parsed("leaf\nauto lo\nother\n").account.of(LineClass.UNKNOWN)] == ["other"]


def test_it_is_told_from_a_plain_frr_file(tmp_path):
    assert is_cumulus(SWITCH.encode())
    assert not is_cumulus(b"frr version 8.4\nfrr defaults traditional\n")
    (tmp_path / "leaf.cfg").write_text(SWITCH)
    ((claimed,), _) = recognise([str(tmp_path)])
    assert claimed.source == "cumulus"


@pytest.mark.corpus
@pytest.mark.parametrize("lab", ["cumulusfrr_bgp_community", "cumulusfrr_ospf_area_range"])
def test_every_line_of_a_recorded_network_is_understood(lab):
    paths = sorted((CORPUS / "lab-validation" / lab / "configs").rglob("*.cfg"))
    if not paths:
        pytest.skip(f"no corpus at {CORPUS}")
    for path in paths:
        found = parse(path.read_text(), file=str(path), device=path.parent.name, redactor=Redactor())
        assert found.account.of(LineClass.UNKNOWN, LineClass.UNSUPPORTED) == ()
        assert any(i.ipv4 for i in found.config.interfaces)
