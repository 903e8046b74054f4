"""What fails in networks, and which fault of labctl stands for it: the data behind docs/faults.md.

Two lists: the failures that other tools for fault injection know (Chaos Mesh, Pumba, Litmus, ChaosBlade, Toxiproxy,
containerlab, Mininet, Jepsen, Gremlin, AWS FIS, Envoy, stress-ng), and the issue types of NIKA, the benchmark for
troubleshooting agents (arXiv 2512.16381: 54 in the paper; named here as in its repository, without Kubernetes). A row
that nothing stands for says why not.
"""

from __future__ import annotations

#: failure -> (fault kinds with the settings that matter, or "", remark)
Row = tuple[str, str, str]

LINKS: tuple[Row, ...] = (
    ("latency", "link.degrade --delay", ""),
    (
        "jitter (uniform, normal, Pareto), with and without reordering",
        "link.degrade --jitter --distribution --keep-order",
        "",
    ),
    ("loss, independent", "link.degrade --loss", ""),
    ("loss of every n-th packet", "link.degrade --loss-nth", ""),
    ("loss in bursts (Gilbert-Elliott)", "link.degrade --burst-p --burst-r", "four-state chains: not yet"),
    ("duplication", "link.degrade --duplicate", ""),
    ("corruption", "link.degrade --corrupt", "of packets; bit error rates: not yet"),
    ("reordering", "link.degrade --reorder --delay", ""),
    ("bandwidth", "link.degrade --rate --queue", ""),
    ("bursty medium (slots)", "", "no backend but netem can; not yet"),
    ("silent black hole", "link.blackhole", ""),
    ("one direction fails", "link.oneway", ""),
    ("carrier loss", "link.down", ""),
    ("administrative shutdown of one side", "link.admin-down", ""),
    ("flap", "link.flap", ""),
    ("shared-risk group, line card", "link.group, node.linecard", ""),
    ("partition", "link.partition", ""),
    ("MTU black hole", "link.mtu", ""),
    ("one protocol is lost (BGP, BFD, OSPF, LLDP, ARP, a port)", "link.selective", ""),
    ("one ECMP or bundle member is bad", "link.ecmp-member", ""),
    ("microburst", "link.microburst", "the wait and loss of the others; no frames of its own"),
)
DEVICES: tuple[Row, ...] = (
    ("power loss", "node.power", ""),
    ("control-plane hang, data plane alive", "node.hang", ""),
    ("reboot, cold or warm", "node.reboot", ""),
    ("one daemon killed and kept dead", "node.daemon-kill", ""),
    ("one daemon hung", "node.daemon-hang", ""),
    ("crash loop", "node.crash-loop", ""),
    ("line card", "node.linecard", ""),
    ("slow device", "node.slow", ""),
    ("part of ports, capacity, CPU", "node.degrade", ""),
    ("configuration fault", "node.config", "FRR's configuration"),
    ("clock skew", "", "the kernel has one wall clock for all nodes; needs a library inside each process"),
)
APPLICATIONS: tuple[Row, ...] = (
    ("HTTP error, delay, truncation", "", "application faults are a later part of labctl"),
    ("TCP refused, reset, half-open", "", "application faults are a later part of labctl"),
    ("DNS errors, wrong or slow answers", "", "application faults are a later part of labctl"),
    ("database timeout, connection limit, slow query", "", "application faults are a later part of labctl"),
    (
        "TLS: expired or wrong certificate, slow handshake",
        "",
        "application faults are a later part of labctl",
    ),
)
RESOURCES: tuple[Row, ...] = (
    ("CPU starvation", "node.slow", ""),
    (
        "CPU burn beside the daemons",
        "",
        "resource faults are a later part of labctl; node.slow is the repeatable form",
    ),
    ("memory hog, memory squeeze", "", "resource faults are a later part of labctl"),
    ("disk full, slow or failing", "", "resource faults are a later part of labctl"),
    ("descriptors, processes, table sizes exhausted", "", "resource faults are a later part of labctl"),
)
_CONFIG_HOST = "configuration of a host, not of a router: node.config speaks FRR only"
_SERVICE = (
    "the service is a process: it dies or hangs; its wrong answers are application faults, a later part"
)
_ATTACK = "needs a node that sends what it should not; labctl has no traffic generator yet"
_SDN = "labctl has no SDN controller or P4 switch"
NIKA: tuple[Row, ...] = (
    ("arp_acl_block", "link.selective --protocols arp", ""),
    ("arp_cache_poisoning", "", _ATTACK),
    ("bgp_acl_block", "link.selective --protocols bgp", ""),
    ("bgp_asn_misconfig", "node.config", ""),
    ("bgp_blackhole_route_leak", "node.config", ""),
    ("bgp_hijacking", "node.config", "a network statement of somebody else's prefix"),
    ("bgp_missing_route_advertisement", "node.config", ""),
    ("bmv2_switch_down", "", _SDN),
    ("dhcp_missing_subnet", "", _CONFIG_HOST),
    ("dhcp_service_down", "node.daemon-kill", ""),
    ("dhcp_spoofed_dns", "", _ATTACK),
    ("dhcp_spoofed_gateway", "", _ATTACK),
    ("dhcp_spoofed_subnet", "", _ATTACK),
    ("dns_lookup_latency", "link.degrade --delay", "of the whole link; slow answers alone are application faults, a later part"),
    ("dns_port_blocked", "link.selective --protocols udp-port:53,tcp-port:53", ""),
    ("dns_record_error", "", _SERVICE),
    ("dns_service_down", "node.daemon-kill", ""),
    ("flow_rule_loop", "", _SDN),
    ("flow_rule_shadowing", "", _SDN),
    ("frr_service_down", "node.daemon-kill", ""),
    ("host_crash", "node.power", ""),
    ("host_incorrect_dns", "", _CONFIG_HOST),
    ("host_incorrect_gateway", "", _CONFIG_HOST),
    ("host_incorrect_ip", "", _CONFIG_HOST),
    ("host_incorrect_netmask", "", _CONFIG_HOST),
    ("host_ip_conflict", "", _CONFIG_HOST),
    ("host_missing_ip", "", _CONFIG_HOST),
    ("host_static_blackhole", "node.config", "where the host runs FRR"),
    ("host_vpn_membership_missing", "", _CONFIG_HOST),
    ("http_acl_block", "link.selective --protocols tcp-port:80", ""),
    ("icmp_acl_block", "link.selective --protocols icmp", ""),
    ("incast_traffic_network_limitation", "", _ATTACK),
    ("link_bandwidth_throttling", "link.degrade --rate", ""),
    ("link_detach", "link.down", "the port stays; a port that is gone is a change of the lab, `apply`"),
    ("link_down", "link.down, link.admin-down", ""),
    ("link_flap", "link.flap", ""),
    ("link_fragmentation_disabled", "link.mtu", ""),
    ("link_high_packet_corruption", "link.degrade --corrupt", ""),
    ("load_balancer_overload", "node.slow", "short of CPU; overload by requests needs a traffic generator"),
    ("mac_address_conflict", "", _CONFIG_HOST),
    ("mpls_label_limit_exceeded", "", "table sizes are resource faults, a later part of labctl"),
    ("ospf_acl_block", "link.selective --protocols ospf", ""),
    ("ospf_area_misconfiguration", "node.config", ""),
    ("ospf_neighbor_missing", "node.config", ""),
    ("p4_aggressive_detection_thresholds", "", _SDN),
    ("p4_compilation_error_parser_state", "", _SDN),
    ("p4_header_definition_error", "", _SDN),
    ("p4_table_entry_misconfig", "", _SDN),
    ("p4_table_entry_missing", "", _SDN),
    ("receiver_resource_contention", "node.slow", ""),
    ("sdn_controller_crash", "node.power, node.daemon-kill", "as for any node or process"),
    ("sender_application_delay", "", "application faults are a later part of labctl"),
    ("sender_resource_contention", "node.slow", ""),
    ("southbound_port_block", "link.selective --protocols tcp-port:6653", ""),
    ("southbound_port_mismatch", "", _SDN),
    ("web_dos_attack", "", _ATTACK),
)  # fmt: skip
#: fault -> what of the machine does it; impairments are said from the table of preferences.
MECHANISM: dict[str, str] = {
    "link.admin-down": "rtnetlink in the node's namespace",
    "link.down": "level of the panel sides",
    "link.flap": "level of the panel sides, timed by the agent",
    "link.group": "level of the panel sides",
    "link.microburst": "impairments delay, jitter and loss (see `link.degrade`), timed by the agent",
    "link.oneway": "impairment `blackhole`; without light the level of one panel side",
    "link.partition": "impairment `blackhole`; without light the levels of panel sides",
    "node.config": "vtysh",
    "node.crash-loop": "signals, timed by the agent",
    "node.daemon-hang": "SIGSTOP",
    "node.daemon-kill": "SIGKILL; watchfrr, where it runs, stands still meanwhile",
    "node.degrade": "levels of panel sides, impairment `rate`, CPU quota of the control group",
    "node.hang": "freezer of the control group",
    "node.linecard": "levels of panel sides",
    "node.power": "the container's processes end; levels of panel sides",
    "node.reboot": "the container's processes end and start; cold: levels of panel sides",
    "node.slow": "CPU quota of the control group",
}
#: fault -> parameters of the impairment that it uses.
IMPAIRS: dict[str, tuple[str, ...]] = {
    "link.blackhole": ("blackhole",),
    "link.degrade": ("delay_s", "jitter", "loss", "nth", "bursts", "duplicate", "corrupt", "reorder", "rate"),
    "link.ecmp-member": ("members",),
    "link.mtu": ("mtu",),
    "link.selective": ("drops",),
}
