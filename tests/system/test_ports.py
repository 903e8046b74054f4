"""Published ports: the machine reaches a node by them, the node reaches nothing, and nothing stays."""

import contextlib
import os
import signal
import socket
import threading
from dataclasses import replace

import pytest
from labs import deployed, line, node, own_instance, request
from rig import until

from labctl.agent import client
from labctl.app import apply, deploy, inspect
from labctl.errors import LabctlError
from labctl.linux import netns, proc
from labctl.model.lab import Published

pytestmark = [pytest.mark.root, pytest.mark.both]


def free(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


TCP, UDP, LATER = free(), free(socket.SOCK_DGRAM), free()


def at(outside, inside, protocol="tcp"):
    return Published(host="127.0.0.1", outside=outside, inside=inside, protocol=protocol)


@pytest.fixture(scope="module")
def here(tmp_path_factory, kind):
    with own_instance(tmp_path_factory.mktemp("state"), kind) as found:
        yield found
    assert not answers(TCP), "the port went with the lab"


@pytest.fixture(scope="module")
def place(here):
    spec = line(node("r1", ports=(at(TCP, 80), at(UDP, 53, "udp"))), node("r2"), name="published")
    with deployed(here, spec) as running, served(running):
        yield running


@contextlib.contextmanager
def served(place):
    """In r1: on port 80 what is said comes back in capitals once it is complete, on UDP port 53 at once."""
    space = place.node_ns("r1")
    with (
        netns.socket_in(space, socket.AF_INET, socket.SOCK_STREAM) as stream,
        netns.socket_in(space, socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        stream.bind(("0.0.0.0", 80))
        stream.listen()
        datagrams.bind(("0.0.0.0", 53))

        def streams():
            with contextlib.suppress(OSError):
                while True:
                    one, _ = stream.accept()
                    with one, one.makefile("rb") as said:
                        one.sendall(said.read().upper())

        def packets():
            with contextlib.suppress(OSError):
                while (got := datagrams.recvfrom(2000))[1]:
                    datagrams.sendto(got[0].upper(), got[1])

        threads = [threading.Thread(target=each, daemon=True) for each in (streams, packets)]
        for each in threads:
            each.start()
        yield
        for each in (stream, datagrams):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def said(port, text):
    """What comes back of a text that is said to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        one.sendall(text)
        one.shutdown(socket.SHUT_WR)
        with one.makefile("rb") as answer:
            return answer.read()


def answers(port):
    try:
        return said(port, b"x") == b"X"
    except OSError:
        return False


def test_what_is_said_to_the_machines_port_is_said_to_the_node(place):
    whole = os.urandom(3 << 20).hex().encode()
    assert said(TCP, whole) == whole.upper()


def test_connections_do_not_wait_for_each_other(place):
    with socket.create_connection(("127.0.0.1", TCP), timeout=20) as silent:
        silent.sendall(b"not the end")
        with socket.create_connection(("127.0.0.1", TCP), timeout=20):
            pass
        silent.shutdown(socket.SHUT_WR)
        assert silent.recv(100) == b"NOT THE END"


def test_datagrams_go_there_and_back_for_each_sender(place):
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for i, each in enumerate(senders):
            each.settimeout(20)
            each.connect(("127.0.0.1", UDP))
            each.send(f"from {i}".encode())
        for i, each in enumerate(senders):
            assert each.recv(100) == f"FROM {i}".encode()


def test_it_is_on_the_loopback_alone_and_the_node_has_no_way_back(place):
    assert listening(TCP) == ["127.0.0.1"]
    with netns.socket_in(place.node_ns("r1"), socket.AF_INET, socket.SOCK_STREAM) as one:
        one.settimeout(2)
        with pytest.raises(OSError, match="refused"):
            one.connect(("127.0.0.1", TCP))  # the node's own loopback, where nobody listens


def listening(port):
    with open("/proc/net/tcp") as file:
        rows = [line.split()[1].split(":") for line in file if line.split()[3] == "0A"]
    return [socket.inet_ntoa(bytes.fromhex(a)[::-1]) for a, p in rows if int(p, 16) == port]


def test_where_nobody_listens_the_connection_ends(place):
    """With the process of the lab that serves it dead as well: another one is there soon."""
    worker = next(pid for pid in os.listdir("/proc") if pid.isdecimal() and serves(pid, place))
    proc.kill(proc.identity(int(worker)), signal.SIGKILL)
    until(lambda: answers(TCP), "another process serves", 30)
    proc.kill(proc.identity(client.ask(place, "status")["pid"]), signal.SIGKILL)
    until(lambda: answers(TCP), "another agent holds the port", 30)


def serves(pid, place):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file, open(f"/proc/{pid}/cgroup") as groups:
            return b"labctl.runtime.publisher" in file.read() and place.agent_cgroup in groups.read()
    except OSError:
        return False


def test_apply_publishes_and_takes_back_and_leaves_the_node_alone(place):
    record = place.need()
    ports = (at(LATER, 80), at(UDP, 53, "udp"))
    nodes = tuple(replace(n, ports=ports) if n.name == "r1" else n for n in record.lab.nodes)
    done = apply.apply_lab(replace(record.lab, nodes=nodes), apply.Request(file=""), place.instance)
    assert [str(step.do) for step in done.plan.steps] == ["change-node"]
    assert answers(LATER)
    assert not answers(TCP)
    apply.apply_lab(record.lab, apply.Request(file=""), place.instance)
    assert answers(TCP)
    assert not answers(LATER)


@contextlib.contextmanager
def somebody_has(port):
    with socket.socket() as other:
        other.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # of earlier connections something may be left
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def test_a_port_that_somebody_has_is_refused_before_anything_is_touched(place, here):
    record = place.need()
    nodes = tuple(replace(n, ports=(at(LATER, 80),)) if n.name == "r1" else n for n in record.lab.nodes)
    with somebody_has(LATER):
        asked = (
            lambda: deploy.deploy_lab(
                line(node("r1", ports=(at(LATER, 80),)), name="second"), request(), here
            ),
            lambda: apply.apply_lab(replace(record.lab, nodes=nodes), apply.Request(file=""), place.instance),
        )
        for each in asked:
            with pytest.raises(LabctlError, match="cannot be published: Address already in use") as caught:
                each()
            assert caught.value.code == "machine-port"
    assert not os.path.exists(here.lab("second").path)
    assert place.need() == record
    assert answers(TCP), "it was published all along"


def test_a_port_that_is_taken_while_the_agent_was_dead_is_told_and_had_again_when_it_is_free(place):
    assert inspect.inspect([place])[0].notes == ()
    with contextlib.ExitStack() as stack:
        proc.kill(proc.identity(client.ask(place, "status")["pid"]), signal.SIGKILL)
        until(lambda: taken(stack), "somebody else was faster than the next agent", 20)
        expected = f"port {at(TCP, 80)} is not published: Address already in use"
        until(lambda: expected in inspect.inspect([place])[0].notes, "inspect tells", 60)
    until(lambda: answers(TCP), "it is published again", 30)
    until(lambda: inspect.inspect([place])[0].notes == (), "nothing to tell", 20)


def taken(stack):
    try:
        stack.enter_context(somebody_has(TCP))
    except OSError:
        return False
    return True
