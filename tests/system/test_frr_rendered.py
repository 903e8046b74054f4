"""FRR really runs what the renderer wrote, and says in `show running-config` what the model says."""

import json
import os
import shutil
from dataclasses import replace

import pytest
from config_strategies import KEYS, configs
from frr_daemons import router
from hypothesis import HealthCheck, Phase, given, settings
from rig import until

from labctl.errors import Problems
from labctl.ingest.frr import parse
from labctl.ingest.frr.build import unmentioned
from labctl.ingest.ios import parse as parse_ios
from labctl.ingest.redact import Redactor
from labctl.model.account import LineClass
from labctl.model.config import InterfaceConfig
from labctl.model.routing import AddPath
from labctl.render.frr import render_frr
from labctl.render.project import Surroundings, project

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("vtysh") is None, reason="needs FRR (apt-get install frr)"),
]
SOAK = os.environ.get("LABCTL_SOAK") == "1"

FULL = """
frr defaults traditional
hostname r1
ip forwarding
ipv6 forwarding
ip route 10.9.0.0/16 blackhole
ip route 10.8.0.0/16 10.0.0.2 eth1 tag 5 7
ipv6 route 2001:db8:9::/48 2001:db8::2
interface lo
 ip address 10.255.0.1/32
interface eth1
 description to r2
 ip address 10.0.0.1/24
 ipv6 address 2001:db8::1/64
 ip ospf cost 15
 ip ospf network point-to-point
 ip ospf hello-interval 1
 ip ospf dead-interval 4
 ip ospf authentication message-digest
 ip ospf message-digest-key 1 md5 secret-one
interface eth2
 ip address 10.0.1.1/24
 ip ospf passive
router ospf
 ospf router-id 10.255.0.1
 network 10.0.0.0/16 area 0
 network 10.255.0.1/32 area 0
 area 1 stub no-summary
 area 2 nssa
 area 2 range 10.2.0.0/16 cost 5
 area 2 range 10.3.0.0/16 not-advertise
 redistribute connected metric 5 metric-type 1 route-map CONNECTED
 default-information originate always metric 7
 auto-cost reference-bandwidth 40000
 timers throttle spf 10 100 1000
 distance ospf intra-area 30 inter-area 110 external 150
 maximum-paths 4
router bgp 65001
 bgp router-id 10.255.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 neighbor SPINE peer-group
 neighbor SPINE remote-as 65002
 neighbor SPINE timers 3 9
 neighbor SPINE password secret-two
 neighbor 10.0.0.2 peer-group SPINE
 neighbor 10.0.1.2 remote-as internal
 neighbor 10.0.1.2 update-source lo
 neighbor 2001:db8::2 remote-as 65002
 neighbor eth2 interface remote-as external
 address-family ipv4 unicast
  network 10.255.0.1/32
  aggregate-address 10.0.0.0/8 summary-only
  redistribute ospf route-map CONNECTED
  neighbor SPINE activate
  neighbor SPINE route-map OUT out
  no neighbor SPINE send-community extended
  neighbor 10.0.1.2 activate
  neighbor 10.0.1.2 next-hop-self
  neighbor 10.0.1.2 route-reflector-client
  maximum-paths 4
 address-family ipv6 unicast
  neighbor 2001:db8::2 activate
  neighbor 2001:db8::2 soft-reconfiguration inbound
ip prefix-list NETS seq 5 permit 10.0.0.0/8 le 24
bgp as-path access-list OWN seq 5 permit ^$
bgp community-list standard BLUE seq 5 permit 65001:1
route-map CONNECTED permit 10
 match ip address prefix-list NETS
 set tag 7
route-map OUT permit 10
 match community BLUE
 match as-path OWN
 on-match goto 30
 set community 65001:2 additive
 set metric +5
route-map OUT deny 20
route-map OUT permit 30
 set as-path prepend 65001 65001
"""


def read(text, *, file, device="d"):
    found = parse(text, file=file, device=device, redactor=Redactor(KEYS))
    assert [line.text for line in found.account.of(LineClass.UNKNOWN, LineClass.UNSUPPORTED)] == []
    return found.config


def canonical(config):
    """FRR prints many things in an order of its own; order means nothing there. The hostname is the machine's."""

    def ordered(values, key=str):
        return tuple(sorted(values, key=key))

    bgp = config.bgp and replace(
        config.bgp,
        neighbors=ordered(config.bgp.neighbors, key=lambda n: n.peer),
        confederation_peers=ordered(config.bgp.confederation_peers),
        families=tuple(
            replace(
                family,
                networks=ordered(family.networks, key=lambda n: n.prefix),
                aggregates=ordered(family.aggregates, key=lambda a: a.prefix),
                redistribute=ordered(family.redistribute, key=lambda r: r.source),
            )
            for family in config.bgp.families
        ),
    )
    ospf = config.ospf and replace(
        config.ospf,
        networks=ordered(config.ospf.networks, key=lambda n: n.prefix),
        areas=tuple(
            replace(
                a, ranges=ordered(a.ranges, key=lambda r: r.prefix), virtual_links=ordered(a.virtual_links)
            )
            for a in ordered(config.ospf.areas, key=lambda a: a.id)
        ),
        redistribute=ordered(config.ospf.redistribute, key=lambda r: r.source),
        summaries=ordered(config.ospf.summaries, key=lambda r: r.prefix),
    )
    return replace(
        config,
        hostname="",
        bgp=bgp,
        ospf=ospf,
        interfaces=tuple(
            replace(
                i,
                ipv4=ordered(i.ipv4),
                ipv6=ordered(i.ipv6),
                virtual_routers=ordered(i.virtual_routers, key=lambda v: v.group),
            )
            for i in ordered(config.interfaces, key=lambda i: i.name)
            if not says_nothing(i, config.ospf)
        ),
        static_routes=ordered(config.static_routes),
        route_maps=ordered(config.route_maps, key=lambda m: m.name),
        prefix_lists=ordered(config.prefix_lists, key=lambda p: (p.afi, p.name)),
        access_lists=ordered(config.access_lists, key=lambda a: (a.afi, a.name)),
        community_lists=ordered(config.community_lists, key=lambda c: (c.kind, c.name)),
        as_path_lists=ordered(config.as_path_lists, key=lambda a: a.name),
        fib_policies=ordered(config.fib_policies, key=lambda f: (f.afi, f.protocol)),
    )


