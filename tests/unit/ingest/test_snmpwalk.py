from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.ingest import mib_tables, mibs, snmpwalk
from labctl.model.observation import Found
from labctl.topo.merge import merge

WALKS = Path(__file__).parent / "walks"


def read(tmp_path, text):
    path = tmp_path / "r1.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return snmpwalk.read(path, named="r1.txt")


def observed(path, **more):
    result = snmpwalk.read(path)
    assert (result.rejected, result.truncated) == ([], "")
    return mibs.decode(result.cells, key=path.stem, source="snmpwalk", where=path.name, **more)


def test_what_snmpwalk_printed_of_two_real_agents_is_their_cable():
    topology = merge("two", Found(observations=tuple(observed(p) for p in sorted(WALKS.glob("*.snmpwalk")))))
    (link,) = topology.links
    assert (str(link.id), link.two_sided) == ("box1:eth1--box2:eth1", True)
    assert {e.source for e in link.evidence} == {"lldp", "subnet"}
    assert topology.conflicts == ()
    eth1 = topology.device("box1").interfaces[1]
    assert (eth1.addresses, eth1.mtu, eth1.oper_up) == (("10.9.0.1/30",), 1500, True)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('.1.3.6.1.2.1.1.5.0 = STRING: "r1"', b"r1"),
        ("iso.3.6.1.2.1.1.5.0 = STRING: r1", b"r1"),
        ("SNMPv2-MIB::sysName.0 = STRING: r1", b"r1"),
        ('.1.3.6.1.2.1.1.5.0 = STRING: "say \\"hi\\""', b'say "hi"'),
        ('.1.3.6.1.2.1.1.5.0 = ""', b""),
        (".1.3.6.1.2.1.1.5.0 = Hex-STRING: 00 FF ", b"\x00\xff"),
        (".1.3.6.1.2.1.2.2.1.4.1 = INTEGER: 1500", 1500),
        (".1.3.6.1.2.1.2.2.1.7.1 = INTEGER: up(1)", 1),
        (".1.3.6.1.2.1.2.2.1.5.1 = Gauge32: 10000000", 10_000_000),
        (".1.3.6.1.2.1.2.2.1.9.1 = Timeticks: (7216) 0:01:12.16", 7216),
        (".1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.8072", (1, 3, 6, 1, 4, 1, 8072)),
        ("SNMPv2-MIB::sysObjectID.0 = OID: NET-SNMP-MIB::netSnmpAgentOIDs.10", ()),
        (".1.3.6.1.2.1.4.20.1.1.10.0.0.1 = IpAddress: 10.0.0.1", b"\x0a\x00\x00\x01"),
        (".1.3.6.1.4.1.9.9.23.1.2.1.1.4.1.1 = Network Address: 0A:00:00:01", b"\x0a\x00\x00\x01"),
        ("IF-MIB::ifPhysAddress.2 = STRING: 0:c:29:93:7:f1", bytes.fromhex("000c299307f1")),
        (".1.0.8802.1.1.2.1.3.5.0 = BITS: 28 00 2 4 ", b"\x28\x00"),
        (".1.3.6.1.2.1.2.2.1.4.1 = Wrong Type (should be INTEGER): Gauge32: 7", 7),
    ],
)
def test_values_of_every_type(tmp_path, line, value):
    result = read(tmp_path, line + "\n")
    assert result.rejected == []
    assert [c.value for c in result.cells] == [value]


@pytest.mark.parametrize(
    ("name", "oid"),
    [
        ("LLDP-MIB::lldpRemPortId.0.3.1", "1.0.8802.1.1.2.1.4.1.1.7.0.3.1"),
        ("BRIDGE-MIB::dot1dBasePortIfIndex.7", "1.3.6.1.2.1.17.1.4.1.2.7"),
        ("SNMPv2-SMI::mib-2.17.1.1.0", "1.3.6.1.2.1.17.1.1.0"),
        ("SNMPv2-SMI::enterprises.9.9.23.1.2.1.1.6.1.1", "1.3.6.1.4.1.9.9.23.1.2.1.1.6.1.1"),
        ('IP-MIB::ipAddressIfIndex.ipv4."10.0.0.1"', "1.3.6.1.2.1.4.34.1.3.1.4.10.0.0.1"),
        (
            'IP-MIB::ipAddressIfIndex.ipv6."20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:01"',
            "1.3.6.1.2.1.4.34.1.3.2.16.32.1.13.184" + ".0" * 11 + ".1",
        ),
    ],
)
def test_symbolic_names(tmp_path, name, oid):
    result = read(tmp_path, f"{name} = INTEGER: 3\n")
    assert [mib_tables.dotted(c.oid) for c in result.cells] == [oid]


def test_names_of_tables_that_labctl_does_not_read_are_passed_over(tmp_path):
    result = read(tmp_path, 'TCP-MIB::tcpConnState.ipv4."1.2.3.4".5 = INTEGER: listen(2)\n')
    assert (result.cells, result.rejected) == ([], [])


