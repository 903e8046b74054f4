"""A lab's agent that kills itself (-9) at the N-th step of one of its works: `python agentkill.py PLAN LABDIR`.

It is the agent of `labctl.agent.main`, with guard, lock and all; only that each of its works (WORKS) first looks into the
file PLAN, which says `WORK N VICTIMS`. When it is that work's turn, the file is removed and steps are counted (see
stepkill); at the N-th the agent is gone, and with it, if VICTIMS is `both`, its guard. So the next agent, which the guard or
`heal` starts, finds no plan and lives. A work that ended before its N-th step leaves their number in PLAN.steps.
"""

import functools
import os
import signal
import sys

import stepkill

#: What an agent does: begin a fault, end one (on request, by its lease or with its owner), begin and end for the
#: engine, heal.
WORKS = ("add", "clear", "change", "heal")


def watch(kind, work, plan):
    """A work is a generator that waits for lanes: what these and the loop do meanwhile is counted as well."""
    method = getattr(kind, work)

    @functools.wraps(method)
    def planned(self, *arguments, **named):
        limit, victims = take(plan, work, arguments)
        if limit is None:
            return (yield from method(self, *arguments, **named))
        counter = stepkill.arm(limit, os.getppid() if victims == "both" else None)
        try:
            return (yield from method(self, *arguments, **named))
        finally:
            stepkill.disarm()
            with open(plan + ".steps", "w") as file:
                file.write(str(counter[0]))

    setattr(kind, work, planned)


def take(plan, work, arguments):
    """(limit, victims) if it is this work's turn; the plan is gone then."""
    try:
        with open(plan) as file:
            wanted, limit, victims = file.read().split()
    except FileNotFoundError:
        return None, ""
    if wanted != work:
        return None, ""
    os.unlink(plan)
    return int(limit), victims


def main():
    plan, place = sys.argv[1:]

    from labctl.agent import main as agent
    from labctl.agent.core import Agent

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for work in WORKS:
        watch(Agent, work, plan)
    return agent.main([agent.__file__, place])


if __name__ == "__main__":
    sys.exit(main())
