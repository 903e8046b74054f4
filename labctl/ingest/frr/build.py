"""FRR's defaults, and the model of a draft with them.

Sources of the numbers: FRR's own `show` output (8.4) and its defaults table, which depends on `frr version` and on
`frr defaults traditional|datacenter`.
"""

from __future__ import annotations

from dataclasses import replace

from labctl.ingest import standard
from labctl.ingest.assemble import Defaults, assemble, network_type
from labctl.ingest.draft import Draft, Overrides
from labctl.ingest.frr.interface import kind_of, vlan_of
from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.policy import Action, UndefinedPolicies
from labctl.model.routing import OspfConfig, OspfInterface

#: FRR denies what it cannot find, and a condition on an undefined list does not hold.
FRR_UNDEFINED = UndefinedPolicies(
    route_map=Action.DENY,
    prefix_list=Action.DENY,
    access_list=Action.DENY,
    as_path_list=Action.DENY,
    match=Action.DENY,
)
#: ECMP width of the builds that Debian and frrouting.org ship.
MULTIPATH = 256

OSPF_PROCESS: Overrides = standard.OSPF_PROCESS | {
    "reference_bandwidth_bps": 100_000 * 10**6,
    "spf_delay_ms": 0,
    "spf_hold_ms": 50,
    "spf_max_hold_ms": 5000,
    "max_paths": MULTIPATH,
    "rfc1583": False,
}
BGP_PROCESS: Overrides = standard.BGP_PROCESS | {"graceful_restart": "helper"}
BGP_FAMILY: Overrides = standard.BGP_DISTANCES | {"max_paths_ebgp": MULTIPATH, "max_paths_ibgp": MULTIPATH}
PEER_FAMILY: Overrides = standard.PEER_FAMILY | {
    "send_community": True,
    "send_ext_community": True,
    "send_large_community": True,
}


def build(draft: Draft) -> DeviceConfig:
    return assemble(draft, defaults(draft))


def defaults(draft: Draft) -> Defaults:
    datacenter = draft.profile == "datacenter"
    keepalive, hold, retry = (3, 9, 10) if datacenter else (60, 180, 120)
    return Defaults(
        dialect="frr",
        undefined=FRR_UNDEFINED,
        kind_of=kind_of,
        vlan_of=vlan_of,
        ospf_interface=standard.OSPF_INTERFACE,
        ospf_process=OSPF_PROCESS,
        area=standard.AREA,
        best_path=standard.BEST_PATH | {"deterministic_med": datacenter},
        bgp_process=BGP_PROCESS
        | {
            "ebgp_requires_policy": not datacenter and draft.version >= (7, 4),
            "network_import_check": datacenter or draft.version >= (7, 4),
            "suppress_duplicates": datacenter or draft.version >= (7, 6),
        },
        bgp_family=BGP_FAMILY,
        peer=standard.PEER
        | {
            "keepalive_s": keepalive,
            "hold_s": hold,
            "connect_retry_s": retry,
            "enforce_first_as": draft.version >= (9, 1),
        },
        peer_family=PEER_FAMILY,
        isis_wide=True,
    )


def unmentioned(interface: InterfaceConfig, process: OspfConfig) -> InterfaceConfig:
    """An interface that the file does not mention, as FRR's OSPF sees it."""
    values = standard.OSPF_INTERFACE | {
        "network_type": network_type(interface.kind),
        "passive": process.passive_default,
    }
    return replace(interface, ospf=OspfInterface(**values))
