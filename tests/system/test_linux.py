"""The kernel primitives, each against the kernel: what they make is read back by something else."""

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest
from rig import hears_exits, until

from labctl.linux import cgroup, enter, exits, mounts, netns, offload, proc
from labctl.linux.events import LinkEvents, Overrun
from labctl.linux.netlink import Netlink, VethEnd
from labctl.linux.rtnl import NetlinkError

pytestmark = pytest.mark.root


@pytest.fixture
def spaces(tmp_path):
    """Two pinned namespaces."""
    directory = str(tmp_path / "ns")
    netns.prepare(directory)
    for name in ("a", "b"):
        netns.create(f"{directory}/{name}")
    yield f"{directory}/a", f"{directory}/b"
    mounts.unmount_below(directory)


def ip(path, *argv):
    """`ip -j` in a namespace, as somebody else sees it."""
    done = subprocess.run(
        ["nsenter", f"--net={path}", "ip", "-d", "-j", *argv], check=True, capture_output=True
    )
    return json.loads(done.stdout or b"[]")


# -- namespaces -------------------------------------------------------------------------------------------------


def test_a_pinned_namespace_is_another_one_until_it_is_deleted(spaces):
    a, b = spaces
    assert len({netns.inode(), netns.inode(a), netns.inode(b)}) == 3
    assert netns.exists(a)
    netns.delete(a)
    assert not os.path.exists(a)
    netns.delete(a)
    assert not netns.exists(a)


def test_a_namespace_is_not_made_over_something(spaces):
    with pytest.raises(FileExistsError):
        netns.create(spaces[0])


def test_inside_comes_back_also_after_an_error(spaces):
    home = netns.inode()
    seen = []

    def fail():
        with netns.inside(spaces[0]):
            seen.append(netns.inode())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [netns.inode(spaces[0])]
    assert netns.inode() == home


def test_only_the_calling_thread_moves(spaces):
    seen, go, looked = [], threading.Event(), threading.Event()

    def look():
        go.wait()
        seen.append(netns.inode())
        looked.set()

    thread = threading.Thread(target=look)
    thread.start()
    with netns.inside(spaces[0]):
        go.set()
        looked.wait()
    thread.join()
    assert seen == [netns.inode()]


def test_sysctls_are_those_of_the_namespace(spaces):
    a, b = spaces
    netns.write_sysctl(a, "net.ipv4.ip_forward", "1")
    netns.write_sysctl(b, "net.ipv4.ip_forward", "0")
    assert (netns.read_sysctl(a, "net.ipv4.ip_forward"), netns.read_sysctl(b, "net.ipv4.ip_forward")) == (
        "1",
        "0",
    )


def test_a_dot_in_an_interface_name_is_written_as_in_sysctl():
    assert netns.sysctl_file("net.ipv4.conf.eth0/10.rp_filter") == "/proc/sys/net/ipv4/conf/eth0.10/rp_filter"
    assert netns.sysctl_file("net/ipv4/conf/eth0.10/rp_filter") == "/proc/sys/net/ipv4/conf/eth0.10/rp_filter"


def test_a_pin_goes_from_copies_of_the_mount_namespace_too(spaces):
    # A process that copied our mounts (a container being made, a service) must not keep a deleted namespace alive.
    copy = subprocess.Popen(["unshare", "-m", "--propagation", "slave", "sleep", "600"])
    try:
        mounted = f"/proc/{copy.pid}/mountinfo"
        until(lambda: os.readlink(f"/proc/{copy.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"), "unshared")

        def pinned():
            with open(mounted) as file:
                return spaces[0] in file.read()

        until(pinned, "the copy has the pin")
        netns.delete(spaces[0])
        assert not pinned()
    finally:
        copy.kill()
        copy.wait()


# -- netlink ----------------------------------------------------------------------------------------------------


def test_both_ends_of_a_veth_are_born_where_they_belong(spaces):
    a, b = spaces
    with Netlink(a) as netlink, netns.opened(b) as fd:
        netlink.create_veth(
            VethEnd(name="left", mac="02:00:00:00:00:01", mtu=9500, index=77),
            VethEnd(name="right", mac="02:00:00:00:00:02", mtu=1400, netns_fd=fd, noarp=True, index=99),
            up=True,
        )
    (left,) = ip(a, "link", "show", "left")
    (right,) = ip(b, "link", "show", "right")
    assert (left["address"], left["mtu"], left["ifindex"]) == ("02:00:00:00:00:01", 9500, 77)
    assert (right["address"], right["mtu"], right["ifindex"]) == ("02:00:00:00:00:02", 1400, 99)
    assert "UP" in left["flags"]
    assert {"UP", "NOARP"} & set(right["flags"]) == {"NOARP"}
    assert [each["ifname"] for each in ip(a, "link")] == ["lo", "left"]


