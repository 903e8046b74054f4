"""The agent against the kernel: levels after any sequence, leases after any kill."""

import contextlib
import os
import random
import signal
import sys
import threading
import time

import pytest
import stepkill
from rig import Rig, ip, lab, rig, until

from labctl.agent import client, ledger
from labctl.agent.core import Agent, Asked
from labctl.errors import LabctlError
from labctl.linux import cgroup, proc
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef
from labctl.names import PortId

pytestmark = pytest.mark.root

R1, R2 = PortId("r1", "eth1"), PortId("r2", "eth1")
PAIR = lab(("r1:eth1", "r2:eth1"))
RING = lab(("r1:eth1", "r2:eth1"), ("r2:eth2", "r3:eth1"), ("r3:eth2", "r1:eth2"), ("r1:eth3", None))


def cut(spec, number=0, directions=tuple(Direction), name="cut"):
    cable = spec.cables[number].id
    return [Effect(id=name, on=HalfCable(cable, d), change=Down()) for d in directions]


@pytest.fixture
def pair(tmp_path):
    with rig(tmp_path, PAIR) as running:
        yield running


def both_sides(running: Rig, port):
    """The panel's word and the node's link, of one moment: the panel says the same after the node was read."""
    said = running.carrier(port)
    while True:
        inside = running.link(port.node).link(port.interface)
        before, said = said, running.carrier(port)
        if said == before:
            return said, inside


def carriers(running: Rig):
    """port -> carrier, for every port; the panel's word and, where the node looks, the node's."""
    found = {}
    for cable in running.spec.cables:
        for end in cable.ends:
            found[end.port], inside = both_sides(running, end.port)
            if inside.up:
                assert inside.carrier == found[end.port], f"{end.port}: the node and the panel disagree"
    return found


def expected(spec, admin, cuts):
    """The level rule, said again in the test's own words."""
    found = {}
    for cable in spec.cables:
        for end in cable.ends:
            far = next((e.port for e in cable.ends if e is not end), None)
            into = Direction.Z_TO_A if end.port == cable.id.a else Direction.A_TO_Z
            dark = (cable.id, into) in {(e.on.cable, e.on.direction) for each in cuts.values() for e in each}
            found[end.port] = not dark and (far is None or admin[far])
    return found


@pytest.mark.parametrize("round_", range(4))
def test_the_last_level_is_right_after_any_sequence_of_ups_downs_cuts_and_kills(tmp_path, seed, round_):
    rng = random.Random(f"{seed}-{round_}")
    ports = [end.port for cable in RING.cables for end in cable.ends]
    with rig(tmp_path, RING) as running:
        admin, cuts = dict.fromkeys(ports, True), {}
        for step in range(60):
            match rng.choices(["admin", "cut", "clear", "kill", "look"], [60, 8, 8, 2, 22])[0]:
                case "admin":
                    port = rng.choice(ports)
                    admin[port] = rng.random() < 0.5
                    running.set_admin(port, admin[port])
                case "cut":
                    name = f"cut{rng.randrange(3)}"
                    directions = rng.choice([tuple(Direction), (Direction.A_TO_Z,), (Direction.Z_TO_A,)])
                    cuts[name] = cut(RING, rng.randrange(3), directions, name)
                    client.add(running.place, name, cuts[name], 600)
                case "clear":
                    name = f"cut{rng.randrange(3)}"
                    cuts.pop(name, None)
                    client.clear(running.place, name)
                case "kill":
                    os.kill(running.agent_pid(), signal.SIGKILL)
                    for port in rng.sample(ports, 3):  # and the world goes on without it
                        admin[port] = not admin[port]
                        running.set_admin(port, admin[port])
                    until(lambda: client.alive(running.place), "the guard starts the agent again")
                case "look":
                    running.settled()
                    assert carriers(running) == expected(RING, admin, cuts), f"step {step}"
        running.settled()
        assert carriers(running) == expected(RING, admin, cuts)


