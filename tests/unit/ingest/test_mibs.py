"""Tables as real agents answer them: one test for each trap."""

import pytest

from labctl.ingest import mib_tables
from labctl.ingest.mib_tables import TABLES, Varbind, oid
from labctl.ingest.mibs import decode
from labctl.model.observation import IdKind

MAC = bytes.fromhex("c006c3a13f46")
SPELLED = "c0:06:c3:a1:3f:46"


def cells(table, rows):
    """{index: {column: value}} of a table, as cells."""
    return [
        Varbind(
            (*TABLES[table], column, *oid(index)),
            value.encode() if isinstance(value, str) else value,
            f"w:{n}",
        )
        for n, (index, row) in enumerate(rows.items(), 1)
        for column, value in row.items()
    ]


def seen(*groups):
    return decode([c for g in groups for c in g], key="r1", source="snmprec", where="w")


def lldp(index, **columns):
    row = {
        int(name[1:]): value
        for name, value in ({"c4": 4, "c5": MAC, "c6": 5, "c7": "eth1"} | columns).items()
    }
    return cells("lldpRemTable", {index: {c: v for c, v in row.items() if v is not None}})


def only(observation):
    (neighbour,) = observation.neighbours
    return neighbour


@pytest.mark.parametrize(("index", "port"), [("0.7.1", 7), ("18.1", 18), ("5", None), ("0.0.3", None)])
def test_the_index_is_read_from_the_end(index, port):
    """RouterOS before 7.7 and TP-Link leave out the timeMark, or the port too."""
    row = only(seen(lldp(index)))
    assert (row.port, row.chassis.mac) == (port, SPELLED)


def test_of_two_time_marks_the_later_counts():
    observation = seen(lldp("100.7.1", c7="old"), lldp("200.7.1", c7="new"))
    assert only(observation).remote_port.text == "new"


def test_a_row_whose_time_mark_moved_during_the_walk_is_one_row():
    early = lldp("100.7.1", c7=None)
    late = cells("lldpRemTable", {"200.7.1": {7: "eth1", 9: "r2"}})
    row = only(seen(early, late))
    assert (row.chassis.mac, row.remote_port.text, row.sys_name) == (SPELLED, "eth1", "r2")


@pytest.mark.parametrize(
    ("subtype", "value", "kind", "text"),
    [
        (3, MAC, IdKind.MAC, SPELLED),
        (3, "C0-06-C3-A1-3F-46", IdKind.MAC, SPELLED),
        (3, b"c0:06:c3:a1:3f:46\0", IdKind.MAC, SPELLED),
        (3, "not a mac", IdKind.UNKNOWN, "not a mac"),
        (5, "1/25\0", IdKind.NAME, "1/25"),
        (5, "“lan1”", IdKind.NAME, "lan1"),
        (1, "uplink", IdKind.ALIAS, "uplink"),
        (7, "513", IdKind.LOCAL, "513"),
        (0, "eth1", IdKind.UNKNOWN, "eth1"),
        (None, "eth1", IdKind.UNKNOWN, "eth1"),
        (None, MAC, IdKind.MAC, SPELLED),
        (5, "Gi0/12", IdKind.NAME, "Gi0/12"),
        (4, b"\x01\xc0\x00\x02\x01", IdKind.ADDRESS, "192.0.2.1"),
    ],
)
def test_port_ids_in_all_their_forms(subtype, value, kind, text):
    port = only(seen(lldp("0.7.1", c6=subtype, c7=value))).remote_port
    assert (port.kind, port.text) == (kind, text)


@pytest.mark.parametrize(
    "value", [b"\x01\x0a\x01\x02\x03", b"\x0a\x01\x02\x03", "010A010203", "01 0A 01 02 03", "10.1.2.3"]
)
def test_a_chassis_that_is_an_address(value):
    chassis = only(seen(lldp("0.7.1", c4=5, c5=value))).chassis
    assert (chassis.kind, chassis.text) == (IdKind.ADDRESS, "10.1.2.3")


def test_the_second_line_of_a_hex_dump_that_a_recorder_took_for_text():
    dumped = "“E4:D8:8C:53:F\n34 3A 39 38 E2 80 9D ".encode()
    assert only(seen(lldp("18.1", c5=dumped))).chassis.mac == "e4:d8:8c:53:f4:98"


def test_an_all_zero_chassis_is_none_and_the_row_is_kept():
    assert only(seen(lldp("0.7.1", c5=b"\0" * 6))).chassis is None


def test_a_redacted_name_is_no_name():
    observation = seen(lldp("0.7.1", c9="<private>"), cells("system", {"0": {5: "<private>"}}))
    assert (only(observation).sys_name, observation.sys_name) == ("", "")


def test_a_row_that_names_nobody_is_rejected_with_its_place():
    observation = seen(lldp("0.7.1", c5=None, c7=None))
    assert observation.neighbours == ()
    (rejected,) = observation.rejected
    assert (rejected.where, rejected.reason[:29]) == ("w:1", "lldp row 0.7.1 names nobody: ")


def test_the_management_address_is_in_the_index():
    managed = cells(
        "lldpRemManAddrTable", {"0.7.1.1.4.192.0.2.9": {3: 2}, "0.7.1.2.16." + ".".join("0" * 16): {3: 2}}
    )
    assert only(seen(lldp("0.7.1"), managed)).addresses == ("192.0.2.9", "::")


