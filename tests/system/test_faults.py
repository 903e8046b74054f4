"""Every fault on a small real lab: it took effect, as measured, and afterwards the lab is what it was.

    r1 --- r2      two routers with BGP and OSPF over eth1, a second cable on eth2; h1 hangs on r2:eth3
            |
           h1

`make test` breaks things with a seeded sample of the faults, `make soak` with all of them, each ended in every way:
by request, by its lease, by heal, and by the agent's death.
"""

import contextlib
import json
import os
import random
import re
import signal
import time

import pytest
from labs import deployed, end, instance, node, nothing_left
from rig import until

from labctl.agent import client
from labctl.app import fault as verb
from labctl.errors import LabctlError
from labctl.faults.base import FAULTS
from labctl.faults.draw import Draw
from labctl.linux import cgroup, proc
from labctl.model.lab import Bind, CableSpec, LabSpec
from labctl.model.scenario import Query
from labctl.run import heal
from labctl.runtime.base import RUNTIMES
from labctl.topo import query

pytestmark = pytest.mark.root

DAEMONS = "bgpd=yes\nospfd=yes\nwatchfrr_enable=no\nvtysh_enable=yes\n"
CONF = """frr defaults traditional
hostname r{me}
service integrated-vtysh-config
!
interface eth1
 ip address 10.0.0.{me}/30
 ipv6 address 2001:db8::{me}/64
 ip ospf cost 7
 ip ospf hello-interval 1
 ip ospf dead-interval 3
exit
!
interface eth2
 ip address 10.0.1.{me}/30
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
 network 10.0.0.0/30 area 0
exit
!
"""
LINK, OTHER = "r1:eth1--r2:eth1", "r1:eth2--r2:eth2"


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
                    "ip -6 route add 2001:db8:99::/48 via 2001:db8::ff dev eth1",
                    "ip route add 203.0.113.0/24 via 10.0.1.3 dev eth2 metric 77",
                    "ip neighbor add 10.0.1.3 lladdr 02:00:00:00:00:99 dev eth2 nud permanent",
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
        self.runtime = RUNTIMES["runc"](place.instance)
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
        assert self.state() == base

    def _node(self, name):
        script = "; ".join(f"echo @@{look}; {command}" for look, command in LOOKS.items())
        looks = dict(part.split("\n", 1) for part in self.run(name, script).split("@@")[1:])
        processes = self.runtime.processes(self.lab, name)
        group = self.place.node_cgroup(name)
        return {
            **{look: text if look == "configuration" else canonical(text) for look, text in looks.items()},
            "processes": sorted(each.name for each in processes),
            "stopped": [each.name for each in processes if each.stopped],
            "frozen": cgroup.frozen(group),
            "cpu": cgroup.cpu_limit(group),
        }

    def state(self):
        """All of the lab that a fault can touch, without what counts or is numbered anew.

        Left out: qdisc and filter handles and counters, nexthop ids of routes, pids, neighbour entries that come and
        go by themselves (all but permanent ones), and everything of the runtime that is not the node's.
        """
        found = {name: self._node(name) for name in ("r1", "r2", "h1")}
        found["panel"] = panel(self.place)
        found["leases"] = [lease["id"] for lease in client.leases(self.place)]
        found["saved"] = os.listdir(self.place.saved_dir) if os.path.isdir(self.place.saved_dir) else []
        return found


LOOKS = {
    "links": "ip -o link | sed 's/qlen [0-9]*//'",
    "addresses": "ip -o address",
    "routes": "ip route show table all",
    "routes6": "ip -6 route show table all",
    "neighbours": "ip neighbor show nud permanent",
    "qdiscs": "tc qdisc show",
    "sysctls": "cd /proc/sys/net; grep -H . ipv6/conf/*/disable_ipv6 ipv4/conf/*/forwarding",
    "configuration": "[ ! -e /usr/bin/vtysh ] || vtysh -c 'show running-config'",
}


def canonical(text):
    words = re.sub(r"\b(nhid|expires|pref) \S+ ?", "", text)
    return sorted(re.sub(r"\s+", " ", each).strip() for each in words.splitlines())


def panel(place):
    """Levels of the panel sides, and what is installed on them without handles."""
    argv = ["nsenter", f"--net={place.panel_ns}"]
    links = proc.run([*argv, "ip", "-o", "link"]).stdout
    levels = [(f[1], "LOWER_UP" in f[2]) for f in (each.split() for each in links.splitlines())]
    qdiscs = proc.run([*argv, "tc", "qdisc"]).stdout
    return sorted(levels), sorted(re.sub(r"qdisc (\S+) \S+", r"\1", each) for each in qdiscs.splitlines())


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("faults")
        here = instance(root / "state", patch)
        lab_spec = spec(root)
        with deployed(here, lab_spec) as place:
            found = Lab(place)
            found.settled()
            yield found
        nothing_left(here, [lab_spec])


