"""Lab files out: what is written is read back as the same lab."""

import ipaddress
import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.lab import (
    Bind,
    CableSpec,
    DeviceFile,
    Dns,
    End,
    LabSpec,
    Limits,
    Macvlan,
    MacvlanMode,
    MgmtSpec,
    NodeKind,
    NodeSpec,
    Over,
    Pull,
    Vxlan,
)
from labctl.model.stages import Healthcheck, Phase, Stage, StageCommand
from labctl.names import PortId, derived_macs
from labctl.schema import clab, clab_out

NAMES = st.from_regex(r"[a-z0-9][a-zA-Z0-9._-]{0,12}", fullmatch=True).filter(
    lambda n: n not in {"host", "stub", "panel", "macvlan", "vxlan", "mgmt-net"}
)
IFNAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9._@$-]{0,14}", fullmatch=True).filter(
    lambda n: n not in {"lo", "eth0", "all", "default"}
)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).filter(
    lambda t: "__clab" not in t
)
FULL = WORDS.filter(bool)
KEYS = WORDS.filter(lambda t: t != "labctl-pids")
MAPS = st.dictionaries(KEYS, WORDS, max_size=3)
VARIABLES = FULL.filter(lambda t: t != "__IMPORT_ENVS" and "=" not in t)
SYSCTLS = st.from_regex(r"[a-z0-9_]{1,6}([./][a-z0-9_-]{1,6}){0,3}", fullmatch=True)
VALUES = st.from_regex(r"[ -~]{0,8}", fullmatch=True)
PATHS = st.lists(
    st.from_regex(r"[a-z0-9 ${}#'.-]{1,8}", fullmatch=True).filter(lambda p: p not in {".", ".."}),
    min_size=1,
    max_size=3,
).map(lambda parts: "/" + "/".join(parts))
BINDS = st.builds(
    Bind,
    source=PATHS,
    target=PATHS,
    options=st.lists(st.sampled_from(["ro", "rw", "z"]), unique=True).map(tuple),
)
COMMANDS = st.none() | st.lists(WORDS, min_size=1, max_size=3).map(tuple)


