"""What a node may do is what its file says, for its own command and for those that enter it."""

import pytest
from labs import deployed, line, node, own_instance, request

from labctl.app import deploy
from labctl.errors import LabctlError
from labctl.model.capabilities import OF_NODES, of
from labctl.runtime import ended
from labctl.runtime.base import RUNTIMES

pytestmark = [pytest.mark.root, pytest.mark.both]
STAYS = ("sleep", "600")


@pytest.fixture(scope="module")
def here(tmp_path_factory, kind):
    with own_instance(tmp_path_factory.mktemp("state"), kind) as found:
        yield found


@pytest.fixture(scope="module")
def place(here, kind):
    little = ("CAP_SYS_ADMIN",) if kind == "docker" else ()
    spec = line(
        node("r1", entrypoint=STAYS),
        node("r2", entrypoint=STAYS, privileged=False, cap_add=("CAP_NET_ADMIN", "CAP_SYS_ADMIN")),
        node("r3", entrypoint=STAYS, privileged=False, cap_add=little),
        name="may",
    )
    with deployed(here, spec) as running:
        yield running


def bounding(status):
    said = next(row for row in status.splitlines() if row.startswith("CapBnd:"))
    return int(said.split()[1], 16)


def run(place, name, *argv):
    record = place.need()
    return RUNTIMES[record.runtime](place.instance).exec(record.lab, name, argv, timeout_s=20)


@pytest.mark.parametrize("name", ["r1", "r2", "r3"])
def test_the_command_and_what_enters_have_the_same_and_no_more(place, kind, name):
    with open("/proc/self/status") as file:
        mine = bounding(file.read())
    spec = place.need().lab.node(name)
    may = sum(1 << bit for bit in of(privileged=spec.privileged, added=spec.cap_add).values()) & mine
    if kind == "docker":
        may &= ~(1 << OF_NODES["CAP_BPF"])  # engines that are in use do not know it
    with open(f"/proc/{ended.first_process(place, name).pid}/status") as file:
        assert bounding(file.read()) == may
    assert bounding(run(place, name, "cat", "/proc/self/status").stdout) == may


def test_it_is_felt(place):
    assert [
        run(place, name, "ip", "link", "set", "lo", "mtu", "9000").code == 0 for name in ("r1", "r2", "r3")
    ] == [True, True, False]


def test_on_docker_the_gate_is_not_taken_away(here, kind):
    if kind != "docker":
        pytest.skip("there is no gate")
    with pytest.raises(LabctlError, match="cannot be without CAP_SYS_ADMIN") as caught:
        deploy.deploy_lab(line(node("r1", privileged=False), name="second"), request(), here)
    assert caught.value.code == "unsupported"
