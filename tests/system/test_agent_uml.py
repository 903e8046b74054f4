"""The agent, healing, restarts and crashes on the second kernel: cgroup v2 has another freezer and another kill."""

import pytest
import umlkernel

pytestmark = pytest.mark.uml

#: Of the agent, healing and restarts some tests, of power, freezer and quota all; in one boot. A Docker engine takes
#: minutes to start in there: `make soak` has it, and on the machine's own kernel `make test`.
SAMPLE = "kills0 or damaged_ledger or outlast or nobody_finishes or deleted_or_renamed or test_node_effects"


def run(names, *options):
    files = [f"tests/system/test_{name}.py" for name in names]
    ended = umlkernel.run_pytest(*files, *options, timeout_s=1500.0)
    assert ended.code == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_sample_and_power_freezer_and_quota():
    said = run(["agent", "heal", "restart", "node_effects"], "-v", "-k", SAMPLE, "-m", "not docker")
    for name in ("agent", "heal", "restart", "node_effects"):
        assert f"test_{name}.py" in said


@pytest.mark.soak
def test_everything():
    run(["agent", "heal", "restart", "crash", "node_effects"])
