"""Cisco configurations to a running lab: VRRP, a packet filter and address translation, seen from the packets.

in1 reaches 198.51.100.9 through the address that gw1 and gw2 share. gw1, which has it, filters ICMP to there; gw2 does
not. out1 has no route back to in1, so an answer also says that the gateway translates.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rig import until

from labctl.app.images import ensure
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

pytestmark = pytest.mark.root

CONFIGS = Path(__file__).parent / "gateways"
LAB = "gateways"


def has_macvlan():
    script = (
        "ip link add vv0 type veth peer name vv1 && ip link add link vv0 name mm0 type macvlan mode bridge"
    )
    return (
        subprocess.run(["unshare", "-n", "sh", "-c", script], check=False, capture_output=True).returncode
        == 0
    )


def labctl(*argv, cwd, check=True):
    command = [sys.executable, "-m", "labctl", *map(str, argv)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if not has_macvlan() or shutil.which("nft") is None:
        pytest.skip("this machine has no macvlan or no nftables")
    place = tmp_path_factory.mktemp("gateways")
    ensure(ImageStore(Instance.here()), ["labctl/frr"])
    labctl("discover", *sorted(CONFIGS.glob("*.cfg")), "--name", LAB, "-o", "topology.yml", cwd=place)
    labctl("render", "topology.yml", "-o", "out", cwd=place)
    labctl("deploy", f"out/{LAB}.clab.yml", cwd=place)
    try:
        yield place
    finally:
        labctl("destroy", LAB, "--yes", cwd=place)


def inside(lab, node, *argv):
    return labctl("exec", node, "--lab", LAB, "--", *argv, cwd=lab, check=False)


def reaches(lab, address):
    return inside(lab, "in1", "ping", "-c1", "-W1", address).returncode == 0


def status(lab, node):
    shown = inside(lab, node, "vtysh", "-c", "show vrrp").stdout
    return next((line.split()[-1] for line in shown.splitlines() if "Status (v4)" in line), "")


def test_the_gateway_of_the_highest_priority_filters_and_translates_until_the_other_takes_over(lab):
    until(lambda: (status(lab, "gw1"), status(lab, "gw2")) == ("Master", "Backup"), "gw1 is master")
    until(lambda: reaches(lab, "198.51.100.2"), "a way through gw1")
    assert "00:00:5e:00:01:0c" in inside(lab, "in1", "ip", "neigh", "show", "10.0.1.254").stdout
    assert not reaches(lab, "198.51.100.9")
    rules = inside(lab, "gw1", "nft", "list", "ruleset").stdout
    assert "ip daddr 198.51.100.9 ip protocol 1 counter packets 1 " in rules

    inside(lab, "gw1", "ip", "link", "set", "dev", "eth1", "down")
    until(lambda: status(lab, "gw2") == "Master", "gw2 takes over")
    until(lambda: reaches(lab, "198.51.100.9"), "a way through gw2")
