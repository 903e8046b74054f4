"""Which records are of the same device.

Several records may describe one box: two walks of one switch, a walk and a configuration, a snapshot of last week.
Records become `Box`es by union-find over what identifies hardware (serials, chassis and bridge MACs, interface MACs)
and, between a configuration and a walk, over names and addresses. Then every identity points at one box; a value that
two boxes answer to identifies neither any more, and is reported.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from labctl.model.config import DeviceConfig
from labctl.model.observation import BY_NAME, DOCUMENTS, Found, Ident, Observation
from labctl.model.topology import Conflict, Device, Evidence

#: MACs that are shared on purpose (HSRP, VRRP, GLBP, VARP): they say nothing about a box.
VIRTUAL_MACS = (
    "00:00:0c:07:ac",
    "00:00:0c:9f:f",
    "00:00:5e:00:01",
    "00:00:5e:00:02",
    "00:05:73:a0:0",
    "00:07:b4:00",
    "00:1c:73:00:00:99",
)


def usable_mac(mac: str | None) -> bool:
    """Could this MAC name a box? Not if it is virtual or a group address."""
    return mac is not None and not mac.startswith(VIRTUAL_MACS) and not int(mac[:2], 16) & 1


def usable_address(address: str) -> bool:
    ip = ip_address(address)
    nowhere = ip.is_loopback or ip.is_link_local or ip.is_multicast
    return not nowhere and not (ip.version == 4 and int(ip) >> 24 == 0) and not ip.is_unspecified


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One device. `number` is its place in the list of boxes; `key` where it was read from."""

    number: int
    key: str
    name: str
    observations: tuple[Observation, ...] = ()
    configs: tuple[DeviceConfig, ...] = ()
    retained: Device | None = None  # its facts of an earlier snapshot, when it could not be read to the end
    identities: frozenset[str] = frozenset()
    strong: tuple[str, ...] = ()  # serials and MACs in order of trust: what its id is made of

    @property
    def polled(self) -> bool:
        asked = any(seen.source not in DOCUMENTS for seen in self.observations)
        return bool(asked or self.configs or self.retained)

    @property
    def id(self) -> str:
        """Stable over renames: the first of serial, chassis MAC, bridge MAC, interface MAC, else the name."""
        if self.retained is not None:
            return self.retained.id
        first = self.strong[0] if self.strong else f"name:{self.name}"
        return "dev-" + hashlib.sha256(first.encode()).hexdigest()[:12]


@dataclass(slots=True)
class _Record:
    """One source's view of one device, before we know which device."""

    key: str
    observation: Observation | None = None
    config: DeviceConfig | None = None
    retained: Device | None = None
    name: str = ""
    serials: set[str] = field(default_factory=set)
    own: list[str] = field(default_factory=list)  # chassis and bridge MAC
    macs: set[str] = field(default_factory=set)  # of interfaces
    addresses: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)  # chassis ids that are no MAC


class _Groups:
    """Union-find over records that remembers which sources each group already has."""

    def __init__(self, records: Sequence[_Record]) -> None:
        self._parent = list(range(len(records)))
        self.sources: list[set[str]] = [{_source(record)} for record in records]

    def find(self, x: int) -> int:
        while self._parent[x] != x:
            self._parent[x] = self._parent[self._parent[x]]
            x = self._parent[x]
        return x

    def join(self, x: int, y: int) -> None:
        a, b = sorted((self.find(x), self.find(y)))
        if a != b:
            self._parent[b] = a
            self.sources[a] |= self.sources[b]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """The boxes, and the index from identity to the one box that answers to it."""

    boxes: tuple[Box, ...]
    owner: Mapping[str, int]
    conflicts: tuple[Conflict, ...]


def identify(found: Found, retained: Sequence[Device] = ()) -> Identities:
    """Records -> boxes. `retained`: devices of the earlier snapshot that could not be read this time."""
    records = [
        *(_of_observation(each) for each in found.observations),
        *(_of_config(key, config) for key, config in found.configs),
        *(_of_device(device) for device in retained),
    ]
    union = _Groups(records)
    _join_same_hardware(records, union)
    _join_same_name(records, union)
    _join_same_addresses(records, union)
    groups: dict[int, list[_Record]] = defaultdict(list)
    for n, record in enumerate(records):
        groups[union.find(n)].append(record)
    conflicts: list[Conflict] = []
    names = _names([*groups.values()], conflicts)
    boxes = tuple(
        _box(n, name, group) for n, (name, group) in enumerate(zip(names, groups.values(), strict=True))
    )
    owner, shared = _index(boxes)
    boxes = tuple(replace(box, strong=tuple(i for i in box.strong if i in owner)) for box in boxes)
    return Identities(boxes=boxes, owner=owner, conflicts=(*conflicts, *shared))


