"""A device or a line more in the input changes nothing else in the render: from configurations to files, nodes, cables."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.ingest.ios import parse
from labctl.ingest.redact import Redactor
from labctl.model.observation import Found
from labctl.model.snapshot import Snapshot
from labctl.render.lab import RenderOptions, allocation, render_lab
from labctl.topo.merge import merge

OPTIONS = RenderOptions(name="net", directory="/net")


@dataclass(frozen=True)
class Router:
    """A configuration in blocks: opening line -> lines below it. Ports are counted from 1, in the order of `ports`."""

    name: str
    blocks: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def text(self):
        lines = (f"{head}\n" + "".join(f" {line}\n" for line in body) for head, body in self.blocks.items())
        return f"version 15.2\nhostname {self.name}\n{''.join(lines)}"

    @property
    def ports(self):
        return [head for head in self.blocks if head.startswith("interface Gig")]

    def plus(self, head, *lines):
        """With a block more, or with lines more in a block that there is."""
        return replace(self, blocks=self.blocks | {head: (*self.blocks.get(head, ()), *lines)})


@st.composite
def networks(draw):
    """Two to five routers in a chain, some with a further port, OSPF, BGP, policies, static routes."""
    count = draw(st.integers(2, 5))
    found = []
    for n in range(count):
        router = Router(f"r{n}").plus("interface Loopback0", f"ip address 10.255.0.{n + 1} 255.255.255.255")
        wires = [(near, 1 + (near < n)) for near in (n - 1, n) if 0 <= near < count - 1]
        for place, (wire, side) in enumerate(wires):
            router = router.plus(
                f"interface GigabitEthernet0/{place}", f"ip address 10.0.{wire}.{side} 255.255.255.252"
            )
        router = router.plus("interface GigabitEthernet0/7", f"ip address 10.7.{n}.1 255.255.255.0")
        router = router.plus("router ospf 1", f"router-id 10.255.0.{n + 1}")
        if draw(st.booleans()):
            router = router.plus("router ospf 1", "network 10.0.0.0 0.255.255.255 area 0")
        router = router.plus(f"router bgp {65000 + n}", f"bgp router-id 10.255.0.{n + 1}")
        for wire, side in wires:
            peer = f"neighbor 10.0.{wire}.{3 - side}"
            other = n + 1 if wire == n else n - 1
            router = router.plus(f"router bgp {65000 + n}", f"{peer} remote-as {65000 + other}")
            if draw(st.booleans()):
                router = router.plus(f"router bgp {65000 + n}", f"{peer} route-map OUT out")
        if draw(st.booleans()):
            router = router.plus("route-map OUT permit 10", "match ip address prefix-list NETS")
        router = router.plus(f"ip route 10.200.{n}.0 255.255.255.0 Null0")
        found.append(router.plus("ip prefix-list NETS seq 5 permit 10.0.0.0/8 le 24"))
    return found


def render(routers, known=None):
    """(allocation table, what is rendered)"""
    configs = {r.name: parse(r.text, file=r.name, device=r.name, redactor=Redactor()).config for r in routers}
    found = Found(configs=tuple(configs.items()))
    snapshot = Snapshot(topology=merge("net", found), configs=configs)
    assert {device.name for device in snapshot.topology.devices} == set(configs)
    table = allocation(snapshot, OPTIONS, known)
    return table, render_lab(snapshot, table, OPTIONS)


def without(lab, node):
    """What a render says of everybody else: their files, nodes, cables and notes."""
    files = {path: text for path, text in lab.files.items() if f"/{node}/" not in path}
    cables = [cable for cable in lab.spec.cables if node not in {end.port.node for end in cable.ends}]
    notes = [note for note in lab.notes if note.device != node]
    return files, [each for each in lab.spec.nodes if each.name != node], cables, notes, lab.spec.mgmt


def sections(lab, node):
    """Of its frr.conf, by their first line; static routes are one section, and so are policies."""
    found = {}
    for text in lab.files[f"net/{node}/frr.conf"].split("\n!\n"):
        head = text.partition("\n")[0]
        if head.startswith("ip route "):
            head = "ip route"
        elif not head.startswith(("interface ", "router ", "frr ")):
            head = "policies"
        found.setdefault(head, []).append(text)
    return found


def assert_kept(before, after):
    """The same lines in the same order, and perhaps more."""
    rest = iter(after.splitlines())
    missing = [line for line in before.splitlines() if line not in rest]
    assert missing == []


# -- a device ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(networks(), st.data())
def test_a_device_more_changes_nothing_else(routers, data):
    table, had = render(routers)
    new = Router(data.draw(st.sampled_from(["aa", "r1b", "zz"]))).plus(
        "interface GigabitEthernet0/0", "ip address 10.250.0.1 255.255.255.0"
    )
    beside = data.draw(st.none() | st.integers(0, len(routers) - 1))
    if beside is not None:  # on the wire of a port that has been alone
        new = new.plus("interface GigabitEthernet0/1", f"ip address 10.7.{beside}.2 255.255.255.0")
    if data.draw(st.booleans()):
        new = new.plus("router ospf 1", "router-id 10.250.0.1", "network 10.0.0.0 0.255.255.255 area 0")
    at = data.draw(st.integers(0, len(routers)))
    grown, has = render([*routers[:at], new, *routers[at:]], table)

    assert {name: each for name, each in grown.devices.items() if name != new.name} == dict(table.devices)
    alone = (
        None
        if beside is None
        else f"r{beside}:{table.devices[f'r{beside}'].ports['GigabitEthernet0/7'].name}"
    )

    def of_others(lab):
        files, nodes, cables, notes, mgmt = without(lab, new.name)
        stub = "GigabitEthernet0/7 is a stub: nobody behind it is known"
        return (
            files,
            nodes,
            [c for c in cables if alone not in map(str, (end.port for end in c.ends))],
            [n for n in notes if (n.device, n.text) != (f"r{beside}", stub)],
            mgmt,
        )

    assert of_others(has) == of_others(had)
    joined = [c for c in has.spec.cables if {end.port.node for end in c.ends} == {new.name, f"r{beside}"}]
    assert [str(end.port) for c in joined for end in c.ends if end.port.node != new.name] == (
        [alone] if alone else []
    )


# -- a line ------------------------------------------------------------------------------------------------------

#: (block, line) -> the sections of that device's frr.conf that may change; lines of others are never touched
ADDED = {
    ("", "ip route 10.201.0.0 255.255.0.0 Null0"): {"ip route"},
    ("", "ip prefix-list NETS seq 1 deny 10.9.0.0/16"): {"policies"},
    ("", "ip prefix-list OTHER seq 5 permit 10.9.0.0/16"): {"policies"},
    ("", "ip as-path access-list 5 permit ^65001_"): {"policies"},
    ("", "ip community-list standard GREEN permit 65001:1"): {"policies"},
    ("", "route-map NEW permit 10"): {"policies"},
    ("", "interface Loopback7"): {"interface {Loopback7}"},
    ("", "interface GigabitEthernet0/9"): {"interface {GigabitEthernet0/9}"},
    ("bgp", "neighbor 10.99.0.1 remote-as 64999"): {"router bgp"},
    ("bgp", "network 10.9.0.0 mask 255.255.0.0"): {"router bgp"},
    ("bgp", "redistribute static"): {"router bgp"},
    ("ospf", "area 7 range 10.70.0.0 255.255.0.0"): {"router ospf"},
    ("ospf", "redistribute static subnets"): {"router ospf"},
    ("port", "ip address 10.88.0.1 255.255.255.0 secondary"): {"port"},
    ("port", "ipv6 address 2001:DB8:8::1/64"): {"port"},
}
#: A line that takes the place of what held without it
CHANGED = {
    ("port", "description behind the curtain"): {"port"},  # behind the port's own name
    ("port", "ip ospf cost 77"): {"port"},
    ("port", "ip ospf hello-interval 3"): {"port"},
    ("port", "bandwidth 64"): {"port"},
    ("bgp", "timers bgp 3 9"): {"router bgp"},
    ("ospf", "max-metric router-lsa"): {"router ospf"},
    ("", "ipv6 unicast-routing"): {"frr"},
}
#: Nothing of it gets into a lab
NOTHING = {
    ("", line): set()
    for line in (
        "frobnicate the network",
        "ntp server 203.0.113.6",
        "snmp-server community public RO",
        "no ip http server",
        "ip access-list extended UNUSED",
        "router eigrp 7",
        "username ops secret 5 $1$abcd$0123456789",
    )
} | {("port", "load-interval 30"): set(), ("port", "service-policy output GOLD"): set()}


def lengthened(router, where, line, port):
    if not where:
        return router.plus(line)
    heads = [port] if where == "port" else [h for h in router.blocks if h.startswith(f"router {where}")]
    return router.plus(heads[0], line)


def told(router):
    """What became of each line."""
    account = parse(router.text, file="r", device=router.name, redactor=Redactor()).account
    return [(each.text, each.cls, each.rule, each.depth) for each in account.lines]


def changed_sections(had, has, node):
    before, after = sections(had, node), sections(has, node)
    return {head for head in before.keys() | after.keys() if before.get(head) != after.get(head)}


def names(allowed, ports, port):
    """Sections under the names that they have in the lab."""
    found = set()
    for each in allowed:
        if each == "port":
            found.add(f"interface {ports[port.split()[1]].name}")
        elif "{" in each:
            found.add(f"interface {ports[each[each.index('{') + 1 : -1]].name}")
        else:
            found.add(each)
    return found


@pytest.mark.parametrize(("where", "line"), [*ADDED, *CHANGED, *NOTHING], ids=lambda part: part or "top")
@settings(max_examples=5, deadline=None)
@given(routers=networks(), data=st.data())
def test_a_line_more_changes_nothing_else(where, line, routers, data):
    table, had = render(routers)
    at = data.draw(st.integers(0, len(routers) - 1))
    router = routers[at]
    port = data.draw(st.sampled_from(router.ports))
    allowed = (ADDED | CHANGED | NOTHING)[where, line]
    longer = lengthened(router, where, line, port)
    grown, has = render([*routers[:at], longer, *routers[at + 1 :]], table)

    assert without(has, router.name) == without(had, router.name)
    assert [c.id for c in has.spec.cables] == [c.id for c in had.spec.cables]
    assert {name: each for name, each in grown.devices.items() if name != router.name} == {
        name: each for name, each in table.devices.items() if name != router.name
    }
    ports = grown.devices[router.name].ports
    assert table.devices[router.name].ports.items() <= ports.items()
    changed = changed_sections(had, has, router.name)
    expected = names(allowed, ports, port)
    assert {
        head for head in changed if not any(f"{head} ".startswith(f"{each} ") for each in expected)
    } == set()
    said, more = told(router), told(longer)
    assert said in [more[:n] + more[n + 1 :] for n in range(len(more))]
    if (where, line) in ADDED:
        path = f"net/{router.name}/frr.conf"
        assert_kept(had.files[path], has.files[path])


PLAIN = [
    Router("r0")
    .plus("interface GigabitEthernet0/0", "ip address 10.0.0.1 255.255.255.252")
    .plus("router ospf 1", "router-id 10.255.0.1", "network 10.0.0.0 0.255.255.255 area 0")
    .plus("router bgp 65000", "bgp router-id 10.255.0.1", "neighbor 10.0.0.2 remote-as 65001")
    .plus("ip prefix-list NETS seq 5 permit 10.0.0.0/8 le 24"),
]


@pytest.mark.parametrize(("where", "line"), [*ADDED, *CHANGED], ids=lambda part: part or "top")
def test_each_of_these_lines_does_something(where, line):
    """Else the property would hold of a line that nobody reads."""
    table, had = render(PLAIN)
    _, has = render([lengthened(PLAIN[0], where, line, PLAIN[0].ports[0])], table)
    assert has.files != had.files
    assert changed_sections(had, has, "r0")
