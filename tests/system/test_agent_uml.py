"""The agent, healing, restarts and crashes on the second kernel: cgroup v2 has another freezer and another kill."""

import pytest
import umlkernel

pytestmark = pytest.mark.uml

SAMPLE = "kills0 or damaged_ledger or outlast or nobody_finishes or deleted_or_renamed"


def run(names, *options):
    files = [f"tests/system/test_{name}.py" for name in names]
    ended = umlkernel.run_pytest(*files, *options, timeout_s=1500.0)
    assert ended.code == 0, ended.stdout + ended.stderr


def test_a_sample():
    run(["agent", "heal", "restart"], "-k", SAMPLE)


def test_power_freezer_and_quota():
    run(["node_effects"])


@pytest.mark.soak
def test_everything():
    run(["agent", "heal", "restart", "crash"])
