"""The one packet that a lab can make the machine send, and the rule that stops it.

When a route inside a node is replaced while a packet waits for ARP, the kernel moves the packet's route to its blackhole
device, which belongs to the *first* network namespace. If ARP then fails, the ICMP "host unreachable", with the packet
quoted in it, is sent from there: by the machine, along the machine's routes, to the packet's source. In a shadow that is
an address of production. Nothing inside a node prevents it without taking real answers from the lab as well.

So each lab has a table in that namespace, `labctl-<tag>-<lab>`, which drops exactly this error towards exactly the lab's
addresses, counts it, and never looks at loopback. It is there before the first node is: with the addresses that are
known from the lab's files; the agent adds those that appear (an event means "dump"; lost events too). An address stays in
the set when it leaves its node, because its packet may still wait. If somebody flushes the machine's filter, the agent
puts the table back.

`guard.nft` in the lab's directory, written before the table, says that there may be one; `remove` needs nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import select
import sys
from collections.abc import Collection, Iterable, Iterator

from labctl.errors import LabctlError
from labctl.linux import netns, nft
from labctl.linux.events import Changes
from labctl.linux.netlink import Netlink
from labctl.linux.proc import CommandFailed
from labctl.linux.trial import reason
from labctl.model.event import Emit, Event, ignore
from labctl.model.lab import MACHINE, LabSpec, NodeKind
from labctl.runtime.store import LabDir

COUNTER = "kept"
FIX = "`labctl doctor` names the fix"
_CHAIN = "output"
_SETS = {4: "ipv4", 6: "ipv6"}
_RULES = (
    'oifname "lo" accept',
    f"icmp type destination-unreachable icmp code host-unreachable ip daddr @ipv4 counter name {COUNTER} drop",
    f"icmpv6 type destination-unreachable icmpv6 code addr-unreachable ip6 daddr @ipv6 counter name {COUNTER} drop",
)
_FRR_ADDRESS = re.compile(r"^\s*ip(?:v6)? address ([0-9a-fA-F.:]+)(?:/\d+)?\b", re.MULTILINE)
_CONFIGURATION = "frr.conf"
#: Inode of the first pid namespace, the same on every kernel since 3.8.
_FIRST_PIDNS = 0xEFFFFFFC


def table_name(place: LabDir) -> str:
    return f"labctl-{place.instance.tag}-{place.name}"


def marker(place: LabDir) -> str:
    return os.path.join(place.path, "guard.nft")


# -- where, and what ---------------------------------------------------------------------------------------------


def first_netns() -> str | None:
    """The kernel's first network namespace: a path, or None where it is the caller's own (or none can be reached)."""
    first = "/proc/1/ns/net"
    try:
        return None if os.stat(first).st_ino == netns.inode() or in_container() else first
    except OSError:
        return None


def in_container() -> bool:
    """Whether process 1 is somebody else than the machine's own: then its namespaces are not the first ones."""
    return os.stat("/proc/self/ns/pid").st_ino != _FIRST_PIDNS


def known(lab: LabSpec) -> set[str]:
    """The addresses that the lab's files say its nodes will have."""
    return usable(_written(lab))


def _written(lab: LabSpec) -> set[str]:
    """The same as the files have them."""
    found: list[str | None] = []
    for node in lab.nodes:
        found += [node.mgmt_ipv4, node.mgmt_ipv6]
        for bind in node.binds:
            if os.path.basename(bind.target) == _CONFIGURATION:
                with (
                    contextlib.suppress(OSError),
                    open(bind.source, encoding="utf-8", errors="replace") as file,
                ):
                    found += _FRR_ADDRESS.findall(file.read())
    found += [address for cable in lab.cables for end in cable.ends for address in (end.ipv4, end.ipv6)]
    return {address for address in found if address}


def usable(addresses: Iterable[str]) -> set[str]:
    """Those that a packet could be sent to beyond the machine; without prefix length, as the kernel writes them."""
    return {found for text in addresses if (found := _usable(text))}


