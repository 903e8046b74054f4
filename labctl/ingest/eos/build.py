"""EOS's defaults.

Where they come from. *Recorded*, in the state of real switches (EOS 4.23) that the corpus holds: an undefined route-map
permits everything; an OSPF interface costs 10; routes from BGP enter OSPF with metric 1; BGP's administrative distance
is 200 for all routes; peers may announce 12,000 routes and several paths. *Documented*, and not contradicted by what
was recorded: that OSPF's costs follow a reference bandwidth once one is set, that BGP's equal paths need the same length
and not the same AS numbers (multipath-relax; without effect while one path is the most), and the other numbers here and in IOS's
tables. *Assumed*, and in no recording here: an undefined list lets all through at a peer, and a condition with an
undefined list does not hold.
"""

from __future__ import annotations

from labctl.ingest import standard
from labctl.ingest.assemble import Defaults, assemble
from labctl.ingest.draft import Draft
from labctl.ingest.eos.interface import kind_of
from labctl.ingest.ios.build import (
    BGP_FAMILY,
    BGP_PROCESS,
    OSPF_PROCESS,
    PEER,
    PEER_FAMILY,
    completed,
)
from labctl.model.config import DeviceConfig, InterfaceKind
from labctl.model.policy import Action, UndefinedPolicies

#: route_map is recorded, the others are assumed.
EOS_UNDEFINED = UndefinedPolicies(
    route_map=Action.PERMIT,
    prefix_list=Action.PERMIT,
    access_list=Action.PERMIT,
    as_path_list=Action.PERMIT,
    match=Action.DENY,
)
DEFAULT_COST = 10
#: Routes that a peer may announce before the session is closed.
MAXIMUM_ROUTES = 12_000


def defaults(draft: Draft) -> Defaults:
    cost = None if draft.ospf and "reference_bandwidth_bps" in draft.ospf.set else DEFAULT_COST
    return Defaults(
        dialect="eos",
        undefined=EOS_UNDEFINED,
        kind_of=kind_of,
        ospf_interface=standard.OSPF_INTERFACE | {"cost": cost},
        ospf_process=OSPF_PROCESS
        | {
            "spf_delay_ms": 0,
            "spf_hold_ms": 5000,
            "spf_max_hold_ms": 5000,
            "max_paths": 128,
            "rfc1583": False,
        },
        area=standard.AREA,
        best_path=standard.BEST_PATH | {"multipath_relax": True},
        bgp_process=BGP_PROCESS | {"graceful_restart": "helper"},
        bgp_family=BGP_FAMILY | {"distance_ebgp": 200},
        peer=PEER,
        peer_family=PEER_FAMILY | {"maximum_prefix": MAXIMUM_ROUTES, "addpath_receive": True},
    )


def build(draft: Draft) -> DeviceConfig:
    """The model of an EOS file."""
    for name, found in draft.interfaces.items():
        if kind_of(name) is not InterfaceKind.LOOPBACK:
            found.set.setdefault("nominal_bps", 10**9 if name.startswith("Management") else 10 * 10**9)
    bfd = draft.ospf is not None and bool(draft.ospf.set.pop("bfd_everywhere", False))
    return completed(assemble(draft, defaults(draft)), draft, bfd=bfd, external_metric=10)
