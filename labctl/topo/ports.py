"""One box's ports under all the names they go by, and the rules that find one of them.

A neighbour may name a port by ifName, ifDescr, ifAlias, MAC, ifIndex, bridge port, its own LLDP number, or a name
that only its LLDP agent uses. Each rule answers only when it is unambiguous, and says its name; how far each is
trusted (`FACTORS`) lowers the confidence of the link.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from labctl.model.config import InterfaceConfig, InterfaceKind
from labctl.model.observation import Ident, IdKind, InterfaceRow, LocalPort, Neighbour, Observation
from labctl.model.topology import Role
from labctl.topo.identity import Box

#: How far a rule is trusted: 1.0 where the port's own tables say it in so many words.
FACTORS: Final[Mapping[str, float]] = {
    "lldpLocPortId": 1.0,
    "ifName": 1.0,
    "ifDescr": 1.0,
    "ifPhysAddress": 1.0,
    "cdpIfIndex": 1.0,  # these two tables are indexed by ifIndex by definition
    "lldpV2IfIndex": 1.0,
    "as-claimed": 1.0,  # the device was not polled: nothing to check the claim against
    "ifAlias": 0.95,
    "canonical-name": 0.95,
    "portDesc": 0.95,
    "lldpLocPortDesc": 0.95,
    "dot1dBasePort": 0.9,
    "last-component": 0.9,
    "abbreviation": 0.9,
    "portDesc-number": 0.85,
    "return-port": 0.85,
    "port-position": 0.8,
    "ifIndex": 0.7,
    "dot1dBasePort-ambiguous": 0.6,
    "lldpLocPortId-only": 0.9,  # its LLDP agent names the port so; no interface table to check it against
}

_TYPE_KINDS: Final = {
    24: "loopback",
    53: "svi",
    131: "tunnel",
    135: "subinterface",
    136: "svi",
    161: "lag",
    209: "bridge",
}
_NAME_KINDS: Final = (
    (re.compile(r"(lo|loopback)[-_ ]?\d*(\.\d+)?", re.IGNORECASE), "loopback"),
    (re.compile(r"(port-?channel|po|ae|bond|lag|bundle-ether|trk|be)[-_ ]?\d+", re.IGNORECASE), "lag"),
    (re.compile(r"(vlan|vl|irb|bvi|vlan-?interface|vlanif)[-_. ]?\d+", re.IGNORECASE), "svi"),
    (re.compile(r"(br|bridge|virbr|docker)[-_]?[\w-]*\d*", re.IGNORECASE), "bridge"),
    (
        re.compile(r"(tunnel|tun|tap|gre|gretap|sit|ip6tnl|wg|vxlan|nve)[-_ ]?\d*@?\w*", re.IGNORECASE),
        "tunnel",
    ),
)
_CONFIG_KINDS: Final = {InterfaceKind.ETHERNET: "", InterfaceKind.OTHER: ""}
_MGMT: Final = re.compile(
    r"(mgmt|ma|management|fxp|em|me|vme|oob|meth|mgmteth)[-_ ]?[\d/]*(\.0)?", re.IGNORECASE
)
_NAMED: Final = re.compile(r"([a-z][a-z-]*?)[ -]?(\d[\d/.:]*)")
_POSITION: Final = re.compile(r"(?<![\d/])(\d+(?:/\d+)+)(?![\d/])")

Found: TypeAlias = tuple[str, str]  # (interface, rule)


def canonical(name: str) -> str:
    """`GigabitEthernet1/0/8`, `Gi1/0/8` and `gigabitethernet 1/0/8` are one name: two letters and the numbers."""
    match = _NAMED.fullmatch(name.strip().lower())
    return f"{match[1][:2]}{match[2]}" if match else name.strip().lower()


def kind_of(name: str, if_type: int | None, names: Iterable[str] = ()) -> str:
    """The kind of an interface by its ifType, else by its name."""
    if if_type in _TYPE_KINDS:
        return _TYPE_KINDS[if_type]
    for pattern, kind in _NAME_KINDS:
        if pattern.fullmatch(name):
            return kind
    parent, dot, _ = name.rpartition(".")
    return "subinterface" if dot and parent in names else ""


@dataclass(slots=True)
class Ports:
    """All names of one box's ports. `kinds` maps each interface to its kind and is the list of interfaces."""

    box: Box
    kinds: dict[str, str] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    by_index: dict[int, str] = field(default_factory=dict)
    tables: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    by_base_port: dict[int, str] = field(default_factory=dict)
    local: dict[int, LocalPort] = field(default_factory=dict)
    local_ids: dict[str, set[int]] = field(default_factory=dict)
    local_descrs: dict[str, set[int]] = field(default_factory=dict)

    def learn(self, table: str, key: str, interface: str) -> None:
        if key:
            self.tables[table].setdefault(key, set()).add(interface)

    def one(self, table: str, key: str) -> str | None:
        """The only interface of that name in the table; several names are no name."""
        found = self.tables[table].get(key, set())
        if len(found) > 1:  # a sub-interface or bridge shares its parent's MAC and alias
            found = {i for i in found if not self.kinds.get(i)}
        return next(iter(found)) if len(found) == 1 else None

    # -- the two questions --------------------------------------------------------------------------------------

    def heard_on(self, row: Neighbour) -> Found | None:
        """Which of my interfaces is the local port of this row of mine?"""
        if row.port is None:
            return None
        if row.port_is_index:
            interface = self.by_index.get(row.port)
            if interface and row.port_name:
                return interface, "ifName"
            return (
                (interface, "cdpIfIndex" if row.protocol == "cdp" else "lldpV2IfIndex") if interface else None
            )
        return self.of_number(row.port)

    def of_number(self, number: int) -> Found | None:
        """localPortNum -> interface. It need not be an ifIndex, and may be the ifIndex of another port."""
        port = self.local.get(number, LocalPort(number=number, id=None))
        answers = (
            (self._of_local_id(port.id) if port.id else None, "lldpLocPortId"),
            (self._described(port.descr), "lldpLocPortDesc"),
            (self.by_base_port.get(number), "dot1dBasePort"),
            (self.by_index.get(number), "ifIndex"),
            (self.one("position", _position(str(port.id or port.descr))), "port-position"),
            ("" if self.kinds else str(port.id or port.descr), "lldpLocPortId-only"),
        )
        return next(((interface, rule) for interface, rule in answers if interface), None)

    def claimed(self, claimed: Ident | None, descr: str) -> Found | None:
        """Which of my interfaces does somebody else mean by this port id and description?"""
        if not self.kinds:
            return (_spelled(claimed, descr), "as-claimed") if claimed or descr else None
        for rule in (self._by_own_id, self._by_id, self._by_description, self._by_number, self._by_likeness):
            found = rule(claimed, descr)
            if found is not None:
                return found
        if claimed is not None and claimed.kind is IdKind.NAME and self.partial:
            return claimed.text, "as-claimed"
        return None

    @property
    def partial(self) -> bool:
        """Is all that is known of the box an frr.conf, which names only the interfaces that it has something to say of?"""
        listed = any(not row.named for seen in self.box.observations for row in seen.interfaces)
        configs = self.box.configs
        return not listed and bool(configs) and all(each.dialect == "frr" for each in configs)

    # -- rules --------------------------------------------------------------------------------------------------

    def _of_local_id(self, said: Ident) -> str | None:
        if said.kind is IdKind.MAC and said.mac:
            return self.one("mac", said.mac)
        return (
            self._described(said.text)
            or (self.by_index.get(int(said.text)) if said.text.isdecimal() else None)
            or self.one("canonical", canonical(said.text))
        )

    def _described(self, text: str) -> str | None:
        return self.one("ifName", text) or self.one("ifDescr", text) or self.one("ifAlias", text)

    def _by_own_id(self, claimed: Ident | None, _: str) -> Found | None:
        numbers = self.local_ids.get(_id_key(claimed), set()) if claimed else set()
        found = self.of_number(min(numbers)) if len(numbers) == 1 else None
        return (found[0], "lldpLocPortId") if found else None

    def _by_id(self, claimed: Ident | None, _: str) -> Found | None:
        if claimed is None:
            return None
        if claimed.mac and (interface := self.one("mac", claimed.mac)):
            return interface, "ifPhysAddress"
        if claimed.kind is IdKind.MAC:
            return None
        for rule in ("ifName", "ifDescr", "ifAlias"):
            if interface := self.one(rule, claimed.text):
                return interface, rule
        if claimed.text.isdecimal():
            return None
        interface = self.one("canonical", canonical(claimed.text))
        return (interface, "canonical-name") if interface else None

    def _by_description(self, _: Ident | None, descr: str) -> Found | None:
        if not descr:
            return None
        if interface := self._described(descr):
            return interface, "portDesc"
        numbers = self.local_descrs.get(descr, set())
        found = self.of_number(min(numbers)) if len(numbers) == 1 else None
        return (found[0], "lldpLocPortDesc") if found else None

    def _by_number(self, claimed: Ident | None, descr: str) -> Found | None:
        """A bare number is a bridge port or an ifIndex; `… Port 4` at the end of a description is a port number."""
        if claimed is not None and claimed.text.isdecimal():
            number = int(claimed.text)
            base, index = self.by_base_port.get(number), self.by_index.get(number)
            if base and index and base != index:
                return base, "dot1dBasePort-ambiguous"
            if base:
                return base, "dot1dBasePort"
            if index:
                return index, "ifIndex"
        ending = re.search(r"\bport\s*(\d+)$", descr, re.IGNORECASE)
        if ending:
            number = int(ending[1])
            found = self.of_number(number)
            if found:
                return found[0], "portDesc-number"
        return None

    def _by_likeness(self, claimed: Ident | None, _: str) -> Found | None:
        """`bridge1/ether1` is ether1 (MikroTik); `FiberEthernet1/0/18` is the only port with 1/0/18 in its name."""
        if claimed is None or claimed.kind is IdKind.MAC:
            return None
        last = claimed.text.rpartition("/")[2]
        if not last.isdecimal() and (interface := self._described(last)):
            return interface, "last-component"
        if interface := self.one("position", _position(claimed.text)):
            return interface, "port-position"
        interface = self._abbreviated(claimed.text)
        return (interface, "abbreviation") if interface else None

    def _abbreviated(self, said: str) -> str | None:
        """`E1` is Ethernet1, if no other name with that number begins so."""
        match = _NAMED.fullmatch(said.strip().lower())
        if not match:
            return None
        names = ((name, _NAMED.fullmatch(name.lower())) for name in self.kinds)
        found = [name for name, n in names if n and n[2] == match[2] and n[1].startswith(match[1])]
        return found[0] if len(found) == 1 else None