def test_lldp_v2_speaks_of_interfaces():
    rows = cells("lldpV2RemTable", {"0.17.1.1": {5: 4, 6: MAC, 7: 5, 8: "eth1", 10: "r2"}})
    row = only(seen(rows))
    assert (row.protocol, row.port, row.port_is_index, row.sys_name) == ("lldp-v2", 17, True, "r2")
    assert seen(cells("lldpV2RemTable", {"17": {8: "eth1"}})).rejected[0].reason.endswith("1 parts, not 4")


@pytest.mark.parametrize(
    ("device", "name", "mac"),
    [("sw1.example.net", "sw1.example.net", None), ("FOC1234X56Y(sw1)", "sw1", None), (SPELLED, "", SPELLED)],
)
def test_cdp_device_ids(device, name, mac):
    rows = cells("cdpCacheTable", {"10103.7": {4: b"\xc0\x00\x02\x09", 6: device, 7: "GigabitEthernet1/0/8"}})
    row = only(seen(rows))
    assert (row.sys_name, row.chassis and row.chassis.mac, row.port) == (name, mac, 10103)
    assert row.addresses == ("192.0.2.9",)
    assert seen(cells("cdpCacheTable", {"7": {6: "x"}})).rejected[0].reason.endswith("1 parts, not 2")


def test_interfaces():
    observation = seen(
        cells("ifTable", {"1": {2: "lo", 3: 24, 4: 65536, 5: 10_000_000, 6: b"", 7: 1, 8: 1}}),
        cells("ifTable", {"2": {2: "Gigabit 0/1", 3: 6, 4: 1500, 5: 2**32 - 1, 6: MAC, 7: 1, 8: 2}}),
        cells("ifTable", {"3": {2: "Gigabit 0/2", 5: 2**32 - 1}}),
        cells("ifXTable", {"2": {1: "Gi0/1", 15: 10_000, 18: "to core"}}),
    )
    lo, gig, fast = observation.interfaces
    assert (lo.label, lo.type, lo.mac, lo.speed_bps, lo.oper_up) == ("lo", 24, None, 1e7, True)
    assert (gig.label, gig.mac, gig.speed_bps, gig.alias, gig.oper_up) == (
        "Gi0/1",
        SPELLED,
        1e10,
        "to core",
        False,
    )
    assert (fast.speed_bps, fast.admin_up, fast.mtu) == (None, None, None)


def test_counters_that_a_port_left_behind_are_no_port():
    left = cells("ifTable", {"1": {1: 1, 2: "eth1"}, "2": {1: 2, 9: 858964300}})
    more = cells("ifXTable", {"2": {19: 0}, "3": {1: "eth3"}})
    observation = seen(left, more)
    assert [row.index for row in observation.interfaces] == [1, 3]
    (rejected,) = observation.rejected
    assert (rejected.where, rejected.reason) == (
        "w:2",
        "interface 2 has neither a name nor a type nor a state",
    )


def test_addresses_of_both_tables_are_one_list():
    pointer = oid("1.3.6.1.2.1.4.32.1.5.2.1.4.10.0.0.0.30")
    observation = seen(
        cells(
            "ipAddrTable",
            {"10.0.0.1": {2: 2, 3: b"\xff\xff\xff\xfc"}, "10.0.9.1": {2: 3, 3: b"\xff\x00\xff\x00"}},
        ),
        cells(
            "ipAddressTable",
            {"1.4.10.0.0.1": {3: 2, 4: 1, 5: pointer}, "1.4.10.0.0.3": {3: 2, 4: 3, 5: pointer}},
        ),
        cells("ipAddressTable", {"2.16.32.1.13.184" + ".0" * 11 + ".1": {3: 2, 4: 1, 5: oid("0.0")}}),
    )
    assert [str(a.address) for a in observation.addresses] == [
        "10.0.0.1/30",
        "10.0.9.1/32",
        "2001:db8::1/128",
    ]
    (rejected,) = observation.rejected
    assert rejected.reason.startswith("the mask of 10.0.9.1 is not a mask: ")


def test_serials_of_chassis_only_and_no_placeholders():
    rows = {
        "1": {5: 3, 11: "FCW1929B68S"},
        "2": {5: 3, 11: "N/A"},
        "3": {5: 3, 11: "<private>"},
        "9": {5: 10, 11: "TRANSCEIVER1"},
    }
    assert seen(cells("entPhysicalTable", rows)).serials == ("FCW1929B68S",)


def test_the_longest_root_wins():
    assert mib_tables.locate(oid("1.0.8802.1.1.2.1.3.7.1.3.49")) == ("lldpLocPortTable", 3, (49,))
    assert mib_tables.locate(oid("1.0.8802.1.1.2.1.3.2.0")) == ("lldpLoc", 2, (0,))
    assert mib_tables.locate(oid("1.3.6.1.4.1.9")) is None


def test_a_walk_that_ends_inside_a_column_is_ragged():
    whole = cells("ifTable", {"1": {2: "a", 4: 1}, "2": {2: "b", 4: 1}})
    whole.sort(key=lambda cell: cell.oid)
    assert mib_tables.ragged_end(whole) is None
    assert mib_tables.ragged_end(whole[:-1]) == "it ends in column 4 of ifTable, after 1 of 2 rows"
    assert mib_tables.ragged_end([]) is None
