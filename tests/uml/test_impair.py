"""The conformance suite of impairments under the second kernel, which has netem."""

import os
import sys

import pytest
import umlkernel

pytestmark = [pytest.mark.uml, pytest.mark.root]

SUITE = "tests/system/impair"


def conform(capsys, soak, timeout_s):
    """Run the netem part of the suite; its figures go into our own output."""
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", SUITE, "-k", "netem or None")
    seed = os.environ.get("LABCTL_TEST_SEED", "20261120")
    ended = umlkernel.run(
        *argv,
        timeout_s=timeout_s,
        memory="2G",
        env={"LABCTL_TEST_EVERY_POINT": "1" if soak else "0", "LABCTL_TEST_SEED": seed},
    )
    with capsys.disabled():
        print()
        for line in ended.stdout.splitlines():
            if " | " in line:
                print(f"UML {line}")
    assert ended.code == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout
    assert "netem" in ended.stdout, "netem itself was measured"


def test_netem_conforms(capsys):
    conform(capsys, soak=False, timeout_s=240)


@pytest.mark.soak
def test_netem_conforms_at_every_point(capsys):
    conform(capsys, soak=True, timeout_s=1500)
