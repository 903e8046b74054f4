"""A sub-interface (802.1Q): an interface of a node whose frames cross the cable of another one with a tag.

In its node it is a port like any other, with a panel side of its own. Two eBPF programs join that side with the one of
the port below it: what the node sends on the sub-interface gets the tag and *arrives* at the port's panel side, as if the
port had sent it, so that whatever is done to the port's cable is done to it too; what leaves by the port's panel side with
that tag loses it and goes to the sub-interface's instead. All of it stands in the panel: no node needs the kernel's
8021q module, and none can take it apart. What has another tag, or none, meets no program's condition and goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection

from labctl.linux import bpf, classifier, tc
from labctl.linux.bpf import Program, Reg
from labctl.linux.netlink import Netlink

R0, R1, R2, R3, R4, R6, R10 = Reg.R0, Reg.R1, Reg.R2, Reg.R3, Reg.R4, Reg.R6, Reg.R10

ETH_P_8021Q = 0x8100
_ON, _DROP = -1, 2  # TC_ACT_UNSPEC: the next filter decides; TC_ACT_SHOT
_REDIRECT, _VLAN_PUSH, _VLAN_POP, _LOAD_BYTES = 23, 18, 19, 26  # helpers
_ARRIVES, _LEAVES = 1, 0  # at the device that it is redirected to
_PROTOCOL, _VLAN_PRESENT, _VLAN_TCI, _VLAN_PROTO = 16, 20, 24, 28  # in __sk_buff
_TAG_AT, _BUFFER = 14, -8
_PROGRAM = "labctl_tagging"


def join(panel: Netlink, above: int, below: int, vlan: int) -> None:
    """Join a sub-interface's panel side (ifindex `above`) with that of its port; what was joined otherwise is no longer."""
    tc.add_clsact(panel, below)
    tc.add_clsact(panel, above)
    if tc.STITCH_PREFERENCE not in tc.programs(panel, above):
        tc.remove_filter(panel, above, preference=tc.STITCH_PREFERENCE)  # a cable's, of another kind
    for here, parent, preference, name, code in (
        (below, tc.EGRESS, vlan, _down(vlan, above), untag(vlan, above)),
        (above, tc.INGRESS, tc.STITCH_PREFERENCE, _up(vlan, below), tag(vlan, below)),
    ):
        program = bpf.load(code, _PROGRAM)
        try:
            attach = classifier.attachment(here, program, preference=preference, name=name, parent=parent)
            panel.send(attach)
        finally:
            os.close(program)


def joined(panel: Netlink, above: int, below: int, vlan: int) -> bool:
    """Whether both programs are where they belong, and lead where they should."""
    up = tc.programs(panel, above).get(tc.STITCH_PREFERENCE)
    down = tc.programs(panel, below, parent=tc.EGRESS).get(vlan)
    return (up, down) == (_up(vlan, below), _down(vlan, above))


def part(panel: Netlink, above: int) -> None:
    """What the interface sends gets no tag any more; if nothing did, that is fine."""
    if tc.STITCH_PREFERENCE in tc.programs(panel, above):
        tc.remove_filter(panel, above, preference=tc.STITCH_PREFERENCE)


def keep(panel: Netlink, below: int, vlans: Collection[int]) -> None:
    """Of the port's panel side these tags alone are taken to other interfaces."""
    for vlan in tc.programs(panel, below, parent=tc.EGRESS):
        if vlan not in vlans:
            tc.remove_filter(panel, below, preference=vlan, parent=tc.EGRESS)


def _up(vlan: int, below: int) -> str:
    """Names of attachments: what they do, which tells whoever reads them back where frames go."""
    return f"tag {vlan} to {below}"


def _down(vlan: int, above: int) -> str:
    return f"untag {vlan} to {above}"


def tag(vlan: int, to: int) -> bytes:
    """Give the frame the tag and let it arrive at `to`."""
    code = Program()
    code.mov(R6, R1)
    code.mov(R2, _network_order(ETH_P_8021Q))
    code.mov(R3, vlan)
    code.call(_VLAN_PUSH)
    code.jump_if(R0, "!=", 0, "lost")
    _redirect(code, to, _ARRIVES)
    code.label("lost")
    code.exit(_DROP)
    return code.assemble()


def untag(vlan: int, to: int) -> bytes:
    """Take the tag from a frame that has this one and let it leave by `to`.

    The kernel keeps a tag beside the frame; one that came through user space has it between its addresses and its type.
    """
    code = Program()
    code.mov(R6, R1)
    code.load(4, R1, R6, _VLAN_PRESENT)
    code.jump_if(R1, "==", 0, "inside")
    code.load(4, R1, R6, _VLAN_PROTO)
    code.to_host(R1, 16)
    code.jump_if(R1, "!=", ETH_P_8021Q, "on")
    code.load(4, R1, R6, _VLAN_TCI)
    code.jump("tagged")
    code.label("inside")
    code.load(4, R1, R6, _PROTOCOL)
    code.to_host(R1, 16)
    code.jump_if(R1, "!=", ETH_P_8021Q, "on")
    code.mov(R1, R6)
    code.mov(R2, _TAG_AT)
    code.mov(R3, R10)
    code.alu("+", R3, _BUFFER)
    code.mov(R4, 2)
    code.call(_LOAD_BYTES)
    code.jump_if(R0, "!=", 0, "on")
    code.load(2, R1, R10, _BUFFER)
    code.to_host(R1, 16)
    code.label("tagged")
    code.alu("&", R1, 0xFFF)
    code.jump_if(R1, "!=", vlan, "on")
    code.mov(R1, R6)
    code.call(_VLAN_POP)
    code.jump_if(R0, "!=", 0, "lost")
    _redirect(code, to, _LEAVES)
    code.label("on")
    code.exit(_ON)
    code.label("lost")
    code.exit(_DROP)
    return code.assemble()


def _redirect(code: Program, to: int, how: int) -> None:
    code.mov(R1, to)
    code.mov(R2, how)
    code.call(_REDIRECT)
    code.exit()


def _network_order(value: int) -> int:
    """A 16-bit number as the processor sees its bytes in network order."""
    return int.from_bytes(value.to_bytes(2, "big"), sys.byteorder)
