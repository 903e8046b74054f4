"""Real zebra and ospfd in three namespaces: what they say, when they have settled, and what a cut does."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from triangle import QUICK

from labctl.analyze import converge as analyze
from labctl.linux.routes import RouteReader
from labctl.model.routes import NextHop
from labctl.probes import frr
from labctl.run import converge

pytestmark = pytest.mark.root
DAEMONS = ("zebra", "ospfd")


def ip(namespace, *arguments):
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


@pytest.fixture(scope="module")
def triangle(tmp_path_factory):
    """r1, r2, r3, each cabled to the other two; 10.0.XY.0/24 between rX and rY, loopbacks 10.255.0.X."""
    if os.geteuid():
        pytest.skip("needs root: makes network namespaces")
    if not os.path.exists("/usr/lib/frr/ospfd"):
        pytest.skip("needs FRR: /usr/lib/frr/ospfd is not there")
    base = tmp_path_factory.mktemp("frr")
    for parent in (base, *base.parents):  # the daemons drop to the user frr
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    names = {n: f"lt-frr-{os.getpid()}-{n}" for n in (1, 2, 3)}
    with contextlib.ExitStack() as stack:
        for n, name in names.items():
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
            ip(name, "link", "set", "lo", "up")
            ip(name, "address", "add", f"10.255.0.{n}/32", "dev", "lo")
        for x, y in ((1, 2), (1, 3), (2, 3)):
            ip(names[x], "link", "add", f"to{y}", "type", "veth", "peer", "name", f"to{x}", "netns", names[y])
            for one, other in ((x, y), (y, x)):
                ip(names[one], "address", "add", f"10.0.{x}{y}.{one}/24", "dev", f"to{other}")
                ip(names[one], "link", "set", f"to{other}", "up")
        directories = {}
        for n, name in names.items():
            directories[n] = base / f"r{n}"
            directories[n].mkdir()
            subprocess.run(["chown", "frr:frr", directories[n]], check=True)
            (directories[n] / "frr.conf").write_text(config(n))
            for daemon in DAEMONS:
                start(stack, name, directories[n], daemon)
        targets = [
            converge.Target(
                node=f"r{n}",
                netns=f"/run/netns/{names[n]}",
                daemons=frr.VtySockets(directories=[str(directories[n])]),
                which=frozenset(DAEMONS),
            )
            for n in names
        ]
        yield SimpleNamespace(names=names, targets=targets, directories=directories)


def config(n):
    interfaces = "".join(
        f"interface to{m}\n ip ospf area 0\n ip ospf network point-to-point\n"
        " ip ospf hello-interval 1\n ip ospf dead-interval 3\n ip ospf retransmit-interval 1\n"
        for m in (1, 2, 3)
        if m != n
    )
    loopback = "interface lo\n ip ospf area 0\n"
    process = f"router ospf\n ospf router-id 10.255.0.{n}\n{QUICK}"
    # zebra 8.4 forgets a path of a kernel nexthop group after its interface was down; plain routes are right
    return f"no zebra nexthop kernel enable\nhostname r{n}\n{interfaces}{loopback}{process}"


def start(stack, namespace, directory, daemon):
    pid_file = directory / f"{daemon}.pid"
    subprocess.run(
        [
            *("ip", "netns", "exec", namespace, f"/usr/lib/frr/{daemon}", "-d", "-P", "0"),
            *(
                "-f",
                directory / "frr.conf",
                "--vty_socket",
                directory,
                "-i",
                pid_file,
                "-z",
                directory / "zserv.api",
            ),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )

    def stop():
        pid = int(pid_file.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # a graceful stop takes ten seconds, and the namespace goes anyway
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.02)

    stack.callback(stop)


@pytest.fixture(scope="module")
def settled(triangle):
    """The first wait: from daemons just started to quiet."""
    return converge.wait_settled(triangle.targets, timeout_s=90)


def test_it_settles_with_every_adjacency_up(settled):
    assert settled.settled
    assert (settled.up, settled.stuck, settled.silent) == (6, (), ())
    assert settled.waited_s - settled.took_s >= settled.quiet_s == 5.0


def test_kernel_and_daemon_say_the_same(triangle, settled):
    target = triangle.targets[0]
    with RouteReader(target.netns) as reader:
        kernel = {prefix: route for (prefix, _), route in reader.fib().items() if "." in prefix}
    zebra = {r.prefix: r for r in frr.routes(target.daemons) if r.selected and r.protocol == "ospf"}
    assert set(zebra) == {"10.0.23.0/24", "10.255.0.2/32", "10.255.0.3/32"}
    assert zebra["10.0.23.0/24"].next_hops == {NextHop("10.0.12.2", "to2"), NextHop("10.0.13.3", "to3")}
    for prefix, route in zebra.items():
        assert (kernel[prefix].protocol, kernel[prefix].next_hops) == ("ospf", route.next_hops)
    assert kernel["10.0.12.0/24"].protocol == "connected"


def test_a_cut_moves_the_routes_and_its_repair_brings_them_back(triangle, settled):
    with converge.Watch(triangle.targets) as watch:
        quiet = watch.settle(phase="before", timeout_s=60)
        assert quiet.settled
        assert quiet.route_changes == ()
        whole = watch.fibs()

        at = time.monotonic()
        ip(triangle.names[1], "link", "set", "to2", "down")
        cut = watch.settle(phase="cut", since=at, timeout_s=60)
        ip(triangle.names[1], "link", "set", "to2", "up")
        healed = watch.settle(phase="healed", since=time.monotonic(), timeout_s=60)
        again = watch.fibs()
    assert cut.settled
    assert cut.up == 4
    # at a busy moment it is gone before it is there again: two changes
    to_r2 = [c for c in cut.route_changes if (c.node, c.prefix) == ("r1", "10.255.0.2/32")]
    before, after = to_r2[0].before, to_r2[-1].after
    assert before is not None
    assert after is not None
    assert before.next_hops == {NextHop("10.0.12.2", "to2")}
    assert after.next_hops == {NextHop("10.0.13.3", "to3")}
    assert at <= to_r2[0].t <= to_r2[-1].t <= at + cut.routes_took_s
    lost = {(c.node, c.kind, c.peer) for c in cut.adjacency_changes if c.after is None}
    assert lost == {("r1", "ospf", "10.255.0.2"), ("r2", "ospf", "10.255.0.1")}
    assert healed.settled
    assert healed.up == 6
    back = [c for n in whole for c in analyze.changes(n, whole[n], again[n], since=0, announced={})]
    assert back == []


def test_what_still_changes_at_the_timeout_is_not_settled(triangle, settled):
    """A route that flaps for as long as the wait."""
    name = triangle.names[3]
    with converge.Watch(triangle.targets) as watch:
        since = time.monotonic()
        flapping = True

        def flap(_event):
            nonlocal flapping
            ip(name, "route", "add" if flapping else "del", "192.0.2.0/24", "dev", "to1", "proto", "static")
            flapping = not flapping

        result = watch.settle(since=since, timeout_s=7, emit=flap)
    if not flapping:
        ip(name, "route", "del", "192.0.2.0/24", "dev", "to1")
    assert not result.settled
    assert {c.prefix for c in result.route_changes if c.node == "r3"} == {"192.0.2.0/24"}


def test_a_neighbour_that_never_answers_hello_is_listed_as_stuck_and_does_not_fail(triangle, settled):
    """r3 hears r2 but is not heard: one-way, so r3's neighbour stays in Init."""
    deaf = triangle.names[2]
    table = 'table inet t { chain c { type filter hook input priority 0; iifname "to3" ip protocol ospf drop; }; }'
    subprocess.run(["ip", "netns", "exec", deaf, "nft", "-f", "-"], input=table, text=True, check=True)
    try:
        with converge.Watch(triangle.targets) as watch:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and sum(a.up for a in watch.adjacencies()) != 4:
                time.sleep(0.2)
            result = watch.settle(timeout_s=60)
    finally:
        subprocess.run(["ip", "netns", "exec", deaf, "nft", "delete", "table", "inet", "t"], check=True)
    assert result.settled
    assert [(a.node, a.peer, a.state.partition("/")[0]) for a in result.stuck] == [
        ("r3", "10.255.0.2", "Init")
    ]


