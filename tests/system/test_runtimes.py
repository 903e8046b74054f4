"""The contract of the runtimes: what a node is, what runs in it, what it keeps over a restart, and what it cannot reach.

Every test runs on every runtime, but for those that say why not.
"""

import calendar
import os
import re
import subprocess
import threading
import time

import pytest
from labs import deployed, instance, line, node, nothing_left
from leftovers import of as leftovers
from leftovers import read
from rig import hears_exits, until

from labctl.agent import client
from labctl.app import inspect
from labctl.errors import LabctlError, Span
from labctl.linux import cgroup, netns, proc
from labctl.linux.netlink import Netlink
from labctl.model.effects import NodeRef, Setting
from labctl.model.lab import Bind, LabSpec, Limits
from labctl.run import destroy
from labctl.run.restart import restart
from labctl.runtime import docker_kept, eventlog
from labctl.runtime.base import RUNTIMES, NodeState

pytestmark = [pytest.mark.root, pytest.mark.both]


@pytest.fixture(scope="module")
def monkeymodule():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def here(kind, tmp_path_factory, monkeymodule):
    return instance(tmp_path_factory.mktemp("state"), monkeymodule, kind)


@pytest.fixture(scope="module")
def place(here, tmp_path_factory):
    shared = tmp_path_factory.mktemp("bind")
    (shared / "file").write_text("from outside\n")
    binds = (
        Bind(source=str(shared / "file"), target="/etc/given", options=("ro",)),
        Bind(source=str(shared), target="/srv/shared"),
    )
    spec = line(
        node("r1", binds=binds, env={"GREETING": "good day"}, labels={"site": "a"}, hostname="edge"),
        node("r2", limits=Limits(cpu=0.5, memory_bytes=256 << 20, pids=100)),
        node("r3", cmd=("sh",), entrypoint=()),
    )
    with deployed(here, spec) as running:
        yield running


@pytest.fixture
def runtime(here, kind):
    return RUNTIMES[kind](here)


@pytest.fixture
def run(place, runtime):
    def call(name, *argv, **more):
        return runtime.exec(place.need().lab, name, argv, **more)

    return call


def test_cables_carry_and_names_resolve(run):
    for target in ("10.1.0.2", "r2", "clab-line-r3"):
        done = run("r1", "ping", "-c1", "-W5", target)
        assert done.code == 0, done


def test_a_node_is_itself(run):
    assert run("r1", "hostname").stdout == "edge\n"
    env = dict(each.split("=", 1) for each in run("r1", "env").stdout.splitlines())
    assert (env["GREETING"], env["CLAB_LABEL_SITE"], env["CLAB_INTFS"]) == ("good day", "a", "1")
    assert run("r2", "cat", "/proc/1/comm").stdout == "tini\n"


def test_no_resolver_of_the_machine_leaks_in(run):
    assert "nameserver" not in run("r1", "cat", "/etc/resolv.conf").stdout


def test_binds_are_as_asked_for(run, place):
    assert run("r1", "cat", "/etc/given").stdout == "from outside\n"
    assert "Read-only" in run("r1", "sh", "-c", "echo x > /etc/given").stderr
    assert run("r1", "sh", "-c", "echo inside > /srv/shared/new").code == 0
    (bind,) = [b for b in place.need().lab.node("r1").binds if b.target == "/srv/shared"]
    with open(os.path.join(bind.source, "new")) as file:
        assert file.read() == "inside\n"


def test_limits_are_set(place, runtime):
    group = runtime._group(place, "r2")
    if cgroup.unified():
        at = os.path.join(cgroup.roots()["unified"], group)
        wanted = {"cpu.max": "50000 100000", "memory.max": str(256 << 20), "pids.max": "100"}
        files = {name: os.path.join(at, name) for name in wanted}
    else:
        wanted = {"cpu.cfs_quota_us": "50000", "memory.limit_in_bytes": str(256 << 20), "pids.max": "100"}
        files = {n: os.path.join(cgroup.roots()[n.partition(".")[0]], group, n) for n in wanted}
    for name, path in files.items():
        with open(path) as file:
            assert file.read().strip() == wanted[name]


def test_a_shell_as_command_waits_for_input_instead_of_ending(place, runtime):
    states = {each.node: each.state for each in runtime.status(place.need().lab)}
    assert states == dict.fromkeys(("r1", "r2", "r3"), NodeState.RUNNING)


