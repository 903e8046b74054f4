"""A Linux box from what `ip -j` printed, alone and with FRR's configuration over it."""

import json
import os
from pathlib import Path

import pytest

from labctl.errors import LabctlError, render
from labctl.ingest.linux_host import read_directory
from labctl.ingest.redact import Redactor
from labctl.model.config import Discard, InterfaceKind


def link(name, *addresses, mtu=1500, flags=("BROADCAST", "UP"), **more):
    info = [
        {
            "family": "inet6" if ":" in address else "inet",
            "local": address.partition("/")[0],
            "prefixlen": int(address.partition("/")[2]),
            "scope": "link" if address.startswith("fe80") else "global",
        }
        for address in addresses
    ]
    return {"ifname": name, "flags": list(flags), "mtu": mtu, "link_type": "ether", "addr_info": info, **more}


LO = {
    "ifname": "lo",
    "flags": ["LOOPBACK", "UP"],
    "mtu": 65536,
    "link_type": "loopback",
    "addr_info": [
        {"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host"},
        {"family": "inet", "local": "10.255.0.1", "prefixlen": 32, "scope": "global"},
    ],
}


@pytest.fixture
def box(tmp_path):
    def write(links, routes=(), **texts):
        directory = tmp_path / "r1"
        directory.mkdir()
        (directory / "ip-addr.json").write_text(json.dumps(links))
        (directory / "ip-route.json").write_text(json.dumps(list(routes)))
        for name, text in texts.items():
            (directory / name.replace("_", ".")).write_text(text)
        return read_directory(str(directory), redactor=Redactor())

    return write


def test_a_plain_host(box):
    found = box(
        [LO, link("eth1", "10.0.0.5/24", "2001:db8::5/64", "fe80::1/64", mtu=9000, ifalias="to sw1")],
        [
            {"dst": "default", "gateway": "10.0.0.1", "dev": "eth1", "flags": []},
            {"dst": "10.0.0.0/24", "dev": "eth1", "protocol": "kernel", "scope": "link"},
            {"type": "blackhole", "dst": "10.9.0.0/16", "protocol": "static"},
        ],
        hostname="web1\n",
        sysctl="net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 0\n",
    ).config
    lo, eth1 = found.interfaces
    assert (found.device, found.hostname, found.dialect) == ("web1", "web1", "linux")
    assert (found.forwarding_v4, found.forwarding_v6) == (True, False)
    assert (lo.kind, lo.ipv4, lo.mtu) == (InterfaceKind.LOOPBACK, ("10.255.0.1/32",), None)
    assert (eth1.ipv4, eth1.ipv6, eth1.mtu) == (("10.0.0.5/24",), ("2001:db8::5/64",), 9000)
    assert eth1.description == "to sw1"
    assert [(r.prefix, r.next_hop, r.interface, r.discard, r.kernel) for r in found.static_routes] == [
        ("0.0.0.0/0", "10.0.0.1", "eth1", None, True),
        ("10.9.0.0/16", None, None, Discard.BLACKHOLE, True),
    ]


@pytest.mark.parametrize("protocol", ["bgp", "ospf", "zebra", "isis", "dhcp", "ra", "kernel", "196"])
def test_a_route_that_a_protocol_installed_is_no_static(box, protocol):
    routes = [{"dst": "10.1.0.0/16", "gateway": "10.0.0.1", "dev": "eth1", "protocol": protocol}]
    assert box([link("eth1", "10.0.0.5/24")], routes).config.static_routes == ()


def test_several_next_hops_are_several_statics(box):
    hops = [
        {"gateway": "10.0.0.1", "dev": "eth1"},
        {"gateway": "10.0.1.1", "dev": "eth2", "flags": ["onlink"]},
    ]
    routes = [{"dst": "10.1.0.0/16", "protocol": "static", "nexthops": hops}]
    found = box([link("eth1"), link("eth2")], routes).config.static_routes
    assert [(r.next_hop, r.interface, r.onlink) for r in found] == [
        ("10.0.0.1", "eth1", False),
        ("10.0.1.1", "eth2", True),
    ]


def test_frr_over_the_kernel(box):
    found = box(
        [LO, link("eth1", "10.0.0.1/24", mtu=1600), link("eth2", "10.0.1.1/24", flags=["BROADCAST"])],
        [{"dst": "10.8.0.0/16", "gateway": "10.0.0.2", "dev": "eth1", "protocol": "static"}],
        frr_conf=(
            "hostname other\ninterface eth1\n description core\n ip address 10.0.0.1/24\n ip ospf cost 5\n"
            "ip route 10.8.0.0/16 10.0.0.2\nrouter ospf\n network 10.0.0.0/8 area 0\n passive-interface default\n"
        ),
    )
    lo, eth1, eth2 = found.config.interfaces
    assert (found.config.dialect, found.config.hostname) == ("frr", "r1")
    assert (eth1.ipv4, eth1.mtu, eth1.description, eth1.ospf.cost) == (("10.0.0.1/24",), 1600, "core", 5)
    assert (eth2.shutdown, eth2.ospf.passive, eth2.ospf.cost) == (True, True, None)
    assert lo.ospf.network_type == "loopback"
    assert [(r.prefix, r.kernel) for r in found.config.static_routes] == [("10.8.0.0/16", False)]
    assert len(found.account.lines) == 9


def test_an_address_that_is_none(box):
    broken = link("eth1")
    broken["addr_info"] = [{"family": "inet", "local": "10.0.0.300", "prefixlen": 24, "scope": "global"}]
    with pytest.raises(LabctlError) as caught:
        box([broken])
    assert caught.value.code == "bad-address"
    assert caught.value.where.file.endswith("r1/ip-addr.json")


def test_half_a_file(tmp_path):
    here = Path(__file__).parents[2] / "errors"
    (tmp_path / "ip-addr.json").write_text((here / "config-truncated-json.json").read_text())
    with pytest.raises(LabctlError) as caught:
        read_directory(str(tmp_path), redactor=Redactor())
    golden = here / "config-truncated-json.txt"
    text = render(caught.value).replace(str(tmp_path), "$DIR") + "\n"
    if os.environ.get("LABCTL_UPDATE_GOLDENS") == "1":
        golden.write_text(text)
    assert text == golden.read_text()


def test_nothing_there(tmp_path):
    with pytest.raises(LabctlError) as caught:
        read_directory(str(tmp_path), redactor=Redactor())
    assert caught.value.code == "file-not-found"
