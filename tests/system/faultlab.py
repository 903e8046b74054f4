"""A small real lab that every kind of fault can break, how to break it, and whether it is again what it was.

r1 --- r2      two routers with BGP and OSPF over eth1, a second cable on eth2; h1 hangs on r2:eth3
        |
       h1
"""

import contextlib
import json
import re

import basestate
from labs import end, node
from rig import until

from labctl.app import fault as verb
from labctl.model.lab import Bind, CableSpec, LabSpec
from labctl.run import observe

DAEMONS = "bgpd=yes\nospfd=yes\nwatchfrr_enable=no\nvtysh_enable=yes\n"
#: OSPF without its pauses (a DR election, five seconds between two versions of one LSA, five before one is sent again):
#: what is compared is where it ends up. Next hops inside the routes, as labctl renders it: FRR 8.4 loses those that it keeps
#: in kernel objects after a link is down.
CONF = """frr defaults traditional
hostname r{me}
service integrated-vtysh-config
no zebra nexthop kernel enable
!
interface eth1
 ip address 10.0.0.{me}/30
 ipv6 address 2001:db8::{me}/64
 ip ospf cost 7
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 3
 ip ospf retransmit-interval 1
exit
!
interface eth2
 ip address 10.0.1.{me}/29
exit
!
interface lo
 ip address 10.255.0.{me}/32
exit
!
router bgp 6500{me}
 no bgp ebgp-requires-policy
 neighbor 10.0.0.{other} remote-as 6500{other}
 neighbor 10.0.0.{other} timers 1 3
 neighbor 10.0.0.{other} timers connect 1
 !
 address-family ipv4 unicast
  network 10.255.0.{me}/32
 exit-address-family
exit
!
router ospf
 timers throttle lsa all 0
 timers lsa min-arrival 0
 network 10.0.0.0/30 area 0
exit
!
"""
LINK, OTHER = "r1:eth1--r2:eth1", "r1:eth2--r2:eth2"


def _once_there(command):
    """FRR gives the ports their addresses some time after the node's start; without them there is no such route."""
    return f"sh -c 'for n in $(seq 200); do {command} && exit; sleep 0.1; done; exit 1'"


def spec(directory):
    """The lab; `directory` gets the routers' files."""
    nodes = [node("h1", exec=("ip address add 10.0.2.2/24 dev eth1",))]
    for me, other in ((1, 2), (2, 1)):
        files = {"frr.conf": CONF.format(me=me, other=other), "daemons": DAEMONS}
        binds = []
        for name, content in files.items():
            path = directory / f"r{me}-{name}"
            path.write_text(content)
            path.chmod(0o644)
            binds.append(Bind(source=str(path), target=f"/etc/frr/{name}"))
        nodes.append(
            node(
                f"r{me}",
                image="labctl/frr",
                binds=tuple(binds),
                exec=(
                    _once_there("ip -6 route replace 2001:db8:99::/48 via 2001:db8::ff dev eth1"),
                    _once_there("ip route replace 203.0.113.0/24 via 10.0.1.3 dev eth2 metric 77"),
                    "ip neighbor replace 10.0.1.3 lladdr 02:00:00:00:00:99 dev eth2 nud permanent",
                ),
            )
        )
    cables = [
        CableSpec(a=end("r1:eth1"), z=end("r2:eth1")),
        CableSpec(a=end("r1:eth2"), z=end("r2:eth2")),
        CableSpec(a=end("r2:eth3"), z=end("h1:eth1")),
    ]
    return LabSpec(name="faults", nodes=tuple(nodes), cables=tuple(cables))


