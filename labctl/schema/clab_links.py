"""Links of a lab file: brief or extended, to cables with a MAC for each end.

An end without `mac` gets one derived from the lab, node and interface, so that it is the same at every deploy, and
adding a link changes no other. Addresses on links are honoured for every kind (containerlab ignores them for linux).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from labctl import names
from labctl.errors import Span, did_you_mean
from labctl.faults.base import halves
from labctl.faults.link_degrade import Degrade
from labctl.model.impairment import Impairment
from labctl.model.lab import (
    MACHINE,
    MGMT_NET,
    VXLAN_PORT,
    CableSpec,
    End,
    Macvlan,
    MacvlanMode,
    NodeKind,
    NodeSpec,
    Over,
    Vxlan,
)
from labctl.names import CableId, PortId
from labctl.schema import clab_text, fields
from labctl.schema import faults as fault_settings
from labctl.schema.clab_keys import BRIEF, DUMMY, END, HOST, LINK_TYPES, MACVLAN, VETH, VXLAN, Support
from labctl.schema.clab_read import Checked, Reading, place, said
from labctl.schema.yaml import Map, Scalar, Seq, Value

#: The first part of a brief end that is not a node.
SPECIAL = frozenset({MACHINE, MGMT_NET})
_MACVLAN = "macvlan"
MTU_MIN, MTU_MIN_IPV6, MTU_MAX = 68, 1280, 65535
#: Where the kernel keeps what holds for every interface of a node: /proc/sys/net/ipv4/conf/all.
_FOR_ALL = frozenset({"all", "default"})
_FORMS = {
    "brief": BRIEF,
    "veth": VETH,
    "veth-stitch": VETH,
    "dummy": DUMMY,
    "host": HOST,
    "mgmt-net": HOST,
    "macvlan": MACVLAN,
    "vxlan": VXLAN,
    "vxlan-stitch": VXLAN,
}
#: containerlab has no key for a sub-interface.
OVER_LABEL, VLAN_LABEL = "labctl-over", "labctl-vlan"
#: Nor for what a link is like: each setting of `link.degrade` with this before it.
DEGRADE_LABEL = "labctl-"
VLAN_MIN, VLAN_MAX = 1, 4094
_VNI_MAX, _PORT_MAX = 2**24 - 1, 65535
_SOURCE_PORT_MAX = _PORT_MAX - 1  # the kernel is told the one behind it as well


@dataclass(frozen=True, slots=True)
class _Found:
    """An end as the file has it."""

    port: PortId
    where: Span
    mac: str | None = None
    ipv4: str | None = None
    ipv6: str | None = None
    vars: str = ""


@dataclass(frozen=True, slots=True)
class _Degrade:
    """As the file has it, and what that means."""

    said: Mapping[str, str] = field(default_factory=dict)
    read: Degrade | None = None


class LinkReader:
    def __init__(self, reading: Reading, lab: str, nodes: Mapping[str, NodeSpec]) -> None:
        self._reading = reading
        self._problems = reading.problems
        self._lab = lab
        self._nodes = nodes
        self._used: dict[PortId, Span] = {}
        self._bridge_ports: dict[str, PortId] = {}

    def cables(self, links: Value | None) -> tuple[CableSpec, ...]:
        """All cables in file order."""
        if not isinstance(links, Seq):
            if fields.text(links, "links", self._problems) is not None and links:
                fields.wrong(self._problems, links, "links", "a list")
            return ()
        found = [cable for item in links.items if (cable := self._cable(item))]
        macs = names.derived_macs(self._lab, (end.port for cable in found for end in cable.ends))
        cables = tuple(_with_macs(cable, macs) for cable in found)
        self._check_over(cables)
        return tuple(
            _with_mac_below(cable, cables) if cable.over and not said.a.mac else cable
            for cable, said in zip(cables, found, strict=True)
        )

    def _cable(self, item: Value) -> CableSpec | None:
        kind = self._type(item)
        if kind is None:
            return None
        link = self._reading.keys(item, _FORMS[kind], "link")
        ends = self._ends(kind, link, item)
        macvlan = self._macvlan(link, item) if kind == "macvlan" else None
        vxlan = self._vxlan(link, item) if _FORMS[kind] is VXLAN else None
        mtu = self._mtu(link)
        if kind == "brief" and all(ends):
            ends, macvlan = self._way_out(ends)
        if not ends or any(end is None for end in ends):
            return None
        for end in ends:
            self._check(end)
        if all(end and self._on_the_machine(end.port) for end in ends):
            self._problems.add(
                "unsupported",
                "a link of the machine with itself is no link of a lab",
                where=item.span,
                hint="one end is a node of kind linux or bridge",
            )
        if mtu is not None and mtu < MTU_MIN_IPV6 and any(end and end.ipv6 for end in ends):
            self._problems.add(
                "bad-value",
                f"an interface with MTU {mtu} takes no IPv6 address",
                where=link["mtu"].value.span,
                hint=f"at least {MTU_MIN_IPV6}",
            )
        a, *z = (_end_of(end) for end in ends if end)
        labels = (
            dict(fields.text_map(link["labels"].value, "labels", self._problems)) if "labels" in link else {}
        )
        where = place(link, "labels", item.span)
        over = self._over(kind, labels, where)
        degrade = self._degrade(kind, labels, link["labels"].value if "labels" in link else None)
        cable = CableSpec(
            a=a,
            z=z[0] if z else None,
            mtu=mtu or 9500,
            labels=labels,
            vars=self._vars(link),
            macvlan=macvlan,
            vxlan=vxlan,
            over=over,
            degrade=degrade.said,
            where=item.span,
        )
        return replace(cable, impaired=self._impaired(cable.id, degrade.read))

    # -- what a link is like -----------------------------------------------------------------------------------

    def _degrade(self, kind: str, labels: dict[str, str], given: Value | None) -> _Degrade:
        """What the labels of a link say that it is like when nothing is broken; they are taken out."""
        written = given if isinstance(given, Map) else ()
        entries = [each for each in written if each.key.startswith(DEGRADE_LABEL) and each.key in labels]
        if not entries:
            return _Degrade()
        said = {entry.key.removeprefix(DEGRADE_LABEL): labels.pop(entry.key) for entry in entries}
        if kind == "dummy":
            self._problems.add(
                "bad-value",
                f"label {entries[0].key} is for links with two ends: nobody receives at the end of this one",
                where=entries[0].span,
                hint="a sub-interface's frames cross the cable of the port below it",
            )
            return _Degrade()
        settings = [replace(entry, key=entry.key.removeprefix(DEGRADE_LABEL)) for entry in entries]
        whole = Map({entry.key: entry for entry in settings}, entries[0].span)
        read = fault_settings.read(Degrade, whole, self._problems, also=[OVER_LABEL, VLAN_LABEL])
        return _Degrade(said, read) if isinstance(read, Degrade) else _Degrade()

    def _impaired(self, cable: CableId, read: Degrade | None) -> dict[str, Impairment]:
        """By direction; the same draws at every deploy."""
        if read is None:
            return {}
        return {
            half.direction.value: read.impairment(zlib.crc32(f"{self._lab} {half}".encode()))
            for half in halves([cable], read.direction)
        }

    # -- sub-interfaces ----------------------------------------------------------------------------------------

    def _over(self, kind: str, labels: dict[str, str], where: Span) -> Over | None:
        """What the labels of a link say that its interface stands on; they are taken out."""
        port, tag = labels.pop(OVER_LABEL, None), labels.pop(VLAN_LABEL, None)
        if port is None and tag is None:
            return None
        if port is None or tag is None:
            missing = OVER_LABEL if port is None else VLAN_LABEL
            self._problems.add(
                "missing-key",
                f"a sub-interface needs the labels {OVER_LABEL} and {VLAN_LABEL}; there is no {missing}",
                where=where,
                hint="`labctl-over: eth1` and `labctl-vlan: 10` for tag 10 on eth1",
            )
        elif kind != "dummy":
            self._problems.add(
                "bad-value",
                f"label {OVER_LABEL} is for links of type dummy: a sub-interface has no cable of its own",
                where=where,
                hint="`type: dummy` with `endpoint:` for the sub-interface, beside the link of the port below it",
            )
        elif not re.fullmatch(r"[0-9]{1,4}", tag) or not VLAN_MIN <= int(tag) <= VLAN_MAX:
            self._problems.add(
                "bad-value",
                f"label {VLAN_LABEL} is not a VLAN: {fields.shorten(tag)!r}",
                where=where,
                hint=f"a number from {VLAN_MIN} to {VLAN_MAX}",
            )
        else:
            return Over(port=port, vlan=int(tag))
        return None

    def _check_over(self, cables: tuple[CableSpec, ...]) -> None:
        """What sub-interfaces stand on is there, and no two have one tag on it."""
        cabled = {end.port: cable for cable in cables for end in cable.ends}
        taken: dict[tuple[PortId, int], PortId] = {}
        for cable in cables:
            if not cable.over or not cable.below:
                continue
            port, under = cable.a.port, cabled.get(cable.below)
            node = self._nodes.get(port.node)
            first = taken.setdefault((cable.below, cable.over.vlan), port)
            if node and node.kind is not NodeKind.LINUX:
                self._problems.add(
                    "bad-value",
                    f"{port.node!r} is of kind {node.kind}, which has no sub-interfaces",
                    where=cable.where,
                    hint="a bridge carries frames with any tag as they are",
                )
            elif under is None or under.over is not None:
                mine = [p.interface for p, c in cabled.items() if p.node == port.node and c.z]
                self._problems.add(
                    "bad-value",
                    f"{port} stands on {cable.over.port!r}, which is no interface of {port.node!r} with a link of its own",
                    where=cable.where,
                    hint=did_you_mean(cable.over.port, mine),
                )
            elif first != port:
                self._problems.add(
                    "bad-value",
                    f"{port} and {first} have the same tag {cable.over.vlan} on {cable.over.port}",
                    where=cable.where,
                    hint="frames with a tag belong to one sub-interface",
                )

    def _ends(self, kind: str, link: Checked, item: Value) -> list[_Found | None]:
        if _FORMS[kind] in (BRIEF, VETH):
            if "endpoints" not in link:
                return self._no_ends(item, "endpoints")
            if kind == "brief":
                return self._brief(link)
            return self._pair(link["endpoints"].value, "a map with `node` and `interface`")
        if "endpoint" not in link:
            return self._no_ends(item, "endpoint")
        ends = [self._end(link["endpoint"].value)]
        if _FORMS[kind] is HOST:
            name = self._needed(link, item, "host-interface")
            port = PortId(MACHINE if kind == "host" else MGMT_NET, name or "")
            ends.append(_Found(port, link["host-interface"].value.span) if name else None)
        return ends

    # -- ways out ----------------------------------------------------------------------------------------------

    def _on_the_machine(self, port: PortId) -> bool:
        node = self._nodes.get(port.node)
        return port.node in SPECIAL or (node is not None and node.kind is NodeKind.HOST)

    def _way_out(self, ends: list[_Found | None]) -> tuple[list[_Found | None], Macvlan | None]:
        """Of a brief link with an end `macvlan:PARENT` the other end, and the way out."""
        out = [end for end in ends if end and end.port.node == _MACVLAN]
        if not out:
            return ends, None
        inside = [end for end in ends if end not in out]
        if not inside:
            self._problems.add(
                "bad-value", "a link has at most one end `macvlan:`", where=out[0].where, hint="use a node"
            )
            return [], None
        if out[0].ipv4 or out[0].ipv6:
            self._problems.add(
                "bad-value",
                f"{out[0].port} is no interface that could have an address",
                where=out[0].where,
                hint='skip its side with `""`',
            )
        self._check_name(out[0].port.interface, out[0].where)
        return inside, Macvlan(parent=out[0].port.interface)

    def _macvlan(self, link: Checked, item: Value) -> Macvlan | None:
        parent = self._needed(link, item, "host-interface")
        mode = said(link, "mode") or MacvlanMode.BRIDGE
        if mode == "source":
            self._problems.add(
                "unsupported",
                "labctl does not emulate macvlan mode 'source'",
                where=link["mode"].value.span,
                hint="a list of MACs belongs to it, for which the format has no key",
            )
        elif mode not in list(MacvlanMode):
            self._problems.add(
                "bad-value",
                f"there is no macvlan mode {mode!r}",
                where=link["mode"].value.span,
                hint=did_you_mean(mode, list(MacvlanMode)),
            )
        elif parent:
            self._check_name(parent, link["host-interface"].value.span)
            return Macvlan(parent=parent, mode=MacvlanMode(mode))
        return None

    def _vxlan(self, link: Checked, item: Value) -> Vxlan | None:
        remote = self._needed(link, item, "remote")
        if remote:
            where = link["remote"].value.span
            version = 6 if ":" in remote else 4
            remote = fields.address(
                remote, where, self._problems, version=version, prefix=False, key="remote"
            )
        self._needed(link, item, "vni")
        vni = self._whole(link, "vni", _VNI_MAX)
        parent = said(link, "parent-interface")
        if parent:
            self._check_name(parent, link["parent-interface"].value.span)
        dst_port = self._whole(link, "dst-port", _PORT_MAX) or VXLAN_PORT
        src_port = self._whole(link, "src-port", _SOURCE_PORT_MAX)
        if not remote or not vni:
            return None
        return Vxlan(remote=remote, vni=vni, dst_port=dst_port, src_port=src_port, parent=parent)

    def _needed(self, link: Checked, item: Value, key: str) -> str | None:
        text = said(link, key)
        if text is None:
            self._problems.add("missing-key", f"the link has no `{key}`", where=item.span)
        return text

    def _whole(self, link: Checked, key: str, most: int) -> int | None:
        value = link[key].value if key in link else None
        return fields.integer(value, key, self._problems, low=1, high=most)

    # -- ends --------------------------------------------------------------------------------------------------

    def _type(self, item: Value) -> str | None:
        if not isinstance(item, Map):
            fields.wrong(
                self._problems,
                item,
                "each link",
                "a map",
                'write it like `endpoints: ["r1:eth1", "r2:eth1"]`',
            )
            return None
        value = item.get("type")
        kind = fields.text(value, "type", self._problems) or "brief"
        where = value.span if value else item.span
        if kind not in LINK_TYPES:
            self._problems.add(
                "bad-value",
                f"there is no link type {kind!r}",
                where=where,
                hint=did_you_mean(kind, LINK_TYPES),
            )
            return None
        if LINK_TYPES[kind].support is Support.REFUSED:
            self._unsupported(f"links of type {kind!r}", where)
            return None
        return kind

    def _unsupported(self, what: str, where: Span) -> None:
        self._problems.add(
            "unsupported",
            f"labctl does not emulate {what} yet",
            where=where,
            hint="a cable between two nodes, or `type: dummy` for a stub",
        )

    def _no_ends(self, item: Value, key: str) -> list[_Found | None]:
        self._problems.add("missing-key", f"the link has no `{key}`", where=item.span)
        return []

    def _pair(self, value: Value, form: str) -> list[_Found | None]:
        if not isinstance(value, Seq) or len(value.items) != 2:
            self._problems.add(
                "bad-value", "a link has exactly two endpoints", where=value.span, hint=f"each is {form}"
            )
            return []
        return [self._end(item) for item in value.items]

    def _brief(self, link: Checked) -> list[_Found | None]:
        ends = self._pair(link["endpoints"].value, 'text like `"r1:eth1"`')
        if not ends:
            return ends
        ipv4, ipv6 = self._both(link, "ipv4", 4), self._both(link, "ipv6", 6)
        return [end and replace(end, ipv4=v4, ipv6=v6) for end, v4, v6 in zip(ends, ipv4, ipv6, strict=True)]

    def _both(self, link: Checked, key: str, version: int) -> list[str | None]:
        """`[a, b]`, in the order of the endpoints; an empty text skips a side."""
        if key not in link:
            return [None, None]
        value = link[key].value
        items = value.items if isinstance(value, Seq) else ()
        if not (isinstance(value, Seq) or (isinstance(value, Scalar) and value.is_null)):
            fields.wrong(self._problems, value, key, "a list of one address for each end", "write `[a, b]`")
        if len(items) > 2:
            self._problems.add("bad-value", f"{key} has more than two addresses", where=value.span)
        found = [self._address(item, key, version) for item in items[:2]]
        return [*found, None, None][:2]

    def _address(self, value: Value, key: str, version: int) -> str | None:
        text = fields.text(value, key, self._problems)
        if not text:
            return None
        return fields.address(text, value.span, self._problems, version=version, prefix=True, key=key)

    def _end(self, item: Value) -> _Found | None:
        if isinstance(item, Map):
            return self._long_end(item)
        text = item.text if isinstance(item, Scalar) else ""
        node, colon, interface = text.partition(":")
        if not colon or not node or not interface:
            fields.wrong(
                self._problems, item, "each endpoint", "a node and an interface", "write it like `r1:eth1`"
            )
            return None
        return _Found(PortId(node, interface), item.span)

    def _long_end(self, item: Map) -> _Found | None:
        end = self._reading.keys(item, END, "endpoint")
        node, interface = said(end, "node"), said(end, "interface")
        if not node or not interface:
            missing = "node" if not node else "interface"
            self._problems.add("missing-key", f"the endpoint has no `{missing}`", where=item.span)
            return None
        text = said(end, "mac")
        mac = fields.mac(text, end["mac"].value.span, self._problems) if text else None
        ipv4 = self._address(end["ipv4"].value, "ipv4", 4) if "ipv4" in end else None
        ipv6 = self._address(end["ipv6"].value, "ipv6", 6) if "ipv6" in end else None
        where = place(end, "node", item.span)
        return _Found(PortId(node, interface), where, mac, ipv4, ipv6, self._vars(end))

    def _vars(self, found: Checked) -> str:
        value = fields.mapping(found["vars"].value, "vars", self._problems) if "vars" in found else None
        return json.dumps(clab_text.typed(value), ensure_ascii=False) if value and value.entries else ""

    def _mtu(self, link: Checked) -> int | None:
        value = link["mtu"].value if "mtu" in link else None
        return fields.integer(value, "mtu", self._problems, low=MTU_MIN, high=MTU_MAX)

    def _check(self, end: _Found | None) -> None:
        """The node exists, the interface can have this name and has no other cable."""
        if end is None:
            return
        port, where = end.port, end.where
        node = self._nodes.get(port.node)
        if node is None and port.node not in SPECIAL:
            self._problems.add(
                "unknown-node",
                f"the link ends at {port}, but there is no node {port.node!r}",
                where=where,
                hint=did_you_mean(port.node, self._nodes),
            )
        home = PortId(self._home(port.node), port.interface)
        first = self._used.setdefault(home, where)
        if first is not where:
            self._reading.at_deploy(
                "endpoint-twice",
                f"{port} is the end of two links"
                if home == port
                else f"{port} is {home}, which is the end of two links",
                where=where,
                hint=f"the first one is at line {first.line}",
            )
        self._check_interface(port, node, where)

    def _check_interface(self, port: PortId, node: NodeSpec | None, where: Span) -> None:
        name = port.interface
        self._check_name(name, where)
        inside = self._nodes.get(self._home(port.node)) if node and node.shares else node
        linux = inside is not None and inside.kind is NodeKind.LINUX
        if linux and (name == "lo" or (name == "eth0" and inside and inside.network_mode != "none")):
            self._problems.add(
                "reserved-name",
                f"{port} is the {'loopback' if name == 'lo' else 'management'} interface",
                where=where,
                hint="use eth1 and up, or `network-mode: none` for a node without a management interface"
                if name == "eth0"
                else "use eth1 and up",
            )
        if linux:
            return
        other = self._bridge_ports.setdefault(name, port)
        if other.node == port.node:
            return
        if self._makes_device(other) and self._makes_device(port):
            self._problems.add(
                "endpoint-twice", f"{other} and {port} are one interface of the machine", where=where
            )
        else:
            self._reading.notice(
                where, f"{other} and {port} have one interface name: containerlab would refuse the file"
            )

    def _home(self, name: str) -> str:
        """The node whose network this node is in."""
        seen = {name}
        while (node := self._nodes.get(name)) and node.shares and node.shares not in seen:
            name = node.shares
            seen.add(name)
        return name

    def _makes_device(self, port: PortId) -> bool:
        """Whether the end is an interface that labctl makes on the machine."""
        return port.node != MGMT_NET and self._on_the_machine(port)

    def _check_name(self, name: str, where: Span) -> None:
        if (
            len(name.encode()) > names.IFNAMSIZ
            or name in (".", "..")
            or any(c in "/:" or c.isspace() for c in name)
        ):
            self._problems.add(
                "bad-name",
                f"Linux allows no interface with the name {name!r}",
                where=where,
                hint=f"at most {names.IFNAMSIZ} bytes, without `/`, `:` and spaces",
            )
        elif name in _FOR_ALL or "%" in name or not name.isprintable():
            self._problems.add(
                "bad-name",
                f"an interface cannot be called {name!r}",
                where=where,
                hint="the kernel keeps `all` and `default` for itself, and fills in `%`",
            )


def _end_of(found: _Found) -> End:
    return End(port=found.port, mac=found.mac or "", ipv4=found.ipv4, ipv6=found.ipv6, vars=found.vars)


def _with_mac_below(cable: CableSpec, cables: tuple[CableSpec, ...]) -> CableSpec:
    """A sub-interface has the MAC of the port that it stands on."""
    below = [end.mac for each in cables for end in each.ends if end.port == cable.below]
    return replace(cable, a=replace(cable.a, mac=below[0])) if below else cable


def _with_macs(cable: CableSpec, macs: Mapping[PortId, str]) -> CableSpec:
    a, z = (end and (end if end.mac else replace(end, mac=macs[end.port])) for end in (cable.a, cable.z))
    assert a is not None
    return replace(cable, a=a, z=z)
