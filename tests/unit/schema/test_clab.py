"""Lab files in: inheritance, links, names, addresses, and what each mistake says."""

import textwrap
from dataclasses import replace

import pytest

from labctl.errors import LabctlError
from labctl.model.impairment import Impairment, Rate
from labctl.model.lab import Bind, Limits, Macvlan, MgmtSpec, NodeKind, Over, Vxlan
from labctl.model.stages import Healthcheck, Stage, Wait
from labctl.names import CableId, PortId
from labctl.schema import clab


def read(text, **options):
    notices = []
    lab = clab.parse(
        textwrap.dedent(text), file="/labs/x.clab.yml", **{"env": {}, "notify": notices.append} | options
    )
    return lab, [n.text for n in notices]


def lab_of(text, **options):
    lab, notices = read(text, **options)
    assert notices == []
    return lab


def nodes(text, **options):
    """A lab with this `topology:` content."""
    return lab_of("name: t\ntopology:\n" + textwrap.indent(textwrap.dedent(text), "  "), **options)


def errors(text, **options):
    with pytest.raises(LabctlError) as caught:
        read(text, **options)
    return [(e.code, e.where.line if e.where else 0, e.message) for e in caught.value.each]


def node_errors(text):
    found = errors("name: t\ntopology:\n" + textwrap.indent(textwrap.dedent(text), "  "))
    return [(code, line - 2, said) for code, line, said in found]


PAIR = "nodes: {a: {kind: linux, image: i}, b: {kind: linux, image: i}}\n"


# ---- the whole file


def test_the_least_file():
    lab = lab_of("name: t\ntopology: {nodes: {a: {kind: linux, image: i}}}")
    assert (lab.name, lab.prefix, lab.source, lab.mgmt) == ("t", "clab", "/labs/x.clab.yml", MgmtSpec())
    assert lab.container("a") == "clab-t-a"


@pytest.mark.parametrize(
    ("line", "container"),
    [('prefix: ""', "a"), ("prefix: __lab-name", "t-a"), ("prefix: x", "x-t-a"), ("prefix:", "clab-t-a")],
)
def test_prefixes(line, container):
    assert (
        lab_of(f"name: t\n{line}\ntopology: {{nodes: {{a: {{kind: linux, image: i}}}}}}").container("a")
        == container
    )


def test_the_name_can_be_given_from_outside():
    assert lab_of("topology: {}", name="other").name == "other"
    assert lab_of("name: t\ntopology: {}", name="other").name == "other"


def test_nodes_are_sorted_and_their_names_are_text():
    lab = nodes("nodes: {2: {kind: linux, image: i}, 10: {kind: linux, image: i}}")
    assert [n.name for n in lab.nodes] == ["10", "2"]


def test_mgmt():
    lab = lab_of(
        "name: t\nmgmt: {network: n, ipv4-subnet: 10.9.0.0/16, ipv6-subnet: auto, mtu: 1400}\ntopology: {}"
    )
    assert lab.mgmt == MgmtSpec(network="n", ipv4_subnet="10.9.0.0/16", mtu=1400)


def test_variables_are_expanded_before_yaml_is_read():
    lab = nodes(
        "nodes: {a: {kind: linux, image: 'frr:${V:=9}', cmd: ash -c 'echo $UNSET', env: {X: $KEEP}}}",
        env={"KEEP": "on"},
    )
    assert (lab.node("a").image, lab.node("a").cmd, lab.node("a").env) == (
        "frr:9",
        ("ash", "-c", "echo $UNSET"),
        {"X": "on"},
    )


def test_errors_of_one_stage_come_together():
    assert errors("nam: t\ntopology:\n  nodez: {}\n  nodes:\n    a: {kind: linux, imagee: i}\n") == [
        ("unknown-key", 1, "the file has no key 'nam'"),
        ("unknown-key", 3, "topology has no key 'nodez'"),
        ("unknown-key", 5, "node a has no key 'imagee'"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("- a", "bad-value", 1),
        ("", "bad-value", 1),
        ("topology: {}", "missing-key", 1),
        ("name: t", "missing-key", 1),
        ("name: a b\ntopology: {}", "bad-name", 1),
        ("name: ../x\ntopology: {}", "bad-name", 1),
        ("name: " + "x" * 129 + "\ntopology: {}", "bad-name", 1),
        ("name: t\nmgmt: {mtu: 1279}\ntopology: {}", "bad-value", 2),
        ("name: [t]\ntopology: {}", "bad-value", 1),
        ("name: t\ntopology: x", "bad-value", 2),
        ("name: t\ntopology: {nodes: [a]}", "bad-value", 2),
        ("name: t\ntopology: {links: x}", "bad-value", 2),
        ("name: t\nmgmt: {ipv4-subnet: 10.0.0.1}\ntopology: {}", "bad-address", 2),
        ("name: t\nmgmt: {ipv4-subnet: 10.0.0.1/24}\ntopology: {}", "bad-address", 2),
        ("name: t\nmgmt: {ipv6-subnet: 10.0.0.0/24}\ntopology: {}", "bad-address", 2),
        ("name: t\nmgmt: {mtu: big}\ntopology: {}", "bad-value", 2),
        ("name: t\nmgmt: {mtu: 10}\ntopology: {}", "bad-value", 2),
        ("name: t\ntopology:\n  nodes: {a: {image: x{{ .v }}}}", "missing-variable", 3),
        ("name: t\nname: u", "duplicate-key", 2),
        ("name: ${X", "bad-value", 1),
    ],
)
def test_what_is_wrong_with_the_file(text, code, line):
    assert [e[:2] for e in errors(text)] == [(code, line)]


