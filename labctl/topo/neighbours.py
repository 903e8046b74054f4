"""Whom a neighbour row means: the box that answers to the most trusted of what the row says about its neighbour.

A neighbour that matches no box becomes a box that was not polled, known by what others say of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from labctl.model.observation import IdKind, Neighbour
from labctl.topo.identity import (
    Box,
    Identities,
    chassis_key,
    safe_name,
    unused,
    usable_address,
    usable_mac,
)


def identities_of(row: Neighbour) -> list[str]:
    """What a neighbour row says about who the neighbour is, most trusted first."""
    said: list[str] = []
    if row.chassis is not None:
        if row.chassis.mac is not None and usable_mac(row.chassis.mac):
            said.append(f"mac:{row.chassis.mac}")
        else:
            said.append(chassis_key(row.chassis))
            if row.chassis.kind is IdKind.ADDRESS and usable_address(row.chassis.text):
                said.append(f"ip:{row.chassis.text}")
    if row.remote_port is not None and row.remote_port.kind is IdKind.MAC and usable_mac(row.remote_port.mac):
        said.append(f"mac:{row.remote_port.mac}")
    said += [f"ip:{a}" for a in row.addresses if usable_address(a)]
    if row.sys_name:
        said += [f"name:{safe_name(row.sys_name)}", f"short:{row.sys_name.split('.')[0]}"]
    return list(dict.fromkeys(said))


class Neighbours:
    """Finds the box a row is about, making a new one for a device that only others know."""

    def __init__(self, known: Identities) -> None:
        self.boxes = list(known.boxes)
        self._owner = dict(known.owner)
        self._taken = {box.name for box in known.boxes}
        folded: dict[str, set[int]] = defaultdict(set)
        for box in known.boxes:
            for name in {box.name.casefold(), safe_name(box.key).casefold()}:
                folded[name].add(box.number)
        self._folded = {name: min(numbers) for name, numbers in folded.items() if len(numbers) == 1}
        self._shared = {
            identity for box in known.boxes for identity in box.identities if identity not in known.owner
        }

    def known(self, row: Neighbour, heard_by: int | None = None) -> tuple[int, str] | None:
        """The box that the row's most trusted identity belongs to, and the kind of that identity.

        A row that carries a hardware address we do not know is not recognised by an address of a box whose hardware
        we do know, nor by anything but hardware as the box that heard it: addresses and names repeat.
        """
        said = identities_of(row)
        hard = any(i.startswith("mac:") for i in said)
        for identity in said:
            kind = identity.partition(":")[0]
            owner = self._owner.get(identity)
            if owner is None:
                continue
            soft = kind in ("ip", "name", "short")
            if soft and hard and (owner == heard_by or (kind == "ip" and self._has_hardware(owner))):
                continue
            return owner, kind
        return None

    def _has_hardware(self, box: int) -> bool:
        return any(i.startswith("mac:") for i in self.boxes[box].identities)

    def disagreement(self, row: Neighbour) -> tuple[int, int] | None:
        """Two polled boxes that the row's chassis id and its name belong to, if they differ."""
        owners = [
            self._owner[i]
            for i in identities_of(row)
            if i in self._owner and i.startswith(("mac:", "name:")) and self.boxes[self._owner[i]].polled
        ]
        return (owners[0], owners[-1]) if owners and owners[0] != owners[-1] else None

    def named(self, name: str) -> int | None:
        """The box of that name: exactly, else its first part, else what its file is called, and without regard to case."""
        found = self._owner.get(
            f"name:{safe_name(name)}", self._owner.get(f"short:{name.split('.', maxsplit=1)[0]}")
        )
        return found if found is not None else self._folded.get(safe_name(name).casefold())

    def adopt_named(self, names: Iterable[str]) -> None:
        """Make boxes for the devices of documents that nobody else mentions."""
        for name in dict.fromkeys(names):
            if self.named(name) is None:
                number, shown = len(self.boxes), unused(safe_name(name), self._taken)
                self._taken.add(shown)
                identity = f"name:{safe_name(name)}"
                self.boxes.append(Box(number=number, key=shown, name=shown, identities=frozenset({identity})))
                self._owner[identity] = number

    def adopt(self, heard: Iterable[tuple[int, Neighbour]]) -> None:
        """Make boxes for strangers: rows with a chassis id first, so that bare names can join them."""
        rows = [row for device, row in heard if self.known(row, device) is None]
        for row in sorted(rows, key=lambda r: (r.chassis is None, not r.sys_name)):
            usable = [i for i in identities_of(row) if i not in self._shared]
            if usable:
                self._adopt(row, usable)

    def _adopt(self, row: Neighbour, said: Sequence[str]) -> None:
        hard = [i for i in said if i.startswith(("mac:", "chassis:"))]
        owner = next((self._owner[i] for i in (hard or said) if i in self._owner), None)
        if owner is None:
            owner = len(self.boxes)
            name = _unused_stranger(row, said, self._taken)
            self._taken.add(name)
            self.boxes.append(Box(number=owner, key=name, name=name))
        box = self.boxes[owner]
        if box.polled:
            return
        mine = [i for i in said if self._owner.setdefault(i, owner) == owner]
        self.boxes[owner] = Box(
            number=owner,
            key=box.key,
            name=box.name,
            identities=box.identities | {i for i in mine if not i.startswith("short:")},
            strong=tuple(
                dict.fromkeys((*box.strong, *(i for i in mine if i.startswith(("mac:", "chassis:")))))
            ),
        )


def _unused_stranger(row: Neighbour, said: Sequence[str], taken: set[str]) -> str:
    """sysName; else the MAC as `e45a.d461.af40`; else what the row has. A name in use gets its MAC appended."""
    mac = next((i[4:].replace(":", "") for i in said if i.startswith("mac:")), "")
    spelled = ".".join(mac[i : i + 4] for i in range(0, 12, 4)) if mac else ""
    name = safe_name(row.sys_name)
    if name and name in taken and mac:
        name = f"{name}-{mac}"
    return unused(name or spelled or safe_name(said[0].split(":")[-1]), taken)