# -- commands -------------------------------------------------------------------------------------------------


def test_a_command_has_its_output_input_and_status(run):
    done = run("r1", "sh", "-c", "cat; echo wrong >&2; exit 7", stdin="said")
    assert (done.stdout, done.stderr, done.code) == ("said", "wrong\n", 7)


def test_a_command_killed_by_a_signal_says_which(run):
    assert run("r1", "sh", "-c", "kill -TERM $$").code == 128 + 15


def test_a_command_that_is_not_there_is_127(run):
    done = run("r1", "no-such-command")
    assert (done.code, done.stderr) == (127, "no-such-command: No such file or directory\n")
    assert run("r1", "/etc/hostname").code == 126


def test_a_command_is_in_the_nodes_namespaces_groups_and_limits(run, place, runtime):
    pid = {each.node: each.pid for each in runtime.status(place.need().lab)}["r1"]
    for kind in ("mnt", "uts", "ipc", "pid", "net", "cgroup"):
        assert run("r1", "readlink", f"/proc/self/ns/{kind}").stdout.strip() == os.readlink(
            f"/proc/{pid}/ns/{kind}"
        )
    assert os.readlink(f"/proc/{pid}/ns/cgroup") != os.readlink("/proc/self/ns/cgroup")
    groups = {each.split(":", 2)[2] for each in run("r1", "cat", "/proc/self/cgroup").stdout.split()}
    assert groups == {"/"}, "seen from inside"
    assert cgroup.of_process(pid) == {runtime._group(place, "r1")}
    bounding = [x for x in run("r1", "cat", "/proc/self/status").stdout.splitlines() if "CapBnd" in x]
    first = [x for x in run("r1", "cat", "/proc/1/status").stdout.splitlines() if "CapBnd" in x]
    assert bounding == first
    assert run("r1", "sh", "-c", "ls -1 /proc/self/fd | wc -l").stdout.strip() == "4", "0 1 2 and ls's own"


def test_a_node_without_room_for_another_process_is_told(here, runtime):
    full = node("r1", entrypoint=(), cmd=("sleep", "300"), limits=Limits(pids=1))
    with deployed(here, LabSpec(name="full", nodes=(full,))) as place:
        lab = place.need().lab
        done = runtime.exec(lab, "r1", ["true"])
        assert (done.code, done.stderr) == (
            126,
            "true: the node cannot be entered: it has as many processes as it may have\n",
        )
        with pytest.raises(LabctlError, match="as many processes as it may have") as caught:
            runtime.spawn(lab, "r1", ["true"])
        assert caught.value.code == "command-not-run"
        assert runtime.status(lab)[0].state is NodeState.RUNNING


def test_a_daemon_left_behind_does_not_hold_its_starter(run):
    done = run("r1", "sh", "-c", "sleep 300 & echo $!", timeout_s=60)  # late, it would raise
    assert done.code == 0
    assert run("r1", "kill", "-0", done.stdout.strip()).code == 0, "it was not killed with its starter"
    assert run("r1", "kill", done.stdout.strip()).code == 0


def test_a_late_command_is_killed_with_its_children(run):
    with pytest.raises(LabctlError, match=r"did not end within 0\.3 s") as caught:
        run("r1", "sh", "-c", "sleep 4321 & sleep 4321", timeout_s=0.3)
    assert caught.value.code == "exec-timeout"
    assert "4321" not in run("r1", "ps", "ax").stdout.replace("ps ax", "")


def test_spawn_returns_a_name_that_outlives_it(place, runtime, run):
    handle = runtime.spawn(place.need().lab, "r1", ["sh", "-c", "echo spawned; sleep 9876"], lease_s=5)
    who = proc.Identity(handle.pid, handle.start_ticks)
    assert proc.alive(who)
    assert runtime._group(place, "r1") in cgroup.of_process(handle.pid)

    def printed():
        return b"".join(runtime.output(place.need().lab, "r1", since_s=None, tail=None, follow=False))

    until(lambda: b"spawned" in printed(), "its output is with the node's own")
    assert proc.kill(who)
    assert proc.wait_gone(who, 20)
    with pytest.raises(LabctlError) as caught:
        runtime.spawn(place.need().lab, "r1", ["no-such-command"])
    assert caught.value.code == "command-not-run"