@pytest.fixture
def base(lab):
    """The state before; whatever a test leaves broken is not the next one's."""
    heal.heal(lab.place)
    lab.settled()
    yield lab.state()
    heal.heal(lab.place)


# -- each fault: how to break, and how to see that it is broken --------------------------------------------------


def blocked(lab):
    assert lab.ping("r1", "10.0.0.2")[0] == 0


def lit_and_blocked(lab):
    assert lab.carrier("r1", "eth1")
    assert lab.carrier("r2", "eth1")
    blocked(lab)


def dark(lab):
    assert not lab.carrier("r1", "eth1")
    assert not lab.carrier("r2", "eth1")
    assert lab.up("r1", "eth1")
    assert "2001:db8::1/64" in lab.run("r1", "ip -6 address show dev eth1")


def late(lab):
    received, average = lab.ping("r1", "10.0.0.2")
    assert received == 10
    assert 59 < average < 75


def large_lost(lab):
    assert lab.ping("r1", "10.0.0.2")[0] == 10
    assert lab.ping("r1", "10.0.0.2", "-s 1300", "-M do")[0] == 0


def pings_lost(lab):
    assert lab.ping("r1", "10.0.0.2")[0] == 0
    assert lab.bgp() == "Established"


def one_flow_in_two(lab):
    """Twenty flows by their ports: some get through, some do not."""
    script = 'for p in $(seq 40001 40020); do timeout 1 bash -c "echo > /dev/udp/10.0.0.2/$p"; done'
    before = counter(lab, "r2")
    lab.run("r1", script)
    time.sleep(0.3)
    assert 1 <= counter(lab, "r2") - before <= 19


def counter(lab, name):
    said = lab.run(name, "cat /proc/net/snmp").splitlines()
    names, values = [each.split() for each in said if each.startswith("Udp:")]
    return int(values[names.index("NoPorts")])


def shut(lab):
    assert not lab.up("r1", "eth1")
    assert not lab.carrier("r2", "eth1")
    assert "2001:db8::1" not in lab.run("r1", "ip -6 address")


def flaps(lab):
    seen = set()
    until(lambda: seen.add(lab.carrier("r1", "eth2")) or len(seen) == 2, "it goes down and up", 10)


def parted(lab):
    assert lab.ping("r1", "10.0.0.2")[0] == 0
    assert lab.ping("r1", "10.0.1.2")[0] == 0
    assert lab.ping("h1", "10.0.2.1")[0] == 10


def both_dark(lab):
    dark(lab)
    assert not lab.carrier("r1", "eth2")


def off(lab):
    assert lab.names("r1") == []
    assert not lab.carrier("r2", "eth1")
    assert not lab.carrier("r2", "eth2")


def warm(lab):
    assert lab.names("r1") == []
    assert lab.carrier("r2", "eth1")
    assert lab.ping("r2", "10.0.0.1")[0] == 10


def hung(lab):
    assert cgroup.frozen(lab.place.node_cgroup("r1"))
    assert lab.ping("r2", "10.0.0.1")[0] == 10


def no_bgpd(lab):
    assert "bgpd" not in lab.names("r1")
    assert {"zebra", "ospfd"} <= set(lab.names("r1"))


def bgpd_stands_still(lab):
    (bgpd,) = [p for p in lab.runtime.processes(lab.lab, "r1") if p.name == "bgpd"]
    assert bgpd.stopped


def crashes(lab):
    seen = set()
    until(lambda: seen.add("bgpd" in lab.names("r1")) or len(seen) == 2, "it dies and lives", 20)