def test_links_read_back(spaces):
    with Netlink(spaces[0]) as netlink:
        netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
        x, y = netlink.link("x"), netlink.link("y")
        assert (x.kind, x.peer, y.peer, x.up, x.carrier) == ("veth", y.index, x.index, False, False)
        netlink.set_link("x", up=True, mtu=1300, mac="02:00:00:00:00:0a")
        netlink.set_link(y.index, up=True)
        until(lambda: netlink.link("x").oper_up, "the link is up")
        x = netlink.link(x.index)
        assert (x.up, x.carrier, x.mtu, x.mac) == (True, True, 1300, "02:00:00:00:00:0a")
        netlink.set_link("y", up=False)
        until(lambda: not netlink.link("x").carrier, "the carrier is lost")
        assert {each.name for each in netlink.links()} == {"lo", "x", "y"}
        assert netlink.delete_link("x")
        assert not netlink.delete_link("x")
        assert netlink.link("y") is None


def test_the_kernel_says_why_it_refuses(spaces):
    with Netlink(spaces[0]) as netlink:
        netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
        with pytest.raises(NetlinkError, match="create veth x - z: File exists") as caught:
            netlink.create_veth(VethEnd(name="x"), VethEnd(name="z"))
        assert caught.value.errno == errno.EEXIST
        with pytest.raises(NetlinkError) as caught:
            netlink.set_link("none", up=True)
        assert caught.value.errno == errno.ENODEV
        with pytest.raises(NetlinkError):
            netlink.set_link("x", mtu=70000)
        assert netlink.link("x") is not None, "the socket goes on after a refusal"


def test_addresses_and_routes_are_what_ip_shows(spaces):
    with Netlink(spaces[0]) as netlink:
        netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
        for each in ("x", "y"):
            netlink.set_link(each, up=True)
        index = netlink.index("x")
        for address in ("10.0.0.1/24", "10.1.0.0/31", "2001:db8::1/64"):
            netlink.add_address(index, address)
            netlink.add_address(index, address)  # twice is no error
        netlink.add_route("192.0.2.0/24", via="10.0.0.9")
        netlink.add_route("0.0.0.0/0", via="10.0.0.254")
        netlink.add_route("198.51.100.0/24", index=index)
        netlink.add_route("2001:db8:1::/48", via="2001:db8::9", index=index)
        mine = {a for i, a in netlink.addresses(index) if not a.startswith("fe80")}
    assert mine == {"10.0.0.1/24", "10.1.0.0/31", "2001:db8::1/64"}
    (shown,) = ip(spaces[0], "addr", "show", "x")
    found = {
        (a["local"], a["prefixlen"], a.get("broadcast")) for a in shown["addr_info"] if a["scope"] == "global"
    }
    assert found == {("10.0.0.1", 24, "10.0.0.255"), ("10.1.0.0", 31, None), ("2001:db8::1", 64, None)}
    routes = {(r["dst"], r.get("gateway")) for r in ip(spaces[0], "-4", "route")}
    assert {("192.0.2.0/24", "10.0.0.9"), ("default", "10.0.0.254"), ("198.51.100.0/24", None)} <= routes
    assert ("2001:db8:1::/48", "2001:db8::9") in {
        (r["dst"], r.get("gateway")) for r in ip(spaces[0], "-6", "route")
    }


def test_many_devices_change_at_once_and_those_that_are_gone_are_left_out(spaces):
    with Netlink(spaces[0]) as netlink:
        for i in range(80):
            netlink.create_veth(VethEnd(name=f"v{i}", index=1000 + i), VethEnd(name=f"w{i}"))
        assert netlink.set_links({1000: True, 1001: True}) == {}
        assert netlink.set_links({1000: False, 999: True, 1002: True}).keys() == {999}
        netlink.gather([999, *range(1003, 1080)], 77)
        netlink.set_group(77, up=True)
        netlink.gather([999, *range(1003, 1080)], 0)
        netlink.set_group(77, up=False)  # nobody is in it any more
        netlink.set_group(78, up=False)
        refused = netlink.set_links({5000 + i: True for i in range(200)} | {1003: False})
        assert len(refused) == 200
        assert {error.errno for error in refused.values()} == {errno.ENODEV}
    up = {link["ifname"] for link in ip(spaces[0], "link") if "UP" in link["flags"]}
    assert up == {f"v{i}" for i in (1, 2, *range(4, 80))}