# ---- inheritance


LEVELS = """
defaults: {kind: linux, image: d, cmd: d, env: {A: d, B: d}, exec: [d, same], labels: {l: d}, user: d, cpu: 4}
kinds: {linux: {image: k, entrypoint: k, env: {B: k, C: k}, exec: [k], sysctls: {s: k}, startup-delay: 3}}
groups: {g: {image: g, env: {C: g, D: g}, exec: [g, same], hostname: g, cpu: 2}}
nodes: {n: {group: g, image: n, env: {D: n}, exec: [n], cpu: 0}, plain: }
"""


def test_the_most_specific_level_wins_and_maps_merge():
    node = nodes(LEVELS).node("n")
    assert (node.image, node.cmd, node.entrypoint, node.user) == ("n", ("d",), ("k",), "d")
    assert node.env == {"A": "d", "B": "k", "C": "g", "D": "n"}
    assert node.exec == ("d", "same", "k", "g", "n")
    assert (node.labels, node.sysctls, node.startup_delay_s, node.limits.cpu) == (
        {"l": "d"},
        {"s": "k"},
        3,
        2,
    )
    assert (node.hostname, node.group) == ("g", "g")


def test_a_node_without_a_body_inherits_everything():
    node = nodes(LEVELS).node("plain")
    assert (node.image, node.cmd, node.exec, node.group, node.hostname) == (
        "k",
        ("d",),
        ("d", "same", "k"),
        "",
        None,
    )


@pytest.mark.parametrize(
    ("topology", "kind"),
    [
        ("nodes: {n: {kind: bridge, group: g}}\ngroups: {g: {kind: host}}", "bridge"),
        ("nodes: {n: {group: g}}\ngroups: {g: {kind: host}}\ndefaults: {kind: bridge}", "host"),
        ("nodes: {n: }\ngroups: {g: {kind: host}}\ndefaults: {kind: bridge, group: g}", "host"),
        ("nodes: {n: }\ndefaults: {kind: bridge}", "bridge"),
    ],
)
def test_where_the_kind_comes_from(topology, kind):
    assert nodes(topology).node("n").kind is NodeKind(kind)


def test_where_the_group_comes_from():
    lab = nodes(
        "defaults: {group: d}\nkinds: {bridge: {group: k}}\n"
        "nodes: {a: {kind: bridge, group: n}, b: {kind: bridge}, c: {kind: host}}"
    )
    assert [n.group for n in lab.nodes] == ["n", "k", "d"]


def test_binds_with_one_target_keep_the_most_specific():
    lab = nodes(
        "defaults: {kind: linux, image: i, binds: ['d:/a', '/abs/x:/b:ro,z']}\nnodes: {n: {binds: ['n:/a', '../up:/c']}}"
    )
    assert lab.node("n").binds == (
        Bind(source="/labs/n", target="/a"),
        Bind(source="/abs/x", target="/b", options=("ro", "z")),
        Bind(source="/up", target="/c"),
    )


def test_magic_words_in_binds_and_exec():
    node = nodes(
        "nodes: {n: {kind: linux, image: i, binds: ['__clabNodeDir__/c:/c', '__clabDir__:/d'], "
        "exec: [echo __clabNodeName__ __clabLabName__]}}"
    ).node("n")
    assert [b.source for b in node.binds] == ["/labs/clab-t/n/c", "/labs/clab-t"]
    assert node.exec == ("echo n clab-t",)


def test_values_are_text_as_it_stands():
    node = nodes(
        "nodes: {n: {kind: linux, image: i, env: {A: 22:22, B: on, C: 010, D: , E: 1.10}, cmd: sh -c 'a b'}}"
    ).node("n")
    assert node.env == {"A": "22:22", "B": "on", "C": "010", "D": "", "E": "1.10"}
    assert node.cmd == ("sh", "-c", "a b")


