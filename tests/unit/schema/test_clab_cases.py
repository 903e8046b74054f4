"""The cases that containerlab's own tests of inheritance, configuration and links ask about, in our words.

One table a subject: what is said at which level, and what a node has in the end. They are compared as containerlab
compares them: order does not matter where it does not there.
"""

import textwrap

import pytest

from labctl.errors import LabctlError
from labctl.model.lab import Bind, Dns, NodeKind
from labctl.names import CableId, PortId, container_name
from labctl.render import clab_outputs
from labctl.schema import clab, clab_keys, clab_out, yaml


def read(text, **options):
    return clab.parse(
        textwrap.dedent(text),
        file="/lab/t.clab.yml",
        **{"env": {}, "notify": lambda _: None} | options,
    )


def levels(defaults="", kind="", group="", node="", **options):
    """The node `n` of kind linux and group g, with these keys at these levels."""
    return read(
        f"name: t\ntopology:\n  defaults: {{kind: linux, {defaults}}}\n  kinds: {{linux: {{{kind}}}}}\n"
        f"  groups: {{g: {{{group}}}}}\n  nodes: {{n: {{group: g, {node}}}}}\n",
        **options,
    ).node("n")


def code_of(text, **options):
    with pytest.raises(LabctlError) as caught:
        read(text, **options)
    return caught.value.code


# ---- one value: the most specific level that says something


@pytest.mark.parametrize("key", ["image", "user", "hostname"])
@pytest.mark.parametrize(
    ("said", "wins"),
    [
        ({"node": "n"}, "n"),
        ({"kind": "k"}, "k"),
        ({"kind": "k", "node": "n"}, "n"),
        ({"defaults": "d", "kind": "k"}, "k"),
        ({"defaults": "d"}, "d"),
        ({"group": "g"}, "g"),
        ({"group": "g", "kind": "k"}, "g"),
        ({"group": "g", "defaults": "d"}, "g"),
        ({"group": "g", "kind": "k", "defaults": "d"}, "g"),
        ({"group": "g", "node": "n"}, "n"),
        ({"defaults": "d", "kind": "k", "group": "g", "node": "n"}, "n"),
        ({"defaults": "d", "node": "''"}, "d"),
    ],
)
def test_one_value(key, said, wins):
    node = levels(**{level: f"{key}: {value}" for level, value in said.items()})
    assert getattr(node, key) == wins


@pytest.mark.parametrize(
    ("key", "field", "low", "high", "result"),
    [
        ("cmd", "cmd", "runit", "'sh -c \"a b\"'", ("sh", "-c", "a b")),
        ("entrypoint", "entrypoint", "/a", "/b", ("/b",)),
        ("startup-delay", "startup_delay_s", "1", "2", 2.0),
        ("cpu-set", "cpus", "0-1", "'0,2'", "0,2"),
        ("shm-size", "shm_bytes", "64Mb", "128Mib", 128 << 20),
        ("image-pull-policy", "pull", "never", "ALWAYS", "Always"),
        ("network-mode", "network_mode", "bridge", "none", "none"),
    ],
)
def test_one_value_of_other_shapes(key, field, low, high, result):
    for below in ("defaults", "kind", "group"):
        assert getattr(levels(**{below: f"{key}: {low}", "node": f"{key}: {high}"}), field) == result
    assert getattr(levels(defaults=f"{key}: {low}", kind=f"{key}: {high}"), field) == result


def test_limits_of_kind_and_node():
    node = levels(kind="cpu: 1, memory: 1G", node="memory: 2G")
    assert (node.limits.cpu, node.limits.memory_bytes) == (1, 2_000_000_000)


def test_a_node_without_a_body_has_the_image_of_the_default_kind():
    lab = read(
        """
        name: t
        topology:
          defaults: {kind: linux}
          kinds: {linux: {image: frr:9}}
          nodes:
            sw01:
            sw02:
            host01: {kind: linux, image: debian}
        """
    )
    assert [n.image for n in lab.nodes] == ["debian", "frr:9", "frr:9"]


# ---- kinds and groups


