"""Discovery of a real network: FRR, lldpd, snmpd and sshd in a lab, asked over SNMP v2c, v3 and SSH from inside it."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko
import pytest
from rig import until

from labctl.app import discover as use_case
from labctl.errors import CODES, Exit
from labctl.ingest import inventory, snmp, ssh
from labctl.linux import netns
from labctl.model.topology import Role
from labctl.runtime.store import Instance
from labctl.schema import files

STATE = os.environ.get("LABCTL_STATE") or "/var/lib/labctl"
IMAGES = os.environ.get("LABCTL_IMAGES") or os.path.join(STATE, "images")
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc"),
    pytest.mark.skipif(
        not os.path.isdir(os.path.join(IMAGES, "refs")),
        reason=f"needs the images of `make images` ({IMAGES})",
    ),
]

LAB = """
name: found
topology:
  kinds:
    linux: {image: labctl/prod}
  defaults:
    binds:
      - snmpd.conf:/etc/snmp/snmpd.conf:ro
      - authorized_keys:/root/.ssh/authorized_keys:ro
      - lldpd.conf:/etc/lldpd.d/fast.conf:ro
  nodes:
    r1: {kind: linux, mgmt-ipv4: 172.20.20.11, binds: ["r1.conf:/etc/frr/frr.conf", "daemons:/etc/frr/daemons"]}
    r2: {kind: linux, mgmt-ipv4: 172.20.20.12, binds: ["r2.conf:/etc/frr/frr.conf", "daemons:/etc/frr/daemons"]}
    web: {kind: linux, mgmt-ipv4: 172.20.20.13}
    nms: {kind: linux, mgmt-ipv4: 172.20.20.5}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["r1:eth2", "r2:eth2"]
    - endpoints: ["r2:eth3", "web:eth1"]
      ipv4: ["", "10.1.0.10/24"]
"""
R1 = """frr defaults traditional
hostname r1
interface eth1
 ip address 10.0.0.0/31
 ip ospf network point-to-point
interface eth2
 ip address 10.0.0.2/31
 ip ospf network point-to-point
router ospf
 network 10.0.0.0/24 area 0
"""
R2 = """frr defaults traditional
hostname r2
interface eth1
 ip address 10.0.0.1/31
 ip ospf authentication-key {ospf}
 ip ospf network point-to-point
interface eth2
 ip address 10.0.0.3/31
 ip ospf network point-to-point
interface eth3
 ip address 10.1.0.1/24
router ospf
 network 10.0.0.0/24 area 0
"""
SNMPD = """master agentx
agentXSocket /var/agentx/master
agentAddress udp:161
rocommunity {community}
createUser watcher SHA-256 "{auth}" AES "{priv}"
rouser watcher priv
"""
INVENTORY = """defaults:
  snmp: {version: 2c, community: "${DISCOVER_COMMUNITY}", timeout: 1, retries: 1}
  ssh: {user: root, key_file: id, known_hosts: accept-new}
devices:
  r1: {address: 172.20.20.11}
  r2:
    address: 172.20.20.12
    snmp: {version: 3, user: watcher, auth: sha256, auth_key: file:auth, priv: aes, priv_key: file:priv}
  web: {address: 172.20.20.13}