def slow(lab):
    assert cgroup.cpu_limit(lab.place.node_cgroup("r1")) == 0.05
    begun = time.monotonic()
    lab.run("r1", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done")
    took = time.monotonic() - begun
    heal.heal(lab.place)
    begun = time.monotonic()
    lab.run("r1", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done")
    assert took > 3 * (time.monotonic() - begun)


def configured(lab):
    said = lab.run("r1", "vtysh -c 'show running-config'")
    assert "ip ospf cost 99" in said
    assert "ip prefix-list X" in said
    assert "remote-as 65002" not in said
    until(lambda: "10.255.0.2" not in lab.run("r1", "ip route"), "the route goes", 20)


def half_dark(lab):
    assert sorted(lab.carrier("r1", port) for port in ("eth1", "eth2")) == [False, True]
    assert cgroup.cpu_limit(lab.place.node_cgroup("r1")) == 0.5


LINES = [
    "router bgp 65001",
    "no neighbor 10.0.0.2 remote-as 65002",
    "interface eth1",
    "ip ospf cost 99",
    "description a bad day",
    "ip prefix-list X permit any",
]
#: name -> (kind, target, settings, look)
CASES = {
    "link.admin-down": ("link.admin-down", "r1:eth1", {}, shut),
    "link.admin-down static": ("link.admin-down", "r1:eth2", {}, lambda lab: None),
    "link.blackhole": ("link.blackhole", LINK, {}, lit_and_blocked),
    "link.degrade": ("link.degrade", LINK, {"delay": "30ms"}, late),
    "link.degrade loss": ("link.degrade", LINK, {"loss": "100%", "direction": "z->a"}, lit_and_blocked),
    "link.down": ("link.down", LINK, {}, dark),
    "link.ecmp-member": ("link.ecmp-member", LINK, {"of": "2"}, one_flow_in_two),
    "link.flap": ("link.flap", OTHER, {"down": "300ms", "up": "300ms"}, flaps),
    "link.group": ("link.group", "r1:*--r2:*", {}, both_dark),
    "link.mtu": ("link.mtu", LINK, {"mtu": "1200"}, large_lost),
    "link.oneway": ("link.oneway", LINK, {}, lit_and_blocked),
    "link.partition": ("link.partition", "r1", {"against": "r2"}, parted),
    "link.selective": ("link.selective", LINK, {"protocols": "icmp"}, pings_lost),
    "node.config": ("node.config", "r1", {"lines": LINES}, configured),
    "node.crash-loop": ("node.crash-loop", "r1", {"daemon": "bgpd", "down": "1s", "up": "2s"}, crashes),
    "node.daemon-hang": ("node.daemon-hang", "r1", {"daemon": "bgpd"}, bgpd_stands_still),
    "node.daemon-kill": ("node.daemon-kill", "r1", {"daemon": "bgpd"}, no_bgpd),
    "node.daemon-kill zebra": (
        "node.daemon-kill",
        "r1",
        {"daemon": "zebra"},
        lambda lab: "zebra" not in lab.names("r1"),
    ),
    "node.degrade": ("node.degrade", "r1", {"ports": "50%", "cpu": "50%"}, half_dark),
    "node.hang": ("node.hang", "r1", {}, hung),
    "node.linecard": ("node.linecard", "r1", {"ports": "eth[12]"}, both_dark),
    "node.power": ("node.power", "r1", {}, off),
    "node.reboot": ("node.reboot", "r1", {}, off),
    "node.reboot warm": ("node.reboot", "r1", {"mode": "warm"}, warm),
    "node.slow": ("node.slow", "r1", {"cpu": "5%"}, slow),
}
#: `make test` looks at these: each kind of resource, and two drawn ones.
ALWAYS = ("link.admin-down", "node.config", "node.daemon-kill", "node.power")
SEED = int(os.environ.get("LABCTL_TEST_SEED", "20261120"))
SAMPLE = {*ALWAYS, *random.Random(SEED).sample(sorted(set(CASES) - set(ALWAYS)), 2)}
SAMPLED = [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.soak) for name in sorted(CASES)]


def test_every_fault_has_a_case():
    assert {kind for kind, *_ in CASES.values()} == set(FAULTS)


@pytest.mark.parametrize("name", SAMPLED)
def test_it_breaks_what_it_says_and_nothing_stays_broken(lab, base, name):
    kind, target, settings, look = CASES[name]
    added = lab.add(kind, target, **settings)
    assert all(not each.note for each in added.touched), added
    look(lab)
    cleared = verb.clear(lab.place, None)
    assert cleared.dirty == ()
    lab.is_as_before(base)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.soak) for n in sorted(CASES)])
def test_it_ends_with_its_lease(lab, base, name):
    kind, target, settings, _ = CASES[name]
    lab.add(kind, target, "2s", **settings)
    until(lambda: not client.leases(lab.place), "the lease ends", 10)
    until(lambda: not client.ask(lab.place, "status")["off_base"], "everything is put back", 20)
    lab.is_as_before(base)


KILLED = [
    pytest.param(n, marks=() if n in ("node.daemon-kill", "link.admin-down") else pytest.mark.soak)
    for n in sorted(CASES)
]


@pytest.mark.parametrize("name", KILLED)
def test_heal_ends_it_after_the_agent_was_killed(lab, base, name):
    kind, target, settings, _ = CASES[name]
    lab.add(kind, target, **settings)
    cgroup.kill(lab.place.agent_cgroup)
    healed = heal.heal(lab.place)
    assert healed.left == ()
    assert f"fault {kind} ended" in healed.put_back
    lab.is_as_before(base)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.soak) for n in sorted(CASES)])