def test_a_group_gives_its_kind_and_the_kind_gives_the_rest():
    lab = read(
        """
        name: t
        topology:
          defaults: {kind: bridge, user: default}
          kinds: {linux: {image: of-kind, user: of-kind}}
          groups: {g: {kind: linux, image: of-group}}
          nodes: {n: {group: g}, m: }
        """
    )
    assert (lab.node("n").kind, lab.node("n").image, lab.node("n").user) == (
        NodeKind.LINUX,
        "of-group",
        "of-kind",
    )
    assert (lab.node("m").kind, lab.node("m").image, lab.node("m").user) == (NodeKind.BRIDGE, None, "default")


def test_a_group_that_is_defined_nowhere_is_only_a_word():
    node = read("name: t\ntopology: {nodes: {n: {kind: linux, image: i, group: anything}}}").node("n")
    assert (node.group, node.image) == ("anything", "i")


@pytest.mark.parametrize(
    ("kind", "defaults", "node", "group"),
    [("", "", "n", "n"), ("k", "", "", "k"), ("k", "d", "", "k"), ("", "d", "", "d"), ("k", "d", "n", "n")],
)
def test_where_a_group_comes_from(kind, defaults, node, group):
    def said(name):
        return f"group: {name}" if name else ""

    lab = read(
        f"name: t\ntopology:\n  defaults: {{{said(defaults)}}}\n  kinds: {{linux: {{{said(kind)}}}}}\n"
        f"  nodes: {{n: {{kind: linux, image: i{', ' if node else ''}{said(node)}}}}}\n"
    )
    assert lab.node("n").group == group


# ---- maps: by key


@pytest.mark.parametrize("key", ["env", "labels", "sysctls"])
@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"node": "{a.x: 1, b.x: 2}"}, {"a.x": "1", "b.x": "2"}),
        ({"kind": "{a.x: k, b.x: k}", "node": "{b.x: n}"}, {"a.x": "k", "b.x": "n"}),
        ({"defaults": "{a.x: d, b.x: d}", "group": "{b.x: g}"}, {"a.x": "d", "b.x": "g"}),
        (
            {
                "defaults": "{a.x: d}",
                "kind": "{a.x: k, b.x: k}",
                "group": "{b.x: g, c.x: g}",
                "node": "{c.x: n}",
            },
            {"a.x": "k", "b.x": "g", "c.x": "n"},
        ),
        ({}, {}),
    ],
)
def test_maps_merge_by_key(key, said, result):
    assert getattr(levels(**{level: f"{key}: {value}" for level, value in said.items()}), key) == result


def test_the_resolver_is_one_thing_of_the_most_specific_level():
    node = levels(
        defaults="dns: {servers: [8.8.8.8], search: [bar.com]}",
        node="dns: {servers: [1.1.1.1], options: [rotate]}",
    )
    assert node.dns == Dns(servers=("1.1.1.1",), options=("rotate",))
    assert levels(kind="dns: {servers: [8.8.8.8]}").dns == Dns(servers=("8.8.8.8",))


def test_other_names_are_the_nodes_own():
    node = levels(defaults="aliases: [d]", node="aliases: [db, db]")
    assert node.aliases == ("db",)


def test_tmpfs_merges_by_directory():
    node = levels(defaults="tmpfs: {/a: 'size=1m', /b: ''}", node="tmpfs: {/a: 'size=2m'}")
    assert node.tmpfs == {"/a": "size=2m", "/b": ""}


# ---- lists


def test_commands_of_all_levels_are_run_defaults_first_and_each_once():
    node = levels(
        defaults="exec: [d1, same]",
        kind="exec: [k1, same]",
        group="exec: [g1]",
        node="exec: [n1, d1]",
    )
    assert node.exec == ("d1", "same", "k1", "g1", "n1")


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"node": "[a:/b, c:/d]"}, {"/b": "a", "/d": "c"}),
        ({"kind": "[a:/b, c:/d]"}, {"/b": "a", "/d": "c"}),
        (
            {"defaults": "[x:/z, m:/n]", "kind": "[a:/b, c:/d]", "node": "[e:/f, newm:/n]"},
            {"/z": "x", "/n": "newm", "/b": "a", "/d": "c", "/f": "e"},
        ),
        (
            {"kind": "[x:/z, m:/n]", "group": "[a:/b]", "node": "[newm:/n]"},
            {"/z": "x", "/n": "newm", "/b": "a"},
        ),
        ({"defaults": "[d:/d]", "kind": "[k:/d]", "group": "[g:/d]"}, {"/d": "g"}),
    ],
)
def test_binds_merge_by_target(said, result):
    node = levels(**{level: f"binds: {value}" for level, value in said.items()})
    assert {b.target: b.source for b in node.binds} == {t: f"/lab/{s}" for t, s in result.items()}