VARS = st.dictionaries(
    WORDS,
    st.recursive(
        WORDS | st.booleans() | st.integers(-(10**9), 10**9) | st.none(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
).map(lambda found: json.dumps(found, ensure_ascii=False) if found else "")


def _plain(path):
    return os.path.normpath(path) == path


def _of_one(address):
    return not (address.is_multicast or address.is_unspecified)


IPV4 = st.none() | st.ip_addresses(v=4).filter(_of_one).map(lambda a: f"{a}/30")
IPV6 = st.none() | st.ip_addresses(v=6).filter(_of_one).map(lambda a: str(ipaddress.IPv6Interface(f"{a}/64")))
MACS = st.none() | st.integers(1, 2**40 - 1).map(
    lambda n: ":".join(f"{n:012x}"[i : i + 2] for i in range(0, 12, 2))
)


IFACES = st.from_regex(r"[a-z][a-z0-9.]{0,14}", fullmatch=True).filter(lambda n: n not in {"all", "default"})
NUMBERS = st.integers(1, 65535)
MACVLANS = st.builds(Macvlan, parent=IFACES, mode=st.sampled_from(MacvlanMode))
VXLANS = st.builds(
    Vxlan,
    remote=st.ip_addresses().filter(_of_one).map(str),
    vni=st.integers(1, 2**24 - 1),
    dst_port=NUMBERS,
    src_port=st.none() | st.integers(1, 65534),
    parent=st.none() | IFACES,
)


SECONDS = st.integers(1, 86_400).map(float)
CHECKS = st.builds(
    Healthcheck,
    test=st.lists(FULL, min_size=1, max_size=3).map(tuple),
    start_period_s=st.just(0.0) | SECONDS,
    interval_s=SECONDS,
    timeout_s=SECONDS,
    retries=st.integers(1, 9),
)
COMMANDS_OF_STAGES = st.builds(
    StageCommand,
    stage=st.sampled_from([Stage.CREATE_LINKS, Stage.CONFIGURE, Stage.HEALTHY]),
    phase=st.sampled_from(Phase),
    command=FULL,
)


def in_order(commands):
    """As a file has them: the commands of one stage stand together."""
    stages = list(dict.fromkeys(each.stage for each in commands))
    return tuple(sorted(commands, key=lambda each: stages.index(each.stage)))


def on_the_machine(nodes):
    return {"host", "mgmt-net", *(n.name for n in nodes if n.kind is NodeKind.HOST)}


@st.composite
def node_specs(draw, name):
    kind = draw(st.sampled_from(NodeKind))
    hosts = st.none() | st.integers(1, 2**16 - 2)
    v4, v6 = draw(hosts), draw(hosts)
    return NodeSpec(
        name=name,
        kind=kind,
        image=draw(FULL),
        pull=draw(st.sampled_from(Pull)),
        cmd=draw(COMMANDS),
        entrypoint=draw(COMMANDS),
        env=draw(st.dictionaries(VARIABLES, WORDS, max_size=3)),
        exec=draw(st.lists(FULL, unique=True, max_size=3).map(tuple)),
        binds=draw(st.lists(BINDS, unique_by=lambda b: b.target, max_size=3).map(tuple)),
        labels=draw(MAPS),
        devices=draw(st.sampled_from([(), (DeviceFile(source="/dev/kvm", target="/dev/vm", access="rw"),)])),
        sysctls=draw(st.dictionaries(SYSCTLS, VALUES, max_size=3)),
        group=draw(WORDS),
        user=draw(st.none() | FULL),
        hostname=draw(st.none() | NAMES),
        network_mode=draw(st.sampled_from([None, "none"])),
        mgmt_ipv4=v4 and str(ipaddress.ip_address("10.7.0.0") + v4),
        mgmt_ipv6=v6 and str(ipaddress.ip_address("fd00::") + v6),
        aliases=draw(st.lists(NAMES, unique=True, max_size=2).map(tuple)),
        dns=draw(st.sampled_from([None, Dns(servers=("192.0.2.1", "2001:db8::1"), search=("lab.example",))])),
        cpus=draw(st.sampled_from([None, "0", "0-3,6"])),
        shm_bytes=draw(st.none() | st.integers(1, 2**40)),
        tmpfs=draw(st.dictionaries(PATHS.filter(_plain), st.sampled_from(["", "size=1m,exec"]), max_size=2)),
        startup_delay_s=draw(st.integers(0, 100)),
        limits=Limits(
            cpu=draw(st.none() | st.floats(0.01, 64)),
            memory_bytes=draw(st.none() | st.integers(6 << 20, 2**50)),
            pids=draw(st.none() | st.integers(1, 2**20)),
            read_bps=draw(st.none() | st.integers(4096, 2**50)),
            write_iops=draw(st.none() | st.integers(1, 2**32 - 1)),
        ),
        healthcheck=draw(st.none() | CHECKS),
        stage_commands=in_order(draw(st.lists(COMMANDS_OF_STAGES, max_size=4))),
    )


@st.composite
def labs(draw):
    name = draw(NAMES)
    node_names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    found = [draw(node_specs(n)) for n in sorted(node_names)]
    machine = on_the_machine(found)
    among = st.sampled_from([*node_names, "host", "mgmt-net"])
    drawn = draw(st.lists(st.builds(PortId, among, IFNAMES), unique=True, max_size=8))
    taken = [p.interface for p in drawn if p.node in machine]
    ports = [p for p in drawn if p.node not in machine or taken.count(p.interface) == 1]
    macs = derived_macs(name, ports)
    ends = [
        End(port=p, mac=draw(MACS) or macs[p], ipv4=draw(IPV4), ipv6=draw(IPV6), vars=draw(VARS))
        for p in ports
    ]
    cables, rest = [], ends
    while rest:
        stub = len(rest) == 1 or draw(st.booleans())
        a, z, rest = (rest[0], None, rest[1:]) if stub else (rest[0], rest[1], rest[2:])
        if all(end.port.node in machine for end in (a, z) if end):
            continue  # a link of the machine with itself
        way = {} if z else draw(st.sampled_from([{}, {"macvlan": draw(MACVLANS)}, {"vxlan": draw(VXLANS)}]))
        degrade = draw(st.sampled_from(DEGRADED)) if z or way else {}
        least = 1280 if a.ipv6 or (z and z.ipv6) else 68
        cables.append(
            CableSpec(
                a=a,
                z=z,
                mtu=draw(st.integers(least, 65535)),
                labels=draw(MAPS),
                vars=draw(VARS),
                degrade=degrade,
                **way,
            )
        )
    linux = {node.name for node in found if node.kind is NodeKind.LINUX and not node.shares}
    cables = [draw(tagged(each, cables, linux)) for each in cables]
    addresses = [x for n in found for x in (n.mgmt_ipv4, n.mgmt_ipv6) if x]
    if len(set(addresses)) < len(addresses):
        found = []
        cables = []
    return LabSpec(
        name=name,
        prefix=draw(st.sampled_from(["clab", "", "__lab-name", "x"])),
        nodes=tuple(found),
        cables=tuple(cables),
        mgmt=MgmtSpec(
            network=draw(FULL),
            ipv4_subnet="10.7.0.0/16",
            ipv6_subnet="fd00::/64",
            mtu=draw(st.integers(1280, 65535)),
            ipv4_range=draw(st.sampled_from([None, "10.7.4.0/22"])),
            ipv6_gateway=draw(st.sampled_from([None, "fd00::ffff:ffff"])),
        ),
        source="/labs/t.clab.yml",
    )


@st.composite
def tagged(draw, cable, cables, linux):
    """A stub may be a sub-interface of a port of its node, with a tag that no other can have, and any MAC."""
    node, tag = cable.a.port.node, cables.index(cable) + 1
    ports = {
        end.port.interface: end for each in cables if each.z for end in each.ends if end.port.node == node
    }
    if cable.z or cable.outside or node not in linux or not ports or draw(st.booleans()):
        return cable
    below = draw(st.sampled_from(sorted(ports)))
    mac = draw(st.sampled_from([cable.a.mac, ports[below].mac]))
    return replace(cable, a=replace(cable.a, mac=mac), over=Over(port=below, vlan=tag))


#: What a link may be like; each is a part of its labels.
DEGRADED = ({}, {"delay": "20ms"}, {"loss": "1.5%", "direction": "z->a"}, {"rate": "10Mbit", "queue": "30kB"})


ENV = dict.fromkeys("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "expanded")


@given(lab=labs(), relative=st.sampled_from([None, "/labs", "/", "/a"]))
def test_what_is_written_is_read_back_the_same(lab, relative):
    """Also when every variable that the text could name is set, and with binds relative to the file."""
    text = clab_out.dump(lab, relative_to=relative if relative == "/labs" else None)
    assert clab.parse(text, file="/labs/t.clab.yml", env=ENV, notify=lambda _: None) == lab


@given(lab=labs())
def test_the_text_is_stable(lab):
    text = clab_out.dump(lab)
    again = clab.parse(text, file="/labs/t.clab.yml", env={}, notify=lambda _: None)
    assert clab_out.dump(again) == text


def test_the_form_people_write():
    lab = clab.parse(
        "name: t\ntopology:\n  nodes:\n    r1: {kind: linux, image: 'frr:9', binds: ['c/r1:/etc/frr:ro']}\n"
        "    r2: {kind: linux, image: 'frr:9', cmd: sleep infinity, env: {SW: on}}\n"
        "  links:\n    - endpoints: ['r1:eth1', 'r2:eth1']\n      ipv4: ['', 10.0.0.2/30]\n"
        "    - {type: dummy, endpoint: {node: r1, interface: eth2}}\n",
        file="/labs/t.clab.yml",
        env={},
    )
    assert clab_out.dump(lab, relative_to="/labs") == (
        "name: t\n"
        "topology:\n"
        "  nodes:\n"
        "    r1:\n"
        "      kind: linux\n"
        '      image: "frr:9"\n'
        "      binds:\n"
        '        - "c/r1:/etc/frr:ro"\n'
        "    r2:\n"
        "      kind: linux\n"
        '      image: "frr:9"\n'
        "      cmd: sleep infinity\n"
        "      env:\n"
        '        SW: "on"\n'
        "  links:\n"
        '    - endpoints: ["r1:eth1", "r2:eth1"]\n'
        '      ipv4: ["", 10.0.0.2/30]\n'
        "    - type: dummy\n"
        "      endpoint:\n"
        "        node: r1\n"
        "        interface: eth2\n"
    )


@pytest.mark.parametrize(
    "node",
    [
        NodeSpec(name="a", cmd=()),
        NodeSpec(name="a", startup_delay_s=0.5),
        NodeSpec(name="a", binds=(Bind(source="/a:b", target="/c"),)),
    ],
)
def test_what_a_lab_file_cannot_say_is_refused(node):
    with pytest.raises(LabctlError, match="a lab file has no form for"):
        clab_out.dump(LabSpec(name="t", nodes=(node,)))
