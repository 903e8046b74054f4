"""Every fault on a small real lab: it took effect, as measured, and afterwards the lab is what it was.

`make test` breaks things with a seeded sample of the faults, `make soak` with all of them, each ended in every way:
by request, by its lease, by heal after the agent's death. (What `kill -9` in the middle of anything leaves:
test_revert.py. The lab: faultlab.py.)
"""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from faultlab import CASES, OTHER, Lab, spec
from labs import deployed, instance, nothing_left
from rig import until

from labctl.agent import client, ledger
from labctl.app import fault as verb
from labctl.errors import Exit, LabctlError
from labctl.faults.base import FAULTS
from labctl.faults.draw import Draw
from labctl.linux import cgroup
from labctl.model.effects import NodeRef, Setting
from labctl.model.scenario import Query
from labctl.run import heal
from labctl.topo import query

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab(tmp_path_factory, kind):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("faults")
        here = instance(root / "state", patch, kind)
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


def waits_now_and_then(lab):
    """Half of the time a ping waits twice 60 ms, half of the time it does not; none is lost, none overtakes."""
    said = lab.run("r1", "ping -i 0.02 -c 100 10.0.0.2", code=None)
    times = [float(each) for each in re.findall(r"time=([\d.]+)", said)]
    numbers = [int(each) for each in re.findall(r"icmp_seq=(\d+)", said)]
    assert numbers == list(range(1, 101))
    assert sum(each < 20 for each in times) > 10
    assert sum(each > 59 for each in times) > 10


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
    assert cgroup.frozen(lab.group("r1"))
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
    assert cgroup.cpu_limit(lab.group("r1")) == 0.05
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
    assert cgroup.cpu_limit(lab.group("r1")) == 0.5


#: name -> what is to be seen while it is broken.
LOOKS = {
    "link.admin-down": shut,
    "link.admin-down static": lambda lab: None,
    "link.blackhole": lit_and_blocked,
    "link.degrade": late,
    "link.degrade loss": lit_and_blocked,
    "link.down": dark,
    "link.ecmp-member": one_flow_in_two,
    "link.flap": flaps,
    "link.group": both_dark,
    "link.microburst": waits_now_and_then,
    "link.mtu": large_lost,
    "link.oneway": lit_and_blocked,
    "link.partition": parted,
    "link.selective": pings_lost,
    "node.config": configured,
    "node.crash-loop": crashes,
    "node.daemon-hang": bgpd_stands_still,
    "node.daemon-kill": no_bgpd,
    "node.daemon-kill zebra": lambda lab: "zebra" not in lab.names("r1"),
    "node.degrade": half_dark,
    "node.hang": hung,
    "node.linecard": both_dark,
    "node.power": off,
    "node.reboot": off,
    "node.reboot warm": warm,
    "node.slow": slow,
}
#: `make test` looks at these: each kind of resource, and two drawn ones.
ALWAYS = ("link.admin-down", "node.config", "node.daemon-kill", "node.power")
SEED = int(os.environ.get("LABCTL_TEST_SEED", "20261120"))
SAMPLE = {*ALWAYS, *random.Random(SEED).sample(sorted(set(CASES) - set(ALWAYS)), 2)}
#: Of these also on Docker: what a node is, not the kernel's cables, is what differs there.
ON_BOTH = ("node.daemon-kill", "node.power")
SAMPLED = [
    pytest.param(
        name, marks=pytest.mark.both if name in ON_BOTH else () if name in SAMPLE else pytest.mark.soak
    )
    for name in sorted(CASES)
]


def test_every_fault_has_a_case():
    assert {kind for kind, *_ in CASES.values()} == set(FAULTS)
    assert LOOKS.keys() == CASES.keys()


@pytest.mark.parametrize("name", SAMPLED)
def test_it_breaks_what_it_says_and_nothing_stays_broken(lab, base, name):
    kind, target, settings = CASES[name]
    added = lab.add(kind, target, **settings)
    assert all(not each.note for each in added.touched), added
    LOOKS[name](lab)
    cleared = verb.clear(lab.place, None)
    assert cleared.dirty == ()
    lab.is_as_before(base)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.soak) for n in sorted(CASES)])
def test_it_ends_with_its_lease(lab, base, name):
    kind, target, settings = CASES[name]
    lab.add(kind, target, "2s", **settings)
    until(lambda: not client.leases(lab.place), "the lease ends", 10)
    until(lambda: not client.ask(lab.place, "status")["off_base"], "everything is put back", 20)
    # An engine takes its time to start a node: until then the way back is still written down.
    until(lambda: not os.path.isdir(lab.place.saved_dir) or not os.listdir(lab.place.saved_dir), "it is", 40)
    lab.is_as_before(base)


KILLED = [
    pytest.param(n, marks=() if n in ("node.daemon-kill", "link.admin-down") else pytest.mark.soak)
    for n in sorted(CASES)
]


@pytest.mark.parametrize("name", KILLED)
def test_heal_ends_it_after_the_agent_was_killed(lab, base, name):
    kind, target, settings = CASES[name]
    lab.add(kind, target, **settings)
    cgroup.kill(lab.place.agent_cgroup)
    healed = heal.heal(lab.place)
    assert healed.left == ()
    assert f"fault {kind} ended" in healed.put_back
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
    assert cgroup.cpu_limit(lab.group("r1")) == 0.2
    verb.clear(lab.place, "node.degrade")
    assert cgroup.cpu_limit(lab.group("r1")) == 0.5
    verb.clear(lab.place, None)
    lab.is_as_before(base)