@pytest.mark.parametrize(
    ("memory", "count"),
    [
        ("512MiB", 2**29),
        ("1Gb", 10**9),
        ("1gib", 2**30),
        ("15000.5 k", 15000500),
        ("9000ki", 9000 * 1024),
        ("40960000", 40960000),
        ("64000000b", 64000000),
        ("6MiB", 6 << 20),
        ("0", None),
    ],
)
def test_memory_counts_like_containerlab(memory, count):
    assert nodes(f"nodes: {{n: {{kind: linux, image: i, memory: {memory}}}}}").node("n").limits == Limits(
        memory_bytes=count
    )


def test_ports_are_those_of_the_most_specific_level_and_on_the_loopback():
    lab = nodes(
        "defaults: {ports: ['1:1']}\n"
        "nodes: {n: {kind: linux, image: i, ports: [8000-8001:80-81, '0.0.0.0:53:53/udp', '[::1]:5:6/TCP']},"
        " m: {kind: linux, image: i}, sw: {kind: bridge}}"
    )
    assert list(map(str, lab.node("n").ports)) == [
        "127.0.0.1:8000:80/tcp", "127.0.0.1:8001:81/tcp", "0.0.0.0:53:53/udp", "[::1]:5:6/tcp",
    ]  # fmt: skip
    assert list(map(str, lab.node("m").ports)) == ["127.0.0.1:1:1/tcp"]
    assert lab.node("sw").ports == ()


def test_rates_are_labels_that_no_node_sees():
    lab = nodes(
        "defaults: {labels: {labctl-read-bps: 10MiB, labctl-write-iops: 5}}\n"
        "nodes: {n: {kind: linux, image: i, labels: {labctl-write-iops: 7, labctl-write-bps: 5000}}}"
    )
    assert lab.node("n").limits == Limits(read_bps=10 << 20, write_iops=7, write_bps=5000)
    assert lab.node("n").labels == {}


def test_management_addresses_are_of_the_node_alone():
    lab = nodes(
        "kinds: {linux: {mgmt-ipv4: 172.20.20.9}}\n"
        "nodes: {a: {kind: linux, image: i, mgmt-ipv4: 172.20.20.5, mgmt-ipv6: '3fff:172:20:20:0::5'}, b: {kind: linux, image: i}}"
    )
    assert [(n.mgmt_ipv4, n.mgmt_ipv6) for n in lab.nodes] == [
        ("172.20.20.5", "3fff:172:20:20::5"),
        (None, None),
    ]


def test_keys_without_effect_are_told():
    lab, notices = read("name: t\ntopology: {nodes: {a: {kind: linux, image: i, ports: [1:1], type: x}}}")
    assert lab.node("a").image == "i"
    assert [n.split("`")[1] for n in notices] == ["type"]


def test_without_a_listener_notices_go_to_the_log(caplog):
    clab.parse("name: t\ntopology: {nodes: {a: {kind: linux}}}", file="/x.yml", env={})
    assert caplog.messages == ["/x.yml:2:20  node 'a' has no image; it cannot be deployed"]


def test_old_keys_need_lenient():
    text = """
    name: t
    mgmt: {ipv4_subnet: 10.0.0.0/24}
    topology: {nodes: {a: {kind: linux, image: i, mgmt_ipv4: 10.0.0.2, wait-for: [b]}}}
    """
    assert [e[:2] for e in errors(text)] == [("unknown-key", 4), ("unknown-key", 4)]
    lab, notices = read(text, lenient=True)
    assert (lab.mgmt.ipv4_subnet, lab.node("a").mgmt_ipv4, len(notices)) == ("10.0.0.0/24", "10.0.0.2", 3)