def says_nothing(interface, process):
    """FRR leaves an interface out that is as it would be without being mentioned."""
    bare = InterfaceConfig(name=interface.name, kind=interface.kind)
    return interface == (unmentioned(bare, process) if process else bare)


def test_a_whole_configuration_comes_back_from_running_daemons():
    config = parse(FULL, file="full", device="r1", redactor=Redactor()).config
    with router(["eth1", "eth2"]) as found:
        loaded = found.load(render_frr(config))
        running = found.running()
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    assert canonical(read(running, file="running", device="r1")) == canonical(config)


@settings(
    max_examples=200 if SOAK else 12,
    derandomize=not SOAK,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # each example starts daemons: no shrinking
    report_multiple_bugs=False,
)
@given(configs())
def test_generated_configurations_come_back_from_running_daemons(config):
    config = acceptable(config)
    ports = [i.name for i in config.interfaces if i.name != "lo" and "." not in i.name]
    with router(ports, isis=config.isis is not None) as found:
        loaded = found.load(render_frr(config))
        running = found.running()
    assert "%" not in loaded.stdout + loaded.stderr, loaded.stdout + loaded.stderr
    assert canonical(read(running, file="running")) == canonical(config)


def acceptable(config):
    """What daemons refuse although the syntax allows it is not the renderer's to decide: leave it out."""
    bgp, ospf = config.bgp, config.ospf
    if bgp:  # what is internal in a confederation is another question
        own = {address.partition("/")[0] for i in config.interfaces for address in (*i.ipv4, *i.ipv6)}
        peers = tuple(n for n in bgp.neighbors if n.peer not in own | {n.update_source})
        bgp = replace(bgp, confederation_id=None, confederation_peers=(), neighbors=peers)
        if any(f.addpath_send is AddPath.BEST_PER_AS for n in peers for f in n.families):
            bgp = replace(bgp, bestpath=replace(bgp.bestpath, deterministic_med=True))
    if ospf and not ospf.areas:  # nothing to announce the metric in
        ospf = replace(ospf, max_metric=False)
    # isisd reads route-maps as well, and refuses what only others know; it uses none
    route_maps = () if config.isis else config.route_maps
    return replace(config, bgp=bgp, ospf=ospf, route_maps=route_maps)


REDISTRIBUTING = """\
version 15.2
interface GigabitEthernet1
 ip address 10.0.1.1 255.255.255.0
interface GigabitEthernet2
 ip address 10.0.2.1 255.255.255.0
interface GigabitEthernet3
 ip address 10.0.3.1 255.255.255.0
interface GigabitEthernet4
 ip address 10.0.4.1 255.255.255.0
router ospf 1
 network 10.0.1.0 0.0.0.255 area 0
 network 10.0.2.0 0.0.0.255 area 0
router bgp 65001
 redistribute ospf 1 route-map FROM-OSPF
 redistribute connected route-map CONNECTED
ip prefix-list FROM-OSPF seq 5 permit 10.0.1.0/24
ip prefix-list FROM-OSPF seq 10 permit 10.0.4.0/24
ip prefix-list CONNECTED seq 5 permit 10.0.3.0/24
route-map FROM-OSPF permit 10
 match ip address prefix-list FROM-OSPF
route-map CONNECTED permit 10
 match ip address prefix-list CONNECTED
"""


def test_redistributed_ospf_brings_the_networks_of_its_interfaces():
    """10.0.1 and 10.0.2 are OSPF's and only the first is let through; 10.0.4 would be, and is not OSPF's."""
    production = parse_ios(REDISTRIBUTING, file="r1", device="r1", redactor=Redactor()).config
    names = {f"GigabitEthernet{n}": f"eth{n}" for n in range(1, 5)}
    config = project(production, Surroundings(names=names), [], Problems())
    with router(list(names.values())) as found:
        loaded = found.load(render_frr(config))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr

        def table():
            shown = json.loads(found.vtysh("-c", "show bgp ipv4 unicast json").stdout or "{}")
            return {
                prefix: (path["metric"], path["weight"], path["origin"])
                for prefix, (path,) in shown.get("routes", {}).items()
            }

        until(lambda: len(table()) >= 2, "BGP has heard of its routes")
        assert table() == {
            "10.0.1.0/24": (0, 32768, "incomplete"),
            "10.0.3.0/24": (0, 32768, "incomplete"),
        }