def test_an_anonymous_volume_is_no_bind():
    text = "name: t\ntopology: {nodes: {n: {kind: linux, image: i, binds: [/data]}}}"
    assert code_of(text) == "bad-value"


def test_paths_are_of_the_file_and_of_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    node = levels(node="binds: ['~/x:/x', './y:/y:ro', /abs:/z]")
    assert node.binds == (
        Bind(source="/home/me/x", target="/x"),
        Bind(source="/lab/y", target="/y", options=("ro",)),
        Bind(source="/abs", target="/z"),
    )


def test_the_words_for_places_are_filled_in_everywhere():
    node = levels(
        defaults="binds: ['__clabNodeDir__/f:/f', '__clabDir__/topology-data.json:/t']",
        kind="exec: [echo __clabNodeName__ __clabLabName__]",
    )
    assert [b.source for b in node.binds] == ["/lab/clab-t/n/f", "/lab/clab-t/topology-data.json"]
    assert node.exec == ("echo n clab-t",)
    elsewhere = levels(node="binds: ['__clabDir__:/t']", env={"CLAB_LABDIR_BASE": "/base"})
    assert elsewhere.binds[0].source == "/base/clab-t"


# ---- of the node alone


def test_management_addresses_are_not_inherited():
    node = levels(defaults="mgmt-ipv4: 172.20.20.5", kind="mgmt-ipv6: '3fff:172:20:20::5'")
    assert (node.mgmt_ipv4, node.mgmt_ipv6) == (None, None)


# ---- names


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("clab", "clab-t-n"), ("", "n"), ("__lab-name", "t-n"), ("my-prefix", "my-prefix-t-n")],
)
def test_names_of_containers(prefix, name):
    assert container_name(prefix, "t", "n") == name


def test_nodes_are_numbered_by_their_sorted_names():
    lab = read(
        "name: t\ntopology: {nodes: {b: {kind: linux}, a: {kind: linux}, 10: {kind: linux}, 9: {kind: linux}}}"
    )
    data = clab_outputs.topology_data(lab, "/lab/clab-t", "me")
    assert {name: each["index"] for name, each in data["nodes"].items()} == {
        "10": "0",
        "9": "1",
        "a": "2",
        "b": "3",
    }


def test_labels_of_a_container():
    lab = read(
        "name: t\ntopology: {defaults: {labels: {who: d, l: d}}, nodes: {n: {kind: linux, image: i, group: g, labels: {who: n}}}}"
    )
    found = clab_outputs.labels(lab, lab.node("n"), "/lab/clab-t", "me")
    assert {k: found[k] for k in ("who", "l", "containerlab", "clab-node-name", "clab-node-longname")} == {
        "who": "n",
        "l": "d",
        "containerlab": "t",
        "clab-node-name": "n",
        "clab-node-longname": "clab-t-n",
    }
    assert (found["clab-node-group"], found["clab-node-kind"]) == ("g", "linux")
    assert (found["clab-node-lab-dir"], found["clab-topo-file"]) == ("/lab/clab-t/n", "/lab/t.clab.yml")


# ---- links


PAIR = "name: t\ntopology:\n  nodes: {a: {kind: linux, image: i}, b: {kind: linux, image: i}, br: {kind: bridge}}\n"


def links(*found, **options):
    return read(PAIR + "  links:\n" + "".join(f"    - {link}\n" for link in found), **options).cables