@functools.lru_cache(1 << 14)  # the agent sees the same addresses at every change of the lab
def _usable(text: str) -> str:
    try:
        address = ipaddress.ip_interface(text).ip
    except ValueError:  # FRR will say so; this is no place to
        return ""
    beyond = not (
        address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    )
    return str(address) if beyond else ""


def script(table: str, addresses: Iterable[str]) -> str:
    """The whole table, in place of the one there is: one transaction."""
    rules = "".join(f"    {rule}\n" for rule in _RULES)
    return (
        f"add table inet {table}\n"
        f"delete table inet {table}\n"
        f"table inet {table} {{\n"
        f"  counter {COUNTER} {{ }}\n"
        "  set ipv4 { type ipv4_addr; }\n"
        "  set ipv6 { type ipv6_addr; }\n"
        f"  chain {_CHAIN} {{\n"
        "    type filter hook output priority raw; policy accept;\n"
        f"{rules}"
        "  }\n"
        "}\n"
    ) + _additions(table, addresses)


def _additions(table: str, addresses: Iterable[str]) -> str:
    by_version: dict[int, list[str]] = {4: [], 6: []}
    for each in sorted(addresses):
        by_version[ipaddress.ip_address(each).version].append(each)
    return "".join(nft.elements(table, _SETS[version], each) for version, each in by_version.items())


# -- deploy and destroy --------------------------------------------------------------------------------------------


def put_up(place: LabDir, lab: LabSpec, held: int, emit: Emit = ignore) -> bool:
    """Make the lab's table, before its nodes. Where that cannot be done the lab runs without, and that is said.

    held: the lab's lock, which nft inherits, so that nobody cleans up under its hands if labctl is killed.
    """
    text = script(table_name(place), known(lab))
    with open(marker(place), "w", encoding="ascii") as file:
        file.write(text)
    try:
        nft.load(text, first_netns(), keep=(held,))
    except (OSError, CommandFailed) as error:
        with contextlib.suppress(OSError, CommandFailed):
            nft.delete(table_name(place), first_netns())  # nft may have been late
        os.unlink(marker(place))
        _warn(
            emit,
            place,
            f"nftables cannot keep the kernel's own errors about it on this machine ({_said(error)})",
        )
        return False
    if in_container():
        _warn(
            emit,
            place,
            "in a container the machine's own network, where the kernel sends errors, is out of reach",
        )
    return True


def extend(place: LabDir, before: LabSpec, lab: LabSpec, held: int) -> None:
    """Add what the files of a changed lab name, before it is there; the agent says what nftables refuses."""
    new = usable(_written(lab) - _written(before))
    if new and os.path.exists(marker(place)) and (new := new - known(before)):
        with contextlib.suppress(OSError, CommandFailed):
            nft.load(_additions(table_name(place), new), first_netns(), keep=(held,))


def remove(place: LabDir) -> None:
    """Remove the lab's table if it may have one; its nodes are gone."""
    if not os.path.exists(marker(place)):
        return
    try:
        nft.delete(table_name(place), first_netns())
    except (OSError, CommandFailed) as error:
        raise LabctlError(
            "tool-missing",
            f"the packet filter of lab {place.name!r} cannot be removed: {_said(error)}",
            hint=f"{FIX}; then `labctl heal` removes it",
        ) from error
    os.unlink(marker(place))


def _warn(emit: Emit, place: LabDir, text: str) -> None:
    emit(Event(kind="warning", text=f"warning: lab {place.name}: {text}; {FIX}", subject=place.name))


def _said(error: OSError | CommandFailed) -> str:
    return "nft is not installed" if isinstance(error, FileNotFoundError) else reason(error)


def trial() -> str:
    """For doctor: the very table, in a namespace of its own."""
    nft.load(script("trial", {"192.0.2.1", "2001:db8::1"}))
    table = nft.read("trial")
    if table is None or not _whole(table, {"192.0.2.1", "2001:db8::1"}):
        raise OSError("the table is not what was asked for")
    if in_container():
        raise OSError("this is a container: the machine's own network is out of reach")
    return f"an inet table with {len(_RULES)} rules"


def _whole(table: nft.Table, wanted: set[str]) -> bool:
    return (
        table.hooks.get(_CHAIN) == "output"
        and table.rules.get(_CHAIN) == len(_RULES)
        and wanted <= _members(table)
    )


