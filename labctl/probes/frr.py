"""What FRR's daemons say: adjacencies, routes, hello timers.

Daemons are asked through their own vty sockets, opened below the node's root: 0.3 ms a question, where a
`vtysh` through a container's exec costs fifty, which is what makes "every node, every second" possible at a hundred
nodes on two cores. Where the root is not reachable (a remote engine) `ShellDaemons` asks through `exec`.

Answers become values of `model.routes`; a daemon that does not answer gives None, never an empty answer.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from labctl.linux import rooted
from labctl.model.routes import Adjacency, Route
from labctl.schema.frr_answers import parse_bgp_summary, parse_ospf_neighbors, parse_routes

RUN_DIRS = ("/run/frr", "/var/run/frr")
_END = 4  # an answer ends with three NUL bytes and the command's status


class Daemons(Protocol):
    """Something that can put one command to one daemon of one node."""

    def ask(self, daemon: str, command: str) -> str | None:
        """The daemon's answer, or None when it does not run or did not answer."""
        ...

    def runs(self, daemon: str) -> bool:
        """Whether there is a process to answer: one that hangs is there, and its sessions may live."""
        ...


class VtySockets:
    """Through the unix sockets below a root (`/proc/<pid>/root`, an overlay) or a directory of sockets."""

    def __init__(
        self, root: str = "/", *, directories: Sequence[str] = RUN_DIRS, timeout_s: float = 2.0
    ) -> None:
        self._root = root
        self._directories = tuple(directories)
        self._timeout_s = timeout_s

    def ask(self, daemon: str, command: str) -> str | None:
        for directory in self._directories:
            try:
                fd = rooted.open_in(self._root, f"{directory}/{daemon}.vty", os.O_PATH)
            except OSError:
                continue
            try:
                return self._talk(fd, command)
            except TimeoutError:  # it is there and hangs; another name of its socket would wait once more
                return None
            except OSError:  # refused: a socket that a dead daemon left behind
                continue
            finally:
                os.close(fd)
        return None

    def runs(self, daemon: str) -> bool:
        for directory in self._directories:
            try:
                fd = rooted.open_in(self._root, f"{directory}/{daemon}.vty", os.O_PATH)
            except OSError:
                continue
            try:
                if _listens(fd):
                    return True
            finally:
                os.close(fd)
        return False

    def _talk(self, fd: int, command: str) -> str | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(self._timeout_s)
            sock.connect(f"/proc/self/fd/{fd}")
            if _command(sock, "enable") is None:
                return None
            return _command(sock, command)


def _listens(fd: int) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(f"/proc/self/fd/{fd}")
        except BlockingIOError:  # nobody takes the connections that wait already
            return True
        except OSError:
            return False
    return True


def _command(sock: socket.socket, command: str) -> str | None:
    sock.sendall(command.encode() + b"\0")
    answer = bytearray()
    while len(answer) < _END or answer[-_END:-1] != b"\0\0\0":
        data = sock.recv(1 << 16)
        if not data:
            return None
        answer += data
    return said(answer[:-_END].decode(errors="replace"), answer[-1])


def said(text: str, status: int) -> str | None:
    """What a daemon's answer comes to; None for an error. A bgpd without an instance warns, and says that there is
    nothing: that is an answer.
    """
    return text if status == 0 or text.strip() == "{}" else None


class ShellDaemons:
    """Through `vtysh` inside the node. `run` executes an argument vector there: (exit status, stdout)."""

    def __init__(self, run: Callable[[Sequence[str]], tuple[int, str]]) -> None:
        self._run = run

    def ask(self, daemon: str, command: str) -> str | None:
        code, out = self._run(["vtysh", "-d", daemon, "-c", command])
        return out if code == 0 else None

    def runs(self, daemon: str) -> bool:
        return self._run(["pidof", daemon])[0] == 0


def enabled(root: str) -> frozenset[str] | None:
    """The daemons that `/etc/frr/daemons` starts besides zebra; None where the node is no FRR node.

    Without an frr.conf our images start no FRR, although the package leaves its `daemons` file there.
    """
    try:
        rooted.read_text(root, "/etc/frr/frr.conf")
        text = rooted.read_text(root, "/etc/frr/daemons")
    except OSError:
        return None
    return parse_enabled(text)


def parse_enabled(text: str) -> frozenset[str]:
    on = set()
    for line in text.splitlines():
        key, _, value = line.partition("#")[0].partition("=")
        if key.strip().endswith("d") and value.strip().strip("\"'") in ("yes", "true"):
            on.add(key.strip())
    return frozenset(on)


def adjacencies(node: str, daemons: Daemons, which: Iterable[str]) -> dict[str, tuple[Adjacency, ...] | None]:
    """daemon -> its sessions, for those of `which` that have any; None for one that does not answer."""
    found: dict[str, tuple[Adjacency, ...] | None] = {}
    for daemon in which:
        if daemon in _SESSIONS:
            command, parse = _SESSIONS[daemon]
            found[daemon] = _parsed(daemons.ask(daemon, command), partial(parse, node))
        elif daemon == "zebra":
            found[daemon] = None if daemons.ask(daemon, "show zebra client summary") is None else ()
    return found


