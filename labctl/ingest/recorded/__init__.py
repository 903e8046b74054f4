"""Recorded answers of production's devices: `show/<device>/<command>` of a Batfish snapshot directory.

A reader is a function from the text of one answer to values; `READERS` says by the file's name which one is for it.
The name is the command, with blanks as underscores. An answer in no form that is known is passed over: the device
then has no routes to compare, and the comparison says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from typing import Final, TypeAlias

from labctl.errors import LabctlError, Span
from labctl.ingest.recorded import eos, frr, ios, linux
from labctl.model.recorded import Recorded
from labctl.schema import infile

#: (device, text, what is known of it so far) -> what is known now
Reader: TypeAlias = Callable[[str, str, Recorded], Recorded]

READERS: Final[Mapping[str, Reader]] = {
    "show_ip_route": ios.read_routes,
    "show_ip_route_vrf_*": ios.read_vrf_routes,
    "show_ipv6_route": ios.read_routes6,
    "show_ip_ospf_neighbor": ios.read_ospf,
    "show_ip_bgp_all_neighbor": ios.read_bgp,
    "show_ip_bgp_all": ios.read_paths,
    "show_ip_route_vrf_all_|_json": eos.read_routes,
    "show_ipv6_route_vrf_all_|_json": eos.read_routes6,
    "show_ip_ospf_neighbor_|_json": eos.read_ospf,
    "show_ip_bgp_neighbors_vrf_all_|_json": eos.read_bgp,
    "vtysh_-c_'show_ip_route_vrf_all_json'": frr.read_routes,
    "vtysh_-c_'show_ipv6_route_vrf_all_json'": frr.read_routes6,
    "vtysh_-c_'show_ip_ospf_neighbor_all_json'": frr.read_ospf,
    "vtysh_-c_'show_ip_bgp_vrf_all_neighbors_json'": frr.read_bgp,
    "ip_-j_route_show_table_main": linux.read_routes,
    "ip_-6_-j_route_show_table_main": linux.read_routes6,
    "ip_-j_route_show_table_local": linux.read_own,
    "ip_-6_-j_route_show_table_local": linux.read_own6,
}


def is_recorded(path: str) -> bool:
    """A directory of configurations with what the devices printed beside it."""
    return os.path.isdir(os.path.join(path, "show")) and os.path.isdir(os.path.join(path, "configs"))


def read(path: str) -> dict[str, Recorded]:
    """Device's directory -> its answers, for every directory below `show`."""
    top = os.path.join(path, "show")
    found = {}
    for device in sorted(os.listdir(top)):
        if os.path.isdir(os.path.join(top, device)):
            found[device] = _device(device, os.path.join(top, device))
    return found


def _device(device: str, directory: str) -> Recorded:
    names = {os.path.splitext(name)[0]: name for name in sorted(os.listdir(directory))}
    known = Recorded()
    for command, reader in READERS.items():
        # EOS answers `show ip ospf neighbor` in its own words too, beside the same in JSON
        if command in names and f"{command}_|_json" not in names:
            file = os.path.join(directory, names[command])
            known = _answer(reader, device, file, replace(known, files=(*known.files, file)))
    return known


def _answer(reader: Reader, device: str, file: str, known: Recorded) -> Recorded:
    return answer(reader, device, infile.text(file), known, where=file)


def answer(reader: Reader, device: str, text: str, known: Recorded, *, where: str) -> Recorded:
    """A reader takes the shape of an answer for granted; one that has another is an error with its place."""
    try:
        read = reader(device, text, known)
        for route in (*(read.routes or ()), *read.own):
            ip_network(route.prefix)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabctlError(
            "bad-row",
            f"this is not what the command prints: {error}",
            where=Span(where),
            hint="record the answer again, or take the file away: the device is then not compared",
        ) from None
    return read