"""
CABLES = ["r1:eth1--r2:eth1", "r1:eth2--r2:eth2", "r2:eth3--web:eth1"]


@dataclass(frozen=True)
class Production:
    directory: Path
    inside: str
    secrets: dict[str, str]

    def targets(self, text=INVENTORY):
        file = str(self.directory / "inventory.yml")
        found = inventory.parse(text, file=file, env={"DISCOVER_COMMUNITY": self.secrets["community"]})
        return {target.name: target for target in found}

    def discover(self, out, text=INVENTORY, **more):
        file = self.directory / "inventory.yml"
        file.write_text(text)
        return use_case.discover([str(file)], name="found", out=str(out), inside=self.inside, **more)


def labctl(*words, **more):
    return subprocess.run(
        [sys.executable, "-m", "labctl", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    state = tmp_path_factory.mktemp("state")
    directory = tmp_path_factory.mktemp("production")
    keys = {name: secrets.token_hex(12) for name in ("community", "auth", "priv", "ospf")}
    keys["ospf"] = keys["ospf"][:8]
    key = paramiko.RSAKey.generate(2048)
    key.write_private_key_file(str(directory / "id"))
    texts = {
        "found.clab.yml": LAB,
        "r1.conf": R1,
        "r2.conf": R2.format(**keys),
        "daemons": "ospfd=yes\n",
        "snmpd.conf": SNMPD.format(**keys),
        "authorized_keys": f"ssh-rsa {key.get_base64()} test\n",
        "lldpd.conf": "configure lldp tx-interval 1\n",
        "auth": keys["auth"],
        "priv": keys["priv"] + "\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    patch.setenv("LABCTL_STATE", str(state))
    patch.setenv("LABCTL_IMAGES", IMAGES)
    patch.setenv("DISCOVER_COMMUNITY", keys["community"])
    try:
        done = labctl("deploy", str(directory / "found.clab.yml"))
        assert done.returncode == 0, done.stderr
        lab = Production(directory, Instance.here().lab("found").node_ns("nms"), keys)
        _wait(lab)
        yield lab
    finally:
        labctl("destroy", "found", "--yes")
        patch.undo()
    assert not os.path.exists(Instance.here(str(state)).lab("found").path)


def _wait(lab):
    """Until LLDP has gone round and every agent answers: as long as a person would wait, not longer."""
    deadline = time.monotonic() + 90
    while True:
        with contextlib.suppress(Exception):
            answers = snmp.collect(list(lab.targets().values()), inside=lab.inside)
            heard = {
                a.target.name: {n.port for n in a.observation.neighbours} for a in answers if a.observation
            }
            if [len(heard.get(name, ())) for name in ("r1", "r2", "web")] == [2, 3, 1]:
                return
        assert time.monotonic() < deadline, "LLDP did not go round"
        time.sleep(1)


def test_exactly_the_cables_that_there_are(production, tmp_path):
    result = production.discover(tmp_path / "found.yml")
    topology = result.snapshot.topology
    assert [str(link.id) for link in topology.links] == CABLES
    assert all(
        link.two_sided and link.role is Role.DATA and link.confidence > 0.99 for link in topology.links
    )
    assert topology.segments == ()  # the management switch keeps LLDP to itself
    assert result.unread == ()
    assert {e.source for link in topology.links[:2] for e in link.evidence} == {"lldp", "subnet"}
    assert all(e.where for link in topology.links for e in link.evidence)

    configs = result.snapshot.configs
    assert {name: config.dialect for name, config in configs.items()} == {
        "r1": "frr",
        "r2": "frr",
        "web": "linux",
    }
    assert configs["r2"].interface("eth3").ipv4 == ("10.1.0.1/24",)
    assert str(configs["r2"].interface("eth3").where).startswith("ssh:r2/")
    assert configs["r1"].ospf is not None
    assert configs["r1"].interface("eth0").mgmt
    eth1 = topology.device("r1").interfaces[1]
    assert (topology.device("r1").name, eth1.oper_up, eth1.mac is not None) == ("r1", True, True)
    assert files.load_snapshot(tmp_path / "found.yml") == result.snapshot


def test_from_the_command_line_and_no_key_anywhere(production, tmp_path):
    (production.directory / "inventory.yml").write_text(INVENTORY)
    done = labctl(
        "discover", str(production.directory / "inventory.yml"), "--from", "found:nms", "-n", "prod", "-f", "json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == Exit.PASS, done.stderr
    said = json.loads(done.stdout)
    assert set(said) == {"version", "summary", "devices", "links", "segments", "conflicts"}
    assert [(f"{x['a']['device']}:{x['a']['port']}", x["two_sided"], x["role"]) for x in said["links"]] == [
        (cable.split("--")[0], True, "data") for cable in CABLES
    ]
    assert {d["name"]: d["polled"] for d in said["devices"]} == {
        "r1": True,
        "r2": True,
        "web": True,
    }
    written = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert "prod" in written
    for name, secret in production.secrets.items():
        assert secret not in done.stdout + done.stderr + written, name


@pytest.mark.usefixtures("production")
def test_no_such_lab_or_node():
    for start, code in (("nowhere:nms", "no-lab"), ("nms", "bad-option"), ("found:r9", "unknown-node")):
        done = labctl("discover", "x", "--from", start)
        assert done.stderr.startswith(f"error: {code}\n")
        assert done.returncode == CODES[code][0]


def test_a_device_that_cannot_be_read_removes_nothing_and_harms_no_other(production, tmp_path):
    out = tmp_path / "found.yml"
    before = production.discover(out).snapshot
    broken = INVENTORY.replace("file:auth", "wrong-key-1").replace("172.20.20.13", "172.20.20.99")
    broken = broken.replace("retries: 1", "retries: 0") + "  r3: {address: 172.20.20.98}\n"
    result = production.discover(out, broken)
    assert {(u.name, u.what): u.error.code for u in result.unread} == {
        ("r2", "snmp"): "device-refused",
        ("web", "snmp"): "device-unreachable",
        ("web", "ssh"): "device-unreachable",
        ("r3", "snmp"): "device-unreachable",
        ("r3", "ssh"): "device-unreachable",
    }
    after = files.load_snapshot(out)
    assert [str(link.id) for link in after.topology.links] == CABLES
    assert all(link.two_sided for link in after.topology.links)
    assert {d.name for d in after.topology.devices if d.stale_since} == {"r2", "web"}
    assert after.configs["web"] == before.configs["web"]
    assert {d.id for d in after.topology.devices} == {d.id for d in before.topology.devices}

    again = production.discover(out).snapshot
    assert [d.name for d in again.topology.devices if d.stale_since] == []
    assert [str(link.id) for link in again.topology.links] == CABLES


def test_a_wrong_key_is_told_from_silence(production):
    target = production.targets()["r2"]
    wrong = replace(target, snmp=replace(target.snmp, auth_key=inventory.Secret("wrong-key-1")))
    (answer,) = snmp.collect([wrong], inside=production.inside)
    assert answer.error.code == "device-refused"

    gone = replace(target, address="172.20.20.99", snmp=replace(target.snmp, timeout_s=0.3, retries=0))
    (answer,) = snmp.collect([gone], inside=production.inside)
    assert answer.error.code == "device-unreachable"

    context = replace(target, snmp=replace(target.snmp, context="vlan-7", timeout_s=1, retries=0))
    (answer,) = snmp.collect([context], inside=production.inside)
    assert answer.observation is None
    assert answer.error.code in ("device-refused", "device-unreachable")


def test_a_walk_that_stops_half_way_is_kept_and_said(production):
    """A relay between labctl and the real agent goes silent after so many answers."""
    target = production.targets()["r1"]
    with relay(production.inside, target.address, answers=16) as port:
        half = replace(
            target, address="127.0.0.1", snmp=replace(target.snmp, port=port, timeout_s=0.2, retries=0)
        )
        (answer,) = snmp.collect([half])
    assert answer.observation is not None
    assert not answer.observation.complete
    assert answer.observation.interfaces != ()
    assert answer.error.code == "walk-incomplete"
    assert [walk.reason for walk in answer.observation.walks if not walk.complete] == [
        "no answer before the timeout"
    ]


@contextlib.contextmanager
def relay(inside, address, *, answers):
    """UDP from loopback here to the agent in there, for a number of answers. Yields the port."""
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    back = netns.socket_in(inside, socket.AF_INET, socket.SOCK_DGRAM)
    back.connect((address, 161))
    back.settimeout(5)
    front.settimeout(0.1)
    over = threading.Event()

    def work():
        left = answers
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                asked, who = front.recvfrom(65535)
                if left:
                    back.send(asked)
                    front.sendto(back.recv(65535), who)
                    left -= 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield front.getsockname()[1]
    finally:
        over.set()
        thread.join()
        front.close()
        back.close()


# -- the state of now --------------------------------------------------------------------------------------------


def compared(production, directory, lab, text=INVENTORY):
    (production.directory / "inventory.yml").write_text(text)
    done = labctl(
        "compare", lab, "--with", str(production.directory / "inventory.yml"), "--from", "found:nms", "-f", "json",
        cwd=directory,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done, json.loads(done.stdout)


def test_production_is_asked_what_it_routes_by(production, tmp_path):
    """What SSH says of the devices is what their daemons and kernels say; a lab that stays behind then differs."""
    until(lambda: adjacencies("r1") == adjacencies("r2") == 2, "both adjacencies stand", 60)
    done, said = compared(production, tmp_path, "found")
    assert (done.returncode, said["verdict"], said["nodes"]) == (Exit.PASS, "PASS", 3), (
        done.stdout + done.stderr
    )
    assert said["compared"] == said["equal"] == 6
    assert said["own_addresses"] == {"compared": 6, "equal": 6}
    assert (said["sessions"]["compared"], said["sessions"]["equal"]) == (4, 4), "each end of two adjacencies"
    assert (said["unread"], said["only_lab"]) == ([], ["nms"])

    labctl("compare", "found", "--save", "before.yml", cwd=tmp_path)
    vtysh("r2", "interface eth3", "shutdown")
    try:
        done, said = compared(production, tmp_path, "before.yml")
    finally:
        vtysh("r2", "interface eth3", "no shutdown")
    assert done.returncode == Exit.FAIL
    assert {(d["node"], d["prefix"], d["kind"]) for d in said["differences"]} >= {
        ("r2", "10.1.0.0/24", "extra")
    }


def test_a_device_that_does_not_answer_makes_it_unknown(production, tmp_path):
    gone = INVENTORY.replace("172.20.20.13", "172.20.20.99").replace("retries: 1", "retries: 0")
    done, said = compared(production, tmp_path, "found", gone)
    assert (done.returncode, said["verdict"], said["unread"]) == (Exit.UNKNOWN, "UNKNOWN", ["web"])
    assert "warning: web (172.20.20.99): no SSH session" in done.stderr


def adjacencies(node):
    """How many of the node's OSPF neighbours are full."""
    return labctl("exec", node, "--lab", "found", "--", "vtysh", "-c", "show ip ospf neighbor").stdout.count(
        " Full/"
    )