def test_the_prefix_of_an_address_by_name(tmp_path):
    text = (
        'IP-MIB::ipAddressIfIndex.ipv4."10.0.0.1" = INTEGER: 2\n'
        'IP-MIB::ipAddressPrefix.ipv4."10.0.0.1" = OID: IP-MIB::ipAddressPrefixOrigin.2.ipv4."10.0.0.0".30\n'
    )
    path = tmp_path / "r1.txt"
    path.write_text(text)
    assert [str(a.address) for a in observed(path).addresses] == ["10.0.0.1/30"]


def test_values_of_several_lines(tmp_path):
    text = (
        ".1.3.6.1.2.1.1.1.0 = STRING: Cisco IOS\nCopyright (c) 1986\n"
        ".1.3.6.1.2.1.1.5.0 = Hex-STRING: 00 01 \n02 03 \n"
        '.1.3.6.1.2.1.1.6.0 = STRING: "one\ntwo"\n'
    )
    result = read(tmp_path, text)
    assert result.rejected == []
    assert [c.value for c in result.cells] == [
        b"Cisco IOS\nCopyright (c) 1986",
        b"\x00\x01\x02\x03",
        b"one\ntwo",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("what is this", "not `OID = TYPE: value`: 'what is this'"),
        (".1.3.6.1.2.1.2.2.1.4.1 = INTEGER: many", "not a number: 'many'"),
        (".1.3.6.1.2.1.1.5.0 = Hex-STRING: 0G", "not hexadecimal: '0G'"),
        (".1.3.6.1.2.1.1.5.0 = FLOAT: 1.0", "unknown type 'FLOAT'"),
        (".1.3.6.1.2.1.1.5.0 = r1", "a value without a type: 'r1'"),
        (
            'LLDP-MIB::lldpRemPortId."x" = INTEGER: 3',
            "the index of 'LLDP-MIB::lldpRemPortId.\"x\"' is not in numbers",
        ),
    ],
)
def test_rows_that_are_no_rows_are_rejected_with_their_place(tmp_path, line, reason):
    result = read(tmp_path, f".1.3.6.1.2.1.1.3.0 = INTEGER: 1\n{line}\n.1.3.6.1.2.1.1.7.0 = INTEGER: 1\n")
    assert len(result.cells) == 2
    (rejected,) = result.rejected
    assert rejected.where == "r1.txt:2"
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize(
    "complaint", ["Timeout: No Response from 192.0.2.1", "Error: OID not increasing: .1.3.6 >= .1.3.6"]
)
def test_a_walk_that_the_program_gave_up_is_truncated(tmp_path, complaint):
    result = read(tmp_path, f".1.3.6.1.2.1.1.5.0 = STRING: r1\n{complaint}\n")
    assert (result.truncated, result.truncated_at) == (complaint, "r1.txt:2")


def test_a_file_without_its_last_line_end_is_truncated(tmp_path):
    result = read(tmp_path, ".1.3.6.1.2.1.1.5.0 = STRING: r1\n.1.3.6.1.2.1.2.2.1.4.1 = INTEG")
    assert (result.truncated_at, len(result.cells), result.rejected) == ("r1.txt:2", 1, [])


def test_the_end_of_the_mib_is_no_complaint(tmp_path):
    text = (
        ".1.3.6.1.2.1.1.5.0 = STRING: r1\n"
        ".1.3.6.1.2.1.1.9.0 = No more variables left in this MIB View (It is past the end of the MIB tree)\n"
    )
    result = read(tmp_path, text)
    assert (result.truncated, len(result.cells)) == ("", 1)


def test_what_is_output_of_snmpwalk():
    assert snmpwalk.sniff(b'.1.3.6.1.2.1.1.5.0 = STRING: "r1"\n')
    assert snmpwalk.sniff(b"SNMPv2-MIB::sysName.0 = STRING: r1\n")
    assert not snmpwalk.sniff(b"hostname r1\n!\nrouter bgp 1\n")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_no_text_raises(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.txt"
    path.write_bytes(b".1.3.6.1.2.1.1.5.0 = STRING: " + content.encode("utf-8", "surrogatepass"))
    snmpwalk.read(path)


def test_arp_and_lacp_in_names_are_hardware_addresses(tmp_path):
    text = """IP-MIB::ipNetToMediaPhysAddress.7.10.0.0.1 = STRING: 2:0:0:0:0:1
IEEE8023-LAG-MIB::dot3adAggPortPartnerOperSystemID.1 = STRING: 2:0:0:0:0:2
OSPF-MIB::ospfNbrState.10.0.0.2.0 = INTEGER: full(8)
BGP4-MIB::bgpPeerState.10.0.0.2 = INTEGER: established(6)
"""
    result = read(tmp_path, text)
    assert [cell.value for cell in result.cells] == [b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 8, 6]
    assert result.rejected == []