def test_lenient_does_not_take_unknown_keys():
    assert errors("name: t\ntopology: {nodes: {a: {kindd: linux}}}", lenient=True)[0][0] == "unknown-key"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{image: i}", "missing-key"),
        ("{kind: srl}", "unsupported"),
        ("{kind: linux, image: i, stages: {begin: {}}}", "unknown-key"),
        ("{kind: linux, image: i, network-mode: host}", "unsupported"),
        ("{kind: linux, image: i, cpu: lots}", "bad-value"),
        ("{kind: linux, image: i, cpu: -1}", "bad-value"),
        ("{kind: linux, image: i, cpu: 1e999}", "bad-value"),
        ("{kind: linux, image: i, cpu: 1e30}", "bad-value"),
        ("{kind: linux, image: i, cpu: 0.001}", "bad-value"),
        ("{kind: linux, image: i, memory: 1}", "bad-unit"),
        ("{kind: linux, image: i, memory: 5999KiB}", "bad-unit"),
        ("{kind: linux, image: i, labels: {labctl-pids: 9999999}}", "bad-value"),
        ("{kind: linux, image: i, startup-delay: 2000000000}", "bad-value"),
        ("{kind: linux, image: i, memory: 99999999999999TB}", "bad-unit"),
        ("{kind: linux, image: i, labels: {labctl-pids: many}}", "bad-value"),
        ("{kind: linux, image: i, startup-delay: 1.5}", "bad-value"),
        ("{kind: linux, image: i, memory: 5 parsec}", "bad-unit"),
        ("{kind: linux, image: i, binds: /x}", "bad-value"),
        ("{kind: linux, image: i, binds: [/x]}", "bad-value"),
        ("{kind: linux, image: i, binds: ['a:b']}", "bad-value"),
        ("{kind: linux, image: i, binds: ['a:/b:ro:x']}", "bad-value"),
        ('{kind: linux, image: i, cmd: "sh \'x"}', "bad-value"),
        ("{kind: linux, image: i, env: [A]}", "bad-value"),
        ("{kind: linux, image: i, env: {A: [1]}}", "bad-value"),
        ("{kind: linux, image: i, exec: [[a]]}", "bad-value"),
        ("{kind: linux, image: i, mgmt-ipv4: 1.2.3}", "bad-address"),
        ("{kind: linux, image: i, mgmt-ipv4: 172.20.20.5/24}", "bad-address"),
        ("{kind: linux, image: i, mgmt-ipv4: 10.0.0.1}", "bad-address"),
        ("{kind: linux, image: i, hostname: " + "x" * 64 + "}", "bad-name"),
        ('{kind: linux, image: i, env: {A: "\\0"}}', "bad-yaml"),
        ('{kind: linux, image: i, hostname: "a\\n10.0.0.1 b"}', "bad-name"),
        ("{kind: linux, image: i, mgmt-ipv4: 172.20.20.0}", "bad-address"),
        ("{kind: linux, image: i, mgmt-ipv4: 172.20.20.255}", "bad-address"),
        ("{kind: linux, image: i, binds: ['a:/b:r0']}", "bad-value"),
        ("{kind: linux, image: i, env: {A=B: c}}", "bad-value"),
        ("{kind: linux, image: i, env: {'': c}}", "bad-value"),
        ("{kind: linux, image: i, sysctls: {net.//.//.//.tmp.x: 1}}", "bad-value"),
        ("{kind: linux, image: i, sysctls: {net/../x: 1}}", "bad-value"),
        ("{kind: linux, image: i, sysctls: {net.ipv4.ip_forward: ü}}", "bad-value"),
        ("{kind: linux, image: i, labels: {labctl-pids: 0}}", "bad-value"),
        ("text", "bad-value"),
    ],
)
def test_what_is_wrong_with_a_node(body, code):
    found = node_errors(f"nodes:\n  a: {body}\n")
    assert [e[:2] for e in found] == [(code, 2)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("'a b'", "bad-name"),
        ("-a", "bad-name"),
        ("a/b", "bad-name"),
        ("host", "reserved-name"),
        ("panel", "reserved-name"),
        ("br|a", "bad-value"),
    ],
)
def test_node_names(name, code):
    assert [e[:2] for e in node_errors(f"nodes: {{? {name} : {{kind: linux, image: i}}}}")] == [(code, 1)]


def test_a_name_from_the_command_line_is_checked_as_well():
    for name in ("..", "../../x", "a b", "ü", "x" * 129):
        with pytest.raises(LabctlError) as caught:
            clab.parse("name: t\ntopology: {}", file="t.clab.yml", name=name)
        assert caught.value.code == "bad-name"


def test_a_node_name_is_no_longer_than_a_file_name_may_be():
    body = "{kind: linux, image: i, hostname: a}"
    assert [e[0] for e in node_errors(f"nodes: {{{'n' * 129}: {body}}}")] == ["bad-name"]
    assert nodes(f"nodes: {{{'n' * 128}: {body}}}\n").nodes[0].name == "n" * 128


def test_one_address_written_in_two_ways():
    text = (
        "nodes:\n  a: {kind: linux, image: i, mgmt-ipv6: '3fff:172:20:20::A'}\n"
        "  b: {kind: linux, image: i, mgmt-ipv6: '3fff:172:20:20:0::a'}\n"
    )
    assert [e[0] for e in node_errors(text)] == ["address-twice"]


def test_one_management_address_for_two_nodes():
    text = "nodes:\n  a: &n {kind: linux, image: i, mgmt-ipv4: 172.20.20.5}\n  b: *n\n"
    assert [e[0] for e in node_errors(text)] == ["address-twice"]


# ---- links


def cable(links):
    (found,) = nodes(PAIR + "links:\n" + textwrap.indent(textwrap.dedent(links), "  ")).cables
    return found