# -- the way out ----------------------------------------------------------------------------------------------


def test_a_node_has_no_device_of_the_machine(run):
    devices = run("r1", "find", "/dev", "-type", "b").stdout
    assert devices == ""
    made = run("r1", "sh", "-c", "mknod /tmp/disk b 254 0 && head -c1 /tmp/disk")
    assert made.code != 0
    assert "enied" in made.stderr or "not permitted" in made.stderr


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness", "/sys/kernel/mm/ksm/run"]
)
def test_a_node_does_not_write_to_the_machines_kernel(run, path):
    if not os.path.exists(path):
        pytest.skip(f"this kernel has no {path}")
    # Opened and not written: a node that got through must not change the machine that tests it.
    assert run("r1", "test", "-e", path).code == 0
    assert run("r1", "sh", "-c", f": >> {path}").code != 0


@pytest.fixture
def hierarchy(run):
    """Mounts a hierarchy of control groups in the node, as root there may; the mount point, or None if it may not."""
    made = []

    def mount(options, kind="cgroup"):
        at = f"/run/{len(made)}"
        made.append(at)
        mounted = run("r1", "sh", "-c", f"mkdir {at} && mount -t {kind} -o {options} none {at}")
        return at if mounted.code == 0 else None

    yield mount
    run("r1", "sh", "-c", "".join(f"umount {at}; rmdir {at};" for at in made))


def v1_hierarchies():
    """Mount options of each hierarchy of v1 that this machine has."""
    named = {name: root for name, root in cgroup.roots().items() if name != "unified"}
    with open("/proc/cgroups") as file:
        controllers = {line.split()[0] for line in file}
    return {name if name in controllers else f"none,name={name}": root for name, root in named.items()}


def test_no_hierarchy_that_a_node_mounts_has_a_release_agent(run, hierarchy):
    """It is a command that the kernel runs as root on the machine; only the root of a hierarchy has the file."""
    mounted = {options: hierarchy(options) for options in v1_hierarchies()}
    assert [at for at in mounted.values() if at] or not mounted, "the test mounts what it looks at"
    for options, root in v1_hierarchies().items():
        at = mounted[options]
        if at is None:
            continue
        assert run("r1", "test", "-e", f"{at}/cgroup.procs").code == 0
        assert run("r1", "test", "-e", f"{at}/release_agent").code == 1
        before = read(os.path.join(root, "release_agent"))
        run("r1", "mount", "-o", f"remount,{options},release_agent={before.strip() or '/nobody'}", at)
        after = read(os.path.join(root, "release_agent"))
        if after != before:
            with open(os.path.join(root, "release_agent"), "w") as file:
                file.write(before)
        assert after == before


def test_a_node_makes_no_hierarchy_of_its_own(hierarchy):
    """A new one would have a `release_agent`; its maker would be at the root of it."""
    assert hierarchy("none,name=labctl-test-of-a-node") is None


def test_a_node_does_not_allow_itself_a_device(run, hierarchy, place, runtime):
    if "devices" not in cgroup.roots():
        pytest.skip("no v1 hierarchy of devices; on v2 there is no list to write to")
    at = hierarchy("devices")
    allowed = os.path.join(cgroup.roots()["devices"], runtime._group(place, "r1"), "devices.list")
    before = read(allowed)
    assert run("r1", "sh", "-c", f"echo c 1:3 rwm > {at}/devices.allow").code == 0, "what it has it may have"
    for rule in ("a", "b 254:0 rwm", "b *:* rwm", "c 1:1 r"):
        assert run("r1", "sh", "-c", f"echo {rule} > {at}/devices.allow").code != 0
    assert read(allowed) == before
    assert "a *:* rwm" not in before


def test_a_node_on_v2_sees_its_own_group_as_the_root(run, hierarchy, place, runtime):
    if "unified" not in cgroup.roots():
        pytest.skip("no v2 hierarchy")
    at = hierarchy("rw", kind="cgroup2")
    assert at is not None
    own = os.path.join(cgroup.roots()["unified"], runtime._group(place, "r1"))
    assert int(run("r1", "stat", "-c", "%i", at).stdout) == os.stat(own).st_ino


def test_a_node_sets_its_own_network(run):
    assert run("r1", "sysctl", "-w", "net.ipv4.conf.eth2.rp_filter=1").code == 0
    assert run("r1", "ip", "link", "add", "br7", "type", "bridge").code == 0
    assert run("r1", "ip", "link", "del", "br7").code == 0