@pytest.mark.parametrize(
    ("brief", "extended"),
    [
        (
            "{endpoints: ['a:eth1', 'b:eth1']}",
            "{type: veth, endpoints: [{node: a, interface: eth1}, {node: b, interface: eth1}]}",
        ),
        (
            "{endpoints: ['a:eth1', 'b:eth1'], mtu: 1500}",
            "{type: veth, mtu: 1500, endpoints: [{node: a, interface: eth1}, {node: b, interface: eth1}]}",
        ),
        (
            "{endpoints: ['a:eth1', 'host:a-eth1']}",
            "{type: host, endpoint: {node: a, interface: eth1}, host-interface: a-eth1}",
        ),
        (
            "{endpoints: ['a:eth1', 'mgmt-net:a-eth1']}",
            "{type: mgmt-net, endpoint: {node: a, interface: eth1}, host-interface: a-eth1}",
        ),
        (
            "{endpoints: ['a:eth1', 'macvlan:eno0']}",
            "{type: macvlan, endpoint: {node: a, interface: eth1}, host-interface: eno0}",
        ),
        (
            "{endpoints: ['a:eth1', 'br:p1']}",
            "{type: veth, endpoints: [{node: a, interface: eth1}, {node: br, interface: p1}]}",
        ),
        (
            "{endpoints: ['a:eth1', 'b:eth1']}",
            "{type: veth-stitch, endpoints: [{node: a, interface: eth1}, {node: b, interface: eth1}]}",
        ),
    ],
)
def test_brief_and_extended_say_the_same(brief, extended):
    assert links(brief) == links(extended)


def test_a_link_of_a_node_with_itself():
    (found,) = links("{endpoints: ['a:eth1', 'a:eth2']}")
    assert found.id == CableId.of(PortId("a", "eth1"), PortId("a", "eth2"))


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (["{endpoints: ['a:eth1', 'b:eth1']}", "{endpoints: ['a:eth1', 'b:eth2']}"], "endpoint-twice"),
        (["{endpoints: ['a:eth1', 'a:eth1']}"], "endpoint-twice"),
        (["{endpoints: ['a:eth1', 'host:x']}", "{endpoints: ['b:eth1', 'host:x']}"], "endpoint-twice"),
        (
            ["{endpoints: ['a:eth1', 'mgmt-net:x']}", "{endpoints: ['b:eth1', 'mgmt-net:x']}"],
            "endpoint-twice",
        ),
        (["{endpoints: ['a:eth1', 'br:p']}", "{endpoints: ['b:eth1', 'br:p']}"], "endpoint-twice"),
        (["{endpoints: ['a:eth0', 'b:eth1']}"], "reserved-name"),
        (["{endpoints: ['a:eth1', 'nobody:eth1']}"], "unknown-node"),
        (["{endpoints: ['a:eth1', 'b:eth1', 'br:p']}"], "bad-value"),
        (["{endpoints: ['a:eth1', 'b:eth1'], ipv4: [10.0.0.1, 10.0.0.2]}"], "bad-address"),
        (["{endpoints: ['a:eth1', 'b:eth1'], ipv6: [10.0.0.1/24]}"], "bad-address"),
        (["{endpoints: ['a:eth1', 'b:eth1'], ipv4: [1.1.1.1/24, 1.1.1.2/24, 1.1.1.3/24]}"], "bad-value"),
        (["{endpoints: ['a:eth1', 'b:eth1'], speed: fast}"], "unknown-key"),
        (["{type: none-such, endpoints: ['a:eth1', 'b:eth1']}"], "bad-value"),
        (["{type: host, endpoint: {node: a, interface: eth1}}"], "missing-key"),
        (["{type: veth, endpoint: {node: a, interface: eth1}}"], "missing-key"),
    ],
)
def test_links_that_containerlab_refuses(found, code):
    assert code_of(PAIR + "  links:\n" + "".join(f"    - {link}\n" for link in found)) == code


def test_addresses_of_a_brief_link_are_in_the_order_of_its_ends():
    (found,) = links("{endpoints: ['b:eth1', 'a:eth1'], ipv4: ['', 10.0.0.1/30], ipv6: ['2001:db8::1/64']}")
    assert (found.a.port.node, found.a.ipv4, found.a.ipv6) == ("b", None, "2001:db8::1/64")
    assert (found.z.ipv4, found.z.ipv6) == ("10.0.0.1/30", None)


def test_vars_of_a_link_and_of_its_ends_reach_the_topology_data():
    lab = read(
        PAIR + "  links:\n"
        "    - {type: veth, vars: {speed: 100g, n: 1}, endpoints: [{node: a, interface: eth1, vars: {port: 1/1}}, {node: b, interface: eth1}]}\n"
    )
    (link,) = clab_outputs.topology_data(lab, "/lab/clab-t", "me")["links"]
    assert link["vars"] == {"speed": "100g", "n": 1}
    assert (link["endpoints"]["a"]["vars"], "vars" in link["endpoints"]["z"]) == ({"port": "1/1"}, False)


