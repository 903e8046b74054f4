"""NetBox: its exports as CSV, and its REST interface through pynetbox against a server of our own.

The server is a stand-in: it speaks the three lists that labctl asks for, in NetBox's shape and its pages, over real HTTP.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError, render
from labctl.ingest.netbox_csv import table_of
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import SOURCES, Context, Reading, recognise
from labctl.model.observation import Found
from labctl.topo.merge import merge

TOKEN = "geheim-0123456789abcdef"  # ours alone


def read(*paths):
    reading = Reading()
    for each in recognise([str(path) for path in paths])[0]:
        reading.add(SOURCES[each.source].read(each.path, Context(redactor=Redactor())))
    return reading


def topology(reading):
    return merge("t", Found(observations=tuple(reading.observations), cables=tuple(reading.cables)))


# -- CSV --------------------------------------------------------------------------------------------------------

CABLES = """ID,Label,Device A,Termination A,Device B,Termination B,Status,Type
7,C-7,sw1,Ethernet1,sw2,Ethernet1,Connected,CAT6
8,,sw1,Ethernet2,sw2,Ethernet2,Planned,CAT6
"""
IMPORT = """side_a_device,side_a_type,side_a_name,side_b_device,side_b_type,side_b_name,status
sw1,dcim.interface,Ethernet1,sw2,dcim.interface,Ethernet1,connected
sw1,dcim.powerport,PSU1,pdu1,dcim.poweroutlet,1,connected
"""
INTERFACES = """Name,Device,Enabled,Type,MTU,MAC Address,LAG,Description,IP Addresses
Ethernet1,sw1,True,1000BASE-T (1GE),9000,00:11:22:33:44:01,Port-Channel1,to sw2,10.0.0.1/31
Port-Channel1,sw1,True,Link Aggregation Group (LAG),,,,,
Ethernet1,sw2,False,1000BASE-T (1GE),1500,,,,
"""
DEVICES = "Name,Status,Site,Role,Type,Serial number\nsw1,Active,dc1,leaf,X1,SN0001\nsw2,Active,dc1,leaf,X1,\n"


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (CABLES, "cables"),
        (IMPORT, "cables"),
        (INTERFACES, "interfaces"),
        (DEVICES, "devices"),
        ("a,b\n", None),
    ],
)
def test_which_of_its_tables(text, table):
    assert table_of(text.partition("\n")[0].split(",")) == table


@pytest.mark.parametrize("cables", [CABLES, IMPORT])
def test_its_exports_are_one_network(tmp_path, cables):
    for name, text in (("cables", cables), ("interfaces", INTERFACES), ("devices", DEVICES)):
        (tmp_path / f"netbox-{name}.csv").write_text(text)
    found = topology(read(tmp_path))
    (link,) = found.links
    assert (str(link.id), link.confidence) == ("sw1:Ethernet1--sw2:Ethernet1", 0.8)
    assert [e.where for e in link.evidence] == [f"{tmp_path}/netbox-cables.csv:2"]
    one, two = found.devices
    assert (one.name, one.polled, "serial:SN0001" in one.identities) == ("sw1", False, True)
    first = one.interfaces[0]
    assert (first.mtu, first.mac, first.addresses, first.member_of, first.admin_up) == (
        9000,
        "00:11:22:33:44:01",
        ("10.0.0.1/31",),
        "Port-Channel1",
        True,
    )
    assert two.interfaces[0].admin_up is False


def test_what_devices_say_wins_over_netbox(tmp_path):
    (tmp_path / "cables.csv").write_text(CABLES)
    (tmp_path / "n.csv").write_text(
        "device,port,neighbour,neighbour_port\nsw1,Ethernet1,sw3,Et9\nsw3,Et9,sw1,Ethernet1\n"
    )
    found = topology(read(tmp_path))
    assert [str(link.id) for link in found.links] == ["sw1:Ethernet1--sw3:Et9"]
    (conflict,) = [c for c in found.conflicts if c.kind == "record-differs"]
    assert conflict.said[0].where == f"{tmp_path}/cables.csv:2"


def test_bad_rows_have_their_place(tmp_path):
    path = tmp_path / "cables.csv"
    path.write_text(CABLES + "9,,sw1,,sw2,Ethernet3,Connected,\n10,sw1\n")
    said = [render(error) for error in read(path).broken]
    assert [
        f"{path}:4  a cable without name a" in said[0],
        f"{path}:5  this row has 2 fields" in said[1],
    ] == [True] * 2


cells = st.one_of(
    st.sampled_from(["sw1", "Ethernet1", "Connected", "", "1e9", '"', "10.0.0.1/33"]), st.text(max_size=5)
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([CABLES, IMPORT, INTERFACES, DEVICES]), st.lists(st.lists(cells, max_size=9), max_size=5)
)
def test_no_export_gives_a_traceback(tmp_path_factory, text, rows):
    path = tmp_path_factory.mktemp("n") / "x.csv"
    lines = [text.partition("\n")[0], *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    topology(SOURCES["netbox-csv"].read(str(path), Context(redactor=Redactor())))


# -- REST -------------------------------------------------------------------------------------------------------


def interface(number, device, name, far=None, **more):
    ends = [{"id": 90 + number, "name": far[1], "device": {"id": 1, "name": far[0]}}] if far else None
    return {
        "id": number,
        "name": name,
        "device": {"id": 1, "name": device},
        "type": {"value": "1000base-t", "label": "1000BASE-T (1GE)"},
        "enabled": True,
        "cable": {"id": 40, "label": "C-40"} if far else None,
        "connected_endpoints": ends,
        "connected_endpoints_type": "dcim.interface" if far else None,
        **more,
    }


LISTS = {
    "dcim/devices": [
        {"id": 1, "name": "sw1", "serial": "SN0001", "site": {"id": 1, "slug": "dc1"}},
        {"id": 2, "name": "sw2", "serial": "", "site": {"id": 1, "slug": "dc1"}},
        {"id": 3, "name": "far", "serial": "", "site": {"id": 2, "slug": "dc2"}},
        {"id": 4, "name": None, "serial": "", "site": {"id": 1, "slug": "dc1"}},
    ],
    "dcim/interfaces": [
        interface(11, "sw1", "Ethernet1", ("sw2", "Ethernet1"), mtu=9000, mac_address="00:11:22:33:44:01"),
        interface(12, "sw1", "Ethernet2", ("far", "Ethernet9")),
        interface(13, "sw2", "Ethernet1", ("sw1", "Ethernet1"), lag={"id": 14, "name": "Port-Channel1"}),
        interface(14, "sw2", "Port-Channel1", type={"value": "lag", "label": "LAG"}),
    ],
    "ipam/ip-addresses": [
        {
            "id": 21,
            "address": "10.0.0.1/31",
            "assigned_object": {"name": "Ethernet1", "device": {"name": "sw1"}},
        },
        {"id": 22, "address": "10.9.9.9/32", "assigned_object": None},
    ],
}


class Netbox(BaseHTTPRequestHandler):
    """Two records on a page, whatever the client wants; the token is checked; other paths do not exist."""

    def do_GET(self):
        url = urlsplit(self.path)
        name, query = url.path.removeprefix("/api/").strip("/"), parse_qs(url.query)
        self.server.asked.append(self.path)
        if self.headers.get("Authorization", "").split()[-1:] != [TOKEN]:
            return self.answer(403, {"detail": "Invalid token"})
        if self.server.status is not None:
            return self.answer(self.server.status, b"<html>oops")
        if self.server.answer is not None:
            return self.answer(200, self.server.answer)
        if name not in LISTS:
            return self.answer(404, {"detail": "Not found."})
        site = query.get("site", [None])[0]
        records = [each for each in LISTS[name] if site is None or each["site"]["slug"] == site]
        start = int(query.get("offset", ["0"])[0])
        after = f"http://{self.headers['Host']}{url.path}?limit=2&offset={start + 2}"
        more = after + (f"&site={site}" if site else "") if start + 2 < len(records) else None
        page = {"count": len(records), "next": more, "previous": None, "results": records[start : start + 2]}
        return self.answer(200, page)

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def netbox(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Netbox)
    server.asked, server.answer, server.status = [], None, None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    server.file = tmp_path / "netbox.yml"
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.file.write_text(
        f'netbox:\n  url: {server.url}\n  token: "${{NETBOX_TOKEN}}"\n  site: dc1\n  timeout: 20\n'
    )
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def refused(path):
    with pytest.raises(LabctlError) as error:
        read(path)
    assert TOKEN not in render(error.value)
    return render(error.value)


def test_netbox_over_http(netbox):
    reading = read(netbox.file)
    found = topology(reading)
    (link,) = found.links
    assert str(link.id) == "sw1:Ethernet1--sw2:Ethernet1"
    assert [(e.source, e.where) for e in link.evidence] == [("netbox", f"{netbox.url}/dcim/cables/40/")]
    assert "(C-40)" in link.evidence[0].said
    assert [device.name for device in found.devices] == ["sw1", "sw2"]  # `far` is of another site
    assert "serial:SN0001" in found.device("sw1").identities
    one, two = found.device("sw1").interfaces[0], found.device("sw2").interfaces[0]
    assert (one.mtu, one.mac, one.addresses) == (9000, "00:11:22:33:44:01", ("10.0.0.1/31",))
    assert two.member_of == "Port-Channel1"
    assert {each.partition("?")[0] for each in netbox.asked} == {f"/api/{name}/" for name in LISTS}


def test_the_wrong_token(netbox, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", "another")
    assert refused(netbox.file).startswith(
        f"error: device-refused\n  {netbox.file}:2:3  NetBox at {netbox.url} answers and does not let us in (403)"
    )


@pytest.mark.parametrize(
    "answer", [b"<html>", {"detail": 1}, {"count": 1, "next": None, "results": [7]}, {"results": None}]
)
def test_something_that_is_no_netbox(netbox, answer):
    netbox.answer = answer
    assert refused(netbox.file).startswith(f"error: device-unreachable\n  {netbox.file}:2:3  NetBox at ")


def test_pages_that_lead_back_end(netbox):
    first = LISTS["dcim/devices"][0]
    netbox.answer = {"count": 1000, "next": f"{netbox.url}/api/dcim/devices/?limit=1", "results": [first]}
    assert "answered oddly" in refused(netbox.file)
    assert len(netbox.asked) < 10


@pytest.mark.parametrize("status", [500, 502, 429])
def test_a_netbox_that_fails(netbox, status):
    netbox.status = status
    assert f"did not answer as NetBox does ({status})" in refused(netbox.file)


def test_a_netbox_without_devices(netbox):
    netbox.file.write_text(netbox.file.read_text().replace("dc1", "dc9"))
    assert (
        f"unknown-source\n  {netbox.file}:2:3  NetBox at {netbox.url} has no devices of site dc9"
        in refused(netbox.file)
    )


def test_nobody_there(netbox):
    netbox.shutdown()
    netbox.server_close()
    assert "did not answer\nhint: is this its address" in refused(netbox.file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("netbox: {}\n", "missing-key\n  FILE:1:9  `netbox` needs a `url`"),
        ("netbox: {url: ftp://x}\n", "bad-value\n  FILE:1:15  url 'ftp://x' is no address of a web server"),
        ("netbox: {url: http://x, tokn: y}\n", "unknown-key\n  FILE:1:25  "),
        ('netbox: {url: http://x, token: "${NOBODY_SETS_THIS}"}\n', "missing-secret\n  FILE:1:32  token"),
    ],
)
def test_a_file_with_a_mistake(tmp_path, text, said):
    path = tmp_path / "n.yml"
    path.write_text(text)
    assert said.replace("FILE", str(path)) in refused(path)
