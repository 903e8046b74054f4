"""From the lab that runs to the lab that a file asks for: the least change, as steps with their reasons. Pure.

Every field of a spec has one row in a table that says what a change of it costs, from nothing (it is written down) over a
touch in place to a node that is made anew; a field without a row would be made anew too, never ignored. A node is made
anew only if something in it cannot be changed while it runs; everything else leaves its processes alone.

Each step brings its subject to what the target says *from whatever state it is in*, so a step that was interrupted is
done again, and `plan` after a crash needs no memory of how far it came: what ran before the interrupted change and what
that change was aiming at are both looked at, and whatever differs from the new target in either is a step.
`after` is what a step does to the spec; all steps of `plan(A, B)` make B of A.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from labctl import units
from labctl.model.lab import (
    RATES,
    Bind,
    CableSpec,
    DeviceFile,
    Dns,
    End,
    LabSpec,
    Limits,
    Macvlan,
    MgmtSpec,
    NodeKind,
    NodeSpec,
    Over,
    Published,
    Stands,
    Vxlan,
)
from labctl.model.stages import Healthcheck, StageCommand, Wait
from labctl.names import CableId, PortId


class Cost(StrEnum):
    """What a change of a field costs."""

    IDENTITY = "identity"  # what it is called: with another name it is another thing
    PARTS = "parts"  # looked at part by part
    PLACE = "place"  # where it stands in the file
    RECORD = "record"  # written down; nothing that runs is touched
    LIVE = "live"  # changed in place
    DEPENDS = "depends"  # in place if it can be, else made anew
    RECREATE = "recreate"  # the node is made anew
    REFUSED = "refused"  # another lab


@dataclass(frozen=True, slots=True)
class Row:
    """What a change of one field costs, and why."""

    cost: Cost
    why: str = ""


_NAME = Row(Cost.IDENTITY)
_PLACE = Row(Cost.PLACE)
_PARTS = Row(Cost.PARTS)
_WAY_OUT = Row(Cost.LIVE, "its way out is made anew; the node's port stays")
UNKNOWN = Row(Cost.RECREATE, "labctl does not know how to change it while the node runs")

#: One row for every field of every spec; a test asks for the rows of new fields.
COSTS: Mapping[type, Mapping[str, Row]] = {
    LabSpec: {
        "name": Row(
            Cost.REFUSED, "directories, control groups, MACs and the machine's packet filter have it"
        ),
        "prefix": Row(Cost.REFUSED, "every container and every node's /etc/hosts has it"),
        "nodes": _PARTS,
        "cables": _PARTS,
        "mgmt": _PARTS,
        "source": Row(Cost.RECORD, "`labctl destroy FILE` finds the lab by it"),
    },
    NodeSpec: {
        "name": _NAME,
        "kind": Row(Cost.RECREATE, "a node and a segment are made of different things"),
        "image": Row(Cost.RECREATE, "its files come from the image"),
        "pull": Row(Cost.RECORD, "it counts when the node is made"),
        "cmd": Row(Cost.RECREATE, "it is its first process"),
        "entrypoint": Row(Cost.RECREATE, "it is its first process"),
        "env": Row(Cost.RECREATE, "a process keeps the environment that it was started with"),
        "env_files": Row(Cost.RECREATE, "a process keeps the environment that it was started with"),
        "exec": Row(
            Cost.DEPENDS, "commands that are put behind the others are run; what one did cannot be taken back"
        ),
        "binds": Row(Cost.RECREATE, "they are mounted before its first process starts"),
        "labels": Row(Cost.LIVE, "commands see it from now on, what runs keeps its environment"),
        "sysctls": Row(
            Cost.DEPENDS,
            "one of `net.` that is new or has another value is written; others are set at the start",
        ),
        "group": Row(Cost.RECORD, "`inspect` shows it"),
        "user": Row(Cost.RECREATE, "it is whom its first process runs as"),
        "hostname": Row(Cost.RECREATE, "it is set when the node starts, and programs have read it"),
        "network_mode": Row(Cost.RECREATE, "it says whether the node has a management interface"),
        "mgmt_ipv4": Row(Cost.LIVE, "an address of its eth0, and a line of every /etc/hosts"),
        "mgmt_ipv6": Row(Cost.LIVE, "an address of its eth0, and a line of every /etc/hosts"),
        "mgmt_assigned": _PLACE,
        "startup_delay_s": Row(Cost.RECORD, "it counts at the next deploy"),
        "aliases": Row(Cost.LIVE, "lines of every /etc/hosts"),
        "dns": Row(Cost.RECREATE, "programs read their resolver's file when they start"),
        "cpus": Row(Cost.RECREATE, "its processors are chosen when it starts"),
        "shm_bytes": Row(Cost.RECREATE, "it is mounted before its first process starts"),
        "ports": Row(Cost.LIVE, "the agent holds them; connections that are open end"),
        "tmpfs": Row(Cost.RECREATE, "they are mounted before its first process starts"),
        "limits": _PARTS,
        "privileged": Row(Cost.RECREATE, "its first process is started with its capabilities"),
        "cap_add": Row(Cost.RECREATE, "its first process is started with its capabilities"),
        "devices": Row(Cost.RECREATE, "they are made before its first process starts"),
        "restart": Row(Cost.RECORD, "it counts from the next end of its command"),
        "healthcheck": Row(Cost.RECREATE, "it is counted from the node's start"),
        "waits": Row(Cost.RECORD, "they count at the next deploy"),
        "stage_commands": Row(Cost.RECORD, "they count at the next deploy"),
        "where": _PLACE,
        "sysctl_places": _PLACE,
    },
    Limits: {
        "cpu": Row(Cost.LIVE, "its control group is told"),
        "memory_bytes": Row(Cost.LIVE, "its control group is told"),
        "pids": Row(Cost.LIVE, "its control group is told"),
        **dict.fromkeys(RATES, Row(Cost.LIVE, "its control group is told")),
    },
    Published: dict.fromkeys(("host", "outside", "inside", "protocol"), UNKNOWN) | {"where": _PLACE},
    Dns: {"servers": UNKNOWN, "search": UNKNOWN, "options": UNKNOWN},
    Bind: {
        "source": UNKNOWN,
        "target": UNKNOWN,
        "options": UNKNOWN,
        "where": _PLACE,
    },
    DeviceFile: {"source": UNKNOWN, "target": UNKNOWN, "access": UNKNOWN, "where": _PLACE},
    CableSpec: {
        "a": _PARTS,
        "z": _PARTS,
        "mtu": Row(Cost.LIVE, "both ports are told"),
        "labels": Row(Cost.RECORD, "nothing that runs reads them"),
        "vars": Row(Cost.RECORD, "nothing that runs reads them"),
        "macvlan": _WAY_OUT,
        "vxlan": _WAY_OUT,
        "degrade": Row(Cost.LIVE, "the agent changes what happens to its frames"),
        "impaired": _PLACE,
        "over": Row(Cost.LIVE, "its panel side is joined with that of another port, or tagged otherwise"),
        "where": _PLACE,
    },
    Over: {
        "port": Row(Cost.LIVE, "its panel side is joined with that of another port"),
        "vlan": Row(Cost.LIVE, "its frames are tagged otherwise"),
    },
    Macvlan: {"parent": _WAY_OUT, "mode": _WAY_OUT},
    Vxlan: dict.fromkeys(("remote", "vni", "dst_port", "src_port", "parent"), _WAY_OUT),
    End: {
        "port": _NAME,
        "mac": Row(Cost.LIVE, "the port is told"),
        "ipv4": Row(Cost.LIVE, "an address of the port"),
        "ipv6": Row(Cost.LIVE, "an address of the port"),
        "vars": Row(Cost.RECORD, "nothing that runs reads them"),
    },
    MgmtSpec: {
        "network": Row(Cost.RECORD, "nothing on this machine is called so"),
        "ipv4_subnet": Row(Cost.LIVE, "the addresses of every eth0"),
        "ipv6_subnet": Row(Cost.LIVE, "the addresses of every eth0"),
        "mtu": Row(Cost.LIVE, "every eth0 is told"),
        "ipv4_range": Row(Cost.RECORD, "addresses that nodes get from now on are from it"),
        "ipv6_range": Row(Cost.RECORD, "addresses that nodes get from now on are from it"),
        "ipv4_gateway": Row(Cost.RECORD, "no node gets it from now on"),
        "ipv6_gateway": Row(Cost.RECORD, "no node gets it from now on"),
    },
}


class Do(StrEnum):
    """What a step does, in the order in which steps are done."""

    REMOVE_CABLE = "remove-cable"
    REMOVE_NODE = "remove-node"
    CHANGE_LAB = "change-lab"
    CHANGE_CABLE = "change-cable"
    ADD_CABLE = "add-cable"
    RECREATE_NODE = "recreate-node"
    ADD_NODE = "add-node"
    CHANGE_NODE = "change-node"


_ORDER = tuple(Do)
#: Fields that count bytes: how a person calls them, and what stands behind the size.
_SIZES: Mapping[str, tuple[str, str]] = {
    "memory_bytes": ("memory", ""),
    "shm_bytes": ("shm", ""),
    "read_bps": ("read", "/s"),
    "write_bps": ("write", "/s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One difference: a field (empty: the whole thing), what it was and is to be, and what that means.

    A number is in the unit that the field's name ends with; as text it is as people write it.
    """

    field: str = ""
    old: str = ""
    new: str = ""
    why: str = ""

    def __str__(self) -> str:
        if not self.field:
            return self.why
        if not self.old and not self.new:
            return f"{self.field}: {self.why}"
        field, old, new = self.field, self.old, self.new
        if field in _SIZES:
            field, per = _SIZES[field]
            old, new = (units.format_size(int(each)) + per if each else "" for each in (old, new))
        changed = f"{field}: {old or '-'} → {new or '-'}"
        return "; ".join(each for each in (changed, self.why) if each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. subject: a node, a cable (`str` of its id) or the lab."""

    do: Do
    subject: str
    reasons: tuple[Reason, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(reason.field for reason in self.reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A difference that stays one. about: a node; empty: the lab itself. fields: those of it that differ."""

    reason: Reason
    about: str = ""
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.reason)