def test_levels_are_right_after_more_events_than_the_socket_holds(pair):
    agent = pair.agent_pid()
    os.kill(agent, signal.SIGSTOP)
    try:
        for _ in range(2000):
            pair.set_admin(R1, False)
            pair.set_admin(R1, True)
        pair.set_admin(R2, False)
    finally:
        os.kill(agent, signal.SIGCONT)
    pair.settled()
    assert carriers(pair) == {R1: False, R2: True}


def test_a_port_that_is_deleted_or_renamed_takes_the_light_from_the_other_end(pair):
    ip(pair.place, "r1", "link", "set", "eth1", "down")  # older kernels rename only what is down
    ip(pair.place, "r1", "link", "set", "eth1", "name", "elsewhere")
    ip(pair.place, "r1", "link", "set", "elsewhere", "up")
    pair.settled()
    assert not pair.carrier(R2)
    ip(pair.place, "r1", "link", "set", "elsewhere", "down")
    ip(pair.place, "r1", "link", "set", "elsewhere", "name", "eth1")
    ip(pair.place, "r1", "link", "set", "eth1", "up")
    pair.settled()
    assert pair.carrier(R2)
    ip(pair.place, "r1", "link", "del", "eth1")
    pair.settled()
    assert not pair.carrier(R2)


def test_a_cut_takes_carrier_at_both_ends_and_nothing_else(pair):
    ip(pair.place, "r1", "address", "add", "2001:db8::1/64", "dev", "eth1", "nodad")
    ip(pair.place, "r1", "route", "add", "10.9.0.0/16", "dev", "eth1")
    reply = client.add(pair.place, "cut", cut(PAIR), 60)
    assert [r["taken"] for r in reply["readings"]] == [True, True]
    for reading in reply["readings"]:
        applied, read = reading["applied"], reading["read"]
        assert applied["monotonic"] <= read["monotonic"] <= time.monotonic()
        assert abs(applied["wall"] - time.time()) < 60
    for port in (R1, R2):
        link = pair.link(port.node).link("eth1")
        assert link.up
        assert not link.carrier
    assert "2001:db8::1/64" in ip(pair.place, "r1", "address", "show", "dev", "eth1")
    assert "10.9.0.0/16" in ip(pair.place, "r1", "route", "show")
    client.clear(pair.place, "cut")
    assert carriers(pair) == {R1: True, R2: True}


def test_two_cuts_on_one_cable_and_the_first_ends(pair):
    client.add(pair.place, "one", cut(PAIR, name="one"), 60)
    client.add(pair.place, "two", cut(PAIR, name="two"), 60)
    client.clear(pair.place, "one")
    assert carriers(pair) == {R1: False, R2: False}
    client.clear(pair.place, "two")
    assert carriers(pair) == {R1: True, R2: True}


def test_a_lease_that_is_added_again_takes_the_place_of_the_first(pair):
    client.add(pair.place, "cut", cut(PAIR, directions=(Direction.A_TO_Z,)), 60)
    client.add(pair.place, "cut", cut(PAIR, directions=(Direction.Z_TO_A,)), 60)
    assert carriers(pair) == {R1: False, R2: True}
    assert len(client.leases(pair.place)) == 1


def test_a_lease_ends_by_itself(pair):
    client.add(pair.place, "cut", cut(PAIR), 0.3)
    assert carriers(pair) == {R1: False, R2: False}
    until(lambda: carriers(pair) == {R1: True, R2: True}, "the lease ends")
    assert client.leases(pair.place) == []


def test_a_lease_ends_with_its_owner(pair):
    pid = os.fork()
    if pid == 0:
        client.add(pair.place, "cut", cut(PAIR), 3600, owner=client.me())
        signal.pause()
    until(lambda: client.leases(pair.place), "the child cuts")
    assert carriers(pair) == {R1: False, R2: False}
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until(lambda: carriers(pair) == {R1: True, R2: True}, "the cable comes back without its owner")


def guarded(running):
    """Whether an agent answers whose parent is the guard."""
    try:
        pid = running.agent_pid()
        pair = {pid, parent(pid)}
    except (LabctlError, FileNotFoundError):
        return False
    return set(cgroup.pids(running.place.agent_cgroup)) == pair


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def kill_guard(running):
    return kill(parent(agent(running)))


def kill_agent(running):
    return kill(agent(running))