def test_a_bridge_is_silent_and_forwards_group_frames(spaces):
    with Netlink(spaces[0]) as netlink:
        netlink.create_bridge("br0", mtu=9000)
        netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
        netlink.enslave(netlink.index("x"), netlink.index("br0"))
        assert netlink.link("x").master == netlink.index("br0")
    (bridge,) = ip(spaces[0], "link", "show", "br0")
    data = bridge["linkinfo"]["info_data"]
    assert (data["stp_state"], data["mcast_snooping"], data["group_fwd_mask"]) == (0, 0, "0xfff8")
    assert "UP" in bridge["flags"]
    (member,) = ip(spaces[0], "link", "show", "x")
    assert member["linkinfo"]["info_slave_data"]["group_fwd_mask"] == "0xfffd"


def test_a_bridge_that_is_a_switch_keeps_group_frames(spaces):
    with Netlink(spaces[0]) as netlink:
        netlink.create_bridge("br0", transparent=False)
        netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
        netlink.enslave(netlink.index("x"), netlink.index("br0"), transparent=False)
    (bridge,) = ip(spaces[0], "link", "show", "br0")
    assert bridge["linkinfo"]["info_data"]["group_fwd_mask"] == "0"
    (member,) = ip(spaces[0], "link", "show", "x")
    assert member["linkinfo"]["info_slave_data"]["group_fwd_mask"] == "0"


def test_events_say_what_changed(spaces):
    events = LinkEvents(spaces[0])
    try:
        with Netlink(spaces[0]) as netlink:
            netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
            assert {e.link.name for e in events.read()} == {"x", "y"}
            netlink.set_link("x", up=True)
            assert [e.link.up for e in events.read() if e.link.name == "x"][-1]
            netlink.delete_link("x")
            assert {e.link.name for e in events.read() if e.gone} == {"x", "y"}
        assert events.read() == []
    finally:
        events.close()


def test_lost_events_are_told(spaces):
    events = LinkEvents(spaces[0], buffer_bytes=4096)
    try:
        with Netlink(spaces[0]) as netlink:
            netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
            for i in range(200):
                netlink.set_link("x", up=bool(i % 2))
        with pytest.raises(Overrun):
            events.read()
        events.read()
    finally:
        events.close()


def test_offloads_read_back(spaces):
    with Netlink(spaces[0]) as netlink:
        netlink.create_veth(VethEnd(name="x"), VethEnd(name="y"))
    with offload.Offloads(spaces[0]) as offloads:
        for which in (offload.Offload.TX_CHECKSUM, offload.Offload.TSO, offload.Offload.GSO):
            for on in (False, True):
                offloads.set("x", which, on=on)
                assert offloads.get("x", which) is on


# -- mounts -----------------------------------------------------------------------------------------------------


def test_everything_mounted_below_a_directory_is_found_and_unmounted(tmp_path):
    outer, other = tmp_path / "a b\\c", tmp_path / "a bc"
    for directory in (outer, other):
        directory.mkdir()
    try:
        mounts.mount("tmpfs", str(outer), "tmpfs")
        (outer / "in").mkdir()
        mounts.mount("tmpfs", str(outer / "in"), "tmpfs")
        mounts.mount("tmpfs", str(outer / "in"), "tmpfs")  # stacked
        mounts.mount("tmpfs", str(other), "tmpfs")
        assert mounts.below(str(outer)) == [str(outer), str(outer / "in"), str(outer / "in")]
        assert mounts.unmount_below(str(outer)) == 3
        assert mounts.below(str(tmp_path)) == [str(other)], (
            "a name that only begins the same is somebody else's"
        )
    finally:
        mounts.unmount_below(str(tmp_path))
    assert mounts.unmount_below(str(tmp_path)) == 0
    assert not mounts.unmount(str(tmp_path / "absent"))


