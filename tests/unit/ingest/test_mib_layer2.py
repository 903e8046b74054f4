"""Who is behind a port: aggregates, forwarding and ARP tables, sessions, as agents answer them."""

from labctl.ingest.mib_tables import TABLES, Varbind, oid
from labctl.ingest.mibs import decode

MAC = bytes.fromhex("020000000001")
OTHER = bytes.fromhex("020000000002")


def observe(*rows):
    """(table, index, {column: value}), in the order given."""
    cells = [
        Varbind((*TABLES[table], column, *oid(index)), value, f"w:{n}")
        for n, (table, index, row) in enumerate(rows, 1)
        for column, value in row.items()
    ]
    return decode(cells, key="sw", source="test", where="w")


def port(number):
    return ("dot1dBasePortTable", str(number), {2: 100 + number})


def test_forwarding_tables_with_and_without_vlans():
    seen = observe(
        port(1),
        port(2),
        ("dot1qTpFdbTable", "10.2.0.0.0.0.1", {2: 1, 3: 3}),
        ("dot1qTpFdbTable", "10.2.0.0.0.0.9", {2: 2, 3: 4}),  # the bridge's own
        ("dot1qTpFdbTable", "10.2.0.0.0.0.8", {2: 77, 3: 3}),  # a port that is none
        ("dot1qTpFdbTable", "10.2.0.0.0.999", {2: 1, 3: 3}),  # no octet
        ("dot1qTpFdbTable", "2.0.0.1", {2: 1, 3: 3}),  # short
        ("dot1dTpFdbTable", "2.0.0.0.0.2", {2: 2, 3: 3}),
    )
    assert [(s.if_index, s.mac, s.vlan, s.address) for s in seen.stations] == [
        (101, "02:00:00:00:00:01", 10, ""),
        (102, "02:00:00:00:00:02", None, ""),
    ]


def test_both_arp_tables():
    seen = observe(
        ("ipNetToMediaTable", "7.10.0.0.1", {2: MAC}),
        ("ipNetToMediaTable", "7.10.0.0", {2: MAC}),
        ("ipNetToPhysicalTable", "7.1.4.10.0.0.2", {4: OTHER}),
        ("ipNetToPhysicalTable", "7.2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1", {4: OTHER}),
        ("ipNetToPhysicalTable", "7.1.4.10.0.0.3", {4: b""}),
    )
    assert [(s.if_index, s.mac[-2:], s.address) for s in seen.stations] == [
        (7, "01", "10.0.0.1"),
        (7, "02", "10.0.0.2"),
        (7, "02", "2001:db8::1"),
    ]


def test_members_by_lacp_and_by_the_stack():
    seen = observe(
        ("ifTable", "1000", {2: b"Po1", 3: 161}),
        ("ifTable", "5", {2: b"vlan5", 3: 53}),
        ("dot3adAggPortTable", "1", {3: MAC, 9: OTHER, 13: 1000, 14: 11, 17: 21}),
        ("dot3adAggPortTable", "3", {3: MAC, 9: b"\0" * 6, 13: 3, 14: 13, 17: 0}),  # alone, no partner
        ("ifStackTable", "1000.2", {3: 1}),
        ("ifStackTable", "5.2", {3: 1}),  # a VLAN over a port is no aggregate
        ("ifStackTable", "0.1000", {3: 1}),
    )
    assert seen.members == ((1, 1000), (2, 1000))
    assert [(p.if_index, p.port, p.partner, p.partner_port) for p in seen.lacp] == [
        (1, 11, "02:00:00:00:00:02", 21)
    ]


def test_sessions_that_are_up():
    seen = observe(
        ("ospfNbrTable", "10.0.0.2.0", {3: bytes((192, 0, 2, 2)), 6: 8}),
        ("ospfNbrTable", "10.0.0.3.0", {3: bytes((192, 0, 2, 3)), 6: 4}),  # in ExStart
        ("ospfNbrTable", "192.0.2.9.7", {3: bytes((192, 0, 2, 9)), 6: 8}),  # unnumbered, on ifIndex 7
        ("bgpPeerTable", "10.0.0.2", {2: 6, 9: 65002}),
        ("bgpPeerTable", "10.0.0.4", {2: 3, 9: 65004}),
    )
    assert [(a.protocol, a.if_index, a.peer, a.peer_id) for a in seen.adjacencies] == [
        ("ospf", None, "10.0.0.2", "192.0.2.2"),
        ("ospf", 7, "192.0.2.9", "192.0.2.9"),
        ("bgp", None, "10.0.0.2", ""),
    ]


def test_duplex_and_untagged_vlan_of_a_port():
    seen = observe(
        port(1),
        ("ifTable", "101", {2: b"eth1"}),
        ("dot3StatsTable", "101", {19: 2}),
        ("dot1qPortVlanTable", "1", {1: 10}),
    )
    (interface,) = seen.interfaces
    assert (interface.duplex, interface.vlan) == ("half", 10)


def test_what_cdp_says_of_the_other_end():
    seen = observe(("cdpCacheTable", "1.1", {6: b"sw2", 7: b"Gi0/1", 11: 20, 12: 3}))
    (row,) = seen.neighbours
    assert (row.native_vlan, row.duplex) == (20, "full")