class Lab:
    """The running lab, and how to look at it."""

    def __init__(self, place):
        self.place = place
        self.record = place.need()
        self.lab = self.record.lab
        self.runtime = observe.runtime(place)
        self.run("r2", "ip address add 10.0.2.1/24 dev eth3")

    def run(self, name, command, *, code=0):
        done = self.runtime.exec(self.lab, name, ["sh", "-c", command])
        assert code is None or done.code == code, f"{name}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def add(self, kind, target, for_="60s", **settings):
        request = verb.Request(kind=kind, target=target, for_=for_, settings=settings, seed=1, id=kind)
        return verb.add(self.place, request)

    def ping(self, name, to, *options):
        """(received, average RTT in ms) of ten pings."""
        said = self.run(name, f"ping -q -c 10 -i 0.05 -W 1 {' '.join(options)} {to}", code=None)
        received = int(re.search(r"(\d+) received", said)[1])
        average = re.search(r"= [\d.]+/([\d.]+)/", said)
        return received, float(average[1]) if average else None

    def names(self, name):
        return sorted(each.name for each in self.runtime.processes(self.lab, name))

    def group(self, name):
        """The control group of the node's processes."""
        return self.runtime._group(self.place, name)

    def carrier(self, name, port):
        return "NO-CARRIER" not in self.run(name, f"ip link show dev {port}")

    def up(self, name, port):
        return ",UP" in self.run(name, f"ip link show dev {port}").split(">")[0]

    def bgp(self):
        said = json.loads(self.run("r1", "vtysh -c 'show bgp summary json'", code=None) or "{}")
        return (said.get("ipv4Unicast") or {}).get("peers", {}).get("10.0.0.2", {}).get("state")

    def settled(self):
        """Routing is up on both sides: from here the base state can be compared."""
        until(
            lambda: self.bgp() == "Established" and "10.255.0.2" in self.run("r1", "ip route"),
            "BGP is up",
            40,
        )
        until(lambda: "10.255.0.1" in self.run("r2", "ip route"), "BGP is up at r2", 40)
        until(lambda: "Full" in self.run("r1", "vtysh -c 'show ip ospf neighbor'"), "OSPF is up", 40)
        for name in ("r1", "r2"):
            until(lambda n=name: "tentative" not in self.run(n, "ip -6 address"), "addresses are checked", 20)

    def is_as_before(self, base):
        """Routing may take its time to converge; everything else is compared in the same breath."""
        self.settled()
        with contextlib.suppress(AssertionError):
            until(lambda: self.state() == base, "the state of before", 30)
        different = basestate.difference(base, self.state())
        assert not different, "\n".join(different)

    def state(self):
        return basestate.read(self.place, self.runtime)


LINES = [
    "router bgp 65001",
    "no neighbor 10.0.0.2 remote-as 65002",
    "interface eth1",
    "ip ospf cost 99",
    "description a bad day",
    "ip prefix-list X permit any",
]
#: name -> (kind, target, settings): each kind of fault at least once.
CASES = {
    "link.admin-down": ("link.admin-down", "r1:eth1", {}),
    "link.admin-down static": ("link.admin-down", "r1:eth2", {}),
    "link.blackhole": ("link.blackhole", LINK, {}),
    "link.degrade": ("link.degrade", LINK, {"delay": "30ms"}),
    "link.degrade loss": ("link.degrade", LINK, {"loss": "100%", "direction": "z->a"}),
    "link.down": ("link.down", LINK, {}),
    "link.ecmp-member": ("link.ecmp-member", LINK, {"of": "2"}),
    "link.flap": ("link.flap", OTHER, {"down": "300ms", "up": "300ms"}),
    "link.group": ("link.group", "r1:*--r2:*", {}),
    "link.microburst": (
        "link.microburst",
        LINK,
        {"delay": "60ms", "burst": "200ms", "every": "400ms"},
    ),
    "link.mtu": ("link.mtu", LINK, {"mtu": "1200"}),
    "link.oneway": ("link.oneway", LINK, {}),
    "link.partition": ("link.partition", "r1", {"against": "r2"}),
    "link.selective": ("link.selective", LINK, {"protocols": "icmp"}),
    "node.config": ("node.config", "r1", {"lines": LINES}),
    "node.crash-loop": ("node.crash-loop", "r1", {"daemon": "bgpd", "down": "1s", "up": "2s"}),
    "node.daemon-hang": ("node.daemon-hang", "r1", {"daemon": "bgpd"}),
    "node.daemon-kill": ("node.daemon-kill", "r1", {"daemon": "bgpd"}),
    "node.daemon-kill zebra": ("node.daemon-kill", "r1", {"daemon": "zebra"}),
    "node.degrade": ("node.degrade", "r1", {"ports": "50%", "cpu": "50%"}),
    "node.hang": ("node.hang", "r1", {}),
    "node.linecard": ("node.linecard", "r1", {"ports": "eth[12]"}),
    "node.power": ("node.power", "r1", {}),
    "node.reboot": ("node.reboot", "r1", {}),
    "node.reboot warm": ("node.reboot", "r1", {"mode": "warm"}),
    "node.slow": ("node.slow", "r1", {"cpu": "5%"}),
}
