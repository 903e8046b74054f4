"""What is tried in a process of its own leaves nothing here, whatever it does."""

import os
import time

import pytest

from labctl.linux import netns, trial
from labctl.linux.netlink import Netlink, VethEnd

pytestmark = pytest.mark.root


def test_it_says_what_was_seen():
    assert trial.attempt(lambda: "seen") == trial.Tried(ok=True, said="seen")


def test_an_exception_is_an_answer():
    def work():
        raise FileNotFoundError(2, "No such file or directory", "tool")

    assert trial.attempt(work) == trial.Tried(ok=False, said="No such file or directory (tool)")
    assert trial.here(work) == trial.Tried(ok=False, said="No such file or directory (tool)")


def test_what_it_makes_is_made_elsewhere_and_dies_with_it():
    before = netns.inode()

    def work():
        with Netlink() as inside:
            inside.create_veth(VethEnd(name="tried0"), VethEnd(name="tried1"))
            assert inside.link("tried0")
        return str(netns.inode())

    tried = trial.attempt(work)
    assert tried.ok
    assert int(tried.said) != before == netns.inode()
    with Netlink() as here:
        assert here.link("tried0") is None


def test_one_that_hangs_is_killed():
    reader, writer = os.pipe()

    def work():
        os.write(writer, str(os.getpid()).encode())
        time.sleep(600)
        return "late"

    tried = trial.attempt(work, timeout_s=0.3)
    assert tried == trial.Tried(ok=False, said="no answer within 0.3 s")
    child = int(os.read(reader, 32))
    os.close(reader)
    os.close(writer)
    assert not os.path.exists(f"/proc/{child}")


def test_one_that_is_killed_says_so():
    def work():
        os.kill(os.getpid(), 9)
        return "never"

    assert trial.attempt(work) == trial.Tried(ok=False, said="the attempt was killed")
