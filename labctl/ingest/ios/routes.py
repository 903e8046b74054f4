"""Access lists as filters of routes.

A standard list compares the route's address, an extended one its address with the "source" and its mask with the
"destination". Entries that cannot be meant for routes (ports, masks with holes) are left out and said to be so.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from labctl.ingest.draft import Draft
from labctl.ingest.frr.policy import mask_lengths
from labctl.model.account import LineClass
from labctl.model.config import DeviceConfig
from labctl.model.filters import FilterEntry, PacketFilter, Wildcard
from labctl.model.policy import AccessEntry, AccessList, Afi, MatchKind

_CONDITIONS = (MatchKind.ACCESS_LIST_V4, MatchKind.NEXT_HOP_ACCESS_LIST, MatchKind.SOURCE_ACCESS_LIST)


def route_lists(config: DeviceConfig, draft: Draft) -> Iterator[AccessList]:
    """The lists that peers and route-maps use, as those use them."""
    used = set(_used(config))
    for found in config.packet_filters:
        if found.name in used:
            entries = tuple(_entries(found, draft))
            yield AccessList(name=found.name, afi=Afi.IPV4, entries=entries, where=found.where)


def _used(config: DeviceConfig) -> Iterator[str]:
    for route_map in config.route_maps:
        for entry in route_map.entries:
            for match in entry.matches:
                if match.kind in _CONDITIONS:
                    yield from match.values
    for neighbor in config.bgp.neighbors if config.bgp else ():
        for family in neighbor.families:
            yield from (name for name in (family.access_list_in, family.access_list_out) if name)


def _entries(found: PacketFilter, draft: Draft) -> Iterator[AccessEntry]:
    for entry in found.entries:
        route = _route_entry(entry)
        if route is None:
            draft.verdicts[entry.where] = (LineClass.UNSUPPORTED, "not-a-route-filter")
        else:
            yield route


def _route_entry(entry: FilterEntry) -> AccessEntry | None:
    prefix = _prefix(entry.source)
    lengths = None if entry.standard else _lengths(entry.target)
    if prefix is None or entry.protocol != "ip" or entry.established or not (entry.standard or lengths):
        return None
    return AccessEntry(
        seq=entry.seq, action=entry.action, prefix=prefix, by_address=True, lengths=lengths, where=entry.where
    )


def _prefix(end: Wildcard) -> str | None:
    """None if the mask has holes."""
    inverse = int(IPv4Address(end.wildcard))
    if inverse & (inverse + 1):
        return None
    address = int(IPv4Address(end.address)) & ~inverse
    return f"{IPv4Address(address)}/{32 - inverse.bit_length()}"


def _lengths(end: Wildcard) -> tuple[int, int] | None:
    return mask_lengths(int(IPv4Address(end.address)), int(IPv4Address(end.wildcard)))