# -- states ---------------------------------------------------------------------------------------------------


def test_frozen_and_thawed(place, runtime, run):
    lab, ref = place.need().lab, NodeRef("r2")
    runtime.ensure(lab, ref, Setting(frozen=True))
    try:
        assert runtime.read(lab, ref) == Setting(frozen=True)
        assert {s.node: s.state for s in runtime.status(lab)}["r2"] is NodeState.FROZEN
        with pytest.raises(LabctlError, match="frozen"):
            run("r2", "true")
        assert run("r1", "ping", "-c1", "-W5", "10.1.0.2").code == 0, "the kernel of a frozen node answers"
    finally:
        runtime.ensure(lab, ref, Setting())
    assert run("r2", "true").code == 0


def test_a_stopped_node_keeps_its_cables_and_starts_with_its_files(place, runtime, run):
    lab = place.need().lab
    run("r2", "sh", "-c", "echo kept > /root/file; echo gone > /run/file")
    before = _ports(place, "r2")
    runtime.stop(lab, ["r2"])
    assert {s.node: s.state for s in runtime.status(lab)}["r2"] is NodeState.EXITED
    assert cgroup.directories(place.node_cgroup("r2")) == []
    assert run("r1", "ping", "-c1", "-W5", "10.1.0.2").code == 0, "the namespace is there and answers"
    runtime.start(lab, ["r2"])
    assert run("r2", "cat", "/root/file").stdout == "kept\n"
    assert run("r2", "cat", "/run/file").code == 1
    assert _ports(place, "r2") == before


def test_a_restarted_node_keeps_mac_addresses_and_cables(place, run):
    before = _ports(place, "r2")
    run("r2", "ip", "link", "del", "eth1")  # lost: the restart has to plug it again
    restart(place, ["r2"])
    assert _ports(place, "r2") == before
    for target in ("10.1.0.1", "10.1.1.2", "172.20.20.2"):
        assert run("r2", "ping", "-c1", "-W5", target).code == 0


def _ports(place, name):
    with Netlink(place.node_ns(name)) as inside:
        return [
            (
                link.name, link.index, link.mac, link.mtu, link.up,
                sorted(a for _, a in inside.addresses(link.index) if not a.startswith("fe80")),
            )
            for link in sorted(inside.links(), key=lambda each: each.name)
        ]  # fmt: skip


def test_a_node_that_ended_is_exited(here, runtime):
    with deployed(here, LabSpec(name="short", nodes=(node("r1", entrypoint=(), cmd=("true",)),))) as place:
        lab = place.need().lab
        until(lambda: runtime.status(lab)[0].state is NodeState.EXITED, "it has ended")
        with pytest.raises(LabctlError) as caught:
            runtime.exec(lab, "r1", ["true"])
        assert caught.value.code == "node-not-running"


def lay(place, name, path):
    """Put an empty file into a node that does not run."""
    if place.need().runtime == "runc":
        with open(place.node_dir(name) + "/rootfs" + path, "w"):
            pass
        return
    inside = f"{place.need().lab.container(name)}:{path}"
    subprocess.run(["docker", "-H", docker_kept.engine_of(place), "cp", os.devnull, inside], check=True)


def ends(place):
    """node -> what inspect says of it, once each has ended."""
    until(lambda: all(c["state"] == "exited" for c in inspected(place).containers), "all have ended")
    return {c["name"].rpartition("-")[2]: c for c in inspected(place).containers}


def inspected(place):
    (found,) = inspect.inspect([place])
    return found


@pytest.fixture
def sees_exits():
    if not hears_exits():
        pytest.skip("this kernel does not tell how processes end")


def shell(name, script):
    return node(name, entrypoint=(), cmd=("sh", "-c", script))