def _of_observation(seen: Observation) -> _Record:
    record = _Record(key=seen.key, observation=seen, name=seen.sys_name, serials=set(seen.serials))
    chassis = seen.chassis.mac if seen.chassis else None
    record.own = [mac for mac in (chassis, seen.bridge_mac) if mac is not None and usable_mac(mac)]
    if seen.chassis and not seen.chassis.mac:
        record.other.add(chassis_key(seen.chassis))
    record.macs = {row.mac for row in seen.interfaces if row.mac is not None and usable_mac(row.mac)}
    record.addresses = {str(row.address.ip) for row in seen.addresses if usable_address(str(row.address.ip))}
    return record


def _of_config(key: str, config: DeviceConfig) -> _Record:
    addresses = {address for address in config.addresses if usable_address(address)}
    return _Record(key=key, config=config, name=config.hostname, addresses=addresses)


def _of_device(device: Device) -> _Record:
    record = _Record(key=device.name, retained=device, name=device.name)
    for identity in device.identities:
        kind, _, value = identity.partition(":")
        match kind:
            case "serial":
                record.serials.add(value)
            case "mac":
                record.macs.add(value)
            case "ip":
                record.addresses.add(value)
            case "chassis":
                record.other.add(identity)
    return record


def chassis_key(chassis: Ident) -> str:
    return f"chassis:{chassis.kind}:{chassis.text}"


# -- who is the same --------------------------------------------------------------------------------------------


def _join_same_hardware(records: Sequence[_Record], union: _Groups) -> None:
    """One box read twice: a serial or a chassis MAC in common, and interface MACs that do not contradict it."""
    holders: dict[str, list[int]] = defaultdict(list)
    for n, record in enumerate(records):
        for value in sorted({*record.serials, *record.own, *(record.macs if record.retained else ())}):
            holders[value].append(n)
    for same in holders.values():
        for other in same[1:]:
            if _agree(records[same[0]].macs, records[other].macs):
                union.join(same[0], other)


def _agree(one: set[str], other: set[str]) -> bool:
    return not one or not other or 2 * len(one & other) >= min(len(one), len(other))


def _join_same_name(records: Sequence[_Record], union: _Groups) -> None:
    """A configuration belongs to the walk of the same key, else of the same name, exact first, then short.

    Two walks of the same name stay two devices: names repeat in production, hardware does not.
    """
    named: dict[tuple[str, str], int] = {}
    for n, record in enumerate(records):
        if _source(record) in BY_NAME:
            union.join(named.setdefault((_source(record), record.key), n), n)
    spellings: tuple[list[str], ...] = (
        [r.key for r in records],
        [r.name for r in records],
        [r.name.split(".")[0] for r in records],
    )
    for spelled in spellings:
        by_name: dict[str, list[int]] = defaultdict(list)
        for n, name in enumerate(spelled):
            if name:
                by_name[name].append(n)
        for same in by_name.values():
            roots = sorted({union.find(n) for n in same})
            held = [union.sources[root] for root in roots]
            # complementary only: of one name, at most one was walked, one configured, one kept
            if len(roots) > 1 and sum(map(len, held)) == len(set().union(*held)):
                for root in roots[1:]:
                    union.join(roots[0], root)


def _source(record: _Record) -> str:
    if record.observation is not None:
        return record.observation.source if record.observation.source in BY_NAME else "walk"
    return "config" if record.config is not None else "retained"


def _join_same_addresses(records: Sequence[_Record], union: _Groups) -> None:
    """A configuration without a partner belongs to the one walk that has most of its addresses."""
    holders: dict[str, set[int]] = defaultdict(set)
    for n, record in enumerate(records):
        if record.observation is not None:
            for address in record.addresses:
                holders[address].add(n)
    for n, record in enumerate(records):
        if record.config is None or not record.addresses:
            continue
        if "walk" in union.sources[union.find(n)]:
            continue
        counts: dict[int, int] = defaultdict(int)
        for address in record.addresses:
            if len(holders[address]) == 1:
                counts[min(holders[address])] += 1
        best = max(counts, key=lambda m: counts[m], default=None)
        if best is not None and 2 * counts[best] > len(record.addresses):
            union.join(n, best)


# -- boxes ------------------------------------------------------------------------------------------------------


def safe_name(name: str) -> str:
    """A name that can stand before the colon of a port."""
    return name.replace(":", "-")