def agent(running):
    """Its pid; one that is just being replaced does not answer."""
    found = []

    def answers():
        with contextlib.suppress(LabctlError):
            found.append(running.agent_pid())
        return found

    until(answers, "an agent that answers")
    return found[0]


def kill(pid):
    who = proc.identity(pid)
    assert proc.kill(who)
    assert proc.wait_gone(who, 5)


@pytest.mark.parametrize(
    "kills", [[kill_agent], [kill_guard], [kill_guard, kill_agent], [kill_agent, kill_guard, kill_guard]]
)
def test_a_kill_leaves_no_fault_beyond_its_lease(pair, kills):
    client.add(pair.place, "cut", cut(PAIR), 1.5)
    for each in kills:
        each(pair)
        until(lambda: guarded(pair), "agent and guard")
    until(lambda: carriers(pair) == {R1: True, R2: True}, "the lease ends after the kill")
    assert client.leases(pair.place) == []


def test_when_both_are_killed_the_next_start_ends_what_is_over(pair):
    client.add(pair.place, "short", cut(PAIR, name="short"), 0.2)
    cgroup.kill(pair.place.agent_cgroup)
    time.sleep(0.3)
    assert carriers(pair) == {R1: False, R2: False}
    client.start(pair.place)
    assert carriers(pair) == {R1: True, R2: True}


def asked(name, directions):
    return Asked(id=name, effects=tuple(cut(PAIR, directions=directions, name=name)), lease_s=600)


def do(agent, work):
    """To the end; cables make nobody wait."""
    ends = []
    agent.start(work, ends.append, ends.append)
    assert len(ends) == 1
    assert not isinstance(ends[0], Exception)


def live(place, limit):
    """Some of an agent's life, in this process; it ends at the `limit`-th step. The number of steps without one."""
    counter = stepkill.arm(limit)
    try:
        agent = Agent(place)
        do(agent, agent.add(asked("one", tuple(Direction)), None))
        do(agent, agent.add(asked("two", (Direction.A_TO_Z,)), None))
        do(agent, agent.clear(["one"], "request"))
        do(agent, agent.add(asked("two", (Direction.Z_TO_A,)), None))
        do(agent, agent.sync())
        do(agent, agent.clear(["two"], "request"))
        agent.close()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return counter[0]


@pytest.mark.parametrize("point", range(16))
def test_an_agent_killed_between_any_two_steps_goes_on_from_its_ledger(tmp_path, seed, point):
    rng = random.Random(f"{seed}-{point}")
    with rig(tmp_path, PAIR, agent=False) as running:
        steps = live(running.place, 0)
        os.unlink(running.place.ledger_file)
        pid = os.fork()
        if pid == 0:
            live(running.place, rng.randint(1, steps - 5))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        active = ledger.read(running.place.ledger_file).active
        client.start(running.place)
        cuts = {name: lease.effects for name, lease in active.items()}
        assert carriers(running) == expected(PAIR, {R1: True, R2: True}, cuts)
        assert {lease["id"] for lease in client.leases(running.place)} == set(active)
        client.clear(running.place)
        assert carriers(running) == {R1: True, R2: True}


def test_a_restarted_agent_keeps_what_is_within_its_lease(pair):
    client.add(pair.place, "cut", cut(PAIR), 600)
    os.kill(pair.agent_pid(), signal.SIGKILL)
    pair.link("panel").set_link(
        pair.place.need().devices["r1:eth1"], up=True
    )  # somebody interferes meanwhile
    until(lambda: client.alive(pair.place), "an agent answers")
    assert carriers(pair) == {R1: False, R2: False}
    assert [lease["id"] for lease in client.leases(pair.place)] == ["cut"]


def test_interference_with_a_panel_side_is_put_right(pair):
    client.add(pair.place, "cut", cut(PAIR), 600)
    pair.link("panel").set_link(pair.place.need().devices["r1:eth1"], up=True)
    pair.settled()
    assert carriers(pair) == {R1: False, R2: False}