def vtysh(node, *lines):
    words = [word for line in ("configure", *lines) for word in ("-c", line)]
    done = labctl("exec", node, "--lab", "found", "--", "vtysh", *words)
    assert done.returncode == 0, done.stderr


# -- SSH --------------------------------------------------------------------------------------------------------


def login(production, **changes):
    target = production.targets()["r1"]
    (answer,) = ssh.collect([replace(target, ssh=replace(target.ssh, **changes))], inside=production.inside)
    return answer


def host_key(node):
    done = labctl("exec", node, "--lab", "found", "--", "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    return " ".join(done.stdout.split()[:2])


def test_host_keys_are_checked_as_the_inventory_says(production, tmp_path):
    known = tmp_path / "known_hosts"
    known.write_text(f"172.20.20.11 {host_key('r1')}\n")
    answer = login(production, known_hosts=str(known))
    assert answer.error is None
    assert "hostname r1" in answer.texts["frr.conf"]

    known.write_text(f"172.20.20.11 {host_key('r2')}\n")
    answer = login(production, known_hosts=str(known))
    assert answer.texts == {}
    assert answer.error.message == "r1 (172.20.20.11): its host key is not the one in known_hosts"

    known.write_text("")
    answer = login(production, known_hosts=str(known))
    assert answer.error.code == "device-refused"
    assert "is not in known_hosts" in answer.error.message
    assert login(production, known_hosts="ignore").error is None


def test_a_refused_login_and_a_closed_port(production, tmp_path):
    other = tmp_path / "other"
    paramiko.RSAKey.generate(2048).write_private_key_file(str(other))
    answer = login(production, key_file=str(other))
    assert (answer.error.code, answer.texts) == ("device-refused", {})
    assert login(production, port=2).error.code == "device-unreachable"
    other.write_text("this is no key")
    assert login(production, key_file=str(other)).error.code == "bad-value"
