"""The power fails in the middle of a run: on the next boot nothing of the lab is there but its files, and labctl says so.

A disk of the second kernel holds labctl's state. The first boot deploys a lab, begins a run, and is cut off (no sync, no
shutdown) while the run's fault is active. The second boot finds a record, a ledger with an active fault, pins of namespaces,
and none of what they name.
"""

import json
import os
import subprocess
import sys

import pytest
import umlkernel

pytestmark = [pytest.mark.uml, pytest.mark.root, pytest.mark.soak]

LABCTL = f"{sys.executable} -m labctl"
LAB = """name: cut-off
topology:
  defaults: {kind: linux, image: labctl/base}
  nodes:
    h1: {exec: [ip address add 10.0.0.1/24 dev eth1]}
    h2: {exec: [ip address add 10.0.0.2/24 dev eth1]}
  links:
    - endpoints: ["h1:eth1", "h2:eth1"]
"""
SCENARIO = """name: long
timeline:
  - {fault: link.degrade, id: lossy, target: {link: "h1:eth1--h2:eth1"}, loss: 50%, for: 300s}
"""
BEFORE = f"""
cd /tmp
{LABCTL} deploy lab.clab.yml
{LABCTL} run scenario.yml -l cut-off > run.log 2>&1 &
for i in $(seq 600); do
  {LABCTL} fault list -l cut-off -f json 2> /dev/null | grep -q lossy && break
  sleep 0.2
done
{LABCTL} fault list -l cut-off -f json > /run/uml/active
cat run.log > /run/uml/log
# The power fails: nothing is synced, nothing is asked.
{sys.executable} -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321FEDC)'
"""
AFTER = f"""
cd /tmp
report() {{ echo "@@$1"; shift; "$@" 2>&1; echo "exit $?"; }}
report files sh -c 'cd /mnt/state/boots/*/labs/cut-off && ls && grep -c lossy ledger.jsonl'
report heal {LABCTL} heal
report json {LABCTL} heal -f json
report one {LABCTL} heal -l cut-off
report exec {LABCTL} exec h1 -l cut-off -- true
report all {LABCTL} destroy --all --yes
report anew {LABCTL} deploy lab.clab.yml
report whole {LABCTL} fault list -l cut-off
report mine {LABCTL} destroy cut-off --yes
report still sh -c 'ls /mnt/state/boots/*/labs'
report destroy {LABCTL} destroy cut-off --yes
report left sh -c 'ls /mnt/state/boots 2>&1'
report none {LABCTL} heal
"""


def boot(disk, work, after):
    """One boot with the disk at /mnt/state and the lab's files in /tmp."""
    script = (
        f"mkdir /mnt/state && mount -t ext4 /dev/ubda /mnt/state && export LABCTL_STATE=/mnt/state\n{after}"
    )
    for name, text in work.items():
        script = f"cat > /tmp/{name} << 'EOF'\n{text}EOF\n{script}"
    return umlkernel.run(
        "sh", "-c", script, disk=str(disk), timeout_s=240.0, env={"PYTHONPATH": umlkernel.ROOT}
    )


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    with open(path, "wb") as file:
        file.truncate(200 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    return path


def test_what_a_kernel_that_is_gone_left_is_neither_healed_nor_hidden(disk):
    if not os.path.isdir(os.path.join(umlkernel.images_directory(), "refs")):
        pytest.skip(f"needs the images of `make images` (none in {umlkernel.images_directory()})")
    files = {"lab.clab.yml": LAB, "scenario.yml": SCENARIO}
    with pytest.raises(umlkernel.BootFailed) as cut:
        boot(disk, files, BEFORE)
    active = json.loads(cut.value.exchanged["active"])
    assert [each["id"].partition("/")[2] for each in active["faults"]] == ["lossy"], cut.value

    said = boot(disk, files, AFTER).stdout
    found = {part.split("\n", 1)[0]: part.split("\n", 1)[1].strip() for part in said.split("@@")[1:]}
    assert "lab.json" in found["files"], "the disk has what the first boot had synced"
    assert "ledger.jsonl" in found["files"]
    gone = "lab cut-off: ran on another boot or kernel; nothing of it is here but its files"
    assert found["heal"].startswith("Nothing to heal.\n" + gone)
    assert found["heal"].endswith("exit 0")
    document = json.loads(found["json"].rpartition("exit")[0])
    assert document["labs"] == [], "nothing is claimed to be healed"
    assert len(document["gone"]) == 1, document
    for verb in ("one", "exec"):
        assert "error: lab-gone" in found[verb], found[verb]
        assert found[verb].endswith("exit 2")
    assert found["all"].startswith("No lab is running.\n" + gone), "of this boot, that is: all others stay"
    assert found["anew"].endswith("exit 0"), found["anew"]
    assert found["whole"] == "No fault is active.\nexit 0", "the new lab has nothing of the old one's"
    assert found["mine"].endswith("exit 0"), "of two of one name the one that runs is meant"
    assert "cut-off" in found["still"]
    assert found["destroy"].endswith("exit 0"), found["destroy"]
    assert "cut-off" not in found["left"]
    assert found["none"] == "Nothing to heal.\nexit 0"
