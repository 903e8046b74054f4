"""Production's routing as it is now: its devices asked over SSH what the recorded answers say, and read the same way.

A question is the name of a reader: the command with underscores for blanks. Which are put to a device follows from what
it is. Answers arrive one after the other, device by device at the same time: a network that is changing is not seen at
one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from labctl.errors import LabctlError
from labctl.ingest import ssh
from labctl.ingest.inventory import Target
from labctl.ingest.recorded import READERS, answer
from labctl.ingest.sources import Unread
from labctl.model.recorded import Recorded

_OWN: Final = ("ip_-j_route_show_table_local", "ip_-6_-j_route_show_table_local")
#: dialect -> what to ask
QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "frr": (
        "vtysh_-c_'show_ip_route_vrf_all_json'",
        "vtysh_-c_'show_ipv6_route_vrf_all_json'",
        "vtysh_-c_'show_ip_ospf_neighbor_all_json'",
        "vtysh_-c_'show_ip_bgp_vrf_all_neighbors_json'",
        *_OWN,
    ),
    "linux": ("ip_-j_route_show_table_main", "ip_-6_-j_route_show_table_main", *_OWN),
    "ios": (
        "show_ip_route",
        "show_ip_route_vrf_*",
        "show_ipv6_route",
        "show_ip_ospf_neighbor",
        "show_ip_bgp_all_neighbor",
        "show_ip_bgp_all",
    ),
    "eos": (
        "show_ip_route_vrf_all_|_json",
        "show_ipv6_route_vrf_all_|_json",
        "show_ip_ospf_neighbor_|_json",
        "show_ip_bgp_neighbors_vrf_all_|_json",
    ),
}


def collect(
    targets: Sequence[Target],
    dialects: Mapping[str, str],
    *,
    inside: str | None = None,
    done: Callable[[ssh.Texts], None] = lambda _: None,
) -> tuple[dict[str, Recorded], list[Unread]]:
    """Target's name -> its answers, of those whose dialect is known; and those that did not answer.

    Raises `bad-row` for an answer in a shape that its command does not have.
    """
    known = [target for target in targets if dialects.get(target.name) in QUESTIONS]

    def ask(session: ssh.Session, target: Target) -> tuple[dict[str, str], str]:
        dialect = dialects[target.name]
        said = ((name, session.run(name.replace("_", " "))) for name in QUESTIONS[dialect])
        return {name: text for name, text in said if text is not None}, dialect

    found, unread = {}, []
    for each in ssh.collect(known, ask=ask, inside=inside, done=done):
        if each.error is not None:
            unread.append(_unread(each.target, each.error))
        else:
            found[each.target.name] = _read(each)
    return found, unread


def _read(said: ssh.Texts) -> Recorded:
    known = Recorded()
    for name in QUESTIONS[said.dialect]:
        if name in said.texts:
            where = f"ssh:{said.target.name}/{name.replace('_', ' ')}"
            known = answer(READERS[name], said.target.name, said.texts[name], known, where=where)
    return known


def _unread(target: Target, error: LabctlError) -> Unread:
    return Unread(name=target.name, address=target.address, what="ssh", error=error)
