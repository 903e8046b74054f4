"""Where things are: in the gate's two maps, on its stack, in the kernel's view of a frame."""

from __future__ import annotations

from labctl.linux.bpf import Reg

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = Reg

PASS, DROP = -1, 2  # TC_ACT_UNSPEC: the next filter decides; TC_ACT_SHOT
CONF, STATE = "labctl_conf", "labctl_state"
MOST_NTH, MOST_BURSTS, MOST_DROPS, MOST_MEMBERS = 4, 2, 16, 4

CONF_BYTES, TEXT_AT = 4096, 392
DEADLINE, SEED, LOSS, CORRUPT, DUPLICATE, MTU, BLACKHOLE, OUT = range(0, 64, 8)
NTH, BURSTS, DROPS, MEMBERS = 64, 128, 192, 320
COUNTERS = (
    "frames",
    "blackhole",
    "mtu",
    "drop",
    "member",
    "nth",
    "burst",
    "loss",
    "corrupted",
    "corrupt_dropped",
    "duplicated",
    "superframes",
)
AT = {name: 8 * i for i, name in enumerate(COUNTERS)}
BURST_STATE = 8 * len(COUNTERS)
STATE_BYTES = BURST_STATE + 8 * MOST_BURSTS

# helpers
BOOT_NS, LOAD_BYTES, STORE_BYTES, CLONE = 125, 26, 9, 13
# offsets in __sk_buff
LEN, PROTOCOL, GSO_SIZE = 0, 16, 176
# the stack
TYPE, PROTO, START, END, DSCP, FRAGMENT, SPORT, DPORT, ADDRESSES, HEAD = range(-8, -88, -8)
BUFFER, BYTE = -128, -136
ABSENT = -1  # 64 bits of it; no field has them