def test_a_daemon_that_does_not_run_is_silent_not_empty(triangle, settled):
    target = triangle.targets[0]
    found = frr.adjacencies("r1", target.daemons, ["zebra", "bgpd"])
    assert found == {"zebra": (), "bgpd": None}
    (triangle.directories[1] / "bgpd.vty").touch()  # what a daemon that died leaves behind
    assert frr.adjacencies("r1", target.daemons, ["bgpd"]) == {"bgpd": None}


def pid_of(triangle, n, daemon):
    return int((triangle.directories[n] / f"{daemon}.pid").read_text())


def changed_on(watch, node, until):
    """What became of a node's sessions by the time that `until` holds."""
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline, watch.adjacency_changes()
        time.sleep(0.1)
    return [(c.peer, c.before, c.after) for c in watch.adjacency_changes() if c.node == node]


def test_the_sessions_of_a_daemon_that_hangs_are_not_known_and_not_gone(triangle, settled):
    """Its neighbours give it up after the dead interval; what it thinks itself, nobody knows."""
    directory = triangle.directories[1]
    sockets = frr.VtySockets(directories=[str(directory)], timeout_s=0.3)
    target = replace(triangle.targets[0], daemons=sockets)
    with converge.Watch([target, *triangle.targets[1:]]) as watch:
        assert watch.settle(timeout_s=60).settled
        pid = pid_of(triangle, 1, "ospfd")
        os.kill(pid, signal.SIGSTOP)
        try:
            given_up = changed_on(watch, "r1", lambda: sum(a.up for a in watch.adjacencies()) == 2)
            hanging = watch.look(phase="hanging", since=watch.started)
            assert sockets.runs("ospfd")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert given_up == []
        assert hanging.silent == ("r1: ospfd",)
        again = watch.settle(timeout_s=60)
    assert (again.settled, again.up, again.silent) == (True, 6, ())


def test_a_daemon_that_is_gone_takes_its_sessions_with_it(triangle, settled):
    """The last test of this lab: nobody starts the daemon again."""
    with converge.Watch(triangle.targets) as watch:
        assert watch.settle(timeout_s=60).settled
        os.kill(pid_of(triangle, 3, "ospfd"), signal.SIGKILL)
        lost = changed_on(watch, "r3", lambda: any(c.node == "r3" for c in watch.adjacency_changes()))
        assert not triangle.targets[2].daemons.runs("ospfd")
    assert lost == [("10.255.0.1", "Full/-", None), ("10.255.0.2", "Full/-", None)]
