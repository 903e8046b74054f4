"""Three FRR routers in a triangle and two hosts behind two of them: a lab with a second way."""

import contextlib
import os

import pytest
from labs import deployed, end, instance, node, nothing_left

from labctl.agent import client
from labctl.model.lab import Bind, CableSpec, LabSpec

FRR = "labctl/frr"
DAEMONS = (
    'zebra=yes\nospfd=yes\nvtysh_enable=yes\nzebra_options="-A 127.0.0.1"\nospfd_options="-A 127.0.0.1"\n'
)
#: Cables of the triangle: port -> address. h1 is behind r1, h2 behind r2.
CABLES = (
    ("r1:eth1", "10.0.12.1/24", "r2:eth1", "10.0.12.2/24"),
    ("r1:eth2", "10.0.13.1/24", "r3:eth1", "10.0.13.3/24"),
    ("r2:eth2", "10.0.23.2/24", "r3:eth2", "10.0.23.3/24"),
    ("r1:eth3", "10.1.0.1/24", "h1:eth1", "10.1.0.10/24"),
    ("r2:eth3", "10.2.0.1/24", "h2:eth1", "10.2.0.10/24"),
)
CUT = "r1:eth1--r2:eth1"


#: OSPF without its pauses (five seconds between two versions of one LSA, five before one is sent again): half of the time that
#: a test waits for routing to come to rest would be theirs.
QUICK = " timers throttle lsa all 0\n timers lsa min-arrival 0\n"


def frr_conf(n):
    ports = "".join(
        f"interface eth{i}\n ip ospf area 0\n ip ospf network point-to-point\n ip ospf hello-interval 1\n"
        f" ip ospf dead-interval 3\n ip ospf retransmit-interval 1\n{' ip ospf passive' + chr(10) if i == 3 else ''}"
        for i in (1, 2, 3)
    )
    process = f"router ospf\n ospf router-id 10.255.0.{n}\n{QUICK}"
    return f"no zebra nexthop kernel enable\nhostname r{n}\n{ports}{process}"


def triangle(directory):
    nodes = []
    for n in (1, 2, 3):
        (directory / f"r{n}.conf").write_text(frr_conf(n))
        (directory / "daemons").write_text(DAEMONS)
        binds = (
            Bind(source=str(directory / f"r{n}.conf"), target="/etc/frr/frr.conf"),
            Bind(source=str(directory / "daemons"), target="/etc/frr/daemons"),
        )
        nodes.append(node(f"r{n}", image=FRR, binds=binds))
    hosts = [
        node("h1", exec=("ip route add default via 10.1.0.1",)),
        node("h2", exec=("ip route add default via 10.2.0.1",)),
    ]
    cables = tuple(CableSpec(a=end(a, x), z=end(z, y)) for a, x, z, y in CABLES)
    return LabSpec(name="measured", nodes=(*hosts, *nodes), cables=cables)


@contextlib.contextmanager
def running(tmp_path_factory, runtime="runc"):
    """The triangle, deployed in an instance of its own; removed at the end, with a look that nothing is left."""
    if os.geteuid():
        pytest.skip("needs root: deploys a lab")
    with pytest.MonkeyPatch.context() as patch:
        here = instance(tmp_path_factory.mktemp("state"), patch, runtime)
        with deployed(here, triangle(tmp_path_factory.mktemp("configs"))) as place:
            yield place
        nothing_left(here)


def whole(place):
    """No effect is active and nothing is off its base."""
    assert client.leases(place) == []
    assert client.ask(place, "status")["off_base"] == {}
