"""The state of a lab as far as a fault could have changed it: read from the kernel, and canonical, so that two can be equal.

What is read, of every node (from outside, by its namespaces and control group) and of the panel:

    links        flags, MTU, MAC, ifindex, master, alias, carrier          offloads    ethtool's features of each device
    addresses    IPv4 and IPv6, lifetimes                                  sysctls     everything readable below net/
    routes       all tables, both families                                 nft         the whole ruleset
    neighbours   the permanent ones                                        cgroup      freezer and limits
    qdiscs       kind and options                                          mounts      place, type, options
    filters      kind, preference, options                                 processes   names; which are stopped

and of FRR the running configuration, of labctl its leases and what it has saved for the way back.

Canonical is: lines sorted, blanks joined; *left out* are handles of qdiscs and filters, references and counters (packets,
bytes, `rule hit`, nft's and the cgroups' counts), ids of nexthop objects, BPF programs and maps, remaining lifetimes and timers, pids, ids of
mounts, neighbour entries that come and go by themselves, and what the kernel itself moves in sysctls (VOLATILE). Nothing
else: a route with another metric, an address that is missing, an offload that stayed off is a difference.
"""

import os
import re
import subprocess

from labctl.agent import client
from labctl.linux import cgroup

LOOKS = {
    "links": "ip -d -o link",
    "addresses": "ip -o address",
    "routes": "ip route show table all",
    "routes6": "ip -6 route show table all",
    "neighbours": "ip neighbor show nud permanent",
    "qdiscs": "tc qdisc show",
    "filters": (
        # Not of /sys/class/net, which is that of the namespace that /sys was mounted in.
        "for d in $(ip -o link | cut -d' ' -f2 | cut -d@ -f1 | tr -d :); do for h in ingress egress root; do "
        'tc filter show dev $d $h 2>/dev/null | sed "s/^/$d $h /"; done; done'
    ),
    "offloads": (
        'for d in $(ip -o link | cut -d" " -f2 | cut -d@ -f1 | tr -d :); do '
        'ethtool -k $d 2>/dev/null | grep -v fixed | sed "s/^/$d /"; done'
    ),
    "nft": "nft list ruleset 2>/dev/null || true",
    "sysctls": "find /proc/sys/net -type f -perm -u=r -exec grep -sH . {} + || true",
}
#: Removed wherever they stand.
_NUMBERED = (
    r"\b(nhid|expires|refcnt|handle|parent|fh|id|jited|installed|used|link-netnsid) \S+ ?",
    r"\bpref (low|medium|high) ?",
    r"\b(qlen|promiscuity|allmulti|minmtu|maxmtu|numtxqueues|numrxqueues|gso\w*|gro\w*|tso\w*) \S+ ?",
    r"\((rule|success) hit \d+( success \d+)?\)|\brandom type none pass val 0|\border \d+|\bindex \d+ ref \d+ bind \d+",
    r"\bpackets \d+ bytes \d+|\b(firstused|lastused|age) \d+ sec",
    r"\b\w*timer\b +\S+",
)
#: Sysctls that change without anybody setting them.
VOLATILE = re.compile(
    r"nf_conntrack_count|/route/gc_|random|udp_mem|tcp_mem|ping_group|/netfilter/|flow_limit"
)
#: What of a control group is a setting.
_VALUES = (
    "cpu.cfs_quota_us",
    "cpu.max",
    "cpu.shares",
    "cpu.weight",
    "freezer.state",
    "cgroup.freeze",
    "memory.limit_in_bytes",
    "memory.max",
    "pids.max",
)


def read(place, runtime):
    """The state of the lab at `place`: name -> look -> lines."""
    record = place.need()
    found = {node.name: _node(place, runtime, record.lab, node.name) for node in record.lab.nodes}
    found["panel"] = _namespace(place.panel_ns)
    found["labctl"] = {
        "leases": [lease["id"] for lease in client.leases(place)],
        "off base": client.ask(place, "status")["off_base"],
        "saved": sorted(os.listdir(place.saved_dir)) if os.path.isdir(place.saved_dir) else [],
    }
    return found


def difference(before, after):
    """Lines such as `r1 routes: - 10.0.0.0/24 …`, for a person; empty if nothing differs."""
    said = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name, {}), after.get(name, {})
        for look in sorted(one.keys() | other.keys()):
            a, b = _lines(one.get(look)), _lines(other.get(look))
            said += [f"{name} {look}: - {line}" for line in a if line not in b]
            said += [f"{name} {look}: + {line}" for line in b if line not in a]
            if a != b and sorted(set(a)) == sorted(set(b)):
                said.append(f"{name} {look}: the same lines, not as often or in another order: {a} {b}")
    return said


def _lines(value):
    if isinstance(value, dict):
        return [f"{key}: {each}" for key, each in value.items()]
    return value.splitlines() if isinstance(value, str) else list(map(str, value or ()))


def _node(place, runtime, lab, name):
    group = runtime._group(place, name)
    processes = runtime.processes(lab, name)
    configuration = runtime.exec(
        lab, name, ["sh", "-c", "[ ! -e /usr/bin/vtysh ] || vtysh -c 'show running-config'"]
    )
    return {
        **_namespace(place.node_ns(name)),
        "processes": sorted(each.name for each in processes),
        "stopped": [each.name for each in processes if each.stopped],
        "cgroup": _cgroup(group),
        "mounts": _mounts(cgroup.pids(group)),
        "configuration": configuration.stdout if configuration.code == 0 else f"exit {configuration.code}",
    }


def _namespace(path):
    script = "\n".join(f"echo '@@{look}'; {command}" for look, command in LOOKS.items())
    argv = ["nsenter", f"--net={path}", "sh", "-c", script]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    parts = dict(part.split("\n", 1) for part in said.split("@@")[1:])
    return {look: canonical(text, look) for look, text in parts.items()}


def canonical(text, look=""):
    for pattern in _NUMBERED if look != "sysctls" else ():
        text = re.sub(pattern, "", text)
    if look == "qdiscs":
        text = re.sub(r"qdisc (\S+) \S+", r"qdisc \1", text)
    if look == "links":
        text = re.sub(r"\\", " ", text)
    lines = (re.sub(r"\s+", " ", each).strip() for each in text.splitlines())
    return sorted(each for each in lines if each and not (look == "sysctls" and VOLATILE.search(each)))


def _cgroup(group):
    found = {}
    for directory in cgroup.directories(group):
        for name in _VALUES:
            path = os.path.join(directory, name)
            if os.path.exists(path):
                with open(path, encoding="ascii") as file:
                    found[name] = file.read().strip()
    return found


def _mounts(pids):
    """Of the node's oldest process; what the kernel numbers anew is left out."""
    for pid in sorted(pids):
        try:
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        return sorted(_mount(line) for line in lines)
    return []


def _mount(line):
    before, _, after = line.partition(" - ")
    _, _, _, root, point, options = before.split(" ")[:6]
    return f"{point} {root} {options} {after}"
