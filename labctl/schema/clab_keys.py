"""Every key of a containerlab file, what shape it has, how it is inherited, and what labctl does with it.

One table serves the reader (unknown keys, shapes, refusals), the JSON schema and docs/labfile.md, so they cannot
disagree. The keys are containerlab 0.79's; its parser, not its published schema, is the authority.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Support(StrEnum):
    """What labctl does with a key."""

    YES = "yes"  # read and honoured
    NO_EFFECT = "no effect"  # accepted with a warning: the lab runs as if it were absent
    REFUSED = "refused"  # an error: ignoring it would make another lab than the one that was asked for
    LEGACY = "--lenient"  # an error that `--lenient` turns into a warning


class Shape(StrEnum):
    TEXT = "text"
    TEXTS = "list of text"
    TEXT_MAP = "map of text"
    NUMBER = "number"
    COUNT = "whole number"
    MAP = "map"
    LIST = "list"
    BOOL = "true or false"
    ANY = "any"


class Merge(StrEnum):
    """How defaults, kinds, groups and the node itself combine (the later one is the more specific)."""

    FIRST = "most specific wins"
    UNION = "all, defaults first"
    KEYS = "by key, most specific wins"
    TARGET = "all; one target: most specific wins"
    NODE = "node only"


@dataclass(frozen=True, slots=True)
class Key:
    support: Support
    shape: Shape = Shape.TEXT
    merge: Merge = Merge.FIRST
    note: str = ""
    keys: Mapping[str, Key] | None = None  # of a map that is looked into only to find mistakes
    words: tuple[str, ...] = ()  # what a text may say, in any case


_YES, _NONE, _NO, _OLD = Support.YES, Support.NO_EFFECT, Support.REFUSED, Support.LEGACY
_ANY = Shape.ANY


def _no_effect(
    note: str,
    shape: Shape = _ANY,
    keys: Mapping[str, Key] | None = None,
    words: tuple[str, ...] = (),
) -> Key:
    return Key(_NONE, Shape.TEXT if words else shape, note=note, keys=keys, words=words)


def _refused(note: str) -> Key:
    return Key(_NO, _ANY, note=note)


_TEXT, _TEXTS, _COUNT, _BOOL = (
    Key(_NONE, each) for each in (Shape.TEXT, Shape.TEXTS, Shape.COUNT, Shape.BOOL)
)
CERTIFICATE: Mapping[str, Key] = {
    "issue": _BOOL,
    "key-size": _COUNT,
    "validity-duration": _TEXT,
    "sans": _TEXTS,
}
CREDENTIALS: Mapping[str, Key] = {"username": _TEXT, "password": _TEXT, "identity-file": _TEXT}
CONFIG: Mapping[str, Key] = {"vars": Key(_NONE, Shape.MAP)}
EXTRAS: Mapping[str, Key] = {
    name: Key(_NONE, _ANY) for name in ("srl-agents", "ceos-copy-to-flash", "k8s_kind", "mysocket-proxy")
}
SETTINGS: Mapping[str, Key] = {
    "certificate-authority": Key(
        _NONE,
        Shape.MAP,
        keys={"cert": _TEXT, "key": _TEXT, "key-size": _COUNT, "validity-duration": _TEXT},
    )
}

TOP: Mapping[str, Key] = {
    "name": Key(_YES, note="the lab's name; `--name` overrides it"),
    "prefix": Key(
        _YES, note='container names are `<prefix>-<lab>-<node>`; `""`: `<node>`; `__lab-name`: `<lab>-<node>`'
    ),
    "mgmt": Key(_YES, Shape.MAP, note="see below"),
    "topology": Key(_YES, Shape.MAP, note="nodes, links, kinds, groups, defaults"),
    "settings": _no_effect("labctl issues no certificates", Shape.MAP, SETTINGS),
    "debug": _no_effect("use `--log-level`", Shape.BOOL),
}

MGMT: Mapping[str, Key] = {
    "network": Key(_YES, note="the name that `inspect` shows"),
    "ipv4-subnet": Key(_YES, note="`auto` is the default subnet"),
    "ipv6-subnet": Key(_YES, note="`auto` is the default subnet"),
    "mtu": Key(_YES, Shape.COUNT, note="of eth0; default 1500"),
    "bridge": _no_effect("the management bridge is in the lab's panel namespace"),
    "ipv4-gw": Key(_YES, note="no node gets this address; it answers nothing, for there is no way out"),
    "ipv6-gw": Key(_YES, note="as ipv4-gw"),
    "ipv4-range": Key(_YES, note="a part of the subnet, for the nodes that name no address"),
    "ipv6-range": Key(_YES, note="as ipv4-range"),
    "external-access": _no_effect("the management network has no way out"),
    "driver-opts": _no_effect("there is no Docker network behind it"),
    "skip-when-unused": _no_effect("the network costs nothing when no node uses it"),
    "ipv4_subnet": Key(_OLD, note="now `ipv4-subnet`; accepted with a warning"),
    "ipv6_subnet": Key(_OLD, note="now `ipv6-subnet`; accepted with a warning"),
}

TOPOLOGY: Mapping[str, Key] = {
    "nodes": Key(_YES, Shape.MAP),
    "links": Key(_YES, Shape.LIST),
    "kinds": Key(_YES, Shape.MAP, note="what all nodes of a kind inherit"),
    "groups": Key(_YES, Shape.MAP, note="what all nodes of a group inherit"),
    "defaults": Key(_YES, Shape.MAP, note="what all nodes inherit"),
}

NODE: Mapping[str, Key] = {
    "kind": Key(_YES, note="linux, bridge or host; node, then group, then the default group, then defaults"),
    "image": Key(_YES),
    "group": Key(_YES, note="node, then kind, then defaults"),
    "cmd": Key(_YES, note="split like a shell does; absent keeps the image's"),
    "entrypoint": Key(_YES, note="split like a shell does; absent keeps the image's"),
    "env": Key(
        _YES,
        Shape.TEXT_MAP,
        Merge.KEYS,
        '`__IMPORT_ENVS: "true"` adds the whole environment of labctl at its level; `NO_PROXY` and `no_proxy` get the '
        "lab's nodes, the addresses that the file names and the management subnets",
    ),
    "env-files": Key(
        _YES,
        Shape.TEXTS,
        Merge.UNION,
        "lines like `NAME=value`, relative to the file; a later file wins, and `env` over all of them",
    ),
    "exec": Key(_YES, Shape.TEXTS, Merge.UNION, "run in the node after its start; the same command once"),
    "binds": Key(
        _YES,
        Shape.TEXTS,
        Merge.TARGET,
        "`source:target[:options]`, relative to the file; sources are checked by deploy",
    ),
    "labels": Key(
        _YES,
        Shape.TEXT_MAP,
        Merge.KEYS,
        note="limits that have no key of their own: `labctl-pids: 100` processes; `labctl-read-bps: 10MiB`, "
        "`labctl-write-bps`, `labctl-read-iops: 200`, `labctl-write-iops` per second on the disks that the node's own "
        "files are on. With control groups version 1 what the kernel writes later for a node is not counted, only what it "
        "writes itself (direct, fsync)",
    ),
    "sysctls": Key(_YES, Shape.TEXT_MAP, Merge.KEYS),
    "user": Key(_YES),
    "hostname": Key(_YES, note="default: the node's name"),
    "mgmt-ipv4": Key(_YES, merge=Merge.NODE),
    "mgmt-ipv6": Key(_YES, merge=Merge.NODE),
    "network-mode": Key(
        _YES,
        note="`none`, or `container:NODE`: the network of another node of the lab; `host` is refused: what is in the "
        "machine's own network is no shadow (a link to `host:IF` gives a node a leg there)",
    ),
    "startup-delay": Key(_YES, Shape.COUNT, note="seconds"),
    "stages": Key(_YES, Shape.MAP, Merge.UNION, "when the node starts and goes on; see below"),
    "healthcheck": Key(
        _YES, Shape.MAP, note="run as Docker runs it; `labctl inspect` shows what it says; see below"
    ),
    "cpu": Key(_YES, Shape.NUMBER, note="cores"),
    "memory": Key(_YES, note="`512MiB`, `1GB`; bytes without a unit"),
    "cpu-set": Key(_YES, note="the processors it runs on: `0-3,6`"),
    "shm-size": Key(_YES, note="of /dev/shm, like memory; default 64 MiB"),
    "tmpfs": Key(
        _YES, Shape.TEXT_MAP, Merge.KEYS, "directory: mount options; `noexec,nosuid,nodev` unless said"
    ),
    "type": _no_effect("the kinds that labctl emulates have no types", Shape.TEXT),
    "startup-config": _no_effect("kind linux takes no startup configuration; bind the file", Shape.TEXT),
    "enforce-startup-config": _no_effect("see startup-config", Shape.BOOL),
    "suppress-startup-config": _no_effect("see startup-config", Shape.BOOL),
    "license": _no_effect("the kinds that labctl emulates need no licence", Shape.TEXT),
    "ports": Key(
        _YES,
        Shape.TEXTS,
        note="`8080:80`, `127.0.0.1:8080:80/udp`; the whole list of the most specific level. On the machine's loopback unless "
        "an address is written (containerlab: on all). No leg of the machine in the lab: a process of labctl's passes on what "
        "is said, and the node cannot begin anything",
    ),
    "certificate": _no_effect("labctl issues no certificates", Shape.MAP, CERTIFICATE),
    "credentials": _no_effect(
        "labctl logs in to no node, and writes no password down", Shape.MAP, CREDENTIALS
    ),
    "username": _no_effect("as credentials", Shape.TEXT),
    "password": _no_effect("as credentials", Shape.TEXT),
    "dns": Key(
        _YES,
        Shape.MAP,
        note="servers, search, options; for name servers in the lab, since nodes have no way out. Default: no resolver",
    ),
    "aliases": Key(
        _YES, Shape.TEXTS, Merge.NODE, "names of its management addresses, in every node's /etc/hosts"
    ),
    "restart-policy": Key(
        _YES,
        note="a node whose command has ended is started again after 1 s, then 2 s, 4 s … 60 s until it has run for 10 s; "
        "`on-failure`: not after exit status 0 or one that nobody saw. Default here: `no` (containerlab: `always`), for an end "
        "is a finding. Not while a fault holds the node or a process of it. Stopped by `docker stop` or `docker kill` it stays "
        "down, as Docker says: by `unless-stopped` until `docker start`, by the others until then or the engine is started "
        "anew; on runc nothing stops a single node, and `unless-stopped` is `always`",
    ),
    "auto-remove": _no_effect("`destroy` removes nodes", Shape.BOOL),
    "privileged": Key(
        _YES,
        Shape.BOOL,
        note="default `true`: all capabilities but those that reach the machine (`SYS_MODULE`, `SYS_RAWIO`, `SYS_TIME`, "
        "`SYS_BOOT`, …), which no node gets; `false`: Docker's defaults and `cap-add` (zebra then needs `NET_ADMIN` and "
        "`SYS_ADMIN`). /proc/sys/net and /dev/net/tun stay as they are. On Docker the gate needs `SYS_ADMIN`: without it "
        "such a node is refused there",
    ),
    "cap-add": Key(
        _YES,
        Shape.TEXTS,
        Merge.UNION,
        "what a node that is not `privileged` has beside Docker's defaults; `ALL`. What no node gets is a warning. "
        "containerlab has no `cap-drop`",
    ),
    "devices": Key(
        _YES,
        Shape.TEXTS,
        Merge.TARGET,
        "`source[:target[:rwm]]`: those that give who opens them something of their own: `/dev/kvm`, `/dev/fuse`, `/dev/ppp`, "
        "`/dev/vhost-net`, `/dev/vhost-vsock`, `/dev/net/tun` (which every node has) and the likes of `/dev/null`; deploy "
        "refuses any other, for it is the machine's",
    ),
    "security-opts": _no_effect("no security profile is applied", Shape.TEXTS),
    "cgroup-parent": _no_effect("nodes are in the lab's own cgroups", Shape.TEXT),
    "cgroupns-mode": _no_effect("nodes have their own cgroup namespace", Shape.TEXT),
    "image-pull-policy": Key(
        _YES,
        note="`IfNotPresent` (default), `Always`: from its registry at each deploy, which fails where none answers, `Never`: "
        "neither pulled nor built. labctl's own images have no registry: they are built when they are missing or changed",
    ),
    "runtime": _no_effect("use `--runtime`", words=("docker", "podman")),
    "link-apply-mode": _no_effect("cables are patched live", words=("live", "restart", "recreate")),
    "position": _no_effect("for containerlab's editor", Shape.TEXT),
    "extras": _no_effect("for kinds that labctl does not emulate", Shape.MAP, EXTRAS),
    "config": _no_effect("for containerlab's own templates", Shape.MAP, CONFIG),
    "volumes": _refused("use `binds`"),
    "pid-mode": _refused("a node has its own processes"),
    "components": _refused("for kinds that labctl does not emulate"),
    "mgmt_ipv4": Key(_OLD, merge=Merge.NODE, note="now `mgmt-ipv4`"),
    "mgmt_ipv6": Key(_OLD, merge=Merge.NODE, note="now `mgmt-ipv6`"),
    "wait-for": Key(_OLD, _ANY, note="was replaced by `stages`; no effect"),
}

#: What is no key and is written as if it were one -> what to do instead.
NO_KEYS: Mapping[str, str] = {
    "cap-drop": "containerlab has no such key; `privileged: false` leaves Docker's defaults, and `cap-add` adds to them"
}

#: Of `stages`, in order.
STAGES: Mapping[str, Key] = {
    "create": Key(_YES, Shape.MAP, note="done when the node's process runs; its ports are there before"),
    "create-links": Key(
        _YES, Shape.MAP, note="a node that waits here has no light on its cables until it enters the stage"
    ),
    "configure": Key(_YES, Shape.MAP, note="the node's `exec` commands"),
    "healthy": Key(
        _YES,
        Shape.MAP,
        note="done when the health check succeeds, which is waited for 900 s at most; only if somebody waits for it",
    ),
    "exit": Key(
        _YES, Shape.MAP, note="done when the node's process has ended; only if somebody waits for it"
    ),
}
STAGE: Mapping[str, Key] = {
    "wait-for": Key(_YES, Shape.LIST, note="the stage is not entered before these are done"),
    "exec": Key(_YES, Shape.LIST, note="commands in the node"),
}
WAIT_FOR: Mapping[str, Key] = {"node": Key(_YES), "stage": Key(_YES)}
STAGE_EXEC: Mapping[str, Key] = {
    "command": Key(_YES, note="split like a shell does"),
    "target": Key(_YES, note="`container` (default); `host` is refused: no command runs on the machine"),
    "phase": Key(_YES, note="`on-enter` (default) or `on-exit` of the stage"),
}
HEALTHCHECK: Mapping[str, Key] = {
    "test": Key(_YES, Shape.TEXTS, note="`[CMD, program, …]`, `[CMD-SHELL, script]` or `[NONE]`"),
    "start-period": Key(_YES, Shape.COUNT, note="seconds in which failures do not count; default 0"),
    "interval": Key(_YES, Shape.COUNT, note="seconds; default 30"),
    "timeout": Key(_YES, Shape.COUNT, note="seconds; default 30"),
    "retries": Key(_YES, Shape.COUNT, note="failures in a row; default 3"),
}
DNS: Mapping[str, Key] = {
    "servers": Key(_YES, Shape.TEXTS, note="addresses"),
    "search": Key(_YES, Shape.TEXTS, note="domains"),
    "options": Key(_YES, Shape.TEXTS, note="as in resolv.conf(5)"),
}

_COMMON: Mapping[str, Key] = {
    "type": Key(_YES, note="absent for the brief form"),
    "mtu": Key(_YES, Shape.COUNT, note="default 9500"),
    "labels": Key(
        _YES,
        Shape.TEXT_MAP,
        note="targets of faults and scenarios select by them: `label(srlg=duct7)`; `labctl-delay: 40ms`, "
        "`labctl-loss: 1%` and the other settings of `link.degrade` say what the link is like when nothing is broken",
    ),
    "vars": Key(_YES, Shape.MAP, note="any map; `topology-data.json` has it (`deploy --labdir`)"),
}
BRIEF: Mapping[str, Key] = {
    "endpoints": Key(_YES, Shape.LIST, note='two of `"node:interface"`'),
    **_COMMON,
    "ipv4": Key(
        _YES, Shape.LIST, note='`[a, b]` with prefix lengths, put on kind linux too; `""` skips a side'
    ),
    "ipv6": Key(_YES, Shape.LIST, note="as ipv4"),
}
VETH: Mapping[str, Key] = {
    "endpoints": Key(_YES, Shape.LIST, note="two maps"),
    **_COMMON,
}
DUMMY: Mapping[str, Key] = {
    "endpoint": Key(_YES, Shape.MAP, note="a map"),
    **_COMMON,
}
_PLACE: Mapping[str, Key] = {
    "endpoint": Key(_YES, Shape.MAP, note="a map"),
    "host-interface": Key(_YES),
}
HOST: Mapping[str, Key] = {**_PLACE, **_COMMON}
MACVLAN: Mapping[str, Key] = {
    **_PLACE,
    "mode": Key(_YES, note="`bridge` (default), `private`, `vepa` or `passthru`; `source` is refused"),
    **_COMMON,
}
VXLAN: Mapping[str, Key] = {
    "endpoint": Key(_YES, Shape.MAP, note="a map"),
    "remote": Key(_YES, note="an address; names are not resolved"),
    "vni": Key(_YES, Shape.COUNT, note="1 to 16777215"),
    "dst-port": Key(_YES, Shape.COUNT, note="default 14789"),
    "src-port": Key(_YES, Shape.COUNT, note="up to 65534; default: the kernel's choice for each flow"),
    "parent-interface": Key(_YES, note="of the machine; default: by its routes"),
    "udp-port": _refused("write `dst-port`"),
    **_COMMON,
}
END: Mapping[str, Key] = {
    "node": Key(_YES),
    "interface": Key(_YES),
    "mac": Key(_YES, note="default: `aa:c1:ab:…`, the same each time"),
    "ipv4": Key(_YES, note="with prefix length"),
    "ipv6": Key(_YES, note="with prefix length"),
    "vars": Key(_YES, Shape.MAP, note="any map; `topology-data.json` has it"),
}

#: type -> what labctl does with such a link.
LINK_TYPES: Mapping[str, Key] = {
    "brief": Key(_YES, note="the form without `type`"),
    "veth": Key(_YES, note="a cable"),
    "veth-stitch": Key(_YES, note="a cable; every cable of labctl is stitched"),
    "dummy": Key(
        _YES,
        note="a stub: carrier, and nobody behind; with the labels `labctl-over: PORT` and `labctl-vlan: TAG` a "
        "sub-interface (802.1Q) of that port of the node",
    ),
    "host": Key(
        _YES, note="an interface that labctl makes on the machine itself; in the brief form `host:IF`"
    ),
    "mgmt-net": Key(
        _YES, note="a port of the management network, in the lab's panel; in the brief form `mgmt-net:IF`"
    ),
    "macvlan": Key(_YES, note="out over an interface of the machine; in the brief form `macvlan:PARENT`"),
    "vxlan": Key(_YES, note="out over UDP from the machine; the tunnel's device is in the lab's panel"),
    "vxlan-stitch": Key(_YES, note="as vxlan; every cable of labctl is stitched"),
}

KINDS: Mapping[str, Key] = {
    "linux": Key(_YES, note="a container"),
    "bridge": Key(_YES, note="a multi-access segment; made by labctl, in the lab's panel namespace"),
    "host": Key(_YES, note="the machine itself"),
}