def _members(table: nft.Table) -> set[str]:
    return set().union(*table.sets.values())


# -- the agent -----------------------------------------------------------------------------------------------------


class Guarded:
    """Keeps the set of one lab's table in step with the addresses inside its nodes.

    `fileno` becomes readable when `refresh` has something to do. A lab that was deployed without a table has none, and
    then nothing is watched. What nftables refuses is in `wrong`, and is tried again at the next look.
    """

    def __init__(self, place: LabDir) -> None:
        self.wrong = ""
        self._place = place
        self._table = table_name(place)
        self._netns = first_netns()
        self._epoll = select.epoll()
        self._nodes: dict[str, tuple[int, Changes]] = {}  # path -> inode, events
        self._filter: Changes | None = None
        self._wanted: set[str] = set()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def off_base(self) -> dict[str, str]:
        """In the agent's words: what is not as it should be, and why."""
        return {"the machine's packet filter": self.wrong} if self.wrong else {}

    def close(self) -> None:
        for _, events in self._nodes.values():
            events.close()
        self._nodes.clear()
        if self._filter is not None:
            self._filter.close()
            self._filter = None
        self._epoll.close()

    def watch(self, lab: LabSpec, only: Collection[str] | None = None) -> None:
        """Watch the namespaces that are there now, and look at everything; only: inside these nodes."""
        if not os.path.exists(marker(self._place)):
            return
        if self._filter is None:
            self._filter = nft.changes(self._netns)
            self._epoll.register(self._filter.fileno(), select.EPOLLIN)
        paths = {self._place.node_ns(node.name) for node in lab.nodes if node.kind is NodeKind.LINUX}
        there = {path: netns.inode(path) for path in paths if netns.exists(path)}
        pinned = self._place.node_ns(MACHINE)
        machine = netns.inode(pinned) if netns.exists(pinned) else None  # a node may be becoming that
        there = {path: inode for path, inode in there.items() if inode != machine}
        for path in [each for each, (inode, _) in self._nodes.items() if there.get(each) != inode]:
            self._epoll.unregister(self._nodes[path][1].fileno())
            self._nodes.pop(path)[1].close()
        for path, inode in there.items():
            if path not in self._nodes:
                self._nodes[path] = inode, Changes(path)
                self._epoll.register(self._nodes[path][1].fileno(), select.EPOLLIN)
        found = known(lab)
        for path in there if only is None else there.keys() & map(self._place.node_ns, only):
            found |= _inside(path)
        if only is None:
            self._wanted |= found
            self._level()
        else:
            self._add(found)

    def refresh(self) -> None:
        """Something changed: read it again."""
        if self._filter is None:
            return
        found: set[str] = set()
        for path, (_, events) in self._nodes.items():
            if events.drain():
                found |= _inside(path)
        if self._filter.drain(nft.REMOVALS) or self.wrong:
            self._wanted |= found
            self._level()
        else:
            self._add(found)

    def _add(self, found: set[str]) -> None:
        if new := found - self._wanted:
            self._wanted |= new
            self._load(_additions(self._table, new))

    def _level(self) -> None:
        """The table as it must be: what is missing is added, and if anything but addresses is, all of it is made anew."""
        with self._watched():
            table = nft.read(self._table, self._netns)
            if table is not None:
                self._wanted |= _members(table)  # of addresses that an earlier agent saw
            if table is None or not _whole(table, set()):
                nft.load(script(self._table, self._wanted), self._netns)
            elif missing := self._wanted - _members(table):
                nft.load(_additions(self._table, missing), self._netns)

    def _load(self, text: str) -> None:
        with self._watched():
            nft.load(text, self._netns)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (OSError, CommandFailed) as error:
            self.wrong = _said(error)
            print(f"guard of the machine's network: {self.wrong}", file=sys.stderr, flush=True)
        else:
            self.wrong = ""


def _inside(path: str) -> set[str]:
    with contextlib.suppress(OSError), Netlink(path) as node:  # a namespace that ends has no addresses
        return usable(address for _, address in node.addresses())
    return set()