def test_a_brief_link():
    found = cable("- endpoints: ['a:eth1', 'b:eth2']")
    assert found.id == CableId.of(PortId("a", "eth1"), PortId("b", "eth2"))
    assert (found.mtu, found.labels, found.a.ipv4, found.a.mac[:9]) == (9500, {}, None, "aa:c1:ab:")
    assert found.a.mac != found.z.mac


def test_brief_addresses_are_in_the_order_of_the_ends():
    found = cable(
        "- {endpoints: ['b:eth2', 'a:eth1'], mtu: 1500, ipv4: [10.0.0.1/30, ''], ipv6: ['', 2001:db8::1/64]}"
    )
    assert (found.mtu, found.a.port.node, found.a.ipv4, found.a.ipv6) == (1500, "b", "10.0.0.1/30", None)
    assert (found.z.ipv4, found.z.ipv6) == (None, "2001:db8::1/64")


@pytest.mark.parametrize("kind", ["veth", "veth-stitch"])
def test_an_extended_link(kind):
    found = cable(
        f"""
        - type: {kind}
          labels: {{who: me}}
          endpoints:
            - {{node: a, interface: eth1, mac: AA:BB:CC:00:00:02, ipv4: 10.0.0.1/30}}
            - {{node: b, interface: eth1, ipv6: 2001:DB8:0::2/64}}
        """
    )
    assert (found.a.mac, found.a.ipv4, found.z.ipv6) == ("aa:bb:cc:00:00:02", "10.0.0.1/30", "2001:db8::2/64")
    assert found.labels == {"who": "me"}


def test_a_dummy_link_is_a_stub():
    found = cable("- {type: dummy, endpoint: {node: a, interface: eth1}}")
    assert (found.z, found.a.port) == (None, PortId("a", "eth1"))


TAGGED = """\
    - endpoints: ["a:eth1", "b:eth1"]
    - type: dummy
      endpoint: {node: a, interface: eth1.10}
      mtu: 1500
      labels: {labctl-over: eth1, labctl-vlan: 10, mine: x}
"""


def test_a_dummy_link_with_a_tag_is_a_sub_interface_with_the_mac_of_its_port():
    plain, tagged = nodes(PAIR + "links:\n" + textwrap.indent(textwrap.dedent(TAGGED), "  ")).cables
    assert (tagged.over, tagged.below) == (Over(port="eth1", vlan=10), plain.a.port)
    assert (tagged.z, tagged.a.mac, dict(tagged.labels)) == (None, plain.a.mac, {"mine": "x"})


DEGRADED = """\
    - endpoints: ["b:eth1", "a:eth1"]
      labels: {labctl-delay: 20ms, labctl-loss: 1%, labctl-direction: a->z, mine: x}
    - endpoints: ["a:eth2", "b:eth2"]
      labels: {labctl-rate: 10Mbit}
"""


def test_labels_say_what_a_link_is_like_when_nothing_is_broken():
    one, both = nodes(PAIR + "links:\n" + textwrap.indent(textwrap.dedent(DEGRADED), "  ")).cables
    assert dict(one.labels) == {"mine": "x"}
    assert dict(one.degrade) == {"delay": "20ms", "loss": "1%", "direction": "a->z"}
    (way,) = one.impaired
    assert (way, one.id.a) == ("a->z", PortId("a", "eth1"))
    assert replace(one.impaired[way], seed=None) == Impairment(delay_s=0.02, loss=0.01)
    assert [replace(each, seed=None) for each in both.impaired.values()] == [
        Impairment(rate=Rate(bps=10e6))
    ] * 2
    assert len({each.seed for each in both.impaired.values()}) == 2


def test_links_to_the_machine_and_out_of_it():
    host = cable("- endpoints: ['host:v0', 'a:eth1']")
    assert (host.a.port, host.z.port) == (PortId("host", "v0"), PortId("a", "eth1"))
    again = cable("- {type: host, endpoint: {node: a, interface: eth1}, host-interface: v0}")
    assert again.id == host.id
    assert cable("- endpoints: ['a:eth1', 'mgmt-net:m0']").z.port == PortId("mgmt-net", "m0")
    brief = cable("- endpoints: ['macvlan:ens3', 'a:eth1']")
    assert (brief.a.port, brief.z, brief.macvlan) == (PortId("a", "eth1"), None, Macvlan(parent="ens3"))
    assert str(brief.id) == "a:eth1--macvlan:a.eth1"
    tunnel = cable("- {type: vxlan-stitch, endpoint: {node: a, interface: eth1}, remote: 192.0.2.1, vni: 5}")
    assert tunnel.vxlan == Vxlan(remote="192.0.2.1", vni=5, dst_port=14789)


