"""`labctl logs` of real nodes: what they printed, over a restart, followed to the end of the lab."""

import signal
import subprocess
import sys
import time

import pytest
from labs import deployed, instance, line, node
from rig import until

from labctl.run import destroy, observe, restart
from labctl.runtime import console

pytestmark = pytest.mark.root

TALKS = ("sh", "-c", "echo good morning; while read -r word; do echo heard $word >&2; done")


@pytest.fixture
def place(tmp_path, monkeypatch, kind):
    here = instance(tmp_path / "state", monkeypatch, kind)
    with deployed(here, line(node("r1", entrypoint=(), cmd=TALKS), node("r2"), name="talking")) as running:
        yield running


def argv(*words):
    return [sys.executable, "-m", "labctl", "logs", *words]


def logs(*words):
    return subprocess.run(argv(*words), capture_output=True, text=True, check=True, timeout=30).stdout


def tell(place, word):
    (status,) = [each for each in observe.runtime(place).status(place.need().lab) if each.node == "r1"]
    with open(f"/proc/{status.pid}/fd/0", "w") as file:
        file.write(word + "\n")


def times(place):
    """Of how many lines it is known when they were printed."""
    if place.need().runtime == "docker":
        return len(logs("r1").splitlines())
    try:
        with open(console.log(place, "r1") + ".times") as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def test_a_node_from_its_first_word_to_the_labs_end(place):
    until(lambda: times(place) == 1, "the agent has seen the first line")
    assert logs("r1") == "good morning\n"
    time.sleep(0.05)
    later = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1000000:06d}Z"
    with subprocess.Popen(argv("clab-talking-r1", "-f"), stdout=subprocess.PIPE) as following:
        assert following.stdout.readline() == b"good morning\n"
        tell(place, "one")
        until(lambda: times(place) == 2, "the agent has seen the second line")
        assert logs("r1", "--since", later) == "heard one\n"
        assert logs("r1", "--tail", "1", "--since", "1h") == "heard one\n"
        restart.restart(place, ["r1"])
        observe.runtime(place).spawn(place.need().lab, "r1", ["echo", "also mine"])
        until(lambda: logs("r1").endswith("also mine\n"), "the third line")
        assert logs("r1") == "good morning\nheard one\ngood morning\nalso mine\n"
        destroy.destroy(place)
        said = following.communicate(timeout=20)[0].decode()
    assert following.returncode == 0
    assert said == "heard one\ngood morning\nalso mine\n"


def test_ctrl_c_is_the_end_and_a_reader_that_left_no_error(place):
    with subprocess.Popen(argv("r1", "-f"), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout.readline() == "good morning\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 0
    with subprocess.Popen(
        ["bash", "-c", '"$@" | head -1; echo "${PIPESTATUS[0]}"', "bash", *argv("r1", "-f")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as following:  # fmt: skip
        assert following.stdout.readline() == "good morning\n"
        while following.poll() is None:
            tell(place, "more")
            time.sleep(0.05)
        assert following.communicate() == ("0\n", "")
