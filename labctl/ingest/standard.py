"""What all vendors here have where nothing is configured; a vendor's own `build` lays over it what it has otherwise.

Each value was known from the sources of every one of these vendors (its `build` names them) before it came to stand
here: a vendor that differs in one overrides that one.
"""

from __future__ import annotations

from typing import Final

from labctl.ingest.draft import Overrides
from labctl.model.routing import AreaKind, Auth, NextHopSelf

OSPF_INTERFACE: Final[Overrides] = {
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
OSPF_PROCESS: Final[Overrides] = {
    "distance_intra": 110,
    "distance_inter": 110,
    "distance_external": 110,
    "passive_default": False,
    "default_metric": None,
    "max_metric": False,
}
AREA: Final[Overrides] = {
    "kind": AreaKind.NORMAL,
    "no_summary": False,
    "default_cost": 1,
    "auth": Auth.NONE,
}
BEST_PATH: Final[Overrides] = {
    "always_compare_med": False,
    "deterministic_med": False,
    "compare_router_id": False,
    "ignore_as_path": False,
    "multipath_relax": False,
    "as_path_confed": False,
    "med_missing_as_worst": False,
    "med_confed": False,
}
BGP_PROCESS: Final[Overrides] = {
    "cluster_id": None,
    "confederation_id": None,
    "default_local_preference": 100,
    "client_to_client_reflection": True,
    "fast_external_failover": True,
    "max_med_on_startup_s": None,
}
BGP_DISTANCES: Final[Overrides] = {"distance_ebgp": 20, "distance_ibgp": 200, "distance_local": 200}
PEER: Final[Overrides] = {
    "unnumbered": False,
    "v6_only": False,
    "description": "",
    "shutdown": False,
    "update_source": "",
    "ebgp_multihop": 1,
    "ttl_security_hops": None,
    "connected_check": True,
    "passive": False,
    "keepalive_s": 60,
    "hold_s": 180,
    "connect_retry_s": 120,
    "advertisement_interval_s": 0,
    "extended_next_hop": False,
    "bfd": False,
    "local_as": None,
    "password": None,
}
PEER_FAMILY: Final[Overrides] = {
    "next_hop_self": NextHopSelf.NO,
    "route_reflector_client": False,
    "soft_reconfiguration": False,
    "allowas_in": None,
    "as_override": False,
    "remove_private_as": False,
    "default_originate": False,
    "weight": None,
    "maximum_prefix": None,
}
