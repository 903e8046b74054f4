"""deploy, inspect, exec and destroy through the command line, and what they leave when they are stopped half-way."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
from labs import deployed, instance, labctl, line, node, nothing_left
from leftovers import Decoy

from labctl.app import deploy
from labctl.errors import LabctlError
from labctl.model.lab import LabSpec
from labctl.runtime.base import RUNTIMES
from labctl.runtime.store import Phase

pytestmark = pytest.mark.root

FILE = """
name: two
topology:
  defaults: {kind: linux, image: labctl/base}
  nodes:
    r1: {exec: ["sh -c 'echo one > /root/order'", "sh -c 'echo two >> /root/order'", "false"], group: core}
    r2: {mgmt-ipv4: 172.20.20.77}
    sw: {kind: bridge}
    h1: {network-mode: none}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
      ipv4: [10.2.0.1/30, 10.2.0.2/30]
    - endpoints: ["r1:eth2", "sw:p1"]
    - endpoints: ["h1:eth0", "sw:p2"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return instance(tmp_path / "state", monkeypatch)


@pytest.fixture
def file(tmp_path, here):
    path = tmp_path / "two.clab.yml"
    path.write_text(FILE)
    return path


def test_a_lab_from_file_to_nothing(here, file):
    dry = labctl("deploy", file, "--dry-run")
    assert "Nothing was changed" in dry.stderr
    assert here.labs() == []

    made = labctl("deploy", file)
    assert "node r1: `false`: exit 1" in made.stderr
    assert [row.split()[1] for row in made.stdout.splitlines()[1:]] == [
        "clab-two-h1",
        "clab-two-r1",
        "clab-two-r2",
    ]

    nodes = {each["name"]: each for each in json.loads(labctl("inspect", "-f", "json").stdout)["two"]}
    assert set(nodes["clab-two-r1"]) == {
        "lab_name", "labPath", "absLabPath", "name", "container_id", "image", "kind", "group", "state",
        "status", "ipv4_address", "ipv6_address", "owner",
    }  # fmt: skip
    assert nodes["clab-two-r1"]["group"] == "core"
    assert nodes["clab-two-r1"]["absLabPath"] == str(file)
    assert nodes["clab-two-r2"]["ipv4_address"] == "172.20.20.77/24"
    assert nodes["clab-two-h1"]["ipv4_address"] == "N/A"
    assert {each["state"] for each in nodes.values()} == {"running"}

    assert labctl("exec", "r1", "--", "cat", "/root/order").stdout == "one\ntwo\n"
    assert labctl("exec", "r1", "-l", "two", "--", "ping", "-c1", "-W5", "10.2.0.2").returncode == 0
    assert labctl("exec", "clab-two-r1", "--", "sh", "-c", "exit 9", check=False).returncode == 9
    assert labctl("exec", "r2", "--", "cat", input="said", stdin=None).stdout == "said"

    again = labctl("deploy", file, check=False)
    assert (again.returncode, "lab-exists" in again.stderr) == (2, True)

    asked = labctl("destroy", check=False)
    assert asked.returncode == 2
    assert labctl("inspect").returncode == 0

    file.write_text("the file has changed\n")
    gone = labctl("destroy", file, "--yes")
    assert gone.stdout.split()[4:6] == ["two", "3"]
    nothing_left(here)
    assert labctl("inspect", check=False).returncode == 2
    assert labctl("destroy", "--all", "--yes").stdout == ""


def test_destroy_all_says_what_it_removed_and_touches_nothing_else(here, tmp_path, file):
    with Decoy(tmp_path) as decoy:
        before = decoy.fingerprint()
        for name in ("one", "two"):
            labctl("deploy", file, "--name", name)
        lines = labctl("destroy", "--all", "--yes").stdout.splitlines()
        assert [each.split()[0] for each in lines[1:]] == ["one", "two"]
        nothing_left(here)
        assert decoy.fingerprint() == before


def test_an_image_given_on_the_command_line_replaces_the_files(here, file):
    file.write_text(FILE.replace("labctl/base", "production/router:7"))
    plan = json.loads(
        labctl("deploy", file, "--dry-run", "-f", "json", "--image", "production/router:7=labctl/base").stdout
    )
    assert {each["image"] for each in plan["nodes"]} == {"labctl/base"}
    wrong = labctl("deploy", file, "--dry-run", "--image", "production/ruoter:7=labctl/base", check=False)
    assert (wrong.returncode, "did you mean `production/router:7`?" in wrong.stderr) == (2, True)


def test_a_node_that_does_not_start_takes_everything_back(here):
    spec = line(node("r1"), node("r2", entrypoint=(), cmd=("/no/such/command",)), node("r3"))
    with pytest.raises(LabctlError) as caught:
        deploy.deploy_lab(spec, deploy.Request(file=""), here)
    assert caught.value.code == "node-not-started"
    assert "/no/such/command" in caught.value.message
    nothing_left(here, [spec])


def test_a_node_that_ends_at_once_is_told_by_deploy_and_inspect(here, tmp_path):
    path = tmp_path / "two.clab.yml"
    path.write_text(FILE.replace("h1: {", "h1: {entrypoint: sh, cmd: '-c \"echo no key; exit 3\"', "))
    try:
        told = labctl("deploy", path).stderr
        assert "lab two: node h1 has ended: " in told
        shown = labctl("inspect", "-f", "json")
        (h1,) = [each for each in json.loads(shown.stdout)["two"] if each["name"] == "clab-two-h1"]
        assert (h1["state"], h1["last_log_line"]) == ("exited", "no key")
        assert h1["exit_code"] in (3, None)  # None: this kernel tells nobody
        assert "node h1 has ended: " in shown.stderr
    finally:
        labctl("destroy", "two", "--yes")


def test_an_emit_that_raises_cancels_the_deploy(here):
    def stop(event):
        if event.kind == "node-started":
            raise RuntimeError("enough")

    spec = line(node("r1"), node("r2"))
    with pytest.raises(RuntimeError, match="enough"), deployed(here, spec, stop):
        pass
    nothing_left(here, [spec])


def test_nobody_holds_the_lock_of_a_running_lab(here):
    with deployed(here, line(node("r1"), node("r2"))) as place, place.lock(wait_s=0):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("point", range(3))
def test_an_interrupted_deploy_removes_everything(here, tmp_path, seed, number, point):
    file = big(tmp_path)
    with open(tmp_path / "said", "w+") as told:
        process = start("deploy", file, stderr=told)
        wait_for(here.labs)
        time.sleep(random.Random(f"{seed}/{number}/{point}").uniform(0, 0.8))
        process.send_signal(number)
        process.wait(120)
        told.seek(0)
        said = told.read()
    assert process.returncode in (0, 130)
    if process.returncode == 0 or "it was complete before the interruption" in said:  # the lab was faster
        assert here.lab("big").need().phase is Phase.RUNNING
        labctl("destroy", "--all", "--yes")
    nothing_left(here)


INTERRUPTED_WHILE_IT_SHOWS = """
import os, signal, sys
from labctl.cli import inspect, main
inspect.show = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
main.run(sys.argv[1:])
"""


def test_a_deploy_interrupted_when_the_lab_is_complete_leaves_it_and_says_so(here, file):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IT_SHOWS, "deploy", str(file)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == (
        "lab two is running: it was complete before the interruption; `labctl destroy two` removes it"
    )
    assert here.lab("two").need().phase is Phase.RUNNING
    labctl("destroy", "two", "--yes")
    nothing_left(here)


@pytest.mark.parametrize("point", range(4))
def test_destroy_after_a_killed_deploy_and_a_killed_destroy_leaves_nothing(here, tmp_path, seed, point):
    choose = random.Random(f"{seed}/{point}")
    process = start("deploy", big(tmp_path))
    wait_for(here.labs)
    time.sleep(choose.uniform(0, 0.8))
    process.kill()
    process.wait()
    killed = start("destroy", "--all", "--yes")
    time.sleep(choose.uniform(0.1, 0.5))
    killed.kill()
    killed.wait()
    labctl("destroy", "--all", "--yes")
    nothing_left(here)
    labctl("destroy", "--all", "--yes")


def big(tmp_path):
    nodes = "".join(f"    r{i}: {{}}\n" for i in range(12))
    links = "".join(f'    - endpoints: ["r{i}:eth1", "r{(i + 1) % 12}:eth2"]\n' for i in range(12))
    path = tmp_path / "big.clab.yml"
    path.write_text(
        f"name: big\ntopology:\n  defaults: {{kind: linux, image: labctl/base}}\n  nodes:\n{nodes}  links:\n{links}"
    )
    return path


def start(*argv, stderr=subprocess.DEVNULL):
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", *map(str, argv)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
    )  # fmt: skip


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_two_labs_do_not_see_each_other(here):
    one = LabSpec(name="one", nodes=(node("r1"),))
    two = LabSpec(name="two", nodes=(node("r1", mgmt_ipv4="172.20.20.99"),))
    with deployed(here, one) as place, deployed(here, two):
        runtime = RUNTIMES["runc"](here)
        assert runtime.exec(place.need().lab, "r1", ["ping", "-c1", "-W1", "172.20.20.99"]).code != 0