def test_an_agent_that_died_between_a_daemon_and_its_configuration(lab, base):
    """The daemon was started again and knows nothing yet: the next agent does not take it for what it was."""
    lab.add("node.daemon-kill", "r1", "2s", daemon="zebra")
    client.stop(lab.place)
    lab.run("r1", "/usr/lib/frr/zebra -d -F traditional -A 127.0.0.1")
    until(lambda: "zebra" in lab.names("r1"), "zebra runs")
    time.sleep(2)
    assert heal.heal(lab.place).left == ()
    lab.is_as_before(base)


@contextlib.contextmanager
def stuck(lab, name):
    """A daemon stands still, and with it everything that has to ask it for its configuration; goes on in the end."""
    pids = [each.handle.pid for each in lab.runtime.processes(lab.lab, "r1") if each.name == name]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def beside(work):
    """It runs in a thread of its own; what it returns or raises is in `result` once it is done."""
    thread = threading.Thread(target=lambda: result.append(outcome(work)))
    result: list[object] = []
    thread.result = result
    thread.start()
    return thread


def outcome(work):
    try:
        return work()
    except LabctlError as error:
        return error


def test_what_takes_its_time_in_one_node_holds_up_nothing_elsewhere(lab, base):
    with stuck(lab, "bgpd"):
        slow = beside(lambda: lab.add("node.config", "r1", lines=["interface eth1", "ip ospf cost 99"]))
        until(lambda: client.leases(lab.place), "it is in the ledger")
        lab.add("link.down", OTHER, for_="300ms")
        assert slow.is_alive(), "it waits for the daemon's configuration"
        until(lambda: len(client.leases(lab.place)) == 1, "the other lease is over")
        until(lambda: lab.carrier("r1", "eth2"), "the light is back")
        lab.add("node.slow", "r2", cpu="50%")
        verb.clear(lab.place, "node.slow")
        assert slow.is_alive(), "it waits for the daemon's configuration"
    slow.join()
    assert not isinstance(slow.result[0], LabctlError)
    assert "cost 99" in lab.run("r1", "vtysh -c 'show running-config'")
    verb.clear(lab.place, None)
    lab.is_as_before(base)


def test_a_fault_that_is_ended_while_it_begins_is_ended(lab, base):
    with stuck(lab, "bgpd"):
        slow = beside(lambda: lab.add("node.config", "r1", lines=["interface eth1", "ip ospf cost 99"]))
        until(lambda: client.leases(lab.place), "it is in the ledger")
        end = beside(lambda: verb.clear(lab.place, "node.config"))
        until(lambda: not client.leases(lab.place), "it is over")
        kill = beside(lambda: lab.add("node.daemon-kill", "r1", daemon="ospfd"))
        until(lambda: client.leases(lab.place), "another begins in the same node")
    for each in (slow, end, kill):
        each.join()
    assert not isinstance(kill.result[0], LabctlError)
    assert "ospfd" not in lab.names("r1")
    assert "cost 99" not in lab.run("r1", "vtysh -c 'show running-config'")
    ledger.read(lab.place.ledger_file)
    verb.clear(lab.place, None)
    lab.is_as_before(base)


def test_an_agent_that_is_killed_while_a_lane_is_at_work(lab, base):
    with stuck(lab, "bgpd"):
        slow = beside(lambda: lab.add("node.config", "r1", lines=["interface eth1", "ip ospf cost 99"]))
        until(lambda: client.leases(lab.place), "it is in the ledger")
        os.kill(client.ask(lab.place, "status")["pid"], signal.SIGKILL)
        slow.join()
        assert slow.result[0].code == "agent-unreachable"
    until(lambda: client.alive(lab.place), "the guard starts another")
    until(lambda: "cost 99" in lab.run("r1", "vtysh -c 'show running-config'"), "which goes on")
    verb.clear(lab.place, None)
    lab.is_as_before(base)


def test_an_agent_killed_under_a_run_does_not_pass_for_nothing_having_happened(lab, base, tmp_path):
    """The next one keeps the fault; the run ends it, and its verdict is what it measured, or UNKNOWN with the reason."""
    fault = {"fault": "link.down", "id": "it", "target": {"link": OTHER}, "for": "4s"}
    (tmp_path / "s.yml").write_text(json.dumps({"name": "killed", "seed": 1, "timeline": [fault]}))
    run = subprocess.Popen(
        [sys.executable, "-m", "labctl", "run", "s.yml", "-l", lab.place.name],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: client.leases(lab.place) and not lab.carrier("r1", "eth2"), "the cable is cut", 120)
    before = client.ask(lab.place, "status")["pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: client.alive(lab.place), "the guard starts another")
    assert client.ask(lab.place, "status")["pid"] != before
    said, _ = run.communicate(timeout=180)
    assert run.returncode in (0, Exit.UNKNOWN), said
    if run.returncode:
        assert "does not answer" in said
    assert client.leases(lab.place) == []
    lab.is_as_before(base)


def test_an_agent_that_died_while_it_started_a_node(lab, base):
    """The processes run and are nobody's: the next agent does not take them for the node."""
    lab.add("node.power", "r1", "2s")
    client.stop(lab.place)
    assert lab.names("r1") == []
    lab.runtime.ensure(lab.lab, NodeRef("r1"), Setting())
    os.unlink(os.path.join(lab.place.node_dir("r1"), "init.json"))
    assert lab.names("r1") != []
    time.sleep(2)
    assert heal.heal(lab.place).left == ()
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
    lab.run("r1", "/usr/lib/frr/bgpd -d -F traditional -A 127.0.0.1", code=None)  # it may not come so far
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
    ("fault", "target", "settings", "code", "said"),
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
def test_what_does_not_take_is_an_error_and_leaves_nothing(lab, base, fault, target, settings, code, said):  # noqa: PLR0917
    with pytest.raises(LabctlError) as caught:
        lab.add(fault, target, **settings)
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
