import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.model.observation import Ident, IdKind, Neighbour, parse_mac

octets = st.binary(min_size=6, max_size=6).filter(lambda b: b not in (b"\0" * 6, b"\xff" * 6))


@pytest.mark.parametrize(
    "spelling",
    [
        b"\xc0\x06\xc3\xa1\x3f\x46",
        b"C0:06:C3:A1:3F:46",
        "C0-06-C3-A1-3F-46",
        "c006.c3a1.3f46",
        "c0 06 c3 a1 3f 46",
        "c006c3a13f46",
        "“C0:06:C3:A1:3F:46”",
        "c0:6:c3:a1:3f:46",
        b"c0:06:c3:a1:3f:46\0",
    ],
)
def test_every_spelling_of_a_mac(spelling):
    assert parse_mac(spelling) == "c0:06:c3:a1:3f:46"


@pytest.mark.parametrize(
    "said",
    ["", "eth0", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "1:2:3:4:5", "gi1/0/1", b"\0" * 6, b"12345"],
)
def test_what_is_no_mac(said):
    assert parse_mac(said) is None


@given(octets)
def test_all_spellings_agree(raw):
    wanted = ":".join(f"{octet:02x}" for octet in raw)
    assert parse_mac(raw) == wanted
    assert parse_mac(wanted.upper()) == wanted
    assert parse_mac(":".join(f"{octet:x}" for octet in raw)) == wanted
    assert parse_mac(re.sub(":", "-", wanted)) == wanted


def test_a_row_in_words():
    row = Neighbour(
        protocol="lldp",
        port=3,
        chassis=Ident(IdKind.MAC, "c0:06:c3:a1:3f:46", "c0:06:c3:a1:3f:46"),
        remote_port=Ident(IdKind.NAME, "eth1"),
        sys_name="sw1",
    )
    assert row.said == "port 3 hears sw1 (c0:06:c3:a1:3f:46) port eth1"
    assert Neighbour(protocol="lldp", port=None).said == "port ? hears somebody port an unnamed port"