def test_one_agent_per_lab(pair):
    before = set(cgroup.pids(pair.place.agent_cgroup))
    client.start(pair.place)
    assert set(cgroup.pids(pair.place.agent_cgroup)) == before
    pid = pair.agent_pid()
    os.unlink(os.path.join(pair.place.agent_dir, "sock"))  # so that `start` believes that there is none
    with pytest.raises(LabctlError, match="does not start"):
        client.start(pair.place, timeout_s=0.5)
    until(lambda: set(cgroup.pids(pair.place.agent_cgroup)) == before, "the second one ends by itself")
    assert pid in before


def test_stop_and_start(pair):
    client.add(pair.place, "cut", cut(PAIR), 600)
    client.stop(pair.place)
    assert cgroup.pids(pair.place.agent_cgroup) == []
    assert not client.alive(pair.place)
    with pytest.raises(LabctlError) as caught:
        client.clear(pair.place)
    assert caught.value.code == "agent-unreachable"
    client.start(pair.place)
    assert carriers(pair) == {R1: False, R2: False}
    assert client.clear(pair.place)["cleared"] == ["cut"]


def test_a_deep_state_directory_is_no_obstacle(tmp_path):
    with rig(tmp_path / ("d" * 120) / ("e" * 120), PAIR) as running:
        assert client.alive(running.place)


def test_unplug_takes_the_light_from_the_neighbours_and_replug_gives_it_back(tmp_path):
    with rig(tmp_path, RING) as running:
        client.ask(running.place, "unplug", node="r1", lease_s=60)
        dark = {p for p, up in carriers(running).items() if not up}
        assert {str(p) for p in dark} == {"r1:eth1", "r2:eth1", "r1:eth2", "r3:eth2", "r1:eth3"}
        client.ask(running.place, "replug", node="r1")
        assert all(carriers(running).values())


def test_many_cables_are_cut_and_healed_at_one_instant(tmp_path):
    """In one request, and with other cables whose light comes back in the same."""
    spec = lab(*((f"r{i}:eth1", f"r{i + 1}:eth2") for i in range(30)))
    with rig(tmp_path, spec) as running:
        running.settled()
        everything = dict.fromkeys([end.port for cable in spec.cables for end in cable.ends], True)
        assert carriers(running) == everything

        def change(begin, end):
            asked = [client.wanted(f"c{i}", cut(spec, i, name=f"c{i}"), 60) for i in begin]
            return client.ask(
                running.place, "effects.change", begin=asked, end=[f"c{i}" for i in end], owner=None
            )

        reply = change(range(20), ())
        assert reply["refused"] == {}
        assert len({reading["asked"]["monotonic"] for reading in reply["readings"]}) == 1, "one touch"
        dark = {end.port: False for cable in spec.cables[:20] for end in cable.ends}
        assert carriers(running) == everything | dark
        reply = change(range(20, 30), range(10))
        assert len({reading["applied"]["monotonic"] for reading in reply["readings"]}) == 1
        dark = {end.port: False for cable in spec.cables[10:] for end in cable.ends}
        assert carriers(running) == everything | dark
        # Nothing is in a group any more that a later touch could take along.
        running.link("panel").set_group(0, up=True)
        running.settled()
        assert carriers(running) == everything | dark


def test_cutting_a_segments_port_leaves_the_others(tmp_path):
    spec = lab(("r1:eth1", "sw:p1"), ("r2:eth1", "sw:p2"), ("sw:p3", "sx:p1"), bridges=("sw", "sx"))
    with rig(tmp_path, spec) as running:
        ports = [end.port for cable in spec.cables for end in cable.ends]

        def dark():
            return {str(port) for port in ports if not running.carrier(port)}

        assert dark() == set()
        client.add(running.place, "cut", cut(spec), 60)
        assert dark() == {"r1:eth1", "sw:p1"}
        client.add(running.place, "half", cut(spec, 1, (Direction.A_TO_Z,)), 60)
        assert dark() == {"r1:eth1", "sw:p1", "sw:p2"}
        client.add(running.place, "trunk", cut(spec, 2, (Direction.Z_TO_A,)), 60)
        assert dark() == {"r1:eth1", "sw:p1", "sw:p2", "sw:p3"}
        running.set_admin(R2, False)
        client.clear(running.place)
        assert dark() == {"sw:p2"}, "the bridge sees that the node shut its port"