def refused(lab: LabSpec, target: LabSpec) -> tuple[Refusal, ...]:
    """What the target asks for that no running lab can become."""
    found = [
        Refusal(reason=r, fields=(r.field,)) for cost, r in _differences(lab, target) if cost is Cost.REFUSED
    ]
    old, new = _sharing(lab), _sharing(target)
    for name in sorted(old.keys() | new.keys()):
        why, fields = _parts_company(old.get(name), new.get(name))
        if why:
            found.append(Refusal(reason=Reason(field=f"node {name}", why=why), about=name, fields=fields))
    return tuple(found)


def torn(lab: LabSpec, steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that make a node anew whose network is shared: its guests would stay in one that nobody else has."""
    shared = _sharing(lab)
    return tuple(step for step in steps if step.do is Do.RECREATE_NODE and step.subject in shared)


def _parts_company(old: NodeSpec | None, new: NodeSpec | None) -> tuple[str, tuple[str, ...]]:
    """Why a node whose network is shared cannot become what the file says, by which fields; empty if it can."""
    if old is None or new is None or old.network_mode != new.network_mode:
        return "who shares a network is decided by a deploy", ("network_mode",)
    touched = tuple(sorted({r.field for cost, r in _differences(old, new) if not _apart(cost, r.field)}))
    return f"its network is shared, so its {', '.join(touched)} cannot change" if touched else "", touched


def _apart(cost: Cost, field: str) -> bool:
    """Whether a change has nothing to do with the node's network, nor starts the node anew."""
    return cost is Cost.RECORD or field in COSTS[Limits] or field.startswith("labels.")


def _sharing(lab: LabSpec) -> dict[str, NodeSpec]:
    """The nodes that are in another one's network, and those whose network it is."""
    guests = [node for node in lab.nodes if node.shares]
    names = {node.name for node in guests} | {lab.home(node.name) for node in guests}
    return {node.name: node for node in lab.nodes if node.name in names}


def plan(
    lab: LabSpec,
    target: LabSpec,
    *,
    aimed: Sequence[LabSpec] = (),
    pending: Collection[str] = (),
    altered: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> tuple[Step, ...]:
    """The steps from a lab to a target, in the order in which they are done; empty if there is nothing to do.

    aimed: what interrupted changes of this lab were going to, so that anything of it may be there as well.
    pending: nodes that they had begun to make and had not finished.
    altered: nodes that started with files that have another content now.
    """
    found: dict[tuple[str, str], Step] = {}
    for old in (lab, *aimed):
        for step in (*_node_steps(old, target), *_cable_steps(old, target), *_lab_steps(old, target)):
            _merge(found, step)
    for name in sorted(pending):
        do = Do.RECREATE_NODE if _has(target, name) else Do.REMOVE_NODE
        _merge(found, Step(do=do, subject=name, reasons=(Reason(why="an interrupted apply was making it"),)))
    for name in altered.keys() & {node.name for node in target.nodes}:
        why = "its content is another than when the node started"
        reasons = tuple(Reason(field=f"binds {source}", why=why) for source in altered[name])
        _merge(found, Step(do=Do.RECREATE_NODE, subject=name, reasons=reasons))
    return tuple(sorted(found.values(), key=lambda step: (_ORDER.index(step.do), step.subject)))


def after(lab: LabSpec, target: LabSpec, steps: Iterable[Step]) -> LabSpec:
    """The lab when these steps towards the target are done."""
    nodes = {node.name: node for node in lab.nodes}
    cables = {str(cable.id): cable for cable in lab.cables}
    for step in steps:
        match step.do:
            case Do.REMOVE_NODE:
                nodes.pop(step.subject, None)
            case Do.REMOVE_CABLE:
                cables.pop(step.subject, None)
            case Do.ADD_NODE | Do.RECREATE_NODE | Do.CHANGE_NODE:
                nodes[step.subject] = target.node(step.subject)
            case Do.ADD_CABLE | Do.CHANGE_CABLE:
                cables[step.subject] = target.cable(CableId.parse(step.subject))
            case Do.CHANGE_LAB:
                lab = replace(lab, mgmt=target.mgmt, source=target.source)
    return replace(lab, nodes=tuple(nodes[name] for name in sorted(nodes)), cables=tuple(cables.values()))


def stale(specs: Iterable[LabSpec], target: LabSpec) -> dict[PortId, frozenset[str]]:
    """Addresses that these labs put on ports of the target, and that the target does not."""
    wanted = {end.port: set(_addresses(end)) for cable in target.cables for end in cable.ends}
    found: dict[PortId, set[str]] = {}
    for lab in specs:
        for cable in lab.cables:
            for end in cable.ends:
                if end.port in wanted:
                    found.setdefault(end.port, set()).update(set(_addresses(end)) - wanted[end.port])
    return {port: frozenset(addresses) for port, addresses in found.items() if addresses}


def touched_ports(lab: LabSpec) -> frozenset[PortId]:
    """Every port that a cable of the lab ends at."""
    return frozenset(end.port for cable in lab.cables for end in cable.ends)


def rejoined(labs: Iterable[LabSpec]) -> frozenset[PortId]:
    """The ports that are not at the same cable in all of these labs, or not over the same one."""
    joined = [{port: (cable.id, cable.over) for cable in lab.cables for port in cable.ports} for lab in labs]
    every = {port for each in joined for port in each}
    return frozenset(port for port in every if len({each.get(port) for each in joined}) > 1)


def touched_cables(target: LabSpec, steps: Iterable[Step]) -> tuple[CableSpec, ...]:
    """The target's cables that the steps make or change, or that end at a node that they make."""
    steps = tuple(steps)
    named = {step.subject for step in steps if step.do in (Do.ADD_CABLE, Do.CHANGE_CABLE)}
    made = {step.subject for step in steps if step.do in (Do.ADD_NODE, Do.RECREATE_NODE)}
    return tuple(
        cable
        for cable in target.cables
        if str(cable.id) in named or any(end.port.node in made for end in cable.ends)
    )


# -- nodes ---------------------------------------------------------------------------------------------------------


def _node_steps(lab: LabSpec, target: LabSpec) -> Iterator[Step]:
    old = {node.name: node for node in lab.nodes}
    new = {node.name: node for node in target.nodes}
    for name in old.keys() - new.keys():
        yield Step(do=Do.REMOVE_NODE, subject=name, reasons=(Reason(why="the file does not have it"),))
    for name in new.keys() - old.keys():
        yield Step(do=Do.ADD_NODE, subject=name, reasons=(Reason(why="the lab does not have it"),))
    for name in old.keys() & new.keys():
        found = list(_differences(old[name], new[name]))
        if old[name].kind is new[name].kind is not NodeKind.LINUX:
            found = [(Cost.RECORD, replace(reason, why="nothing runs inside it")) for _, reason in found]
        if found:
            anew = any(cost is Cost.RECREATE for cost, _ in found)
            do = Do.RECREATE_NODE if anew else Do.CHANGE_NODE
            yield Step(do=do, subject=name, reasons=tuple(reason for _, reason in found))


def appended(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...] | None:
    """The commands that were put behind the old ones; None if an old one is gone or stands elsewhere."""
    return tuple(new[len(old) :]) if tuple(new[: len(old)]) == tuple(old) else None


def _exec(old: Any, new: Any) -> Row:
    if appended(old, new) is None:
        return Row(Cost.RECREATE, "what a command did cannot be taken back")
    return Row(Cost.LIVE, "the commands that were added are run")


def _sysctls(old: Any, new: Any) -> Row:
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    if old.keys() - new.keys():
        return Row(Cost.RECREATE, "what the kernel would have without it is not known")
    if all(key.replace("/", ".").startswith("net.") for key in changed):
        return Row(Cost.LIVE, "written in its network namespace")
    return Row(Cost.RECREATE, "it is set when the node starts")


_DEPENDS: Mapping[str, Callable[[Any, Any], Row]] = {"exec": _exec, "sysctls": _sysctls}

# -- cables --------------------------------------------------------------------------------------------------------


def _cable_steps(lab: LabSpec, target: LabSpec) -> Iterator[Step]:
    old = {cable.id: cable for cable in lab.cables}
    new = {cable.id: cable for cable in target.cables}
    before, then = touched_ports(lab), touched_ports(target)
    stood, stands = lab.stands(), target.stands()
    for cable in old.keys() - new.keys():
        said = (
            *_kept(old[cable], then, "stays and gets another cable"),
            *_on_machine(old[cable], stood, then, "loses"),
        )
        yield Step(
            do=Do.REMOVE_CABLE, subject=str(cable), reasons=(Reason(why="the file does not have it"), *said)
        )
    for cable in new.keys() - old.keys():
        said = (
            *_kept(new[cable], before, "is there and keeps its device"),
            *_on_machine(new[cable], stands, before, "gets"),
        )
        yield Step(
            do=Do.ADD_CABLE, subject=str(cable), reasons=(Reason(why="the lab does not have it"), *said)
        )
    for cable in old.keys() & new.keys():
        found = [reason for _, reason in _differences(old[cable], new[cable])]
        ends = {end.port: end for end in old[cable].ends}
        for end in new[cable].ends:
            found += [
                replace(reason, field=f"{end.port} {reason.field}")
                for _, reason in _differences(ends[end.port], end)
            ]
        if found:
            yield Step(do=Do.CHANGE_CABLE, subject=str(cable), reasons=tuple(found))


def _kept(cable: CableSpec, ports: Collection[PortId], what: str) -> tuple[Reason, ...]:
    return tuple(Reason(why=f"port {end.port} {what}") for end in cable.ends if end.port in ports)


def _on_machine(
    cable: CableSpec, stands: Mapping[str, Stands], ports: Collection[PortId], verb: str
) -> Iterator[Reason]:
    """What the cable has on the machine, but for the ports that are in both labs: whoever says yes to a plan must see it."""
    for end in cable.ends:
        if stands.get(end.port.node) is Stands.MACHINE and end.port not in ports:
            yield Reason(why=f"the machine {verb} the interface {end.port.interface}")
    if cable.macvlan:
        yield Reason(why=f"the machine {verb} a macvlan on {cable.macvlan.parent} that leads out")
    elif cable.vxlan:
        yield Reason(why=f"the machine {verb} a tunnel to {cable.vxlan.remote}")


def _addresses(end: End) -> Iterator[str]:
    return (each for each in (end.ipv4, end.ipv6) if each)


def _lab_steps(lab: LabSpec, target: LabSpec) -> Iterator[Step]:
    found = [r for cost, r in _differences(lab, target) if cost is not Cost.REFUSED]
    found += [replace(r, field=f"mgmt.{r.field}") for _, r in _differences(lab.mgmt, target.mgmt)]
    if found:
        yield Step(do=Do.CHANGE_LAB, subject=target.name, reasons=tuple(found))


# -- fields --------------------------------------------------------------------------------------------------------


def _differences(old: Any, new: Any) -> Iterator[tuple[Cost, Reason]]:
    """The fields of two specs of one kind that differ, with what that costs; parts are looked into."""
    rows = COSTS[type(old)]
    for each in dataclasses.fields(old):
        row = rows.get(each.name, UNKNOWN)
        one, other = getattr(old, each.name), getattr(new, each.name)
        if row.cost in (Cost.IDENTITY, Cost.PLACE) or not each.compare or one == other:
            continue
        if row.cost is Cost.PARTS:
            if type(one) is Limits:
                yield from _differences(one, other)
            continue
        if row.cost is Cost.DEPENDS:
            row = _DEPENDS[each.name](one, other)
        for field, before, then in _said(each.name, one, other):
            yield row.cost, Reason(field=field, old=before, new=then, why=row.why)


def _said(field: str, old: Any, new: Any) -> Iterator[tuple[str, str, str]]:
    """A difference in words; of a map only the keys that differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield f"{field}.{key}", _text(old.get(key)), _text(new.get(key))
        return
    yield field, _text(old), _text(new)


def _text(value: Any) -> str:
    match value:
        case None:
            text = ""
        case Bind():
            text = ":".join(
                [value.source, value.target, *([",".join(value.options)] if value.options else [])]
            )
        case Wait():
            text = f"{value.stage.value} after {value.until.value} of {value.node}"
        case StageCommand():
            text = f"{value.phase.value} of {value.stage.value}: {value.command}"
        case Dns() | Healthcheck() | Macvlan() | Vxlan():
            text = _settings(value)
        case tuple():
            text = "[" + ", ".join(map(_text, value)) + "]"
        case float():
            text = f"{value:g}"
        case _:
            text = str(value)
    return text


def _settings(value: Dns | Healthcheck | Macvlan | Vxlan) -> str:
    """The settings that say something, by their names."""
    said = ((each.name, _text(getattr(value, each.name))) for each in dataclasses.fields(value))
    return ", ".join(f"{name} {text}" for name, text in said if text not in ("", "[]"))


# -- several plans in one ------------------------------------------------------------------------------------------

#: What two steps about one thing come to, where they are not the same.
_NODE_DO = (Do.REMOVE_NODE, Do.RECREATE_NODE, Do.ADD_NODE, Do.CHANGE_NODE)
_CABLE_DO = (Do.REMOVE_CABLE, Do.ADD_CABLE, Do.CHANGE_CABLE)
_LAB_DO = (Do.CHANGE_LAB,)


def _merge(found: dict[tuple[str, str], Step], step: Step) -> None:
    """Two looks at one thing: it is brought to the target from either state, and for the reasons of both."""
    family = next(f for f in (_NODE_DO, _CABLE_DO, _LAB_DO) if step.do in f)
    key = (family[0].value, step.subject)
    other = found.get(key)
    if other is None:
        found[key] = step
        return
    do = min(step.do, other.do, key=family.index)
    found[key] = Step(
        do=do, subject=step.subject, reasons=tuple(dict.fromkeys((*other.reasons, *step.reasons)))
    )


def _has(lab: LabSpec, name: str) -> bool:
    return any(node.name == name for node in lab.nodes)