def test_a_node_in_another_ones_network_and_a_bridge_in_it():
    text = "nodes: {a: {kind: linux, image: i}, b: {kind: linux, image: i, network-mode: 'container:a'}, 'br0|a': {kind: bridge, network-mode: 'container:a'}}\n"
    lab = nodes(text + "links: [{endpoints: ['b:eth1', 'br0|a:eth2']}]")
    assert [lab.home(name) for name in ("a", "b", "br0|a")] == ["a"] * 3
    assert [node.name for node in lab.guests("a")] == ["b", "br0|a"]
    assert nodes("nodes: {a: {kind: linux, image: i, network-mode: 'container:elsewhere'}}").node("a").shares
    twice = "links: [{endpoints: ['a:eth1', 'br0|a:eth2']}, {endpoints: ['b:eth1', 'br0|a:eth3']}]"
    assert [code for code, *_ in node_errors(text + twice)] == ["endpoint-twice"]
    assert [code for code, *_ in node_errors(text + "links: [{endpoints: ['b:eth0', 'br0|a:x']}]")] == [
        "reserved-name"
    ]


@pytest.mark.parametrize(
    ("nodes_", "code"),
    [
        ("a: {kind: linux, image: i, network-mode: host}", "unsupported"),
        ("a: {kind: linux, image: i, network-mode: 'container:'}", "bad-value"),
        ("a: {kind: linux, image: i, network-mode: 'container:a'}", "bad-value"),
        ("a: {kind: bridge}, b: {kind: linux, image: i, network-mode: 'container:a'}", "bad-value"),
        ("'x|a': {kind: bridge}, a: {kind: linux, image: i}", "bad-value"),
        ("'x|a': {kind: bridge, network-mode: 'container:a'}", "bad-value"),
        ("x: {kind: bridge, network-mode: 'container:a'}, a: {kind: linux, image: i}", "bad-value"),
        (
            "'sixteen-bytes-xx|a': {kind: bridge, network-mode: 'container:a'}, a: {kind: linux, image: i}",
            "bad-name",
        ),
    ],
)
def test_what_is_wrong_with_a_network_mode(nodes_, code):
    assert [code for code, *_ in node_errors(f"nodes: {{{nodes_}}}")] == [code]


def test_a_circle_of_networks_is_told_at_each_node():
    text = "nodes: {a: {kind: linux, image: i, network-mode: 'container:b'}, b: {kind: linux, image: i, network-mode: 'container:a'}}"
    assert [code for code, *_ in node_errors(text)] == ["bad-value"] * 2


STAGED = """
nodes:
  a:
    kind: linux
    image: i
    stages:
      create: {wait-for: [{node: b, stage: healthy}], exec: [{command: ls, phase: on-exit}]}
      configure: {exec: [{command: uname -n}]}
  b: {kind: linux, image: i, healthcheck: {test: [CMD-SHELL, cat /x], start-period: 5, interval: 1}}
"""


def test_stages_and_a_health_check():
    lab = nodes(STAGED)
    assert lab.node("a").waits == (Wait(stage=Stage.CREATE, node="b", until=Stage.HEALTHY),)
    assert [(c.stage.value, c.phase.value, c.command) for c in lab.node("a").stage_commands] == [
        ("create", "on-exit", "ls"),
        ("configure", "on-enter", "uname -n"),
    ]
    check = lab.node("b").healthcheck
    assert check == Healthcheck(test=("/bin/sh", "-c", "cat /x"), start_period_s=5, interval_s=1)
    assert (
        nodes("nodes: {a: {kind: linux, image: i, healthcheck: {test: [NONE]}}}").node("a").healthcheck
        is None
    )


def test_stages_of_all_levels_add_up():
    text = "defaults: {kind: linux, image: i, stages: {create: {exec: [{command: one, phase: on-exit}]}}}\n"
    text += "nodes: {a: {stages: {create: {exec: [{command: two, phase: on-exit}]}}}}"
    assert [each.command for each in nodes(text).node("a").stage_commands] == ["one", "two"]


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("stages: {create: {wait-for: [{node: c, stage: create}]}}", "unknown-node"),
        ("stages: {create: {wait-for: [{node: s, stage: create}]}}", "bad-value"),
        ("stages: {create: {wait-for: [{node: b, stage: healthy}]}}", "bad-value"),
        ("stages: {create: {wait-for: [{node: b, stage: ready}]}}", "bad-value"),
        ("stages: {create: {wait-for: [{node: b}]}}", "missing-key"),
        ("stages: {create: {wait-for: [b]}}", "bad-value"),
        ("stages: {create: {wait-for: b}}", "bad-value"),
        ("stages: {create: {wait-for: [{node: a, stage: exit}]}}", "bad-value"),
        ("stages: {create: {exec: [{command: ls}]}}", "bad-value"),
        ("stages: {configure: {exec: [{command: ls, target: host}]}}", "unsupported"),
        ("stages: {configure: {exec: [{command: ls, target: moon}]}}", "bad-value"),
        ("stages: {configure: {exec: [{command: ls, phase: never}]}}", "bad-value"),
        ("stages: {configure: {exec: [{phase: on-exit}]}}", "missing-key"),
        ("healthcheck: {test: [ls]}", "bad-value"),
        ("healthcheck: {interval: 1}", "bad-value"),
        ("healthcheck: {test: [CMD, ls], interval: x}", "bad-value"),
    ],
)
def test_what_is_wrong_with_stages_and_health_checks(node, code):
    text = (
        f"nodes: {{a: {{kind: linux, image: i, {node}}}, b: {{kind: linux, image: i}}, s: {{kind: bridge}}}}"
    )
    assert code in [found for found, *_ in node_errors(text)]