def ospf_timers(daemons: Daemons, which: Iterable[str]) -> tuple[float, int]:
    """The longest hello interval (seconds) in use, and how much is still to be done: interfaces that wait for a DR
    election, and a computation of routes that is put off.
    """
    hello, waiting = 0.0, 0
    for daemon, command in (
        ("ospfd", "show ip ospf interface json"),
        ("ospf6d", "show ipv6 ospf6 interface json"),
    ):
        if daemon in which:
            longest, count = _parsed(daemons.ask(daemon, command), parse_ospf_interfaces) or (0.0, 0)
            hello, waiting = max(hello, longest), waiting + count
    if "ospfd" in which:
        waiting += _parsed(daemons.ask("ospfd", "show ip ospf json"), _computations) or 0
    return hello, waiting


def _computations(said: Mapping[str, Any]) -> int:
    """`show ip ospf json`: how many computations are due."""
    return int("spfTimerDueInMsecs" in said)


def bgp_interval(daemons: Daemons) -> float:
    """The longest time (seconds) that BGP keeps news back from a peer that is up; 0 without one, or without an answer."""
    return _parsed(daemons.ask("bgpd", "show bgp vrf all neighbors json"), parse_bgp_interval) or 0.0


def parse_bgp_interval(said: Mapping[str, Any]) -> float:
    """`show bgp vrf all neighbors json`: VRF -> peer -> settings."""
    peers = (peer for vrf in said.values() if isinstance(vrf, dict) for peer in vrf.values())
    up = (p for p in peers if isinstance(p, dict) and p.get("bgpState") == "Established")
    return max((p.get("minBtwnAdvertisementRunsTimerMsecs", 0) / 1000 for p in up), default=0.0)


def routes(daemons: Daemons) -> tuple[Route, ...] | None:
    """zebra's routes of both families, unselected ones included; None when zebra does not answer."""
    four = _parsed(daemons.ask("zebra", "show ip route json"), parse_routes)
    six = _parsed(daemons.ask("zebra", "show ipv6 route json"), parse_routes)
    return None if four is None or six is None else four + six


def version(daemons: Daemons) -> str | None:
    """Name and number, like `FRRouting 8.4.4`."""
    said = daemons.ask("zebra", "show version")
    return None if said is None else " ".join(said.split()[:2])


def _parsed(text: str | None, parse: Callable[[Any], Any]) -> Any:
    """A JSON answer parsed; None for no answer. "% BGP instance not found" and the like mean an empty one."""
    if text is None:
        return None
    start = text.find("{")
    return parse(json.loads(text[start:]) if start >= 0 else {})


def parse_ospf6_neighbors(node: str, said: Mapping[str, Any]) -> tuple[Adjacency, ...]:
    """`show ipv6 ospf6 neighbor json`: a flat list."""
    found = []
    for entry in said.get("neighbors", []):
        state = str(entry.get("state", ""))
        found.append(
            Adjacency(
                kind="ospf6",
                node=node,
                peer=str(entry.get("neighborId", "")),
                interface=str(entry.get("interfaceName", "")),
                state=state,
                up=state in ("Full", "Twoway"),
            )
        )
    return tuple(sorted(found))


def parse_ospf_interfaces(said: Mapping[str, Any]) -> tuple[float, int]:
    """`show ip ospf interface json`: (longest hello of the interfaces that send any, how many wait for a DR)."""
    hello, waiting = 0.0, 0
    for entry in said.get("interfaces", said).values():
        if not isinstance(entry, dict) or not _sends_hellos(entry):
            continue
        milliseconds = entry.get("timerMsecs")
        seconds = entry.get("timerIntervalsConfigHello") or (milliseconds / 1000 if milliseconds else 0)
        hello = max(hello, float(seconds))
        waiting += str(entry.get("state") or entry.get("ospf6InterfaceState")).startswith("Waiting")
    return hello, waiting


def _sends_hellos(entry: Mapping[str, Any]) -> bool:
    state = str(entry.get("state") or entry.get("ospf6InterfaceState"))
    return (
        state not in ("Loopback", "Down")
        and not entry.get("timerPassiveIface")
        and entry.get("ospfEnabled", True)
    )


_SESSIONS: Mapping[str, tuple[str, Callable[[str, Mapping[str, Any]], tuple[Adjacency, ...]]]] = {
    "ospfd": ("show ip ospf neighbor json", parse_ospf_neighbors),
    "ospf6d": ("show ipv6 ospf6 neighbor json", parse_ospf6_neighbors),
    "bgpd": ("show bgp summary json", parse_bgp_summary),
}
