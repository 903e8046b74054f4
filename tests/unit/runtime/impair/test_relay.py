"""The wire's lines come and go while others carry frames."""

import socket
import time

from labctl.runtime.impair.relay import Relay


def closed(*sockets):
    deadline = time.monotonic() + 20
    while any(each.fileno() != -1 for each in sockets):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return True


def test_the_sockets_of_a_line_that_goes_are_closed_beside_the_loop():
    pairs = [socket.socketpair() for _ in range(3)]
    near, far, new = (one for one, _ in pairs)
    relay = Relay()
    line = relay.add("x", near, far)
    relay.replug(line, new)
    assert closed(far)
    assert new.fileno() != -1
    relay.remove("x")
    assert closed(near, new)
    assert relay.lines == {}
    for _, other in pairs:
        other.close()