def test_an_overlay_keeps_what_is_written_apart(tmp_path):
    for name in ("lower", "upper", "work", "top"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower" / "file").write_text("image")
    top = str(tmp_path / "top")
    mounts.overlay(
        top, lower=str(tmp_path / "lower"), upper=str(tmp_path / "upper"), work=str(tmp_path / "work")
    )
    try:
        (tmp_path / "top" / "file").write_text("node")
        assert (tmp_path / "lower" / "file").read_text() == "image"
        assert (tmp_path / "upper" / "file").read_text() == "node"
    finally:
        mounts.unmount(top)
    with pytest.raises(ValueError, match="cannot take this path"):
        mounts.overlay(top, lower="/a:b", upper="/u", work="/w")


# -- control groups ---------------------------------------------------------------------------------------------


@pytest.fixture
def group():
    name = f"labctl-test-{uuid.uuid4().hex[:8]}"
    cgroup.create(f"{name}/inner")
    yield f"{name}/inner"
    cgroup.destroy(name)
    assert cgroup.directories(name) == []


@contextlib.contextmanager
def process(group, script):
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    cgroup.attach(group, started.pid)
    try:
        yield started
    finally:
        cgroup.kill(group)  # also what the test left frozen
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        started.wait(20)
        started.stdout.close()


COUNTER = "import time\ni = 0\nwhile True: i += 1; print(i, flush=True); time.sleep(0.005)"


def test_a_frozen_group_stands_still_and_goes_on(group):
    with process(group, COUNTER) as counter:
        assert counter.stdout.readline() == "1\n"
        cgroup.freeze(group)
        assert cgroup.frozen(group)
        said = counter.stdout.fileno()
        while select.select([said], [], [], 0)[0]:
            os.read(said, 4096)
        assert select.select([said], [], [], 0.1)[0] == []
        cgroup.thaw(group)
        assert not cgroup.frozen(group)
        assert select.select([said], [], [], 20)[0], "it counts again"


#: Stops itself, so that it is in its group (and under its limit) before its first fork.
WAIT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\n"
# A chain: each process forks its successor at once and lingers, so there is always one more than was listed. Never a
# tree, and it ends by itself: should the group fail to hold it, the machine survives.
FORKS = WAIT + (
    "end = time.monotonic() + 20\n"
    "while time.monotonic() < end:\n"
    "    try:\n        child = os.fork()\n    except BlockingIOError:\n        time.sleep(0.005); continue\n"
    "    if child: time.sleep(0.2); os._exit(0)\n"
    "    os.setsid()\n"
)


def test_a_group_that_forks_all_the_time_is_killed_whole(group):
    cgroup.limit(group, pids=100)
    with process(group, FORKS) as first:
        release(first)
        until(lambda: len(cgroup.pids(group)) > 20, "many processes")
        cgroup.kill(group)
        assert cgroup.pids(group) == []
        first.wait(10)


def release(stopped):
    until(lambda: "T" in _state(stopped.pid), "it waits")
    os.kill(stopped.pid, signal.SIGCONT)


def test_a_frozen_group_is_killed_and_removed(group):
    with process(group, COUNTER) as counter:
        cgroup.freeze(group)
        assert cgroup.destroy(group) == 1
        assert cgroup.directories(group) == []
        assert counter.wait(10) == -signal.SIGKILL
    assert cgroup.destroy(group) == 0, "twice is no error"


def test_limits_hold_and_are_lifted(group):
    script = WAIT + (
        "try:\n    for _ in range(20):\n        if os.fork() == 0: time.sleep(60); os._exit(0)\n"
        "    print('no limit', flush=True)\nexcept BlockingIOError: print('limited', flush=True)\ntime.sleep(60)"
    )
    for pids, said in ((5, "limited\n"), (None, "no limit\n")):
        cgroup.limit(group, pids=pids)
        with process(group, script) as forker:
            release(forker)
            assert forker.stdout.readline() == said
            cgroup.kill(group)


def _state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_groups_read_back(group):
    with process(group, COUNTER) as counter:
        assert group in cgroup.of_process(counter.pid)
        assert cgroup.pids(os.path.dirname(group)) == [counter.pid]
        assert cgroup.children(os.path.dirname(group)) == ["inner"]


# -- processes --------------------------------------------------------------------------------------------------


def test_an_identity_is_of_one_process_only():
    child = subprocess.Popen(["sleep", "600"])
    who = proc.identity(child.pid)
    other = proc.Identity(child.pid, who.start_ticks + 1)
    assert proc.alive(who)
    assert not proc.alive(other)
    assert not proc.kill(other)
    assert 0 <= proc.age_s(who) < 600
    assert proc.kill(who)
    child.wait()
    assert proc.wait_gone(who, 10)
    assert not proc.kill(who)
    assert proc.identity(child.pid) is None


def test_a_zombie_is_not_alive():
    child = subprocess.Popen(["true"])
    until(lambda: _state(child.pid) == "Z", "it has ended")
    assert proc.start_ticks(child.pid) is None
    child.wait()


def test_a_helper_that_fails_or_is_late_says_so():
    with pytest.raises(proc.CommandFailed, match="sh -c echo wrong >&2; exit 3: wrong") as caught:
        proc.run(["sh", "-c", "echo wrong >&2; exit 3"])
    assert caught.value.result.code == 3
    with pytest.raises(proc.CommandFailed, match=r"no end within 0\.1 s"):
        proc.run(["sleep", "600"], timeout_s=0.1)
    assert proc.run(["sh", "-c", "exit 3"], check=False).code == 3
    assert proc.run(["cat"], stdin="given").stdout == "given"


# -- entering ---------------------------------------------------------------------------------------------------


@pytest.fixture
def room(group):
    """A process in namespaces of its own, as a container's first process is."""
    script = "mount -t proc proc /proc && hostname room && echo ready && exec sleep 600"
    first = subprocess.Popen(
        ["unshare", "-m", "-u", "-i", "-p", "-n", "--fork", "--kill-child", "sh", "-c", script],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout.readline() == "ready\n"
    with open(f"/proc/{first.pid}/task/{first.pid}/children") as file:
        inner = int(file.read())
    yield enter.Room(process=proc.identity(inner), cgroup=group, env={"PATH": os.environ["PATH"], "A": "b"})
    first.kill()
    first.wait()
    first.stdout.close()


def test_a_command_runs_in_the_room(room):
    done = enter.run(room, ["sh", "-c", "hostname; echo $A; echo $$; cat /proc/self/cgroup"], timeout_s=20)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["room", "b"]
    assert int(lines[2]) < 100, "it has a pid of the room's own namespace"
    assert any(line.endswith(room.cgroup) for line in lines[3:])
    assert cgroup.pids(room.cgroup) == []


def test_a_room_whose_process_has_ended_is_gone(room):
    proc.kill(room.process)
    assert proc.wait_gone(room.process, 10)
    with pytest.raises(enter.Gone):
        enter.run(room, ["true"], timeout_s=20)


def test_many_threads_enter_at_once(room):
    results = []

    def work(number):
        argv = ["sh", "-c", f"exit {number}"]
        results.extend(enter.run(room, argv, timeout_s=60).code == number for _ in range(10))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == [True] * 80


def test_an_interrupted_run_leaves_no_process(room):
    script = (
        "import sys, json\nfrom labctl.linux import enter, proc\n"
        f"room = enter.Room(process=proc.Identity({room.process.pid}, {room.process.start_ticks}), "
        f"cgroup={room.cgroup!r}, env={{'PATH': {os.environ['PATH']!r}}})\n"
        "enter.run(room, ['sleep', '600'], timeout_s=600)\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    until(lambda: len(cgroup.pids(room.cgroup)) == 2, "the command runs")
    caller.send_signal(signal.SIGINT)
    caller.wait(20)
    until(lambda: cgroup.pids(room.cgroup) == [], "it is gone with its caller")


def test_a_signal_while_the_command_starts_is_not_lost(room):
    """Python drops what a handler raises in a hook of a fork, such as its own ones for locks."""
    script = (
        "import os, signal\nfrom labctl.linux import enter, proc\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))\n"
        f"room = enter.Room(process=proc.Identity({room.process.pid}, {room.process.start_ticks}), "
        f"cgroup={room.cgroup!r}, env={{'PATH': {os.environ['PATH']!r}}})\n"
        "try: enter.attach(room, ['sleep', '600'])\n"
        "except KeyboardInterrupt: os._exit(7)\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert caller.wait(60) == 7
    finally:
        caller.kill()
        caller.wait()
    until(lambda: cgroup.pids(room.cgroup) == [], "its command is gone, too")


# -- exits -------------------------------------------------------------------------------------------------------


@pytest.fixture
def listen():
    if not hears_exits():
        pytest.skip("this kernel does not tell how processes end")
    return exits.Exits


def test_exits_are_told_with_status_and_time(listen):
    before = time.time()
    with listen() as listener:
        ended = {}
        for script, code in (("exit 7", 7), ("exit 0", 0), ("kill -TERM $$", 128 + 15)):
            process = subprocess.Popen(["sh", "-c", script])
            process.wait()
            ended[process.pid] = code
        seen = {}
        until(lambda: seen.update((e.pid, e) for e in listener.read()) or ended.keys() <= seen.keys(), "all")
    assert {pid: seen[pid].code for pid in ended} == ended
    assert all(before - 1 <= seen[pid].wall_s <= time.time() + 1 for pid in ended)


def test_only_those_asked_for_are_told_and_no_threads(listen):
    with listen(()) as listener, subprocess.Popen(["sleep", "300"]) as mine:
        listener.only([mine.pid])
        subprocess.run(["sh", "-c", "true; ls / >/dev/null"], check=True)
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        mine.kill()
        mine.wait()
        assert select.select([listener], [], [], 20)[0]
        assert [e.pid for e in listener.read()] == [mine.pid]
        listener.only(range(1, 2000))
        listener.only(None)