def _names(groups: Sequence[Sequence[_Record]], conflicts: list[Conflict]) -> list[str]:
    """sysName or hostname, else the file's stem; a name that two boxes claim gives way to the stems of both."""
    wanted = [safe_name(next((r.name for r in group if r.name), "") or group[0].key) for group in groups]
    claimed: dict[str, list[int]] = defaultdict(list)
    for n, name in enumerate(wanted):
        claimed[name].append(n)
    names: list[str] = []
    for n, name in enumerate(wanted):
        twins = claimed[name]
        if len(twins) == 1:
            names.append(name)
            continue
        if n == twins[0]:
            conflicts.append(
                Conflict(
                    kind="name-shared",
                    subject=name,
                    said=tuple(
                        Evidence(
                            source=_source(groups[m][0]), where=_where(groups[m][0]), said=f"I am {name}"
                        )
                        for m in twins
                    ),
                    resolution="they are different hardware: each is called by the place it was read from",
                )
            )
        names.append(unused(safe_name(groups[n][0].key), {*names, *(w for w in claimed if w != name)}))
    return names


def unused(name: str, taken: set[str]) -> str:
    """The name, with the first number behind it that makes it nobody's."""
    n, candidate = 2, name
    while candidate in taken:
        candidate, n = f"{name}-{n}", n + 1
    return candidate


def _where(record: _Record) -> str:
    if record.observation is not None:
        return record.observation.where
    return str(record.config.where) if record.config is not None else "an earlier snapshot"


def _box(number: int, name: str, group: Sequence[_Record]) -> Box:
    serials = sorted({s for r in group for s in r.serials})
    own = list(dict.fromkeys(mac for r in group for mac in r.own))
    macs = sorted({mac for r in group for mac in r.macs})
    values = {f"serial:{s}" for s in serials} | {f"mac:{m}" for m in (*own, *macs)}
    values |= {f"ip:{a}" for r in group for a in r.addresses} | {o for r in group for o in r.other}
    values |= {f"name:{r.name}" for r in group if r.name} | {f"name:{name}"}
    observations = [r.observation for r in group if r.observation is not None]
    retained = next((r.retained for r in group if r.retained is not None), None)
    if any(seen.complete for seen in observations):
        retained = None
    if retained is not None:
        observations = [_frozen(seen) for seen in observations]
    return Box(
        number=number,
        key=group[0].key,
        name=name,
        observations=tuple(observations),
        configs=tuple(r.config for r in group if r.config is not None),
        retained=retained,
        identities=frozenset(values),
        strong=(*(f"serial:{s}" for s in serials), *(f"mac:{m}" for m in dict.fromkeys((*own, *macs)))),
    )


def _frozen(seen: Observation) -> Observation:
    """What a walk that broke off says of the device itself. Its rows about others may lack columns, a neighbour's name
    for one: those of the earlier snapshot stay instead.
    """
    return replace(seen, neighbours=(), stations=(), adjacencies=(), lacp=(), members=())


def _index(boxes: Sequence[Box]) -> tuple[dict[str, int], list[Conflict]]:
    """identity -> its one box; what several boxes answer to is a conflict and identifies nobody."""
    holders: dict[str, list[int]] = defaultdict(list)
    for box in boxes:
        for identity in box.identities:
            holders[identity].append(box.number)
    shared: dict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
    for identity, numbers in holders.items():
        if len(numbers) > 1:
            kind, _, value = identity.partition(":")
            shared[kind, tuple(numbers)].append(value)
    conflicts = [
        Conflict(
            kind="address-shared" if kind == "ip" else "identity-shared",
            subject=f"{kind} {', '.join(sorted(values)[:4])}"
            + (f" and {len(values) - 4} more" if len(values) > 4 else ""),
            said=tuple(
                Evidence(source=boxes[n].key, where=_box_where(boxes[n]), said=f"{boxes[n].name} has it")
                for n in numbers
            ),
            resolution="it identifies none of them",
        )
        for (kind, numbers), values in sorted(shared.items())
        if kind != "name"  # reported as name-shared
    ]
    owner = {identity: numbers[0] for identity, numbers in holders.items() if len(numbers) == 1}
    short: dict[str, list[int]] = defaultdict(list)
    for box in boxes:
        for label in {i[5:].split(".")[0] for i in box.identities if i.startswith("name:")}:
            short[label].append(box.number)
    for label, numbers in short.items():
        if len(numbers) == 1:
            owner.setdefault(f"short:{label}", numbers[0])
    return owner, conflicts


def _box_where(box: Box) -> str:
    if box.observations:
        return box.observations[0].where
    return str(box.configs[0].where) if box.configs else "an earlier snapshot"
