"""Networks whose real devices printed their routes, deployed with FRR: what is equal, and why the rest is not.

The figures are those of docs/fidelity.md. One small network is in `make test`, the others in `make soak`.
"""

import importlib.util
import os
from pathlib import Path

import pytest

from labctl.analyze.why import UNEXPLAINED
from labctl.app.images import ensure
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

_SPEC = importlib.util.spec_from_file_location(
    "fidelity", Path(__file__).parents[2] / "tools" / "fidelity.py"
)
fidelity = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fidelity)

pytestmark = [
    pytest.mark.root,
    pytest.mark.corpus,
    pytest.mark.skipif(not fidelity.corpus().is_dir(), reason="no corpus (LABCTL_CORPUS)"),
]
SMALL = "cumulusfrr_bgp_community"  # no OSPF, whose elections take forty seconds
#: network -> routes, own addresses and sessions that are not equal, and sessions that are stuck in both. In `eos_ospf_bgp` two
#: routers make the same aggregate, and in FRR 8 who is first decides three routes: it is among those whose differences have a reason.
EXACT = {
    "ios_ibgp_split_horizon": (0, 0, 0, 0),
    "iosxe_undefined_route_map": (0, 0, 0, 3),
    "cumulusfrr_bgp_community": (0, 0, 0, 0),
    "cumulusfrr_ospf_area_range": (0, 0, 0, 0),
    "eos_ibgp_local_preference": (0, 0, 0, 0),
    "eos_undefined_route_map": (0, 0, 0, 0),
}


def measured(name, tmp_path):
    ensure(ImageStore(Instance.here()), ["labctl/frr"])
    return fidelity.measure(
        fidelity.corpus() / name, str(tmp_path), f"f{os.getpid()}-{name.replace('_', '-')}"[:40]
    )


def wrong(told):
    return (
        told.compared - told.equal,
        told.own_compared - told.own_equal,
        told.sessions_compared - told.sessions_equal,
        len(told.stuck_alike),
    )


def test_two_switches_route_as_they_did(tmp_path):
    told = measured(SMALL, tmp_path)
    assert (told.nodes, told.compared, told.sessions_compared) == (2, 17, 2)
    assert wrong(told) == EXACT[SMALL]


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(EXACT.keys() - {SMALL}))
def test_networks_that_route_exactly_as_they_did(name, tmp_path):
    assert wrong(measured(name, tmp_path)) == EXACT[name]


@pytest.mark.soak
def test_thirteen_routers_of_three_ases(tmp_path):
    """Three adjacencies with an MTU that differs are stuck, seen from both ends; and three peers are not there."""
    told = measured("ios_example_network", tmp_path)
    assert (told.nodes, told.compared, told.own_compared, told.own_equal) == (13, 295, 45, 45)
    assert told.equal >= 0.95 * 295
    assert told.sessions_equal == told.sessions_compared
    assert sum(a.kind == "ospf" for a in told.stuck_alike) == 6
    assert all(d.rule != UNEXPLAINED for d in told.differences)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(set(fidelity.LABS) - EXACT.keys() - {"ios_example_network"}))
def test_every_difference_of_the_others_has_a_reason(name, tmp_path):
    told = measured(name, tmp_path)
    assert told.compared
    unexplained = [d for d in (*told.differences, *told.session_differences) if d.rule == UNEXPLAINED]
    assert unexplained == []
