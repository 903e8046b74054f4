"""The support matrix (docs/labfile.md) says what happens: every key of every table is tried.

A key that is honoured changes the lab, one without effect leaves it as it was and is told, one that is refused is an
error, an old one needs `--lenient`. A key without an example here fails.
"""

import pytest

from labctl.errors import LabctlError
from labctl.schema import clab, clab_keys, clab_out
from labctl.schema.clab_keys import MGMT, NODE, TOP, Support

#: key -> YAML of a value that differs from the default.
NODES = {
    "kind": "bridge",
    "image": "other",
    "group": "g",
    "cmd": "sleep 1",
    "entrypoint": "sh",
    "env": "{A: b}",
    "env-files": "[absent]",
    "exec": "[ls]",
    "binds": "['/a:/b']",
    "labels": "{a: b}",
    "sysctls": "{net.ipv4.ip_forward: 1}",
    "user": "frr",
    "hostname": "h",
    "mgmt-ipv4": "172.20.20.9",
    "mgmt-ipv6": "'3fff:172:20:20::9'",
    "network-mode": "none",
    "startup-delay": "2",
    "cpu": "0.5",
    "memory": "64MiB",
    "cpu-set": "'0-1,3'",
    "shm-size": "1MiB",
    "tmpfs": "{/var/cache: 'size=1m'}",
    "type": "t",
    "startup-config": "c.cfg",
    "enforce-startup-config": "true",
    "suppress-startup-config": "false",
    "license": "l",
    "ports": "['80:80']",
    "healthcheck": "{test: [CMD, 'true']}",
    "certificate": "{issue: true, key-size: 2048, validity-duration: 1h, sans: [a]}",
    "credentials": "{username: u, password: p, identity-file: f}",
    "username": "u",
    "password": "p",
    "dns": "{servers: [192.0.2.1]}",
    "aliases": "[other]",
    "restart-policy": "always",
    "auto-remove": "true",
    "privileged": "false",
    "cap-add": "[NET_ADMIN]",
    "security-opts": "['seccomp=unconfined']",
    "cgroup-parent": "p",
    "cgroupns-mode": "host",
    "image-pull-policy": "always",
    "runtime": "podman",
    "link-apply-mode": "restart",
    "position": "p",
    "extras": "{srl-agents: [a]}",
    "config": "{vars: {a: 1}}",
    "stages": "{create: {wait-for: [{node: b, stage: create}]}}",
    "volumes": "['v:/v']",
    "devices": "['/dev/kvm', '/dev/full:/dev/filled:rw']",
    "pid-mode": "host",
    "components": "[]",
    "mgmt_ipv4": "172.20.20.9",
    "mgmt_ipv6": "'3fff:172:20:20::9'",
    "wait-for": "[b]",
}
MGMTS = {
    "network": "n",
    "ipv4-subnet": "10.0.0.0/24",
    "ipv6-subnet": "'fd00::/64'",
    "mtu": "1400",
    "bridge": "br0",
    "ipv4-gw": "172.20.20.250",
    "ipv6-gw": "'3fff:172:20:20::250'",
    "ipv4-range": "172.20.20.128/25",
    "ipv6-range": "'3fff:172:20:20::/80'",
    "external-access": "false",
    "driver-opts": "{a: b}",
    "skip-when-unused": "true",
    "ipv4_subnet": "10.0.0.0/24",
    "ipv6_subnet": "'fd00::/64'",
}
TOPS = {"prefix": "x", "settings": "{certificate-authority: {key-size: 2048}}", "debug": "true"}


def read(mgmt="", node="", top="", links="", **options):
    """The lab with these lines, and what was told."""
    told = []
    text = (
        f"name: t\n{top}\nmgmt: {{{mgmt}}}\ntopology:\n  nodes:\n    a: {{kind: linux, image: i{node}}}\n"
        f"    b: {{kind: linux, image: i}}\n    c: {{kind: linux, image: i}}\n{links}"
    )
    options = {"env": {}, "notify": told.append, "deferred": lambda _: None} | options
    return clab.parse(text, file="/l/t.yml", **options), [notice.text for notice in told]


PLAIN, _ = read()


def check(support, key, line, plain=PLAIN):
    """`line` is where and how the key stands; `plain` is the lab without it, or with another value."""
    match support:
        case Support.YES:
            lab, told = read(**line)
            assert lab != plain
            assert told == []
            again = clab.parse(
                clab_out.dump(lab), file="/l/t.yml", env={}, notify=told.append, deferred=told.append
            )
            assert again == lab
        case Support.NO_EFFECT:
            lab, told = read(**line)
            assert lab == plain
            assert [key in each and "has no effect" in each for each in told] == [True]
        case Support.REFUSED:
            with pytest.raises(LabctlError) as caught:
                read(**line)
            assert (caught.value.code, key in caught.value.message) == ("unsupported", True)
        case Support.LEGACY:
            lab, told = read(**line, lenient=True)
            assert [key in each and "is an old key" in each for each in told] == [True]