def test_kill_nine_of_the_agent_in_the_middle(lab, base, name, seed):
    """The agent dies while it applies, and again while it reverts; the guard's next one finishes the work."""
    kind, target, settings, _ = CASES[name]
    rng = random.Random(f"{seed} {name}")
    for _round in range(3):
        for act in (lambda: lab.add(kind, target, **settings), lambda: verb.clear(lab.place, None)):
            pid = client.ask(lab.place, "status")["pid"]
            delay = rng.uniform(0, 0.2)
            child = os.fork()
            if child == 0:
                time.sleep(delay)
                os.kill(pid, signal.SIGKILL)
                os._exit(0)
            try:
                act()
            except LabctlError as error:
                assert error.code in ("agent-unreachable", "unknown-resource")  # noqa: PT017
            os.waitpid(child, 0)
            until(lambda: client.alive(lab.place), "the agent is back", 20)
    assert heal.heal(lab.place).left == ()
    lab.is_as_before(base)


# -- faults beside each other --------------------------------------------------------------------------------------


def test_faults_overlap_and_each_ends_alone(lab, base):
    lab.add("node.daemon-hang", "r1", daemon="bgpd")
    lab.add("node.daemon-kill", "r1", daemon="bgpd")
    no_bgpd(lab)
    verb.clear(lab.place, "node.daemon-kill")
    bgpd_stands_still(lab)
    lab.add("node.slow", "r1", cpu="50%")
    lab.add("node.degrade", "r1", cpu="20%")
    assert cgroup.cpu_limit(lab.place.node_cgroup("r1")) == 0.2
    verb.clear(lab.place, "node.degrade")
    assert cgroup.cpu_limit(lab.place.node_cgroup("r1")) == 0.5
    verb.clear(lab.place, None)
    lab.is_as_before(base)


def test_a_daemon_stays_dead_over_a_reboot(lab, base):
    lab.add("node.daemon-kill", "r1", daemon="ospfd")
    lab.add("node.reboot", "r1")
    verb.clear(lab.place, "node.reboot")
    until(lambda: "bgpd" in lab.names("r1"), "the node boots", 10)
    until(lambda: "ospfd" not in lab.names("r1"), "what was started again is killed again", 5)
    time.sleep(0.6)
    assert "ospfd" not in lab.names("r1")
    assert verb.clear(lab.place, None).dirty == ()
    lab.is_as_before(base)


def test_what_restarts_a_dead_daemon_restarts_it_in_vain(lab, base):
    lab.add("node.daemon-kill", "r1", daemon="bgpd")
    lab.run("r1", "/usr/lib/frr/bgpd -d -F traditional -A 127.0.0.1")
    until(lambda: "bgpd" not in lab.names("r1"), "it is killed again", 5)
    verb.clear(lab.place, None)
    lab.is_as_before(base)


def test_a_port_that_somebody_raises_goes_down_again(lab, base):
    lab.add("link.admin-down", "r1:eth2")
    lab.run("r1", "ip link set eth2 up")
    until(lambda: not lab.up("r1", "eth2"), "it is down again", 5)
    verb.clear(lab.place, None)
    lab.is_as_before(base)


# -- what does not take is said --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "target", "settings", "code", "said"),
    [
        (
            "node.daemon-kill",
            "h1",
            {"daemon": "bgpd"},
            "effect-not-taken",
            "no process of 'h1' is called 'bgpd'",
        ),
        ("node.daemon-hang", "r1", {"daemon": "bgpdd"}, "effect-not-taken", "there are bgpd, ospfd"),
        ("node.config", "h1", {"lines": "hostname x"}, "effect-not-taken", "cannot be read"),
        ("node.config", "r1", {"lines": "no such command"}, "effect-not-taken", "Unknown command"),
        ("node.linecard", "r1", {"ports": "ge*"}, "empty-target", "touches nothing"),
        ("node.power", "r9", {}, "unknown-node", "'r9'"),
    ],
)
def test_what_does_not_take_is_an_error_and_leaves_nothing(lab, base, kind, target, settings, code, said):  # noqa: PLR0917
    with pytest.raises(LabctlError) as caught:
        lab.add(kind, target, **settings)
    assert caught.value.code == code
    assert said in str(caught.value)
    lab.is_as_before(base)


def test_a_flap_keeps_its_times(lab, base):
    fault = FAULTS["link.flap"](down_s=0.5, up_s=0.5)
    targets = query.select(
        Query(kind=fault.on, expression=OTHER), query.Graph(lab.lab), Draw(seed=1).at("target")
    )
    spans = fault.spans("flap", lab.lab, targets, 3.0, Draw(seed=1))
    client.add(
        lab.place, "flap", [each.effect for each in spans], 3.0, windows=[(s.start_s, s.end_s) for s in spans]
    )
    seen = []
    begun = time.monotonic()
    while time.monotonic() - begun < 3.3:
        level = lab.carrier("r1", "eth2")
        if not seen or seen[-1] != level:
            seen.append(level)
    assert seen == [False, True, False, True, False, True]
    assert client.leases(lab.place) == []
    lab.is_as_before(base)
