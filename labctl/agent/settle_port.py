"""A port inside its node: administratively down while a fault says so, and afterwards with all that it lost.

When a port goes down the kernel forgets its IPv6 addresses, its static neighbours, and every route that leaves by it;
none of it returns when the port does. So those messages are dumped as the kernel speaks them before the port is touched,
and given back word for word: whatever attributes a route has, it has again. Left to others: what a routing daemon put
there (it sees the port return and does it again), link-local and advertised addresses (the kernel makes them anew).
"""

from __future__ import annotations

import base64

from labctl.agent.inside import Inside
from labctl.errors import LabctlError
from labctl.linux import portstate
from labctl.linux.netlink import Link, Netlink
from labctl.model.effects import PortRef, Setting
from labctl.runtime import panel


def ensure(inside: Inside, ref: PortRef, wanted: Setting) -> bool:
    saved = inside.saved.read(ref)
    if saved is None and not wanted.admin_down:
        return False
    if panel.is_machine(inside.place, ref.port.node):
        raise LabctlError(
            "effect-not-taken", f"{ref.port.node} is the machine itself, which no fault touches"
        )
    with Netlink(inside.place.node_ns(ref.port.node)) as netlink:
        link = netlink.link(ref.port.interface)
        if link is None:
            raise LabctlError("effect-not-taken", f"there is no {ref} now")
        if wanted.admin_down:
            return _down(inside, ref, netlink, link, first=saved is None)
        if saved is not None and saved["up"]:
            netlink.set_link(link.index, up=True)
            portstate.restore(netlink, link.index, [base64.b64decode(each) for each in saved["lost"]])
        inside.saved.remove(ref)
        return True


def disagrees(inside: Inside, ref: PortRef, wanted: Setting) -> str:
    with Netlink(inside.place.node_ns(ref.port.node)) as netlink:
        link = netlink.link(ref.port.interface)
    if wanted.admin_down and link is not None and link.up:
        return f"{ref} is up"
    if not wanted.admin_down and inside.saved.read(ref) is not None:
        return f"{ref} is not what it was"
    return ""


def _down(inside: Inside, ref: PortRef, netlink: Netlink, link: Link, *, first: bool) -> bool:
    if first:
        lost = portstate.losable(netlink, link.index) if link.up else []
        inside.saved.write(
            ref, {"up": link.up, "lost": [base64.b64encode(each).decode("ascii") for each in lost]}
        )
    if link.up:
        netlink.set_link(link.index, up=False)
    return link.up
