"""FRR's defaults, and the model of a draft with them.

Sources of the numbers: FRR's own `show` output (8.4) and its defaults table, which depends on `frr version` and on
`frr defaults traditional|datacenter`.
"""

from __future__ import annotations

from dataclasses import replace

from labctl.ingest.assemble import Defaults, assemble, network_type
from labctl.ingest.draft import Draft, Overrides
from labctl.ingest.frr.interface import kind_of
from labctl.model.config import DeviceConfig, InterfaceConfig
from labctl.model.policy import Action, UndefinedPolicies
from labctl.model.routing import AreaKind, Auth, NextHopSelf, OspfConfig, OspfInterface

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

OSPF_INTERFACE: Overrides = {
    "area": None,
    "cost": None,
    "hello_s": 10,
    "dead_s": 40,
    "hello_multiplier": None,
    "retransmit_s": 5,
    "transmit_delay_s": 1,
    "priority": 1,
    "mtu_ignore": False,
    "bfd": False,
}
OSPF_PROCESS: Overrides = {
    "reference_bandwidth_bps": 100_000 * 10**6,
    "spf_delay_ms": 0,
    "spf_hold_ms": 50,
    "spf_max_hold_ms": 5000,
    "distance_intra": 110,
    "distance_inter": 110,
    "distance_external": 110,
    "max_paths": MULTIPATH,
    "passive_default": False,
    "rfc1583": False,
    "default_metric": None,
    "max_metric": False,
}
AREA: Overrides = {"kind": AreaKind.NORMAL, "no_summary": False, "default_cost": 1, "auth": Auth.NONE}
BEST_PATH: Overrides = {
    "always_compare_med": False,
    "compare_router_id": False,
    "ignore_as_path": False,
    "multipath_relax": False,
    "as_path_confed": False,
    "med_missing_as_worst": False,
    "med_confed": False,
}
BGP_PROCESS: Overrides = {
    "cluster_id": None,
    "confederation_id": None,
    "default_local_preference": 100,
    "client_to_client_reflection": True,
    "fast_external_failover": True,
    "graceful_restart": "helper",
    "max_med_on_startup_s": None,
}
BGP_FAMILY: Overrides = {
    "max_paths_ebgp": MULTIPATH,
    "max_paths_ibgp": MULTIPATH,
    "distance_ebgp": 20,
    "distance_ibgp": 200,
    "distance_local": 200,
}
PEER: Overrides = {
    "unnumbered": False,
    "v6_only": False,
    "description": "",
    "shutdown": False,
    "update_source": "",
    "ebgp_multihop": 1,
    "ttl_security_hops": None,
    "connected_check": True,
    "passive": False,
    "advertisement_interval_s": 0,
    "extended_next_hop": False,
    "bfd": False,
    "local_as": None,
    "password": None,
}
PEER_FAMILY: Overrides = {
    "next_hop_self": NextHopSelf.NO,
    "route_reflector_client": False,
    "send_community": True,
    "send_ext_community": True,
    "send_large_community": True,
    "soft_reconfiguration": False,
    "allowas_in": None,
    "as_override": False,
    "remove_private_as": False,
    "default_originate": False,
    "weight": None,
    "maximum_prefix": None,
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
        ospf_interface=OSPF_INTERFACE,
        ospf_process=OSPF_PROCESS,
        area=AREA,
        best_path={"deterministic_med": datacenter} | BEST_PATH,
        bgp_process=BGP_PROCESS
        | {
            "ebgp_requires_policy": not datacenter and draft.version >= (7, 4),
            "network_import_check": datacenter or draft.version >= (7, 4),
            "suppress_duplicates": datacenter or draft.version >= (7, 6),
        },
        bgp_family=BGP_FAMILY,
        peer=PEER
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
    values = OSPF_INTERFACE | {
        "network_type": network_type(interface.kind),
        "passive": process.passive_default,
    }
    return replace(interface, ospf=OspfInterface(**values))
