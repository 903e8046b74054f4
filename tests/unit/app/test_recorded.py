"""A lab against what production's devices printed, both small and our own."""

import json

import jsonschema
import pytest

from labctl.app import recorded
from labctl.cli import main
from labctl.model.routes import Adjacency, NextHop, Route, RouteTables
from labctl.schema import files, json_schema

CONFIG = """\
version 15.2
hostname edge-1
interface Loopback0
 ip address 10.255.0.1 255.255.255.255
interface GigabitEthernet0/0
 ip address 10.0.0.1 255.255.255.252
router bgp 1
 neighbor 10.0.0.2 remote-as 2
end
"""
ROUTES = """\
Codes: L - local

Gateway of last resort is not set

      10.0.0.0/8 is variably subnetted, 4 subnets, 3 masks
C        10.0.0.0/30 is directly connected, GigabitEthernet0/0
L        10.0.0.1/32 is directly connected, GigabitEthernet0/0
C        10.255.0.1/32 is directly connected, Loopback0
B        10.9.0.0/16 [20/0] via 10.0.0.2, 00:11:37
"""
PEERS = "BGP neighbor is 10.0.0.2,  remote AS 2, external link\n  BGP state = Established, up for 00:13:51\n"


def route(prefix, protocol, via="", interface="", **more):
    return Route(prefix=prefix, protocol=protocol, next_hops=frozenset({NextHop(via, interface)}), **more)


GI0 = "GigabitEthernet0/0"
LAB = RouteTables(
    routes={
        "edge-1": (
            route("10.0.0.0/30", "connected", interface=GI0),
            route("10.255.0.1/32", "connected", interface="Loopback0"),
            route("10.9.0.0/16", "bgp", "10.0.0.2", GI0),
            route("172.20.20.0/24", "connected", interface="eth0"),
            route("2001:db8::/64", "connected", interface=GI0),
        )
    },
    management=("172.20.20.0/24",),
    adjacencies=(Adjacency(kind="bgp", node="edge-1", peer="10.0.0.2", state="Established", up=True),),
    own={
        "edge-1": (
            route("10.0.0.1/32", "local", interface=GI0),
            route("10.255.0.1/32", "local", interface="Loopback0"),
        )
    },
)


@pytest.fixture
def production(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    for name in ("configs/box1", "show/box1", "show/box2"):
        (tmp_path / "production" / name).mkdir(parents=True)
    (tmp_path / "production/configs/box1/show_running-config.txt").write_text(CONFIG)
    (tmp_path / "production/show/box1/show_ip_route.txt").write_text(ROUTES)
    (tmp_path / "production/show/box1/show_ip_bgp_all_neighbor.txt").write_text(PEERS)
    return str(tmp_path / "production")


def run(capsys, tmp_path, lab, production):
    (tmp_path / "lab.yml").write_text(files.dump(lab))
    with pytest.raises(SystemExit) as stop:
        main.run(["compare", "lab.yml", "--with", production, "--format", "json"])
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, json_schema.schema("compare"), jsonschema.Draft202012Validator)
    return int(stop.value.code or 0), value


def test_devices_have_the_names_of_their_configurations(production):
    found = recorded.read(production)
    assert list(found.tables.routes) == ["edge-1", "box2"]
    assert found.tables.routes["box2"] is None
    assert found.asked == {("edge-1", "bgp")}


def test_a_lab_that_routes_as_production_did(production, capsys, tmp_path):
    code, value = run(capsys, tmp_path, LAB, production)
    assert (code, value["verdict"], value["compared"], value["equal"]) == (0, "PASS", 3, 3)
    assert value["own_addresses"] == {"compared": 1, "equal": 1}
    assert (value["sessions"]["compared"], value["sessions"]["equal"]) == (1, 1)
    assert value["only_reference"] == ["box2"]


def test_what_differs_has_a_rule(production, capsys, tmp_path):
    lab = RouteTables(routes={"edge-1": LAB.routes["edge-1"][:2]}, own={"edge-1": ()})
    code, value = run(capsys, tmp_path, lab, production)
    assert code == 1
    assert [(d["prefix"], d["kind"], d["rule"]) for d in value["differences"]] == [
        ("10.9.0.0/16", "missing", "device-not-in-lab"),
        ("10.0.0.1/32", "own-address", "unexplained"),
    ]
    (session,) = value["sessions"]["differences"]
    assert (session["peer"], session["reference"], session["lab"]) == ("10.0.0.2", "Established", None)


BLUE = "\nRouting Table: BLUE\nGateway of last resort is not set\n\nB        10.99.0.0/30 [20/0] via 10.9.0.2, 00:01:00\n"
ROUTES6 = """\
IPv6 Routing Table - default - 2 entries
Codes: C - Connected
C   2001:DB8::/64 [0/0]
     via GigabitEthernet0/0, directly connected
B   2001:DB8:9::/48 [20/0]
     via FE80::2, GigabitEthernet0/0
"""


def test_routes_in_a_vrf_are_unknown_and_never_equal(production, capsys, tmp_path):
    (tmp_path / "production/show/box1/show_ip_route.txt").write_text(ROUTES + BLUE)
    code, value = run(capsys, tmp_path, LAB, production)
    assert (code, value["verdict"], value["compared"], value["equal"]) == (4, "UNKNOWN", 3, 3)
    assert value["unsupported"] == [
        {"node": "edge-1", "vrf": "BLUE", "routes": 1, "reason": "labs have no VRFs"}
    ]


def test_ipv6_counts_once_it_was_recorded(production, capsys, tmp_path):
    (tmp_path / "production/show/box1/show_ipv6_route.txt").write_text(ROUTES6)
    with_bgp = (*LAB.routes["edge-1"], route("2001:db8:9::/48", "bgp", "fe80::aabb:ccff:fedd:2", GI0))
    code, value = run(capsys, tmp_path, LAB, production)
    assert code == 1
    assert [(d["prefix"], d["kind"]) for d in value["differences"]] == [("2001:db8:9::/48", "missing")]

    there = RouteTables(
        routes={"edge-1": with_bgp}, management=LAB.management, adjacencies=LAB.adjacencies, own=LAB.own
    )
    code, value = run(capsys, tmp_path, there, production)
    assert (code, value["compared"], value["equal"]) == (0, 5, 5)  # a link-local gateway is any one
