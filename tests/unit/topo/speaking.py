"""Small networks written as FRR configurations, for tests of what routers tell each other."""

from labctl.ingest.frr import parse
from labctl.ingest.redact import Redactor
from labctl.model.snapshot import Snapshot
from labctl.model.topology import Device, Link, Topology
from labctl.names import PortId


def network(texts, cables=(), blind=()):
    """texts: device -> frr.conf without its head; cables: "a:eth1--b:eth1"; blind: devices without configuration."""
    configs = {
        name: parse(
            f"frr defaults traditional\nhostname {name}\n!\n{text}",
            file=name,
            device=name,
            redactor=Redactor(),
        ).config
        for name, text in texts.items()
    }
    links = [Link(a=PortId.parse(a), b=PortId.parse(b)) for a, _, b in (c.partition("--") for c in cables)]
    devices = [Device(id=name, name=name, polled=True) for name in (*texts, *blind)]
    return Snapshot(
        topology=Topology(name="t", devices=tuple(devices), links=tuple(links)),
        configs=configs,
    )


class Builder:
    """Cables with a /31 each; `bgp` and `ospf` put a session on one."""

    def __init__(self):
        self._interfaces, self._bgp, self._families, self._ospf = {}, {}, {}, {}
        self._cables, self._asn, self._blind = [], {}, []

    def device(self, name, asn=None, bgp=(), ospf=()):
        """bgp, ospf: further lines of the address family and of the process."""
        self._interfaces[name], self._asn[name] = [], asn
        self._bgp[name], self._families[name], self._ospf[name] = [], list(bgp), list(ospf)
        return self

    def blind(self, name):
        self._blind.append(name)
        return self

    def cable(self, a, b, *, bgp=False, ospf=False, client=""):
        """client: which of the two is the other one's route-reflector client."""
        number = len(self._cables)
        ports = f"eth{number}"
        self._cables.append(f"{a}:{ports}--{b}:{ports}")
        for end, (near, far) in enumerate(((a, b), (b, a))):
            if near in self._blind:
                continue
            address = f"10.{number // 250}.{number % 250}.{end}/31"
            lines = [f"interface {ports}", f" ip address {address}"]
            lines += [" ip ospf area 0"] if ospf else []
            self._interfaces[near].append("\n".join([*lines, "!"]))
            if bgp:
                peer = f"10.{number // 250}.{number % 250}.{1 - end}"
                self._bgp[near].append(f" neighbor {peer} remote-as {self._asn[far]}")
                if client == far:
                    self._families[near].append(f"neighbor {peer} route-reflector-client")
        return self

    def loopback(self, name, address, *, ospf=False):
        area = "\n ip ospf area 0" if ospf else ""
        self._interfaces[name].append(f"interface lo\n ip address {address}{area}\n!")
        return self

    def made(self):
        return network({n: self._text(n) for n in self._interfaces}, self._cables, self._blind)

    def _text(self, name):
        lines = [*self._interfaces[name]]
        lines += ["router ospf", *(f" {line}" for line in self._ospf[name]), "!"]
        if self._asn[name] is not None:
            lines += [f"router bgp {self._asn[name]}", " no bgp ebgp-requires-policy", *self._bgp[name]]
            lines += [" address-family ipv4 unicast", *(f"  {line}" for line in self._families[name])]
            lines += [" exit-address-family", "!"]
        return "\n".join(lines) + "\n"