def test_stages_that_wait_for_each_other_are_told_with_their_way():
    text = "nodes:\n"
    for one, other in (("a", "b"), ("b", "a")):
        text += f"  {one}: {{kind: linux, image: i, stages: {{create: {{wait-for: [{{node: {other}, stage: create}}]}}}}}}\n"
    with pytest.raises(LabctlError) as caught:
        nodes(text)
    assert "these stages wait for each other: b create -> a create -> b create" in str(caught.value)


def test_two_names_of_the_machine_are_one_machine():
    text = "nodes: {a: {kind: linux, image: i}, h: {kind: host}}\nlinks:\n"
    text += "  - endpoints: ['a:eth1', 'h:v0']\n  - endpoints: ['a:eth2', 'host:v0']\n"
    assert [code for code, *_ in node_errors(text)] == ["endpoint-twice"]


def test_macs_are_the_same_each_time_and_do_not_move_when_a_link_is_added():
    one = nodes(PAIR + "links: [{endpoints: ['a:eth1', 'b:eth1']}]").cables
    two = nodes(PAIR + "links: [{endpoints: ['a:eth1', 'b:eth1']}, {endpoints: ['a:eth2', 'b:eth2']}]").cables
    assert two[0] == one[0]
    assert len({end.mac for c in two for end in c.ends}) == 4