def _position(text: str) -> str:
    found = _POSITION.findall(text)
    return found[0] if len(found) == 1 else ""


def _id_key(claimed: Ident) -> str:
    return claimed.mac if claimed.kind is IdKind.MAC and claimed.mac else claimed.text


def _spelled(claimed: Ident | None, descr: str) -> str:
    """What to call a port of a device that was not polled: a name rather than a MAC."""
    if claimed is None:
        return descr
    if claimed.kind is IdKind.MAC and descr and re.fullmatch(r"\S{1,20}", descr):
        return descr
    return claimed.text


def ports_of(box: Box) -> Ports:
    """Collect the names of a box's ports from everything that was read of it."""
    ports = Ports(box)
    every = [row for seen in box.observations for row in seen.interfaces]
    rows = [row for row in every if not row.named]
    names = {row.label for row in rows}
    for row in rows:
        _learn_row(ports, row, names)
    for config in box.configs:
        for interface in config.interfaces:
            _learn_config(ports, interface)
    for row in every:
        if row.named:
            _learn_named(ports, row)
    for kept in box.retained.interfaces if box.retained else ():
        if kept.name not in ports.kinds:
            _learn(ports, kept.name, kept.kind, alias=kept.description)
        ports.learn("mac", kept.mac or "", kept.name)
        ports.roles.setdefault(kept.name, kept.role)
    for seen in box.observations:
        _learn_numbers(ports, seen)
    for name in ports.kinds:
        ports.roles.setdefault(name, _role(name, ports))
    return ports


