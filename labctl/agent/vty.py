"""FRR's shell, as the agent uses it: configurations out, lines in. A node without FRR has none, and that is no error.

Commands are bounded in time: a daemon that is stopped makes vtysh wait for ever, which then is the error.
"""

from __future__ import annotations

from labctl.agent.inside import Inside, wait
from labctl.errors import LabctlError

VTYSH = "vtysh"
#: What vtysh calls a daemon it can talk to alone.
DAEMONS = frozenset(
    [
        "zebra",
        "bgpd",
        "ospfd",
        "ospf6d",
        "ripd",
        "ripngd",
        "isisd",
        "pimd",
        "ldpd",
        "nhrpd",
        "eigrpd",
        "babeld",
        "sharpd",
        "pbrd",
        "staticd",
        "bfdd",
        "fabricd",
        "vrrpd",
        "pathd",
    ]
)
#: How long a daemon that was started may take until it talks.
START_S = 5.0


def running_config(inside: Inside, node: str, daemon: str = "") -> str:
    """The running configuration of all daemons, or of one."""
    only = ["-d", daemon] if daemon else []
    done = inside.run(node, [VTYSH, *only, "-c", "show running-config no-header"])
    if done.code:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise LabctlError(
            "effect-not-taken",
            f"the running configuration of {node!r} cannot be read: {''.join(said) or done.code}",
        )
    return done.stdout


def push(inside: Inside, node: str, lines: str, daemon: str = "") -> str:
    """Type these lines into configuration mode; what FRR said against them, empty if nothing."""
    only = ["-d", daemon] if daemon else []
    done = inside.run(node, [VTYSH, *only, "-f", "/dev/stdin"], stdin=lines.rstrip("\n") + "\n")
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "; ".join(said) or f"vtysh ended with {done.code}" if done.code else ""


def of_daemon(inside: Inside, node: str, daemon: str) -> str | None:
    """The running configuration of one daemon; None if it is none of FRR's."""
    return running_config(inside, node, daemon) if daemon in DAEMONS else None


def give_back(inside: Inside, node: str, daemon: str, config: str) -> None:
    """Give a daemon that has just been started the configuration it had."""
    ready = [VTYSH, "-d", daemon, "-c", "show version"]
    if not wait(lambda: inside.run(node, ready).code == 0, START_S):
        raise LabctlError("node-not-running", f"{daemon} of {node!r} was started again and does not answer")
    push(inside, node, config, daemon)
    if running_config(inside, node, daemon) != config:
        raise LabctlError(
            "effect-not-taken", f"{daemon} of {node!r} runs again with another configuration than before"
        )
