"""Devices that are no Linux boxes, over SSH: a server on loopback that answers in the words of Cisco IOS or of Arista EOS.

IOS takes one command for each login, EOS as many as there are.
"""

import contextlib
import json
import socket
import threading
from dataclasses import replace

import paramiko
import pytest

from labctl.errors import Span
from labctl.ingest import ssh
from labctl.ingest.inventory import Secret, SshAccess, Target, parse
from labctl.ingest.live import INVENTORY
from labctl.ingest.recorded import live
from labctl.ingest.redact import Redactor
from labctl.ingest.sources import Context
from labctl.model.routes import NextHop

CONFIG = """\
Building configuration...

Current configuration : 312 bytes
!
version 15.7
hostname edge-1
interface GigabitEthernet0/0
 ip address 10.0.0.1 255.255.255.252
end
"""
ROUTES = """\
Codes: L - local

Gateway of last resort is not set

C        10.0.0.0/30 is directly connected, GigabitEthernet0/0
L        10.0.0.1/32 is directly connected, GigabitEthernet0/0
"""
BLUE = """
Routing Table: BLUE
Codes: L - local

Gateway of last resort is 10.9.0.1 to network 0.0.0.0

S*    0.0.0.0/0 [1/0] via 10.9.0.1
C        10.9.0.0/30 is directly connected, GigabitEthernet0/1
"""
ROUTES6 = """\
IPv6 Routing Table - default - 4 entries
Codes: C - Connected, L - Local, S - Static, U - Per-user Static route
       OE1 - OSPF ext 1, OE2 - OSPF ext 2
C   2001:DB8:1::/64 [0/0]
     via GigabitEthernet0/0, directly connected
L   2001:DB8:1::1/128 [0/0]
     via GigabitEthernet0/0, receive
OE2 2001:DB8:2::/64 [110/20]
     via FE80::2, GigabitEthernet0/0
     via FE80::6, GigabitEthernet0/1
L   FF00::/8 [0/0]
     via Null0, receive
"""
IOS = {
    "show version": "Cisco IOS Software, IOSv Software\n",
    "show running-config": CONFIG,
    "show ip route": ROUTES + BLUE,
    "show ip route vrf *": ROUTES + BLUE,
    "show ipv6 route": ROUTES6,
    "show ip ospf neighbor": "",
    "show ip bgp all": "% BGP not active\n",
}
EOS_CONFIG = """\
! Command: show running-config
! device: leaf-1 (vEOS, EOS-4.23.0.1F)
!
hostname leaf-1
!
vrf instance BLUE
!
interface Ethernet1
   no switchport
   ip address 10.0.0.1/31
!
ip routing
!
router bgp 65001
   neighbor 10.0.0.0 remote-as 65002
!
end
"""


def eos_routes(**tables):
    """VRF -> prefix -> (type, [(gateway, interface)])."""
    return json.dumps(
        {
            "vrfs": {
                vrf: {
                    "routes": {
                        prefix: {
                            "routeType": kind,
                            "vias": [{"nexthopAddr": via, "interface": port} for via, port in ways],
                        }
                        for prefix, (kind, ways) in table.items()
                    }
                }
                for vrf, table in tables.items()
            }
        }
    )


#: As EOS itself answers: JSON behind `| json`, an exit status, and words where it does not know a command
EOS = {
    "show version": " vEOS\nArista Networks EOS\nSoftware image version: 4.23.0.1F\n",
    "show running-config": EOS_CONFIG,
    "show ip route vrf all | json": eos_routes(
        default={
            "10.0.0.0/31": ("connected", [("", "Ethernet1")]),
            "10.1.0.0/24": ("eBGP", [("10.0.0.0", "Ethernet1")]),
        },
        BLUE={"10.9.0.0/24": ("connected", [("", "Ethernet9")])},
    ),
    "show ipv6 route vrf all | json": eos_routes(
        default={"2001:db8:2::/64": ("ospfInter", [("fe80::2", "Ethernet1")])}
    ),
    "show ip ospf neighbor | json": json.dumps({"vrfs": {}}),
    "show ip bgp neighbors vrf all | json": json.dumps(
        {
            "vrfs": {
                "default": {
                    "peerList": [
                        {"peerAddress": "10.0.0.0", "state": "Established"},
                        {"peerAddress": "10.0.0.9", "state": "Active"},
                    ]
                },
                "BLUE": {"peerList": [{"peerAddress": "10.9.0.9", "state": "Established"}]},
            }
        }
    ),
}
KEY = paramiko.ECDSAKey.generate()
NEVER_ENDS = "…"
NO_STATUS = 999