def _learn_config(ports: Ports, interface: InterfaceConfig) -> None:
    name = ports.one("ifName", interface.name) or ports.one("canonical", canonical(interface.name))
    name = name or interface.name
    kind = _CONFIG_KINDS.get(interface.kind, str(interface.kind)) or kind_of(name, None)
    _learn(ports, name, ports.kinds.get(name) or kind, alias=interface.description)
    ports.learn("ifName", interface.name, name)
    if interface.mgmt:
        ports.roles[name] = Role.MGMT


def _learn_numbers(ports: Ports, seen: Observation) -> None:
    for number, index in seen.base_ports:
        if index in ports.by_index:
            ports.by_base_port.setdefault(number, ports.by_index[index])
    for local in seen.local_ports:
        ports.local.setdefault(local.number, local)
        if local.id is not None:
            ports.local_ids.setdefault(_id_key(local.id), set()).add(local.number)
        if local.descr:
            ports.local_descrs.setdefault(local.descr, set()).add(local.number)


def _learn_row(ports: Ports, row: InterfaceRow, names: set[str]) -> None:
    _learn(ports, row.label, kind_of(row.label, row.type, names), alias=row.alias)
    ports.by_index.setdefault(row.index, row.label)
    ports.learn("ifName", row.name, row.label)
    ports.learn("ifDescr", row.descr, row.label)
    ports.learn("mac", row.mac or "", row.label)
    if not ports.kinds[row.label]:
        ports.learn("position", _position(row.label), row.label)


