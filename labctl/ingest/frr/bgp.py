"""`router bgp` and its address families."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from labctl.errors import LabctlError
from labctl.ingest.commands import Act, Commands
from labctl.ingest.draft import BgpDraft, Draft, FamilyDraft, Overrides, PeerDraft, host, prefix
from labctl.ingest.frr.ospf import PROTOCOLS
from labctl.model.policy import Afi
from labctl.model.routing import (
    AddPath,
    BgpAggregate,
    BgpNetwork,
    Dampening,
    LocalAs,
    NextHopSelf,
    Redistribution,
)

BGP = Commands("bgp")
FAMILY = Commands("bgp-family")

_PEER = r"neighbor (?P<peer>\S+)"
_NO_PEER = r"(?P<no>no )?neighbor (?P<peer>\S+)"


def open_bgp(draft: Draft, asn: int) -> Commands:
    if draft.bgp and draft.bgp.asn != asn:
        raise LabctlError(
            "bad-config", f"BGP already runs as AS {draft.bgp.asn}, here it is {asn}", where=draft.where
        )
    draft.bgp = draft.bgp or BgpDraft(where=draft.where, asn=asn)
    draft.afi = Afi.IPV4
    return BGP


def here(draft: Draft) -> BgpDraft:
    assert draft.bgp is not None
    return draft.bgp


def peer_here(draft: Draft, name: str) -> PeerDraft:
    """An existing peer or group; FRR refuses settings of one that has neither remote-as nor group yet."""
    if draft.open_peers:
        peer = _new_peer(draft, name)
        peer.lines.append(draft.where)
        return peer
    try:
        return here(draft).peers[_canonical(draft, name)]
    except KeyError:
        raise LabctlError(
            "bad-config",
            f"peer {name!r} has settings before it has a remote-as or a peer-group",
            where=draft.where,
            hint=f"`neighbor {name} remote-as …` comes first",
        ) from None


def _canonical(draft: Draft, name: str) -> str:
    """Addresses in one spelling, so that `2001:DB8::0:1` and `2001:db8::1` are one peer; anything else is a name."""
    try:
        return host(draft, name)
    except LabctlError:
        return name


def _new_peer(draft: Draft, name: str) -> PeerDraft:
    return here(draft).peers.setdefault(_canonical(draft, name), PeerDraft(where=draft.where))


# --- the process ---


def _process_flag(words: str, key: str, *, best: bool = False) -> None:
    @BGP.on(rf"(?P<no>no )?{words}")
    def act(draft: Draft, match: re.Match[str]) -> None:
        (here(draft).bestpath if best else here(draft).set)[key] = not match["no"]


for _words, _key in (
    ("bgp ebgp-requires-policy", "ebgp_requires_policy"),
    ("bgp network import-check", "network_import_check"),
    ("bgp client-to-client reflection", "client_to_client_reflection"),
    ("bgp fast-external-failover", "fast_external_failover"),
    ("bgp suppress-duplicates", "suppress_duplicates"),
):
    _process_flag(_words, _key)
for _words, _key in (
    ("bgp always-compare-med", "always_compare_med"),
    ("bgp deterministic-med", "deterministic_med"),
    ("bgp bestpath compare-routerid", "compare_router_id"),
    ("bgp bestpath as-path ignore", "ignore_as_path"),
    ("bgp bestpath as-path multipath-relax( no-as-set)?", "multipath_relax"),
    ("bgp bestpath as-path confed", "as_path_confed"),
):
    _process_flag(_words, _key, best=True)


@BGP.on(r"bgp bestpath med(?P<which>( confed| missing-as-worst)+)")
def _bestpath_med(draft: Draft, match: re.Match[str]) -> None:
    for word in match["which"].split():
        here(draft).bestpath[f"med_{word.replace('-', '_')}"] = True


@BGP.on(r"bgp router-id (?P<id>\S+)")
def _router_id(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["router_id"] = host(draft, match["id"], Afi.IPV4)


@BGP.on(r"bgp cluster-id (?P<id>[\d.]+)")
def _cluster_id(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["cluster_id"] = match["id"]


@BGP.on(r"bgp confederation identifier (?P<asn>\d+)")
def _confederation(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["confederation_id"] = int(match["asn"])


@BGP.on(r"bgp confederation peers(?P<peers>( \d+)+)")
def _confederation_peers(draft: Draft, match: re.Match[str]) -> None:
    here(draft).confederation_peers.extend(int(asn) for asn in match["peers"].split())


@BGP.on(r"bgp default local-preference (?P<value>\d+)")
def _local_preference(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["default_local_preference"] = int(match["value"])


@BGP.on(r"(?P<no>no )?bgp default (?P<afi>ipv4|ipv6)-unicast")
def _default_family(draft: Draft, match: re.Match[str]) -> None:
    here(draft).default_families[Afi(match["afi"])] = not match["no"]


@BGP.on(r"timers bgp (?P<keepalive>\d+) (?P<hold>\d+)")
def _timers(draft: Draft, match: re.Match[str]) -> None:
    here(draft).timers = int(match["keepalive"]), int(match["hold"])


@BGP.on(r"bgp max-med on-startup (?P<seconds>\d+)")
def _max_med(draft: Draft, match: re.Match[str]) -> None:
    here(draft).set["max_med_on_startup_s"] = int(match["seconds"])


@BGP.on(r"(?P<no>no )?bgp graceful-restart(?P<off>-disable)?")
def _graceful_restart(draft: Draft, match: re.Match[str]) -> None:
    mode = "off" if match["off"] else "on"
    here(draft).set["graceful_restart"] = "helper" if match["no"] else mode


# --- peers ---


@BGP.on(r"neighbor (?P<peer>\S+) peer-group")
def _group(draft: Draft, match: re.Match[str]) -> None:
    _new_peer(draft, match["peer"]).is_group = True


_REMOTE = r"(?P<asn>\d+|internal|external)"


def _remote_as(word: str) -> int | str:
    return int(word) if word.isdigit() else word


@BGP.on(rf"{_PEER} remote-as {_REMOTE}")
def _remote(draft: Draft, match: re.Match[str]) -> None:
    _reach(draft, match["peer"]).set["remote_as"] = _remote_as(match["asn"])


def _reach(draft: Draft, name: str) -> PeerDraft:
    """A group or unnumbered peer that is there already, else a peer by address."""
    known = here(draft).peers.get(name)
    return known or _new_peer(draft, host(draft, name))


@BGP.on(
    rf"neighbor (?P<peer>\S+) interface(?P<v6only> v6only)?( remote-as {_REMOTE}| peer-group (?P<group>\S+))?"
)
def _unnumbered(draft: Draft, match: re.Match[str]) -> None:
    peer = _new_peer(draft, match["peer"])
    peer.set |= {"unnumbered": True, "extended_next_hop": True}
    if match["v6only"]:
        peer.set["v6_only"] = True
    if match["asn"]:
        peer.set["remote_as"] = _remote_as(match["asn"])
    if match["group"]:
        peer.group = _known_group(draft, match["group"])


@BGP.on(r"neighbor (?P<peer>\S+) peer-group (?P<group>\S+)")
def _member(draft: Draft, match: re.Match[str]) -> None:
    group = _known_group(draft, match["group"])
    _reach(draft, match["peer"]).group = group


def _known_group(draft: Draft, group: str) -> str:
    known = here(draft).peers.get(group)
    if known is None or not known.is_group:
        raise LabctlError("bad-config", f"no peer-group is called {group!r}", where=draft.where)
    return group


@BGP.on(rf"{_PEER} description (?P<text>.+)")
def _description(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["description"] = match["text"]


@BGP.on(rf"{_NO_PEER} shutdown( message .+| rtt .+)?")
def _shutdown(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["shutdown"] = not match["no"]


@BGP.on(rf"{_PEER} update-source (?P<source>\S+)")
def _update_source(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["update_source"] = _canonical(draft, match["source"])


@BGP.on(rf"{_PEER} ebgp-multihop( (?P<hops>\d+))?")
def _multihop(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["ebgp_multihop"] = int(match["hops"] or 255)


@BGP.on(rf"{_PEER} ttl-security hops (?P<hops>\d+)")
def _ttl_security(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["ttl_security_hops"] = int(match["hops"])


@BGP.on(rf"{_NO_PEER} (disable-connected-check|enforce-multihop)")
def _connected_check(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["connected_check"] = bool(match["no"])


@BGP.on(rf"{_PEER} timers (?P<keepalive>\d+) (?P<hold>\d+)")
def _peer_timers(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set |= {
        "keepalive_s": int(match["keepalive"]),
        "hold_s": int(match["hold"]),
    }


def _peer_number(words: str, key: str) -> None:
    @BGP.on(rf"{_PEER} {words} (?P<value>\d+)")
    def act(draft: Draft, match: re.Match[str]) -> None:
        peer_here(draft, match["peer"]).set[key] = int(match["value"])


_peer_number("timers connect", "connect_retry_s")
_peer_number("advertisement-interval", "advertisement_interval_s")


def _peer_flag(words: str, key: str) -> None:
    @BGP.on(rf"{_NO_PEER} {words}")
    def act(draft: Draft, match: re.Match[str]) -> None:
        peer_here(draft, match["peer"]).set[key] = not match["no"]


for _words, _key in (
    ("passive", "passive"),
    ("capability extended-nexthop", "extended_next_hop"),
    ("enforce-first-as", "enforce_first_as"),
    ("bfd", "bfd"),
):
    _peer_flag(_words, _key)


@BGP.on(rf"{_PEER} local-as (?P<asn>\d+)(?P<no_prepend> no-prepend)?(?P<replace> replace-as)?")
def _local_as(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["local_as"] = LocalAs(
        asn=int(match["asn"]), no_prepend=bool(match["no_prepend"]), replace_as=bool(match["replace"])
    )


@BGP.on(rf"{_PEER} password (?P<secret>\S+)")
def _password(draft: Draft, match: re.Match[str]) -> None:
    peer_here(draft, match["peer"]).set["password"] = draft.redactor.token(match["secret"])


@BGP.on(r"address-family (?P<afi>ipv4|ipv6)( unicast)?")
def _family(draft: Draft, match: re.Match[str]) -> Commands:
    draft.afi = Afi(match["afi"])
    return FAMILY


# --- address families; before FRR 2 the IPv4 ones stood directly below `router bgp`, and FRR still takes them there ---


def in_family(draft: Draft, match: re.Match[str]) -> Overrides:
    return peer_here(draft, match["peer"]).family(draft.afi)


def family_here(draft: Draft) -> FamilyDraft:
    return here(draft).families[draft.afi]


def _af_flag(words: str, **values: Any) -> None:
    """`neighbor X words` sets the given fields; `no …` sets the opposite of each."""

    @FAMILY.on(rf"{_NO_PEER} {words}")
    @BGP.on(rf"{_NO_PEER} {words}")
    def act(draft: Draft, match: re.Match[str]) -> None:
        off = {key: None if value is None else not value for key, value in values.items()}
        in_family(draft, match).update(off if match["no"] else values)


_af_flag("activate", activate=True)
_af_flag("route-reflector-client", route_reflector_client=True)
_af_flag("send-community( standard)?", send_community=True)
_af_flag("send-community extended", send_ext_community=True)
_af_flag("send-community large", send_large_community=True)
_af_flag("send-community both", send_community=True, send_ext_community=True)
_af_flag("send-community all", send_community=True, send_ext_community=True, send_large_community=True)
_af_flag("soft-reconfiguration inbound", soft_reconfiguration=True)
_af_flag("as-override", as_override=True)
_af_flag("remove-private-[aA][sS]", remove_private_as=True)


def _af_on(pattern: str, *, peer: str = _PEER) -> Callable[[Act], Act]:
    def add(act: Act) -> Act:
        return FAMILY.on(f"{peer} {pattern}")(BGP.on(f"{peer} {pattern}")(act))

    return add


@_af_on("next-hop-self(?P<force> force| all)?", peer=_NO_PEER)
def _next_hop_self(draft: Draft, match: re.Match[str]) -> None:
    yes = NextHopSelf.FORCE if match["force"] else NextHopSelf.YES
    in_family(draft, match)["next_hop_self"] = NextHopSelf.NO if match["no"] else yes


@_af_on(r"allowas-in( (?P<times>\d+))?", peer=_NO_PEER)
def _allowas_in(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["allowas_in"] = None if match["no"] else int(match["times"] or 3)


@_af_on(r"default-originate( route-map (?P<name>\S+))?")
def _default_originate(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match).update(default_originate=True, default_originate_map=match["name"] or "")


@_af_on(r"weight (?P<value>\d+)")
def _weight(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["weight"] = int(match["value"])


@_af_on(r"maximum-prefix (?P<value>\d+)( \d+)?")
def _maximum_prefix(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["maximum_prefix"] = int(match["value"])


@_af_on(r"addpath-tx-(?P<which>all-paths|bestpath-per-AS)", peer=_NO_PEER)
def _addpath_send(draft: Draft, match: re.Match[str]) -> None:
    which = AddPath.ALL if match["which"] == "all-paths" else AddPath.BEST_PER_AS
    in_family(draft, match)["addpath_send"] = AddPath.BEST if match["no"] else which


@_af_on(r"disable-addpath-rx", peer=_NO_PEER)
def _addpath_receive(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["addpath_receive"] = bool(match["no"])


_POLICIES = {
    "route-map": "route_map",
    "prefix-list": "prefix_list",
    "filter-list": "as_path_list",
    "distribute-list": "access_list",
}


@_af_on(rf"(?P<kind>{'|'.join(_POLICIES)}) (?P<name>\S+) (?P<way>in|out)")
def _policy(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)[f"{_POLICIES[match['kind']]}_{match['way']}"] = match["name"]


@_af_on(r"unsuppress-map (?P<name>\S+)")
def _unsuppress(draft: Draft, match: re.Match[str]) -> None:
    in_family(draft, match)["unsuppress_map"] = match["name"]


def _both(pattern: str) -> Callable[[Act], Act]:
    def add(act: Act) -> Act:
        return FAMILY.on(pattern)(BGP.on(pattern)(act))

    return add


@_both(r"network (?P<prefix>\S+/\d+)( route-map (?P<map>\S+))?")
def _network(draft: Draft, match: re.Match[str]) -> None:
    found = prefix(draft, match["prefix"], draft.afi)
    family_here(draft).networks[found] = BgpNetwork(
        prefix=found, route_map=match["map"] or "", where=draft.where
    )


@_both(
    r"aggregate-address (?P<prefix>\S+)(?P<options>( as-set| summary-only| route-map \S+| suppress-map \S+)*)"
)
def _aggregate(draft: Draft, match: re.Match[str]) -> None:
    found, words = prefix(draft, match["prefix"], draft.afi), match["options"].split()

    def after(word: str) -> str:
        return words[words.index(word) + 1] if word in words else ""

    family_here(draft).aggregates[found] = BgpAggregate(
        prefix=found,
        as_set="as-set" in words,
        summary_only="summary-only" in words,
        route_map=after("route-map"),
        suppress_map=after("suppress-map"),
        where=draft.where,
    )


@_both(rf"redistribute (?P<source>{PROTOCOLS})(?P<options>( metric \d+| route-map \S+)*)")
def _redistribute(draft: Draft, match: re.Match[str]) -> None:
    words = match["options"].split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    family_here(draft).redistribute[match["source"]] = Redistribution(
        source=match["source"],
        metric=int(options["metric"]) if "metric" in options else None,
        route_map=options.get("route-map", ""),
        where=draft.where,
    )


@_both(r"maximum-paths (?P<ibgp>ibgp )?(?P<paths>\d+)")
def _max_paths(draft: Draft, match: re.Match[str]) -> None:
    family_here(draft).set[f"max_paths_{'ibgp' if match['ibgp'] else 'ebgp'}"] = int(match["paths"])


@_both(r"distance bgp (?P<ebgp>\d+) (?P<ibgp>\d+) (?P<local>\d+)")
def _distance(draft: Draft, match: re.Match[str]) -> None:
    for kind in ("ebgp", "ibgp", "local"):
        family_here(draft).set[f"distance_{kind}"] = int(match[kind])


@_both(r"bgp dampening(?P<values> \d+( \d+ \d+ \d+)?)?")
def _dampening(draft: Draft, match: re.Match[str]) -> None:
    stated = [int(word) for word in (match["values"] or "15").split()]
    half, reuse, suppress, most = [*stated, 750, 2000, 4 * stated[0]][:4] if len(stated) == 1 else stated
    family_here(draft).set["dampening"] = Dampening(
        half_life_min=half, reuse=reuse, suppress=suppress, max_suppress_min=most
    )


@_both(r"table-map (?P<name>\S+)")
def _table_map(draft: Draft, match: re.Match[str]) -> None:
    family_here(draft).set["table_map"] = match["name"]


BGP.irrelevant("logging", r"(no )?bgp log-neighbor-changes", r"(no )?bgp default show-(nexthop-)?hostname")
BGP.irrelevant("default-kept", r"no synchronization", r"no auto-summary", r"bgp always-compare-local-pref")
_OTHER_FAMILY = Commands("bgp-other-family", swallow=None)
_OTHER_FAMILY.unsupported("address-family", r"(?!router |interface |address-family |route-map |exit).+")
BGP.unsupported("address-family", r"address-family .+", act=lambda _draft, _match: _OTHER_FAMILY)
BGP.unsupported("dynamic-peers", r"bgp listen .+")
#: Understood and not emulated: below an address family, and for the peer as a whole.
_FAMILY_FEATURES = (
    r"(no )?neighbor \S+ (addpath-\S+|attribute-unchanged|capability orf|maximum-prefix(-out)?|advertise-map|soo|encap|"
    r"nexthop-local|allowas-in|default-originate|weight|accept-own|send-community|remove-private-AS|next-hop-self|"
    r"route-map|disable-addpath-rx)( .*)?"
)
_PEER_FEATURES = (
    r"(no )?neighbor \S+ (capability|disable-\S+|dont-capability-negotiate|graceful-\S+|override-capability|"
    r"path-attribute|port|role|sender-as-path-loop-detection|solo|strict-capability-match|tcp-mss|timers|version|"
    r"as-loop|bfd|local-as|rpki|remote-as|shutdown|password|ebgp-multihop|update-source|description|peer-group)( .*)?"
)
BGP.unsupported(
    "bgp-feature",
    _FAMILY_FEATURES,
    _PEER_FEATURES,
    r"(no )?bgp (always-compare-local-pref|as-path|bestpath|coalesce-time|conditional-advertisement|dampening|"
    r"deny|disable-ebgp-connected-route-check|fast-convergence|graceful-\S+|hard-administrative-reset|ipv6-auto-ra|"
    r"labeled-unicast|long-lived-graceful-restart|lu|max-med|minimum-holdtime|nexthop|reject-as-sets|retain|"
    r"route-map|route-reflector|shutdown|snmp|srv6|subgroup-\S+|suppress-fib-pending|tcp-keepalive|update-delay|"
    r"use-underlays-nexthop-weight|default|write-quanta|read-quanta|input-queue-limit|output-queue-limit)( .*)?",
    r"(no )?(write-quanta|read-quanta|update-delay|coalesce-time|segment-routing|vnc|timers bgp)( .*)?",
)
FAMILY.unsupported(
    "bgp-feature",
    _FAMILY_FEATURES,
    r"(no )?(bgp (dampening|nexthop|retain|redistribute-internal)|network|distance|redistribute|aggregate-address|"
    r"maximum-paths|import (vrf|vpn)|export vpn|rd|rt|route-target|label vpn|nexthop vpn|sid|table-map)( .*)?",
)