def babble(channel):
    """As much as the other side takes, until it hangs up."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while True:
            channel.sendall(b"!" * 32768)


class Router(paramiko.ServerInterface):
    """Takes one password and the commands of `answers`; everything else is an invalid input.

    status: what it ends each command with, if it says so; one that does not takes one command for each login.
    """

    def __init__(self, answers, status):
        self.answers, self.status, self.used = answers, status, False

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == "s3cret" else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        used, self.used = self.used, self.status is None
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED if used else paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        said = self.answers.get(command.decode(), " ^\n% Invalid input detected at '^' marker.\n")
        # paramiko grants the request when this returns; the answer must not come before that
        granted = paramiko.Message()
        granted.add_byte(paramiko.common.cMSG_CHANNEL_SUCCESS)
        granted.add_int(channel.remote_chanid)
        channel.transport._send_user_message(granted)
        if said is NEVER_ENDS:
            threading.Thread(target=babble, args=(channel,), daemon=True).start()
            return True
        channel.sendall(said.replace("\n", "\r\n").encode())
        if self.status == NO_STATUS:
            channel.shutdown_write()  # the end of what it says, and the channel stays open
            return True
        if self.status is not None:
            channel.send_exit_status(self.status)
        channel.close()
        return True


@contextlib.contextmanager
def router(answers=IOS, status=None):
    """Yields (port, the logins so far)."""
    logins = []
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection):
        transport = paramiko.Transport(connection)
        transport.add_server_key(KEY)
        transport.start_server(server=Router(answers, status))
        logins.append(transport)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], logins
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for transport in logins:
            transport.close()


def target(port, **more):
    access = SshAccess(
        user="netops", password=Secret("s3cret"), port=port, known_hosts="ignore", timeout_s=5.0, **more
    )
    return Target(name="box1", address="127.0.0.1", snmp=None, ssh=access, where=Span("inventory.yml"))


def test_a_device_that_hangs_up_behind_each_command_is_asked_again():
    with router() as (port, logins):
        (answer,) = ssh.collect([target(port)])
    assert answer.error is None
    assert (answer.dialect, list(answer.texts)) == ("ios", [ssh.RUNNING_CONFIG])
    assert answer.texts[ssh.RUNNING_CONFIG] == CONFIG
    assert len(logins) > 1


def test_the_inventory_may_say_what_a_device_is():
    with router() as (port, logins):
        (answer,) = ssh.collect([target(port, dialect="ios")])
    assert (answer.dialect, len(logins)) == ("ios", 1)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "neither vtysh nor ip is known"),
        ({"show version": "Cisco IOS Software\n"}, "it does not answer what it is asked"),
        ({"show version": "JUNOS 21\n", "show running-config": "x"}, "neither vtysh nor ip is known"),
    ],
)
def test_a_device_without_an_answer_is_refused_with_its_reason(answers, said):
    with router(answers) as (port, _):
        (answer,) = ssh.collect([target(port)])
    assert answer.error.code == "device-refused"
    assert said in answer.error.message


def test_a_discovery_reads_its_configuration(tmp_path):
    with router() as (port, _):
        file = tmp_path / "inventory.yml"
        file.write_text(
            "devices:\n  box1:\n    address: 127.0.0.1\n"
            f"    ssh: {{user: netops, password: s3cret, port: {port}, known_hosts: ignore, dialect: ios}}\n"
        )
        reading = INVENTORY.read(str(file), Context(redactor=Redactor()))
    assert reading.unread == []
    ((name, config),) = reading.configs
    assert (name, config.hostname, config.dialect) == ("box1", "edge-1", "ios")
    assert str(config.interface("GigabitEthernet0/0").where).startswith("ssh:box1/running-config:")


def test_its_state_is_read_as_recorded_answers_are():
    with router() as (port, _):
        found, unread = live.collect([target(port)], {"box1": "ios"})
    assert unread == []
    said = found["box1"]
    assert said.families == {4, 6}
    assert [(r.prefix, r.protocol) for r in said.routes] == [
        ("10.0.0.0/30", "connected"),
        ("10.0.0.1/32", "local"),
        ("2001:db8:1::/64", "connected"),
        ("2001:db8:1::1/128", "local"),
        ("2001:db8:2::/64", "ospf"),
        ("ff00::/8", "local"),
    ]
    assert said.routes[4].next_hops == {
        NextHop("fe80::2", "GigabitEthernet0/0"),
        NextHop("fe80::6", "GigabitEthernet0/1"),
    }
    assert {vrf: [r.prefix for r in table] for vrf, table in said.vrfs.items()} == {
        "BLUE": ["0.0.0.0/0", "10.9.0.0/30"]
    }
    assert said.sessions == {"ospf": ()}  # asked, and it has none; BGP's neighbours were refused


def test_eos_is_told_by_its_version_and_keeps_its_login():
    with router(EOS, status=0) as (port, logins):
        (answer,) = ssh.collect([target(port)])
    assert answer.error is None
    assert (answer.dialect, answer.texts) == ("eos", {ssh.RUNNING_CONFIG: EOS_CONFIG})
    assert len(logins) == 1


def test_a_discovery_reads_the_configuration_of_eos(tmp_path):
    with router(EOS, status=0) as (port, _):
        file = tmp_path / "inventory.yml"
        file.write_text(
            "devices:\n  box1:\n    address: 127.0.0.1\n"
            f"    ssh: {{user: netops, password: s3cret, port: {port}, known_hosts: ignore}}\n"
        )
        reading = INVENTORY.read(str(file), Context(redactor=Redactor()))
    assert reading.unread == []
    ((name, config),) = reading.configs
    assert (name, config.hostname, config.dialect) == ("box1", "leaf-1", "eos")
    assert config.interface("Ethernet1").ipv4 == ("10.0.0.1/31",)
    assert str(config.interface("Ethernet1").where) == "ssh:box1/running-config:8"
    assert [(n.peer, n.remote_as) for n in config.bgp.neighbors] == [("10.0.0.0", 65002)]


@pytest.mark.parametrize("status", [0, None])
def test_the_state_of_eos_is_read_as_recorded_answers_are(status):
    with router(EOS, status) as (port, _):
        found, unread = live.collect([target(port)], {"box1": "eos"})
    assert unread == []
    said = found["box1"]
    assert said.families == {4, 6}
    assert [(r.prefix, r.protocol, set(r.next_hops)) for r in said.routes] == [
        ("10.0.0.0/31", "connected", {NextHop("", "Ethernet1")}),
        ("10.1.0.0/24", "bgp", {NextHop("10.0.0.0", "Ethernet1")}),
        ("2001:db8:2::/64", "ospf", {NextHop("fe80::2", "Ethernet1")}),
    ]
    assert {vrf: [r.prefix for r in table] for vrf, table in said.vrfs.items()} == {"BLUE": ["10.9.0.0/24"]}
    assert said.sessions["ospf"] == ()
    assert [(a.peer, a.up) for a in said.sessions["bgp"]] == [("10.0.0.0", True), ("10.0.0.9", False)]


def test_what_eos_refuses_is_not_an_empty_table():
    refused = {**EOS, "show ip route vrf all | json": "% Invalid input (at token 4: 'vrf')\n"}
    refused["show ip bgp neighbors vrf all | json"] = "% Authorization denied for command\n"
    with router(refused, status=0) as (port, _):
        found, _unread = live.collect([target(port)], {"box1": "eos"})
    said = found["box1"]
    assert said.families == {6}
    assert [r.prefix for r in said.routes] == ["2001:db8:2::/64"]
    assert said.sessions == {"ospf": ()}


def test_a_device_that_is_gone_is_unread():
    with router() as (port, _):
        pass
    found, (unread,) = live.collect([target(port)], {"box1": "ios"})
    assert (found, unread.error.code) == ({}, "device-unreachable")


def test_a_dialect_that_is_none():
    text = "devices:\n  r1: {address: 192.0.2.1, ssh: {user: a, password: b, dialect: junos}}\n"
    with pytest.raises(Exception, match="dialect 'junos' is not known"):
        parse(text, file="inventory.yml", env={})


def test_an_answer_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(ssh, "MAX_BYTES", 1 << 20)
    with router(IOS | {"show running-config": NEVER_ENDS}, status=0) as (port, _):
        (found,) = ssh.collect([target(port)])
    assert found.texts == {}
    assert found.error.code == "device-unreachable"
    assert "its answer to `show running-config` is longer than 1 MB" in found.error.message


def test_a_device_that_never_says_how_a_command_ended_is_believed():
    with router(EOS, status=NO_STATUS) as (port, _):
        device = target(port, dialect="eos")
        device = replace(device, ssh=replace(device.ssh, timeout_s=0.5))
        (found,) = ssh.collect([device])
    assert found.texts == {"running-config": EOS_CONFIG}