@pytest.mark.parametrize("kind", ["host", "mgmt-net"])
def test_a_link_to_the_machine_is_written_in_the_form_that_containerlab_takes(kind):
    text = PAIR + (
        f"  links: [{{type: {kind}, host-interface: x, "
        "endpoint: {node: a, interface: eth1, mac: '02:00:00:00:00:01'}}]\n"
    )
    lab = read(text)
    written = clab_out.dump(lab)
    assert f"type: {kind}\n" in written
    assert read(written) == lab


# ---- configuration


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name: t\nnmae: u\ntopology: {}", "unknown-key"),
        ("name: t\nname: t\ntopology: {}", "duplicate-key"),
        ("name: t\ntopology: {nodes: {a: {kind: linux}, a: {kind: linux}}}", "duplicate-key"),
        ("name: t\ntopology: {nodes: {a: {kind: linux, mgmt_ipv4: 172.20.20.2}}}", "unknown-key"),
        ("name: t\ntopology: {nodes: {a: {kind: linux, wait-for: [b]}}}", "unknown-key"),
        ("name: t\ntopology: {nodes: {a b: {kind: linux}}}", "bad-name"),
        ("name: t\ntopology: {nodes: {a: {kind: nokia_srlinux}}}", "unsupported"),
        (
            "name: t\ntopology: {nodes: {a: {kind: linux, mgmt-ipv4: 172.20.20.9}, b: {kind: linux, mgmt-ipv4: 172.20.20.9}}}",
            "address-twice",
        ),
    ],
)
def test_files_that_containerlab_refuses(text, code):
    assert code_of(text) == code


# ---- what we write


def _keys(value, table, inner, where=""):
    """Every key of a map is one of containerlab's; `inner` says which table a key's own maps have."""
    for entry in value:
        assert entry.key in table, f"{where}.{entry.key}"
        assert table[entry.key].support is not clab_keys.Support.LEGACY
        if entry.key in inner:
            inner[entry.key](entry.value, f"{where}.{entry.key}")


def test_what_is_written_has_only_containerlabs_keys_and_no_secret():
    lab = read(
        """
        name: t
        prefix: p
        mgmt: {network: n, ipv4-subnet: 10.0.0.0/24, mtu: 1400, ipv4-range: 10.0.0.128/25, ipv4-gw: 10.0.0.1}
        topology:
          defaults: {credentials: {username: admin, password: secret-word}, password: secret-word}
          nodes:
            a: {kind: linux, image: i, cmd: x, env: {A: b}, exec: [c], binds: [a:/b], labels: {labctl-pids: 9},
                sysctls: {net.ipv4.ip_forward: 1}, user: u, hostname: h, cpu: 1, memory: 64MiB, cpu-set: 0,
                shm-size: 1m, tmpfs: {/t: ''}, startup-delay: 1, group: g, mgmt-ipv4: 10.0.0.5}
            b: {kind: bridge}
          links:
            - {endpoints: ['a:eth1', 'b:p1'], labels: {a: b}, mtu: 1500}
            - {type: dummy, endpoint: {node: a, interface: eth2, mac: '02:00:00:00:00:01'}}
        """
    )
    text = clab_out.dump(lab)
    assert "secret-word" not in text
    root = yaml.parse(text, file="t")

    def nodes(value, where):
        for entry in value:
            _keys(entry.value, clab_keys.NODE, {}, f"{where}.{entry.key}")

    def each_link(value, where):
        for link in value.items:
            table = {"dummy": clab_keys.DUMMY}.get(getattr(link.get("type"), "text", ""), clab_keys.BRIEF)
            _keys(link, table, {}, where)

    _keys(
        root,
        clab_keys.TOP,
        {
            "mgmt": lambda value, where: _keys(value, clab_keys.MGMT, {}, where),
            "topology": lambda value, where: _keys(
                value, clab_keys.TOPOLOGY, {"nodes": nodes, "links": each_link}, where
            ),
        },
    )
