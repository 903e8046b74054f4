"""Tables that somebody exported: what they are, what they say, and what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError, render
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import SOURCES, Context, Reading, recognise
from labctl.ingest.tables import kind_of
from labctl.model.observation import Found
from labctl.topo.merge import merge

NEIGHBOURS = """device,port,neighbour,neighbour_port
sw1,Gi1/0/1,sw2,Gi1/0/2
sw2,GigabitEthernet1/0/2,sw1,GigabitEthernet1/0/1
"""
INTERFACES = """device,interface,mtu,state,ip address,description
sw1,GigabitEthernet1/0/1,1500,up,192.0.2.1/30,to sw2
sw2,GigabitEthernet1/0/2,9000,administratively down,unassigned,
"""


def read(*paths):
    reading = Reading()
    for each in recognise([str(path) for path in paths])[0]:
        reading.add(SOURCES[each.source].read(each.path, Context(redactor=Redactor())))
    return reading


def topology(reading):
    return merge("t", Found(observations=tuple(reading.observations), cables=tuple(reading.cables)))


def links(reading):
    return {str(link.id): link for link in topology(reading).links}


def save(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_text(text if isinstance(text, str) else json.dumps(text, indent=1))
    return tmp_path


@pytest.mark.parametrize(
    ("columns", "name", "table"),
    [
        ("device port neighbour neighbour_port", "x", "neighbours"),
        ("hostname local_interface neighbor neighbor_interface", "x", "neighbours"),
        ("hostname,ifname,peerHostname,peerIfname".replace(",", " "), "x", "neighbours"),
        ("device interface mtu", "x", "interfaces"),
        ("device interface mac ip", "x", "arp"),
        ("device interface mac ip", "interfaces", "interfaces"),
        ("device interface mac ip mtu", "x", "interfaces"),
        ("device vlan mac port", "x", "macs"),
        ("A Device|A Port|B Device|B Port".replace("|", ";"), "x", "cables"),
        ("name colour", "x", None),
    ],
)
def test_what_a_table_is(columns, name, table):
    assert kind_of(columns.split(";" if ";" in columns else " "), name) == table


def test_short_and_long_names_are_one_port(tmp_path):
    found = links(read(save(tmp_path, n__csv=NEIGHBOURS, interfaces__csv=INTERFACES)))
    (link,) = found.values()
    assert str(link.id) == "sw1:GigabitEthernet1/0/1--sw2:GigabitEthernet1/0/2"
    assert link.two_sided
    assert [e.where for e in link.evidence] == [f"{tmp_path}/n.csv:2", f"{tmp_path}/n.csv:3"]


def test_interfaces_have_their_attributes(tmp_path):
    found = topology(read(save(tmp_path, interfaces__csv=INTERFACES)))
    (one,), (two,) = (device.interfaces for device in found.devices)
    assert (one.mtu, one.oper_up, one.addresses, one.description) == (1500, True, ("192.0.2.1/30",), "to sw2")
    assert (two.mtu, two.oper_up, two.addresses) == (9000, False, ())


def test_the_same_in_json(tmp_path):
    rows = [
        {"local_interface": "eth1", "neighbor": "b", "neighbor_interface": "eth9"},
        {"local_interface": "eth2", "neighbor": "00:11:22:33:44:55", "neighbor_interface": "eth1"},
    ]
    found = links(read(save(tmp_path, a__json=rows, b__json={"neighbours": [], "cables": []})))
    assert list(found) == ["0011.2233.4455:eth1--a:eth2", "a:eth1--b:eth9"]
    assert found["a:eth1--b:eth9"].evidence[0].where == f"{tmp_path}/a.json:2"


def test_a_list_of_cables_wins(tmp_path):
    cables = "a_device,a_port,b_device,b_port\nsw1,Gi1/0/1,sw3,Gi1/0/3\n"
    found = topology(read(save(tmp_path, n__csv=NEIGHBOURS, cables__csv=cables)))
    assert [str(link.id) for link in found.links] == ["sw1:Gi1/0/1--sw3:Gi1/0/3"]
    assert "port-claimed-twice" in {c.kind for c in found.conflicts}


def test_a_port_with_two_cables_of_a_list_is_on_a_segment(tmp_path):
    cables = "a_device,a_port,b_device,b_port\nr1,e1,r2,e1\nr1,e1,r3,e1\n"
    found = topology(read(save(tmp_path, cables__csv=cables)))
    assert found.links == ()
    (segment,) = found.segments
    assert [str(port) for port in segment.ports] == ["r1:e1", "r2:e1", "r3:e1"]
    assert {e.where for e in segment.evidence} == {f"{tmp_path}/cables.csv:2", f"{tmp_path}/cables.csv:3"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("n.csv", NEIGHBOURS + "sw1,Gi1/0/3\n", "n.csv:4  this row has 2 fields, the header 4"),
        ("n.csv", NEIGHBOURS + ",Gi1/0/3,x,y\n", "n.csv:4  no column says which device"),
        ("n.csv", NEIGHBOURS + "sw1,,x,y\n", "n.csv:4  no column says which port"),
        ("n.csv", NEIGHBOURS + "sw1,e1,,y\n", "n.csv:4  a neighbour without a name"),
        ("arp.csv", "device,port,ip,mac\nr1,e1,300.1.1.1,00:00:00:00:00:01\n", "arp.csv:2  no IP address"),
        ("macs.csv", "device,port,mac\nr1,e1,zz\n", "macs.csv:2  not a MAC address: 'zz'"),
        ("interfaces.csv", "device,port,mtu\nr1,e1,big\n", "interfaces.csv:2  the MTU of e1 is no number"),
        ("cables.csv", "a_device,a_port,b_device,b_port\nr1,e1,,e1\n", "cables.csv:2  a cable without b_dev"),
        (
            "x.json",
            '{"neighbours": [\n{"port": "e1", "neighbour": "b"},\n{"port": 7}]}',
            "x.json:3  its keys",
        ),
        ("x.json", '{"neighbours": [1]}', "x.json  an entry of neighbours is not an object"),
        ("x.json", '{"device": "a", "arp": 1}', "x.json:1  arp is not a list"),
    ],
)
def test_bad_rows_have_their_place(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    reading = read(tmp_path / name)
    assert any(f"{tmp_path}/{said}" in render(error) for error in reading.broken)
    assert all(not seen.complete for seen in reading.observations)


def test_what_is_no_json_has_its_place(tmp_path):
    (tmp_path / "x.json").write_text('{"neighbours": [\n {"port": }]}')
    with pytest.raises(LabctlError) as error:
        read(tmp_path / "x.json")
    assert render(error.value).startswith(f"error: bad-json\n  {tmp_path}/x.json:2:11  ")


cells = st.one_of(
    st.sampled_from(["sw1", "e1", "", '"', "192.0.2.1/24", "00:11:22:33:44:55", "-1", "1e999", "\0"]),
    st.text(max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [
            "device,port,neighbour,neighbour_port",
            "device,port,mac,ip",
            "device,port,mac",
            "device,port,mtu,speed,vlan,ip,lag,mac,ifindex",
            "a_device,a_port,b_device,b_port",
        ]
    ),
    st.lists(st.lists(cells, max_size=9), max_size=6),
)
def test_no_table_gives_a_traceback(tmp_path_factory, columns, rows):
    path = tmp_path_factory.mktemp("t") / "x.csv"
    path.write_text(
        "\n".join([columns, *(",".join(row) for row in rows)]), encoding="utf-8", errors="replace"
    )
    try:
        reading = read(path)
    except LabctlError:
        return
    topology(reading)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), cells),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    "lldp",
                    "interface",
                    "e1",
                    "chassis",
                    "port",
                    "id",
                    "value",
                    "type",
                    "name",
                    "via",
                    "rid",
                    "edges",
                    "node1",
                    "node2",
                    "hostname",
                    "interfaceName",
                    "neighbours",
                    "neighbour",
                    "mac",
                    "mtu",
                    "mgmt-ip",
                    "descr",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["lldpcli", "layer1", "json"]), json_values, st.integers(0, 400))
def test_no_json_gives_a_traceback(tmp_path_factory, source, value, cut):
    root = {"lldpcli": {"lldp": value}, "layer1": {"edges": value}, "json": {"neighbours": value}}[source]
    text = json.dumps(root)
    for n, each in enumerate((text, text[:cut])):
        path = tmp_path_factory.mktemp("j") / f"x{n}.json"
        path.write_text(each)
        try:
            reading = SOURCES[source].read(str(path), Context(redactor=Redactor()))
        except LabctlError:
            continue
        topology(reading)