@pytest.mark.usefixtures("sees_exits")
def test_what_a_node_prints_is_kept_over_a_restart_and_can_be_followed(here, runtime):
    talks = node("r1", entrypoint=(), cmd=("sh", "-c", "echo one; sleep 0.3; echo two >&2; exec sleep 300"))
    with deployed(here, line(talks, name="talking")) as place:
        lab = place.need().lab

        def said(**which):
            return b"".join(runtime.output(lab, "r1", **which)).decode().splitlines()

        until(lambda: said() == ["one", "two"], "both lines")
        (status,) = runtime.status(lab)
        (began,) = [each for each in eventlog.history(place) if each["type"] == "container"]
        assert (began["action"], began["actor_id"]) == ("start", status.container_id)
        assert said(tail=1) == ["two"]
        assert said(tail=0) == []
        assert said(since_s=time.time() - 600) == ["one", "two"]
        got = []

        def follow():
            got.extend(each.decode() for each in runtime.output(lab, "r1", tail=1, follow=True))

        following = threading.Thread(target=follow)
        following.start()
        until(lambda: "".join(got).split() == ["two"], "the last line")
        restart(place, ["r1"])
        until(lambda: "".join(got).split() == ["two", "one", "two"], "both lines again")
        assert said(tail=3) == ["two", "one", "two"]
        destroy.destroy(place)
        following.join(20)
        assert not following.is_alive()
        assert "".join(got).split() == ["two", "one", "two"]


def test_how_a_node_ended_is_told(here, runtime, kind):
    """At once (nobody but the deploy can see it), after a while (the agent does), by a signal."""
    if kind == "runc" and not hears_exits():
        pytest.skip("this kernel does not tell how processes end")
    spec = LabSpec(
        name="short",
        nodes=(
            shell("now", "echo first; echo no configuration; exit 3"),
            shell("later", "until test -e /go; do sleep 0.05; done; printf 'a\\tb \\033[31mc\\n'; exit 0"),
            shell("killed", "exec sleep 300"),
        ),
    )
    began = time.time()
    with deployed(here, spec) as place:

        def status(name):
            return next(each for each in runtime.status(spec) if each.node == name)

        until(lambda: status("now").state is NodeState.EXITED, "the first has ended")
        assert status("later").state is status("killed").state is NodeState.RUNNING
        assert runtime.exec(spec, "later", ["touch", "/go"]).code == 0
        proc.kill(proc.identity(status("killed").pid))
        until(lambda: None not in [s.exit_code for s in runtime.status(spec)], "their ends are written down")
        found = ends(place)
        assert {name: c["exit_code"] for name, c in found.items()} == {"now": 3, "later": 0, "killed": 137}
        assert {name: c["last_log_line"] for name, c in found.items()} == {
            "now": "no configuration", "later": "a b  [31mc", "killed": "",
        }  # fmt: skip
        assert found["now"]["status"].startswith("Exited (3) ")
        for each in found.values():
            at = calendar.timegm(time.strptime(each["finished_at"], "%Y-%m-%dT%H:%M:%SZ"))
            assert began - 2 <= at <= time.time() + 2
        notes = "\n".join(inspected(place).notes)
        assert re.search(r"node now has ended: exit 3, .* ago; its last line: no configuration", notes)
        assert re.search(r"node killed has ended: exit 137 \(SIGKILL\), .* ago; it printed nothing", notes)


@pytest.mark.usefixtures("sees_exits")
def test_a_node_that_is_started_again_has_not_ended(here, runtime):
    with deployed(
        here, LabSpec(name="short", nodes=(shell("r1", "test -e /go && exec sleep 300; exit 4"),))
    ) as place:
        lab = place.need().lab
        until(lambda: runtime.status(lab)[0].exit_code == 4, "it has ended")
        lay(place, "r1", "/go")
        restart(place, ["r1"])
        (status,) = runtime.status(lab)
        assert (status.state, status.exit_code, status.last_line) == (NodeState.RUNNING, None, "")
        assert not inspected(place).notes
        proc.kill(proc.identity(status.pid))
        until(lambda: runtime.status(lab)[0].exit_code == 137, "its second end is seen too")


def test_an_end_that_nobody_saw_is_unknown_and_said_to_be(here, runtime, kind):
    with deployed(here, LabSpec(name="short", nodes=(shell("r1", "exec sleep 300"),))) as place:
        lab = place.need().lab
        client.stop(place)
        proc.kill(proc.identity(runtime.status(lab)[0].pid))
        if kind == "docker":  # an engine always sees it
            until(lambda: ends(place)["r1"]["exit_code"] == 137, "the engine has seen it")
            return
        found = ends(place)["r1"]
        assert (found["exit_code"], found["finished_at"], found["status"]) == (None, None, "Exited")
        assert any("nobody saw with which exit status" in note for note in inspected(place).notes)


