"""A running lab as the kernel has it, by the names of its file, so that two labs of one spec can be compared.

Left out is what two deploys of one file may differ in: ifindexes and the names of devices in the panel, pids, times.
"""

import os

from labctl.agent import client
from labctl.linux import cgroup, netns, tc
from labctl.linux.netlink import Netlink
from labctl.model.lab import MACHINE, NodeKind
from labctl.run import observe
from labctl.runtime import docker_engine
from labctl.runtime.docker_kept import engine_of
from labctl.runtime.panel import bridge_port, on_machine


def read(place):
    """name -> look -> what is there."""
    record = place.need()
    runtime = observe.runtime(place)
    linux = [node.name for node in record.lab.nodes if node.kind is NodeKind.LINUX]
    found = {name: _node(place, record, runtime, name) for name in linux}
    found["panel"] = _panel(place, record)
    found["machine"] = _machine(place)
    found["lab"] = {
        "phase": record.phase.value,
        "left of a change": (record.targets, record.pending),
        "devices": sorted(record.devices),
        "namespaces": sorted(os.listdir(os.path.dirname(place.node_ns("x")))),
        "directories": sorted(os.listdir(os.path.dirname(place.node_dir("x")))),
        "containers": _containers(place, record),
        "groups": cgroup.children(place.cgroup),
        "leases": [lease["id"] for lease in client.leases(place)],
        "off base": client.ask(place, "status")["off_base"],
        "saved": sorted(os.listdir(place.saved_dir)) if os.path.isdir(place.saved_dir) else [],
    }
    return found


def _containers(place, record):
    """How many there are, as whoever makes them says."""
    if record.runtime == "runc":
        return len(os.listdir(place.runc_dir))
    with docker_engine.Engine(engine_of(place)) as engine:
        return len(
            engine.containers([f"containerlab={record.lab.name}", f"labctl-instance={place.instance.tag}"])
        )


def difference(one, other):
    """Lines for a person; empty if nothing differs."""
    return [
        f"{name} {look}: {one.get(name, {}).get(look)} | {other.get(name, {}).get(look)}"
        for name in sorted(one.keys() | other.keys())
        for look in sorted(one.get(name, {}).keys() | other.get(name, {}).keys())
        if one.get(name, {}).get(look) != other.get(name, {}).get(look)
    ]


def _node(place, record, runtime, name):
    with Netlink(place.node_ns(name)) as netlink:
        links = netlink.links()
        names = {link.index: link.name for link in links}
        addresses = sorted(f"{names[index]} {address}" for index, address in netlink.addresses())
    node = record.lab.node(name)
    group = runtime._group(place, name)
    running = runtime.status(record.lab)
    (state,) = [each.state.value for each in running if each.node == name]
    found = {
        "links": sorted((link.name, link.mac, link.mtu, link.up, link.carrier) for link in links),
        "addresses": addresses,
        "state": state,
        "limits": (cgroup.cpu_limit(group), cgroup.memory_limit(group), cgroup.pids_limit(group)),
        "processes": sorted(each.name for each in runtime.processes(record.lab, name)),
    }
    if state == "running":
        said = runtime.exec(record.lab, name, ["sh", "-c", "env; sort /etc/hosts; cat /root/* 2>/dev/null"])
        found["inside"] = sorted(said.stdout.splitlines())
        keys = [netns.sysctl_file(key) for key in node.sysctls]
        found["sysctls"] = runtime.exec(record.lab, name, ["cat", "/dev/null", *keys]).stdout
    return found


def _machine(place):
    """What is on the machine that the lab has links to: the lab's own interfaces with all they have, and the others' names."""
    if not netns.exists(place.node_ns(MACHINE)):
        return {}
    own = on_machine(place)
    with Netlink(place.node_ns(MACHINE)) as kernel:
        links = kernel.links()
        names = {link.index: link.name for link in links}
        addresses = [(names[index], address) for index, address in kernel.addresses()]
    return {
        "links": sorted(
            (each.name, each.mac, each.mtu, each.up, each.carrier) for each in links if each.name in own
        ),
        "addresses": sorted(each for each in addresses if each[0] in own),
        "foreign": sorted(each.name for each in links if each.name not in own),
    }


def _panel(place, record):
    """Of every device there whose it is, whether it is up, and where what comes in goes."""
    whose = {device: key for key, device in record.devices.items()}
    whose |= {bridge_port(device): f"{key} inside" for key, device in record.devices.items()}
    with Netlink(place.panel_ns) as panel:
        links = panel.links()
        by_index = {link.index: whose.get(link.name, link.name) for link in links}
        return {
            by_index[link.index]: (
                link.up,
                link.mtu,
                [by_index.get(to, to) for to in tc.redirects(panel, link.index)],
                len(tc.filters(panel, link.index)),
                by_index.get(link.master),
            )
            for link in links
        }