def _learn_named(ports: Ports, row: InterfaceRow) -> None:
    """A row that calls a port by a name of its own: the port of that name, long or short, else a new one."""
    name = ports.one("ifName", row.name) or ports.one("canonical", canonical(row.name)) or row.name
    if name not in ports.kinds:
        _learn(ports, name, kind_of(name, row.type, ports.kinds), alias=row.alias)
    ports.by_index.setdefault(row.index, name)
    ports.learn("ifName", row.name, name)
    ports.learn("ifAlias", row.alias, name)
    ports.learn("mac", row.mac or "", name)


def _learn(ports: Ports, name: str, kind: str, *, alias: str) -> None:
    ports.kinds[name] = kind
    ports.learn("ifName", name, name)
    ports.learn("ifAlias", alias, name)
    ports.learn("canonical", canonical(name), name)


def _role(interface: str, ports: Ports) -> Role:
    """Management by name; eth0 only where the other ports are not ethN (a NOS), or where it was polled through."""
    if _MGMT.fullmatch(interface):
        return Role.MGMT
    if interface == "eth0":
        named_otherwise = any(re.match(r"(Ethernet\d|Eth\d|swp\d)", name) for name in ports.kinds)
        if named_otherwise or interface in _polled_through(ports):
            return Role.MGMT
    return Role.DATA


def _polled_through(ports: Ports) -> set[str]:
    """The interfaces that hold the address by which the box was polled."""
    return {
        ports.by_index[row.if_index]
        for seen in ports.box.observations
        for row in seen.addresses
        if str(row.address.ip) == seen.address and row.if_index in ports.by_index
    }
