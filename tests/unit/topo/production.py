"""Small productions for tests of the merge: observations as a walk would give them, one line a device."""

from ipaddress import ip_interface

from labctl.ingest.frr.build import FRR_UNDEFINED
from labctl.model.config import DeviceConfig, InterfaceConfig, InterfaceKind
from labctl.model.observation import (
    AddressRow,
    Found,
    Ident,
    IdKind,
    InterfaceRow,
    LocalPort,
    Neighbour,
    Observation,
    Walk,
)
from labctl.topo.merge import merge as merge_found


def mac(device, port=0):
    """A MAC of its own for each port of each device; port 0 is the chassis."""
    return f"aa:00:00:00:{device:02x}:{port:02x}"


def ident(text, kind=IdKind.NAME):
    return Ident(kind, text, text if kind is IdKind.MAC else None)


def interface(index, name, **more):
    return InterfaceRow(index=index, name=name, where=f"walk:{index}", **more)


def row(port, chassis=None, remote=None, *, protocol="lldp", kind=IdKind.NAME, rem=1, **more):
    """`port` hears the port `remote` of the device with that chassis MAC."""
    return Neighbour(
        protocol=protocol,
        port=port,
        port_is_index=protocol != "lldp",
        index=(0, port or 0, rem),
        chassis=ident(chassis, IdKind.MAC) if chassis else None,
        remote_port=ident(remote, kind) if remote else None,
        where=f"row:{protocol}:{port}.{rem}:{chassis}:{remote}",
        **more,
    )


def device(number, ports, rows=(), *, name=None, lldp=True, addresses=(), complete=True, **more):
    """Device r<number> with interfaces eth1…ethN, whose LLDP numbers are 100 + n and whose ifIndex are n."""
    names = [f"eth{n}" for n in range(1, ports + 1)] if isinstance(ports, int) else list(ports)
    key = name if name is not None else f"r{number}"
    given = {
        "interfaces": tuple(
            interface(n, port, mac=mac(number, n), mtu=1500) for n, port in enumerate(names, 1)
        ),
        "local_ports": tuple(
            LocalPort(number=100 + n, id=ident(port)) for n, port in enumerate(names, 1) if lldp
        ),
        "chassis": ident(mac(number), IdKind.MAC) if lldp else None,
    }
    return Observation(
        key=f"r{number}",
        source="snmprec",
        sys_name=key,
        neighbours=tuple(rows),
        addresses=tuple(AddressRow(if_index=n, address=ip_interface(a)) for n, a in addresses),
        walks=(Walk(table="all", rows=1, complete=complete),),
        where=f"r{number}.snmprec",
        **(given | more),
    )


def config(name, **interfaces):
    """A configuration: `config("r1", eth1="10.0.0.1/30")`; a list gives several addresses."""
    return DeviceConfig(
        device=name,
        hostname=name,
        dialect="frr",
        undefined=FRR_UNDEFINED,
        interfaces=tuple(
            InterfaceConfig(
                name=each.replace("_", "."),
                kind=InterfaceKind.LOOPBACK if each == "lo" else InterfaceKind.ETHERNET,
                ipv4=(address,) if isinstance(address, str) else tuple(address),
            )
            for each, address in interfaces.items()
        ),
    )


def merge(*observations, configs=(), kept=None, stale=()):
    found = Found(observations=observations, configs=tuple((c.device, c) for c in configs))
    return merge_found("test", found, kept, stale)


def cables(topology):
    """`r1:eth1--r2:eth1` of every link."""
    return [str(link.id) for link in topology.links]


def kinds(topology):
    return [conflict.kind for conflict in topology.conflicts]
