"""The images at work: real nodes of each, and what they start, say and are."""

import contextlib
import os
import socket

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat
from rig import until

from labctl.app.deploy import Request, deploy
from labctl.app.destroy import destroy
from labctl.app.images import ensure
from labctl.linux import netns
from labctl.runtime.base import RUNTIMES
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

pytestmark = pytest.mark.root

NAMES = ("r1", "r2", "web", "quiet", "watched")
COMMUNITY, AUTH, PRIV = "c0mmunity", "authentication1", "privacy-key-1"
SNMPD = f"""\
master agentx
agentXSocket /var/agentx/master
agentAddress udp:161
rocommunity {COMMUNITY}
createUser monitor SHA-256 "{AUTH}" AES "{PRIV}"
rouser monitor priv
"""
FRR = """\
hostname {name}
interface eth1
 ip address 10.0.0.{number}/24
 ip ospf area 0
 ip ospf network point-to-point
 ip ospf hello-interval 1
exit
router ospf
 ospf router-id 10.0.0.{number}
exit
no such command
"""
LAB = """\
name: images
topology:
  defaults: {kind: linux, image: labctl/prod}
  nodes:
    r1: {binds: [r1.conf:/etc/frr/frr.conf, daemons:/etc/frr/daemons:ro]}
    r2:
      binds:
        - r2.conf:/etc/frr/frr.conf
        - daemons:/etc/frr/daemons:ro
        - snmpd.conf:/etc/snmp/snmpd.conf:ro
        - key.pub:/etc/ssh/authorized_keys/netops:ro
    web: {image: labctl/host, env: {LABCTL_START: nginx}}
    quiet: {env: {LABCTL_START: -lldpd}}
    watched: {image: labctl/frr, binds: [watched:/etc/frr/daemons]}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
    - endpoints: ["web:eth1", "quiet:eth1"]
      ipv4: ["10.1.0.1/24", "10.1.0.2/24"]
"""


class Nodes:
    """The lab, and commands in its nodes."""

    def __init__(self, place, spec, directory):
        self.place = place
        self.directory = directory
        self._spec = spec
        self._runtime = RUNTIMES["runc"](place.instance)

    def __call__(self, node, *argv):
        done = self._runtime.exec(self._spec, node, argv, timeout_s=20)
        return done.stdout if done.code == 0 else f"{done.stdout}{done.stderr}exit {done.code}"

    def running(self, node):
        return set(self(node, "ps", "-e", "-o", "comm=").split()) - {"ps", "sleep", "tini"}

    def log(self, node):
        directory = self.place.node_dir(node)
        with open(os.path.join(directory, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    base = tmp_path_factory.mktemp("images")
    for number, name in enumerate(("r1", "r2"), start=1):
        (base / f"{name}.conf").write_text(FRR.format(name=name, number=number))
    (base / "daemons").write_text("ospfd=yes\n")
    (base / "watched").write_text("bgpd=yes\nwatchfrr_enable=yes\n")
    (base / "snmpd.conf").write_text(SNMPD)
    (base / "snmpd.conf").chmod(0o600)
    key = Ed25519PrivateKey.generate()
    (base / "key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    (base / "key.pub").write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    (base / "images.clab.yml").write_text(LAB)
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("LABCTL_IMAGES", ImageStore(Instance.here()).root)
        instance = Instance.here(str(base / "state"))
        ensure(ImageStore(instance), ["labctl/prod", "labctl/host"])
        stack.callback(lambda: destroy(instance.labs()))
        plan = deploy(Request(file=str(base / "images.clab.yml")), instance)
        nodes = Nodes(instance.lab("images"), plan.lab, base)
        for name in NAMES:
            until(lambda name=name: nodes(name, "cat", "/proc/1/comm") == "tini\n", f"{name} has started")
        yield nodes


def test_what_is_configured_is_started_and_nothing_else(nodes):
    assert nodes.running("r1") == {"zebra", "staticd", "ospfd", "lldpd"}
    assert nodes.running("r2") == {"zebra", "staticd", "ospfd", "lldpd", "snmpd", "sshd"}
    assert nodes.running("web") == {"nginx"}
    assert nodes.running("quiet") == set()
    assert nodes.running("watched") == {"zebra", "staticd", "bgpd", "watchfrr"}


def test_process_1_reaps(nodes):
    assert nodes("r1", "cat", "/proc/1/comm") == "tini\n"
    nodes("r1", "sh", "-c", "(sleep 0.1 &) ; sleep 0.3")
    assert "defunct" not in nodes("r1", "ps", "-e")


def test_routers_speak_ospf(nodes):
    until(lambda: "Full" in nodes("r1", "vtysh", "-c", "show ip ospf neighbor"), "adjacency", 40)


def test_lines_that_frr_does_not_take_are_on_the_nodes_log(nodes):
    assert "Unknown command" in nodes.log("r1")
    assert "no such command" in nodes.log("r1")
    assert "no such" not in nodes("r1", "vtysh", "-c", "show running-config")


def test_daemons_listen_on_loopback_only(nodes):
    listening = nodes("r1", "ss", "-Hltn").split("\n")
    assert {line.split()[3].rpartition(":")[0] for line in listening if line} == {"127.0.0.1"}


def test_one_image_is_not_one_machine(nodes):
    ids = {nodes(name, "cat", "/etc/machine-id") for name in ("r1", "r2", "web")}
    assert len(ids) == 3
    assert all(len(each) == 33 for each in ids)
    prod = ImageStore(nodes.place.instance).resolve("labctl/prod")
    etc = os.path.join(prod.rootfs, "etc")
    assert not os.path.exists(os.path.join(etc, "machine-id"))
    assert not [name for name in os.listdir(os.path.join(etc, "ssh")) if name.startswith("ssh_host_")]
    assert not os.path.exists(os.path.join(etc, "snmp", "snmpd.conf"))


def test_neighbours_are_in_the_lldp_mib_by_v2c_and_by_v3(nodes):
    remote_name = "1.0.8802.1.1.2.1.4.1.1.9"
    v2c = ("-v2c", "-c", COMMUNITY)
    v3 = ("-v3", "-l", "authPriv", "-u", "monitor", "-a", "SHA-256", "-A", AUTH, "-x", "AES", "-X", PRIV)
    until(lambda: '"r1"' in nodes("r2", "snmpwalk", *v2c, "127.0.0.1", remote_name), "LLDP neighbour", 40)
    assert '"r1"' in nodes("r2", "snmpwalk", *v3, "127.0.0.1", remote_name)
    assert '"eth1"' in nodes("r2", "snmpwalk", *v3, "127.0.0.1", "1.3.6.1.2.1.2.2.1.2")
    assert "exit 1" in nodes("r2", "snmpwalk", "-v2c", "-c", "public", "-r0", "-t1", "127.0.0.1", remote_name)


def test_ssh_by_key_reads_the_running_configuration(nodes):
    with (
        netns.socket_in(nodes.place.node_ns("r2"), socket.AF_INET, socket.SOCK_STREAM) as sock,
        paramiko.SSHClient() as client,
    ):
        sock.connect(("127.0.0.1", 22))
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        key = paramiko.Ed25519Key.from_private_key_file(str(nodes.directory / "key"))
        client.connect("r2", username="netops", pkey=key, sock=sock, look_for_keys=False, allow_agent=False)
        _, out, err = client.exec_command("vtysh -c 'show running-config'")
        text, said = out.read().decode(), err.read().decode()
    assert "router ospf" in text
    assert said == ""


def test_the_web_server_answers_the_client(nodes):
    assert nodes("quiet", "curl", "-s", "http://10.1.0.1/") == "labctl web service\n"