def test_eth0_is_free_without_a_management_network():
    text = "nodes: {a: {kind: linux, image: i, network-mode: none}, b: {kind: bridge}}\nlinks: [{endpoints: ['a:eth0', 'b:eth0']}]"
    assert nodes(text).cables[0].a.port == PortId("a", "eth0")


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("text", "bad-value"),
        ("{}", "missing-key"),
        ("{endpoints: ['a:eth1', 'b:eth1'], speed: 1}", "unknown-key"),
        ("{endpoints: ['a:eth1']}", "bad-value"),
        ("{endpoints: 'a:eth1'}", "bad-value"),
        ("{endpoints: ['a:eth1', 'b']}", "bad-value"),
        ("{endpoints: ['a:eth1', [b]]}", "bad-value"),
        ("{endpoints: ['a:eth1', 'c:eth1']}", "unknown-node"),
        ("{endpoints: ['a:eth1', 'a:eth1']}", "endpoint-twice"),
        ("{endpoints: ['a:eth0', 'b:eth1']}", "reserved-name"),
        ("{endpoints: ['a:lo', 'b:eth1']}", "reserved-name"),
        ("{endpoints: ['a:GigabitEthernet0/1', 'b:eth1']}", "bad-name"),
        ("{endpoints: ['a:sixteen-bytes-xx', 'b:eth1']}", "bad-name"),
        ("{endpoints: ['a:eth%d', 'b:eth1']}", "bad-name"),
        ("{endpoints: ['a:all', 'b:eth1']}", "bad-name"),
        ('{endpoints: ["a:x\\x01", "b:eth1"]}', "bad-name"),
        ("{endpoints: ['a:eth1', 'b:eth1'], mtu: 1279, ipv6: ['2001:db8::1/64']}", "bad-value"),
        ("{endpoints: ['a:eth1', 'b:eth1'], ipv6: ['ff02::1/64']}", "bad-address"),
        ("{endpoints: ['a:eth1', 'b:eth1'], ipv4: [0.0.0.0/0]}", "bad-address"),
        ("{endpoints: ['host:eth9', 'host:eth1']}", "unsupported"),
        ("{endpoints: ['host:eth9', 'mgmt-net:x']}", "unsupported"),
        ("{endpoints: ['host:sixteen-bytes-xx', 'b:eth1']}", "bad-name"),
        ("{endpoints: ['macvlan:e0', 'macvlan:e1']}", "bad-value"),
        ("{endpoints: ['macvlan:e0', 'a:eth1'], ipv4: [10.0.0.1/30]}", "bad-value"),
        ("{endpoints: ['macvlan:e/0', 'a:eth1']}", "bad-name"),
        ("{type: host, endpoint: {node: a, interface: eth1}}", "missing-key"),
        ("{type: mgmt-net, host-interface: x}", "missing-key"),
        (
            "{type: macvlan, endpoint: {node: a, interface: eth1}, host-interface: e0, mode: source}",
            "unsupported",
        ),
        ("{type: macvlan, endpoint: {node: a, interface: eth1}, host-interface: e0, mode: x}", "bad-value"),
        ("{type: vxlan, endpoint: {node: a, interface: eth1}, vni: 1}", "missing-key"),
        ("{type: vxlan, endpoint: {node: a, interface: eth1}, remote: 192.0.2.1}", "missing-key"),
        ("{type: vxlan, endpoint: {node: a, interface: eth1}, remote: far, vni: 1}", "bad-address"),
        (
            "{type: vxlan, endpoint: {node: a, interface: eth1}, remote: 192.0.2.1, vni: 1, src-port: 65535}",
            "bad-value",
        ),
        (
            "{type: vxlan, endpoint: {node: a, interface: eth1}, remote: 192.0.2.1, vni: 16777216}",
            "bad-value",
        ),
        (
            "{type: vxlan, endpoint: {node: a, interface: eth1}, remote: 192.0.2.1, vni: 1, dst-port: 0}",
            "bad-value",
        ),
        (
            "{type: vxlan, endpoint: {node: a, interface: eth1}, remote: 192.0.2.1, vni: 1, udp-port: 9}",
            "unsupported",
        ),
        ("{type: vteh, endpoints: []}", "bad-value"),
        ("{type: veth, endpoints: [{node: a}, {node: b, interface: eth1}]}", "missing-key"),
        ("{type: dummy}", "missing-key"),
        ("{endpoints: ['a:eth1', 'b:eth1'], mtu: 70000}", "bad-value"),
        ("{endpoints: ['a:eth1', 'b:eth1'], ipv4: [10.0.0.1]}", "bad-address"),
        ("{endpoints: ['a:eth1', 'b:eth1'], ipv4: [2001:db8::1/64]}", "bad-address"),
        ("{endpoints: ['a:eth1', 'b:eth1'], ipv4: [10.0.0.1/30, 10.0.0.2/30, 10.0.0.3/30]}", "bad-value"),
        (
            "{type: veth, endpoints: [{node: a, interface: eth1, mac: '01:00:5e:00:00:01'}, {node: b, interface: eth1}]}",
            "bad-address",
        ),
        (
            "{type: veth, endpoints: [{node: a, interface: eth1, mac: 'aa:bb'}, {node: b, interface: eth1}]}",
            "bad-address",
        ),
    ],
)
def test_what_is_wrong_with_a_link(link, code):
    assert [e[:2] for e in node_errors(PAIR + f"links:\n  - {link}\n")] == [(code, 3)]


def test_an_endpoint_twice_names_the_first_link():
    with pytest.raises(LabctlError) as caught:
        nodes(PAIR + "links:\n  - endpoints: ['a:eth1', 'b:eth1']\n  - endpoints: ['b:eth2', 'a:eth1']\n")
    assert (caught.value.code, caught.value.hint) == ("endpoint-twice", "the first one is at line 5")


def test_bridges_that_share_a_port_name_are_told():
    _, notices = read(
        "name: t\ntopology: {nodes: {a: {kind: linux, image: i}, x: {kind: bridge}, y: {kind: bridge}}, "
        "links: [{endpoints: ['a:eth1', 'x:p1']}, {endpoints: ['a:eth2', 'y:p1']}]}"
    )
    assert notices == ["x:p1 and y:p1 have one interface name: containerlab would refuse the file"]


def test_what_only_a_deploy_must_not_meet_is_told_to_who_is_content_with_that():
    told = []
    lab = nodes(
        "nodes: {a: {kind: linux, image: i, mgmt-ipv4: 10.9.0.1}, b: {kind: linux, image: i}}\n"
        "links: [{endpoints: ['a:eth1', 'b:eth1']}, {endpoints: ['a:eth1', 'b:eth2']}]",
        deferred=told.append,
    )
    assert (len(lab.cables), lab.node("a").mgmt_ipv4) == (2, "10.9.0.1")
    assert [n.text for n in told] == [
        "mgmt-ipv4 10.9.0.1 is outside the management network 172.20.20.0/24; `labctl deploy` refuses it",
        "a:eth1 is the end of two links; `labctl deploy` refuses it",
    ]