@pytest.mark.parametrize("key", NODE)
def test_a_key_of_a_node(key):
    line = f", {key}: {NODES[key]}"
    if key == "kind":
        assert clab.parse(
            "name: t\ntopology: {nodes: {a: {kind: bridge}}}", file="/l/t.yml", env={}
        ) != clab.parse("name: t\ntopology: {nodes: {a: {kind: host}}}", file="/l/t.yml", env={})
    elif key == "image":
        check(NODE[key].support, key, {"top": "prefix: x"})
    else:
        check(NODE[key].support, key, {"node": line})


@pytest.mark.parametrize("key", MGMT)
def test_a_key_of_the_management_network(key):
    check(MGMT[key].support, key, {"mgmt": f"{key}: {MGMTS[key]}"})


@pytest.mark.parametrize("key", sorted(TOP.keys() - {"name", "mgmt", "topology"}))
def test_a_key_of_the_file(key):
    check(TOP[key].support, key, {"top": f"{key}: {TOPS[key]}"})


#: form of a link -> a link of it, and what differs from that for each key; None: the link cannot be without the key.
SAME = {"mtu": "1400", "labels": "{a: b}", "vars": "{a: 1}"}
BRIEF = "endpoints: ['a:eth1', 'b:eth1']"
VETH = "type: veth, endpoints: [{node: a, interface: eth1}, {node: b, interface: eth1}]"
ENDED = "endpoint: {node: a, interface: eth1}"
LINKS = {
    "BRIEF": (BRIEF, SAME | {"type": None, "endpoints": None, "ipv4": "[10.0.0.1/30, '']", "ipv6": "['', 'fd00::1/64']"}),
    "VETH": (VETH, SAME | {"type": None, "endpoints": None}),
    "DUMMY": (f"type: dummy, {ENDED}", SAME | {"type": None, "endpoint": None}),
    "HOST": (f"type: host, {ENDED}, host-interface: x", SAME | {"type": None, "endpoint": None, "host-interface": None}),
    "MACVLAN": (
        f"type: macvlan, {ENDED}, host-interface: x",
        SAME | {"type": None, "endpoint": None, "host-interface": None, "mode": "vepa"},
    ),
    "VXLAN": (
        f"type: vxlan, {ENDED}, remote: 192.0.2.1, vni: 5",
        SAME | {"type": None, "endpoint": None, "remote": None, "vni": None}
        | {"dst-port": "4789", "src-port": "9", "parent-interface": "x", "udp-port": "4789"},
    ),
}  # fmt: skip
#: Another value for what a link cannot be without, in the form of its own.
OTHERWISE = {
    "type": ("type: veth", "type: dummy"),
    "host-interface": ("host-interface: x", "host-interface: y"),
    "remote": ("192.0.2.1", "192.0.2.2"),
    "vni": ("vni: 5", "vni: 6"),
    "endpoint": ("eth1", "eth2"),
    "endpoints": ("eth1", "eth2"),
}


def with_link(link):
    return {"links": f"  links:\n    - {{{link}}}\n"}


@pytest.mark.parametrize(("form", "key"), [(form, key) for form in LINKS for key in getattr(clab_keys, form)])
def test_a_key_of_a_link(form, key):
    plain, values = LINKS[form]
    if key == "type":  # without it the link is of another form, or none
        with pytest.raises(LabctlError):
            read(**with_link(f"type: none, {plain.partition(', ')[2] if 'type' in plain else plain}"))
    elif values[key] is None:
        check(Support.YES, key, with_link(plain.replace(*OTHERWISE[key])), plain=read(**with_link(plain))[0])
    else:
        support = getattr(clab_keys, form)[key].support
        check(support, key, with_link(f"{plain}, {key}: {values[key]}"), plain=read(**with_link(plain))[0])


ENDS = {"mac": "02:00:00:00:00:09", "ipv4": "10.0.0.1/30", "ipv6": "fd00::1/64", "vars": "{a: 1}"}


@pytest.mark.parametrize("key", clab_keys.END)
def test_a_key_of_an_end(key):
    if key in ("node", "interface"):
        other = {"node": ("node: a", "node: c"), "interface": ("eth1}, {", "eth9}, {")}[key]
        link = VETH.replace(*other)
    else:
        link = VETH.replace(
            "{node: b", f"{{{key}: '{ENDS[key]}', node: b" if key != "vars" else "{vars: {a: 1}, node: b"
        )
    check(Support.YES, key, with_link(link), plain=read(**with_link(VETH))[0])


