"""Devices that are no Linux boxes, over SSH: a server on loopback that takes one command for each login, as Cisco IOS does."""

import contextlib
import socket
import threading

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
KEY = paramiko.ECDSAKey.generate()


class Router(paramiko.ServerInterface):
    """Takes one password and the commands of `answers`; everything else is an invalid input."""

    def __init__(self, answers, status):
        self.answers, self.status, self.used = answers, status, False

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == "s3cret" else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        used, self.used = self.used, True
        return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED if used else paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        said = self.answers.get(command.decode(), " ^\n% Invalid input detected at '^' marker.\n")
        # paramiko grants the request when this returns; the answer must not come before that
        granted = paramiko.Message()
        granted.add_byte(paramiko.common.cMSG_CHANNEL_SUCCESS)
        granted.add_int(channel.remote_chanid)
        channel.transport._send_user_message(granted)
        channel.sendall(said.replace("\n", "\r\n").encode())
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


def test_a_device_that_is_gone_is_unread():
    with router() as (port, _):
        pass
    found, (unread,) = live.collect([target(port)], {"box1": "ios"})
    assert (found, unread.error.code) == ({}, "device-unreachable")


def test_a_dialect_that_is_none():
    text = "devices:\n  r1: {address: 192.0.2.1, ssh: {user: a, password: b, dialect: junos}}\n"
    with pytest.raises(Exception, match="dialect 'junos' is not known"):
        parse(text, file="inventory.yml", env={})