@pytest.mark.parametrize(
    ("effects", "lease_s", "code", "said"),
    [
        (cut(lab(("r1:eth1", "r2:eth9"))), 60, "unknown-resource", "no 'r1:eth1--r2:eth9'"),
        ([Effect(id="x", on=NodeRef("r9"), change=Frozen())], 60, "unknown-resource", "no 'r9'"),
        (cut(PAIR), 0, "bad-request", "not a time to come"),
        (cut(PAIR), -1, "bad-request", "not a time to come"),
        ([], 60, "bad-request", "at least one"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(pair, effects, lease_s, code, said):
    with pytest.raises(LabctlError, match=said) as caught:
        client.add(pair.place, "x", effects, lease_s)
    assert caught.value.code == code
    assert carriers(pair) == {R1: True, R2: True}
    assert ledger.read(pair.place.ledger_file).active == {}


def test_a_line_that_is_no_request_is_answered_and_the_agent_lives(pair):
    with client.Connection(pair.place) as connection:
        with pytest.raises(LabctlError) as caught:
            connection.ask("dance")
        assert caught.value.code == "bad-request"
        assert connection.ask("status")["lab"] == "rig"


def test_a_damaged_ledger_stops_the_agent_with_the_reason(pair):
    client.add(pair.place, "cut", cut(PAIR), 600)
    client.stop(pair.place)
    with open(pair.place.ledger_file, "r+b") as file:
        file.write(b"#")
    with pytest.raises(LabctlError) as caught:
        client.start(pair.place)
    assert caught.value.code == "ledger-corrupt"
    assert str(caught.value.where) == f"{pair.place.ledger_file}:1"


def test_a_request_that_is_too_long_is_not_sent(pair):
    """The agent would hang up, and its client would call it dead."""
    many = [effect for _ in range(10_000) for effect in cut(PAIR)]
    with client.Connection(pair.place) as agent:
        with pytest.raises(LabctlError, match="more at once than the agent of lab") as caught:
            agent.ask("effects.change", begin=[client.wanted("cut", many, 60)], end=[], owner=None)
        assert caught.value.code == "bad-value"
        assert agent.ask("status")["active"] == 0


def test_leases_that_begin_and_end_together_are_one_request(tmp_path):
    spec = lab(("r1:eth1", "r2:eth1"), ("r2:eth2", "r3:eth1"))
    with rig(tmp_path, spec) as running:
        up = {end.port: True for cable in spec.cables for end in cable.ends}
        first, second = (cut(spec, n, name=f"cut{n}") for n in (0, 1))
        with client.Connection(running.place) as agent:
            agent.ask("effects.change", begin=[client.wanted("cut0", first, 60.0)], end=[])
            assert carriers(running) == expected(spec, up, {"cut0": first})
            reply = agent.ask(
                "effects.change", begin=[client.wanted("cut1", second, 60.0)], end=["cut0", "not-there"]
            )
        assert reply["refused"] == {}
        assert {r["a"] for r in reply["readings"]} == {"r1:eth1", "r2:eth2"}
        assert all(r["taken"] for r in reply["readings"])
        assert carriers(running) == expected(spec, up, {"cut1": second})
        assert [lease["id"] for lease in client.leases(running.place)] == ["cut1"]


def test_a_change_that_is_asked_for_ahead_is_made_at_its_time_and_not_before(pair):
    with client.Connection(pair.place) as agent:
        due = time.monotonic() + 0.2
        reply = agent.ask(
            "effects.change", begin=[client.wanted("cut", cut(PAIR), 60.0)], end=[], owner=None, at=due
        )
        touched = [each for each in reply["readings"] if each["changed"]]
        assert len(touched) == 2
        assert min(each["asked"]["monotonic"] for each in touched) >= due
        assert carriers(pair) == {R1: False, R2: False}
        with pytest.raises(LabctlError) as caught:
            agent.ask("effects.change", begin=[], end=["cut"], owner=None, at=time.monotonic() + 60.0)
        assert (caught.value.code, "too far ahead" in caught.value.message) == ("bad-request", True)
        assert carriers(pair) == {R1: False, R2: False}