#: table -> the place of its keys in a node, and for each key how it stands there and what it is compared with.
STAGED = "stages: {{configure: {{{0}}}}}"
INSIDE = {
    "STAGES": {
        name: (f"stages: {{{name}: {{wait-for: [{{node: b, stage: create}}]}}}}", "stages: {}")
        for name in clab_keys.STAGES
    },
    "STAGE": {
        "wait-for": (STAGED.format("wait-for: [{node: b, stage: create}]"), STAGED.format("")),
        "exec": (STAGED.format("exec: [{command: ls}]"), STAGED.format("")),
    },
    "WAIT_FOR": {
        key: (STAGED.format(f"wait-for: [{{{one}}}]"), STAGED.format("wait-for: [{node: b, stage: create}]"))
        for key, one in {"node": "node: c, stage: create", "stage": "node: b, stage: exit"}.items()
    },
    "STAGE_EXEC": {
        "command": (STAGED.format("exec: [{command: id}]"), STAGED.format("exec: [{command: ls}]")),
        "phase": (STAGED.format("exec: [{command: ls, phase: on-exit}]"), STAGED.format("exec: [{command: ls}]")),
        "target": (STAGED.format("exec: [{command: ls, target: container}]"), STAGED.format("")),
    },
    "HEALTHCHECK": {
        "test": ("healthcheck: {test: [CMD, ls]}", "healthcheck: {test: [CMD, id]}"),
        **{
            key: (f"healthcheck: {{test: [CMD, ls], {key}: 7}}", "healthcheck: {test: [CMD, ls]}")
            for key in ("start-period", "interval", "timeout", "retries")
        },
    },
    "DNS": {
        key: (f"dns: {{{key}: ['{value}']}}", "dns: {}")
        for key, value in {"servers": "192.0.2.1", "search": "lab.example", "options": "ndots:2"}.items()
    },
}  # fmt: skip


@pytest.mark.parametrize(("table", "key"), [(t, key) for t in INSIDE for key in getattr(clab_keys, t)])
def test_a_key_inside_of_a_nodes(table, key):
    line, other = INSIDE[table][key]
    check(Support.YES, key, {"node": f", {line}"}, plain=read(node=f", {other}")[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("certificate: {isue: true}", "node a: certificate has no key 'isue'"),
        ("certificate: {issue: perhaps}", "node a: certificate.issue must be true or false, not 'perhaps'"),
        ("certificate: [a]", "node a: certificate must be a map, not a list"),
        ("credentials: {user: u}", "node a: credentials has no key 'user'"),
        ("config: {var: {}}", "node a: config has no key 'var'"),
        ("extras: {srl: 1}", "node a: extras has no key 'srl'"),
        ("auto-remove: maybe", "node a: auto-remove must be true or false, not 'maybe'"),
        ("image-pull-policy: sometimes", "node a: image-pull-policy cannot be 'sometimes'"),
        ("link-apply-mode: dead", "node a: link-apply-mode cannot be 'dead'"),
        ("startup-config: [a]", "node a: startup-config must be text, not a list"),
        ("cpu-set: '3-1'", "cpu-set '3-1' is no list of processors"),
        ("cpu-set: '0,x'", "cpu-set '0,x' is no list of processors"),
        ("cpu-set: '0-99999'", "cpu-set '0-99999' is no list of processors"),
        ("tmpfs: {relative: ''}", "tmpfs: 'relative' is not the absolute path of a directory"),
        ("tmpfs: {/a/../b: ''}", "tmpfs: '/a/../b' is not the absolute path of a directory"),
        ("tmpfs: {/a: 'loop,size=1m'}", "tmpfs: there is no option 'loop'"),
        ("tmpfs: [/a]", "node a: tmpfs must be a map, not a list"),
        ("dns: {server: [192.0.2.1]}", "node a: dns has no key 'server'"),
        ("dns: {servers: [ns.example]}", "dns server 'ns.example' is not an IPv4 address"),
        ("dns: {options: ['a b']}", "dns: 'a b' is no option"),
        ("dns: {search: ['a b']}", "search domain 'a b' is not a host name"),
        ("aliases: ['a b']", "alias 'a b' is not a host name"),
        ("shm-size: lots", "'lots' is not a size"),
    ],
)
def test_what_has_no_effect_has_to_be_right_as_well(line, message):
    with pytest.raises(LabctlError) as caught:
        read(node=f", {line}")
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "line",
    [
        "ipv4-range: 10.0.0.0/24",
        "ipv4-range: 172.20.20.1",
        "ipv4-gw: 10.0.0.1",
        "ipv4-gw: 172.20.20.1/24",
        "ipv6-range: 'fd00::/64'",
        "ipv6-gw: 172.20.20.1",
    ],
)
def test_a_range_and_a_gateway_lie_in_the_subnet(line):
    with pytest.raises(LabctlError) as caught:
        read(mgmt=line)
    assert caught.value.code == "bad-address"


def test_no_node_is_the_gateway():
    with pytest.raises(LabctlError) as caught:
        read(mgmt="ipv4-gw: 172.20.20.9", node=", mgmt-ipv4: 172.20.20.9")
    assert caught.value.message == "mgmt-ipv4 172.20.20.9 is the gateway of the management network"