# -- before anything is touched ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (node("x", image="labctl/no-such"), "image-not-found"),
        (node("x", image=None), "bad-value"),
        (node("x", binds=(Bind(source="/no/such", target="/x"),)), "file-not-found"),
        (node("x", network_mode="container:nobody"), "unsupported"),
        (node("x", user="nobody-here"), "bad-value"),
        (node("x", sysctls={"net.no.such": "1"}), "bad-sysctl"),
        (node("x", sysctls={"net.ipv4.ip_forward": "maybe"}), "bad-sysctl"),
        (node("x", sysctls={"net.ipv4.conf.eth1.rp_filter": "1"}), "bad-sysctl"),
        (node("x", sysctls={"kernel.panic": "1"}), "bad-sysctl"),
        (node("x", sysctls={"kernel/hostname": "x"}), "bad-sysctl"),
        (node("x", sysctls={"fs.file-max": "1000000"}), "bad-sysctl"),
    ],
)
def test_check_finds_what_would_fail_and_touches_nothing(tmp_path, monkeypatch, kind, wrong, code):
    here = instance(tmp_path, monkeypatch, kind)
    runtime = RUNTIMES[kind](here)
    with pytest.raises(LabctlError) as caught:
        runtime.check(LabSpec(name="dc1", nodes=(node("ok"), wrong)))
    assert caught.value.code == code
    assert os.listdir(tmp_path) == []


OWN_SYSCTLS = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.eth1.rp_filter": "2",
    "net/ipv4/conf/eth0/log_martians": "1",
    "kernel.shmmax": "7654321",
    "kernel/sem": "250 32000 100 200",
    "kernel.msgmax": "4321",
    "kernel.domainname": "site.example",
    "fs.mqueue.msg_max": "11",
}


def test_a_node_has_its_own_sysctls_and_the_machine_keeps_its(tmp_path, monkeypatch, kind):
    here = instance(tmp_path, monkeypatch, kind)
    spec = line(node("r0"), node("r1", sysctls=OWN_SYSCTLS), name="sysctls")
    files = {netns.sysctl_file(key): value for key, value in OWN_SYSCTLS.items()}
    if not os.path.isdir("/proc/sys/fs/mqueue"):
        del files["/proc/sys/fs/mqueue/msg_max"]
        spec = line(
            node("r0"),
            node("r1", sysctls={k: v for k, v in OWN_SYSCTLS.items() if "mq" not in k}),
            name="sysctls",
        )
    before = {path: read(path) for path in files}
    with deployed(here, spec) as place:
        runtime = RUNTIMES[kind](here)
        for path, value in files.items():
            assert runtime.exec(spec, "r1", ["cat", path]).stdout.split() == value.split(), path
        assert {path: read(path) for path in files} == before
        restart(place, ["r1"])
        assert runtime.exec(spec, "r1", ["cat", "/proc/sys/kernel/shmmax"]).stdout == "7654321\n"


def test_a_sysctl_of_the_machine_is_told_with_its_place(tmp_path, monkeypatch, kind):
    """Whatever the table says: what the kernel does not show in a new namespace is not the node's."""
    here = instance(tmp_path, monkeypatch, kind)
    keys = ["vm.swappiness", "net.core.dev_weight"]
    places = {key: Span("dc1.clab.yml", 8 + i, 9) for i, key in enumerate(keys)}
    before = {key: read(netns.sysctl_file(key)) for key in keys}
    bad = node("x", sysctls=dict.fromkeys(keys, "77"), sysctl_places=places)
    with pytest.raises(LabctlError) as caught:
        RUNTIMES[kind](here).check(LabSpec(name="dc1", nodes=(bad,)))
    told = {each.where: each.message for each in caught.value.each}
    for key in keys:
        assert "node 'x'" in told[places[key]]
        assert "whole machine" in told[places[key]]
    assert {key: read(netns.sysctl_file(key)) for key in keys} == before


def test_the_last_network_namespace_goes_with_the_lab(tmp_path, monkeypatch, kind):
    here = instance(tmp_path, monkeypatch, kind)
    spec = line(node("r1"), node("r2"), name="last")
    with deployed(here, spec) as place:
        assert netns.exists(place.panel_ns)
        assert leftovers(here, [spec])
    nothing_left(here, [spec])
