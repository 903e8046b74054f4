"""The agent's process: `python -m labctl.agent.main LABDIR`, started by `labctl.agent.client.start`.

It steps into the lab's cgroup before it does anything else. If that is gone, the lab is being destroyed and there is
nothing to serve; so no agent can slip past a `destroy` that has already ended what was in the cgroup.
"""

from __future__ import annotations

import os
import resource
import sys

from labctl.agent import guard
from labctl.errors import LabctlError, render
from labctl.linux import cgroup, priority
from labctl.runtime.store import LabDir

_LOCK_FD = "LABCTL_AGENT_LOCK_FD"
#: The loop does not wait longer than this for a lane that has the interpreter.
_SWITCH_S = 0.0005


def main(argv: list[str]) -> int:
    place = LabDir.at(argv[1])
    if not _enter(place):
        return guard.NOTHING_LEFT
    if _inherited_lock() is None and os.fork():
        # The second fork of a daemon: nobody of the starter's family waits for it. It is in the cgroup already, so
        # once the starter has seen this end, an empty cgroup means that the agent is dead.
        os._exit(0)
    held = _inherited_lock()
    if held is None:
        held = guard.lock(os.path.join(place.agent_dir, "lock"))
    if held is None:
        return guard.STOPPED  # this lab has its agent
    lock_fd = held

    def become_guard() -> int:
        os.set_inheritable(lock_fd, True)
        os.environ[_LOCK_FD] = str(lock_fd)
        os.execv(sys.executable, [sys.executable, "-m", "labctl.agent.main", place.path])  # noqa: S606

    def life(guard_fd: int) -> int:
        from labctl.agent.core import Agent
        from labctl.agent.server import Server

        _write_pid(place)
        _raise_descriptor_limit()
        priority.first()
        sys.setswitchinterval(_SWITCH_S)
        try:
            agent = Agent(place)
        except LabctlError as error:  # no record, a damaged ledger: starting again would find the same
            print(render(error), file=sys.stderr, flush=True)
            return guard.CANNOT
        try:
            return Server(agent, guard_fd, become_guard).run()
        finally:
            agent.close()

    return guard.guard(life)


def _inherited_lock() -> int | None:
    text = os.environ.get(_LOCK_FD)
    return int(text) if text else None


def _enter(place: LabDir) -> bool:
    """Step into the lab's agent cgroup in every hierarchy; False if it is not there."""
    try:
        if not cgroup.directories(place.agent_cgroup):
            return False
        cgroup.attach(place.agent_cgroup, 0)
    except OSError:
        return False
    return os.path.exists(place.record_file)


def _write_pid(place: LabDir) -> None:
    path = os.path.join(place.agent_dir, "pid")
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.rename(path + ".new", path)


def _raise_descriptor_limit() -> None:
    """Two sockets a namespace: a thousand nodes are more than the usual soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
