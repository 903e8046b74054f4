"""The state directory: records that survive, locks that mean something, directories that go away."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.lab import Bind, CableSpec, End, LabSpec, Limits, NodeKind, NodeSpec
from labctl.names import PortId
from labctl.runtime import codec
from labctl.runtime.store import Instance, Phase, Record

text = st.text(max_size=12)
maybe = st.none() | text
maps = st.dictionaries(text, text, max_size=3)
ports = st.builds(PortId, text, text)
ends = st.builds(End, port=ports, mac=text, ipv4=maybe, ipv6=maybe)
limits = st.builds(
    Limits,
    cpu=st.none() | st.floats(0, 64, allow_nan=False),
    memory_bytes=st.none() | st.integers(),
    pids=st.none() | st.integers(),
)
nodes = st.builds(
    NodeSpec,
    name=text, kind=st.sampled_from(NodeKind), image=maybe, cmd=st.none() | st.lists(text).map(tuple),
    env=maps, exec=st.lists(text, max_size=2).map(tuple), labels=maps, limits=limits, startup_delay_s=st.floats(0, 9),
    binds=st.lists(st.builds(Bind, source=text, target=text, options=st.lists(text).map(tuple)), max_size=2).map(tuple),
)  # fmt: skip
cables = st.builds(CableSpec, a=ends, z=st.none() | ends, mtu=st.integers(68, 65535), labels=maps)
labs = st.builds(
    LabSpec,
    name=text,
    nodes=st.lists(nodes, max_size=3).map(tuple),
    cables=st.lists(cables, max_size=3).map(tuple),
    source=text,
)


@given(labs)
def test_a_record_reads_back_as_it_was_written(lab):
    record = Record(lab=lab, runtime="runc", phase=Phase.RUNNING, devices={"r1:eth1": "p0"})
    assert codec.decode(Record, json.loads(json.dumps(codec.encode(record)))) == record


@pytest.fixture
def place(tmp_path):
    return Instance.here(str(tmp_path)).lab("dc1")


RECORD = Record(lab=LabSpec(name="dc1"), runtime="runc", phase=Phase.DEPLOYING)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 99}, "version 99 is not 1"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"phase": "asleep"}, "'asleep' is not a valid Phase"),
        ({"lab": {"name": 7}}, "7 is not str"),
        ({"lab": {}}, "missing 1 required"),
    ],
)
def test_a_record_that_is_not_understood_is_refused(place, change, says):
    with place.lock(create=True):
        place.write(RECORD)
        with open(place.record_file) as file:
            value = json.load(file)
        with open(place.record_file, "w") as file:
            json.dump(value | change, file)
        with pytest.raises(LabctlError, match=says) as caught:
            place.read()
        assert caught.value.code == "bad-record"


def test_everything_is_private(place):
    with place.lock(create=True):
        place.write(RECORD)
    assert os.stat(place.record_file).st_mode & 0o077 == 0
    assert os.stat(place.lock_file).st_mode & 0o077 == 0
    at = place.path
    while at != place.instance.root:
        assert os.stat(at).st_mode & 0o077 == 0, at
        at = os.path.dirname(at)


def test_a_removed_lab_leaves_no_directory(place):
    with place.lock(create=True):
        place.write(RECORD)
        os.makedirs(os.path.join(place.path, "nodes", "r1", "upper"))
        place.remove()
    assert os.listdir(place.instance.root) == []


def test_the_record_goes_after_everything_else(place, monkeypatch):
    gone = []
    real = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (gone.append(os.path.basename(path)), real(path)))
    with place.lock(create=True):
        place.write(RECORD)
        with open(os.path.join(place.path, "ledger.jsonl"), "w"):
            pass
        place.remove()
    assert gone == ["ledger.jsonl", "lab.json", "lock"]


def test_who_comes_second_is_told_that_the_lab_is_busy(place):
    with place.lock(create=True), pytest.raises(LabctlError) as caught, place.lock(wait_s=0.05):
        pass
    assert caught.value.code == "lab-busy"


def test_a_scenario_that_is_played_is_seen_and_a_change_is_none(place):
    with place.lock(create=True):
        place.write(RECORD)
        assert not place.plays()
        with place.playing():
            assert place.plays()
        with place.quiet():
            assert not place.plays()
        assert not place.plays()


def test_who_waited_while_the_lab_was_removed_finds_no_lab(place):
    outcome = []

    def wait():
        try:
            with place.lock(wait_s=20):
                outcome.append("held")
        except LabctlError as error:
            outcome.append(error.code)

    with place.lock(create=True):
        waiter = threading.Thread(target=wait)
        waiter.start()
        time.sleep(0.1)
        place.remove()
    waiter.join()
    assert outcome == ["no-lab"]
    assert not place.exists()


def test_only_one_holds_the_lock_however_often_the_lab_is_made_and_removed(place):
    holders = []
    errors = []

    def work():
        for _ in range(60):
            with place.lock(create=True, wait_s=60):
                holders.append(1)
                if len(holders) > 1:
                    errors.append("two at once")
                place.write(RECORD)
                holders.pop()
                place.remove()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []
    assert not place.exists()


def test_a_helper_keeps_the_lock_of_a_killed_labctl(place, tmp_path):
    with place.lock(create=True):
        place.write(RECORD)
    ready = tmp_path / "ready"
    script = (
        "import sys, time\n"
        "from labctl.linux import proc\n"
        "from labctl.runtime.store import Instance\n"
        "place = Instance.here(sys.argv[1]).lab('dc1')\n"
        "with place.lock(create=True) as fd:\n"
        f"    proc.run(['sh', '-c', 'echo $$ > {ready}.new; mv {ready}.new {ready}; exec sleep 60'], keep=[fd])\n"
    )
    labctl = subprocess.Popen([sys.executable, "-c", script, place.instance.root])
    try:
        while not ready.exists():
            time.sleep(0.01)
        helper = int(ready.read_text())
        labctl.kill()
        labctl.wait()
        with pytest.raises(LabctlError) as caught, place.lock(wait_s=0.05):
            pass
        assert caught.value.code == "lab-busy"
    finally:
        labctl.kill()
        labctl.wait()
    os.kill(helper, signal.SIGKILL)
    with place.lock(wait_s=20):
        pass


def test_the_only_lab_is_the_default_and_two_are_listed(tmp_path):
    here = Instance.here(str(tmp_path))
    with pytest.raises(LabctlError, match="no lab is running"):
        here.find(None)
    for name in ("dc1", "dc2"):
        if name == "dc2":
            assert here.find(None).name == "dc1"
        with here.lab(name).lock(create=True):
            here.lab(name).write(replace(RECORD, lab=LabSpec(name=name)))
    with pytest.raises(LabctlError, match="2 labs are running: dc1, dc2"):
        here.find(None)
    with pytest.raises(LabctlError) as caught:
        here.find("dc3")
    assert "`dc1`" in caught.value.hint
    assert "`dc2`" in caught.value.hint


def test_instances_of_another_boot_or_root_share_nothing(tmp_path):
    here = Instance.here(str(tmp_path))
    rebooted = replace(here, boot="00000000-0000-0000-0000-000000000000")
    elsewhere = Instance.here(str(tmp_path / "other"))
    assert len({here.tag, rebooted.tag, elsewhere.tag}) == 3
    with here.lab("dc1").lock(create=True):
        assert rebooted.labs() == elsewhere.labs() == []
        assert [lab.name for lab in here.labs()] == ["dc1"]


@pytest.mark.parametrize("name", ["..", ".", "../../x", "a/b", "", "x" * 129])
def test_what_is_no_lab_name_has_no_place(tmp_path, name):
    """A name becomes a path and a control group: `..` would be everybody's."""
    with pytest.raises(LabctlError) as caught:
        Instance.here(str(tmp_path)).lab(name)
    assert caught.value.code == "bad-name"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("root", ["/proc/nowhere", "/dev/null", "/dev/null/below"])
def test_a_state_directory_that_cannot_be(root):
    here = Instance.here(root)
    with (
        pytest.raises(LabctlError, match="labs cannot be kept in") as caught,
        here.lab("x").lock(create=True),
    ):
        pass
    assert caught.value.code == "cannot-write"


def test_a_file_is_no_state_directory(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LabctlError) as caught:
        Instance.here(str(file)).labs()
    assert caught.value.code == "cannot-write"


@pytest.mark.parametrize("name", ["a,b", "a:b", "a\\b"])
def test_a_state_directory_that_overlayfs_cannot_take(tmp_path, name):
    with pytest.raises(LabctlError, match="overlayfs") as caught:
        Instance.here(str(tmp_path / name))
    assert caught.value.code == "bad-value"
