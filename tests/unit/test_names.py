"""Names are printed one way and parsed back; MACs follow from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl import names
from labctl.errors import LabctlError
from labctl.names import CableId, PortId, container_name, derived_macs

NODES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,8}", fullmatch=True)
INTERFACES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9/._:-]{0,8}", fullmatch=True)
PORTS = st.builds(PortId, NODES, INTERFACES)


@given(PORTS)
def test_ports_are_read_back(port):
    assert PortId.parse(str(port)) == port


@given(st.builds(PortId, NODES, st.from_regex(r"[a-z]+[0-9/.]*", fullmatch=True)), PORTS)
def test_cables_are_read_back(one, other):
    cable = CableId.of(one, other)
    if "--" not in str(cable.a) and "--" not in str(cable.z) and not str(cable.a).endswith("-"):
        assert CableId.parse(str(cable)) == cable


@given(PORTS, PORTS)
def test_a_cable_has_one_name_whoever_says_it(one, other):
    assert CableId.of(one, other) == CableId.of(other, one)


@pytest.mark.parametrize("text", ["", "r1", "r1:", ":eth1"])
def test_no_port(text):
    with pytest.raises(LabctlError, match="is not a port"):
        PortId.parse(text)


@pytest.mark.parametrize("text", ["", "r1:eth1", "r1:eth1-r2:eth1", "r1--r2", "r1:eth1--"])
def test_no_cable(text):
    with pytest.raises(LabctlError, match="is not a cable"):
        CableId.parse(text)


@pytest.mark.parametrize(
    ("prefix", "name"), [("clab", "clab-dc1-r1"), ("", "r1"), ("__lab-name", "dc1-r1"), ("x", "x-dc1-r1")]
)
def test_container_names_are_containerlabs(prefix, name):
    assert container_name(prefix, "dc1", "r1") == name


@given(st.lists(PORTS, unique=True, max_size=20), PORTS)
def test_a_port_that_is_added_changes_no_other_mac(ports, more):
    before = derived_macs("dc1", ports)
    after = derived_macs("dc1", [*ports, more])
    assert {port: after[port] for port in ports} == before
    assert len(set(after.values())) == len(after)
    assert all(mac.startswith("aa:c1:ab:") for mac in after.values())


def test_many_ports_have_many_macs():
    """Twenty thousand names out of sixteen million: some dozen hash to one and are hashed again."""
    ports = [PortId(f"r{i}", "eth1") for i in range(20_000)]
    assert len(set(derived_macs("big", ports).values())) == len(ports)


def test_labs_do_not_share_macs():
    port = PortId("r1", "eth1")
    assert derived_macs("a", [port]) != derived_macs("b", [port])


@pytest.mark.parametrize(
    "ref",
    [
        "frr",
        "labctl/frr",
        "debian:bookworm-slim",
        "registry.example.com:5000/net/frr:10.1",
        "localhost/labctl/base",
        "quay.io/a/b__c@sha256:" + "0" * 64,
        "vrnetlab/vr-sros:22.2.R1",
    ],
)
def test_references_of_images(ref):
    names.check_image(ref)


@pytest.mark.parametrize(
    "ref", ["", "a,b", "a:b:c", "x=y", "/tmp/x", "a b", "../../x", "UPPER", "a:", "a@b", "-x"]
)
def test_what_is_no_reference_of_an_image(ref):
    with pytest.raises(LabctlError) as stop:
        names.check_image(ref)
    assert stop.value.code == "bad-name"
