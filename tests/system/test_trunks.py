"""Sub-interfaces of three vendors' configurations to a running lab: neighbours over a tag, one cable under two of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rig import until

from labctl.app.images import ensure
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

pytestmark = pytest.mark.root

CONFIGS = Path(__file__).parent / "trunks"
LAB = "trunks"
CABLE = "core:eth1--edge:Ethernet1"


def labctl(*argv, cwd):
    command = [sys.executable, "-m", "labctl", *map(str, argv)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    place = tmp_path_factory.mktemp(LAB)
    ensure(ImageStore(Instance.here()), ["labctl/frr"])
    labctl("discover", *sorted(CONFIGS.iterdir()), "--name", LAB, "-o", "topology.yml", cwd=place)
    labctl("render", "topology.yml", "-o", "out", "--min-fidelity", "100%", cwd=place)
    labctl("deploy", f"out/{LAB}.clab.yml", cwd=place)
    try:
        yield place
    finally:
        labctl("destroy", LAB, "--yes", cwd=place)


def vtysh(lab, node, command):
    return labctl("exec", node, "--lab", LAB, "--", "vtysh", "-c", command, cwd=lab)


def neighbours(lab, node):
    """Interface -> router, of those that are full."""
    found = json.loads(vtysh(lab, node, "show ip ospf neighbor json"))["neighbors"]
    return {
        each["ifaceName"].partition(":")[0]: router
        for router, several in found.items()
        for each in several
        if each.get("nbrState", each.get("state", "")).startswith("Full")
    }


def ways(lab, prefix):
    found = json.loads(vtysh(lab, "core", f"show ip route {prefix} json")).get(prefix, [])
    return [hop["interfaceName"] for each in found for hop in each["nexthops"] if hop.get("active")]


def test_neighbours_over_tags_lose_each_other_with_the_cable_and_find_each_other_after_it(lab):
    whole = {"eth1.10": "10.255.0.2", "eth1.20": "10.255.0.2", "eth4.30": "10.255.0.3"}
    until(lambda: neighbours(lab, "core") == whole, "three neighbours, each by its tag", 60)
    until(lambda: ways(lab, "10.255.0.2/32") == ["eth1.10"], "the cheaper of two ways over one cable", 60)
    until(lambda: ways(lab, "10.255.0.3/32") == ["eth4.30"], "the third neighbour's loopback", 60)
    assert "mtu 1400" in labctl("exec", "core", "--lab", LAB, "--", "ip", "link", "show", "eth4.30", cwd=lab)

    labctl("fault", "add", "link.down", CABLE, "--for", "300s", "-l", LAB, cwd=lab)
    until(lambda: neighbours(lab, "core") == {"eth4.30": "10.255.0.3"}, "both are gone", 60)
    shown = labctl("exec", "core", "--lab", LAB, "--", "ip", "-br", "link", cwd=lab)
    dark = {line.split("@")[0] for line in shown.splitlines() if "NO-CARRIER" in line}
    assert dark == {"eth1", "eth1.10", "eth1.20"}
    until(lambda: ways(lab, "10.255.0.2/32") == [], "no way is left once routes are computed again", 60)

    labctl("fault", "clear", "--all", "-l", LAB, cwd=lab)
    until(lambda: neighbours(lab, "core") == whole, "both are back", 60)
    until(lambda: ways(lab, "10.255.0.2/32") == ["eth1.10"], "as before", 60)
