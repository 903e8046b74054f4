"""Why there is a link between two ports, or none."""

import pytest
from production import device, interface, mac, row

from labctl.errors import LabctlError
from labctl.model.observation import CableRow, Found
from labctl.names import PortId
from labctl.topo.explain import explain
from labctl.topo.merge import conclude, weigh


def why(observations, a, b, cables=()):
    weighed = weigh(Found(observations=tuple(observations), cables=tuple(cables)))
    return explain(weighed, conclude("t", weighed).conflicts, PortId.parse(a), PortId.parse(b))


def pair(first, second, **more):
    return [device(1, 2, [row(101, mac(2), "eth1")], **more), device(2, 2, [row(101, mac(1), "eth1")])]


def test_a_link_with_its_weights_and_rows():
    found = why(pair(1, 2), "r1:eth1", "R2:eth1")
    assert (found.verdict, found.asked.confidence, found.asked.two_sided) == ("link", 0.99, True)
    assert found.asked.weights == (("lldp two-sided", 0.99),)
    assert [e.where for e in found.asked.evidence] == [
        f"row:lldp:101.1:{mac(1)}:eth1",
        f"row:lldp:101.1:{mac(2)}:eth1",
    ]
    assert all("lldpLocPortId" in e.rule for e in found.asked.evidence)
    assert found.competing == ()


def test_what_lost_and_to_whom():
    written = CableRow(source="netbox", a=("r1", "eth1"), z=("r2", "eth2"), where="cables.csv:7")
    found = why(pair(1, 2), "r1:eth1", "r2:eth2", [written])
    assert (found.verdict, found.asked.chosen, found.asked.weights) == ("lost", False, (("netbox", 0.8),))
    assert [(str(c.cable), c.chosen) for c in found.competing] == [("r1:eth1--r2:eth1", True)]
    assert [c.kind for c in found.conflicts] == ["record-differs"]


def test_a_silence_is_explained():
    found = why(pair(1, 2), "r1:eth2", "r2:eth2")
    assert (found.verdict, found.asked) == ("nothing", None)
    assert "r1 listens for neighbours, was heard to the end, and hears nobody on r1:eth2" in found.notes
    down = device(
        1, ["lo0", "eth1"], lldp=False, interfaces=(interface(1, "lo0"), interface(2, "eth1", admin_up=False))
    )
    found = why([down, device(2, 1, lldp=False)], "r1:lo0", "r2:eth1")
    assert "r1:lo0 is a loopback: no cable is plugged into it" in found.notes
    found = why([down, device(2, 1, lldp=False)], "r1:eth1", "r2:eth1")
    assert "r1:eth1 is shut down" in found.notes
    assert "r1 has no neighbour table: it speaks no LLDP or CDP, or it was not read" in found.notes


def test_both_on_one_segment():
    heard = [row(101, mac(2, 1), "eth1", rem=1), row(101, mac(3, 1), "eth1", rem=2)]
    boxes = [device(1, 1, heard), device(2, 1, lldp=False), device(3, 1, lldp=False)]
    found = why(boxes, "r2:eth1", "r3:eth1")
    assert found.verdict == "segment"
    assert "r2:eth1 is on segment-r1:eth1, with 2 others" in found.notes


@pytest.mark.parametrize(
    ("a", "said"), [("r7:eth1", "no device is called 'r7'"), ("r1:eth7", "r1 has no port 'eth7'")]
)
def test_names_that_nobody_has(a, said):
    with pytest.raises(LabctlError) as error:
        why(pair(1, 2), a, "r2:eth1")
    assert (error.value.code, error.value.message) == ("unknown-device", said)
    assert error.value.hint
