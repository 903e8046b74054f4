"""Run a labctl command and kill -9 it at the N-th step; with N = 0 count the steps.

    python stepkill.py N REPORT -- deploy lab.clab.yml
    python stepkill.py N+M REPORT -- deploy lab.clab.yml      stops there, and after every M more until REPORT.struck is there
    python stepkill.py N REPORT run/engine.py:play_timeline -- run scenario.yml      from that function on

A step is the start of a function of the layers that touch the machine, or of a built-in that talks to the kernel, in any
thread, after the imports are done. So a kill can fall between any two touches of the machine, and the same N falls on (nearly) the same
place again, which no delay can promise. Helpers that the command has started go on, as after a real `kill -9`.
"""

import contextlib
import os
import signal
import sys
import threading

KERNEL = {"posix", "_socket", "fcntl", "_posixsubprocess"}
LAYERS = ("linux", "runtime", "agent", "run")


def arm(limit, before=None, begin=None, die=None):
    """Count the steps of this process from now on, in all threads, and die at the `limit`-th; returns the counter.

    before: a process that dies first. begin: `FILE:FUNCTION` of labctl; nothing counts before it is called.
    die: what is done instead of dying; it returns the next limit.
    """
    package = os.path.dirname(sys.modules["labctl"].__file__)
    touching = tuple(os.path.join(package, layer) + "/" for layer in LAYERS)
    pid = os.getpid()
    counter = [0]
    wanted = [limit]
    begun = [begin is None]

    def starts(code):
        return f"{code.co_filename.removeprefix(package)}:{code.co_name}" == f"/{begin}"

    def step(frame, event, argument):
        if os.getpid() != pid:
            return
        if not begun[0]:
            begun[0] = event == "call" and starts(frame.f_code)
            return
        if event == "call":
            name = frame.f_code.co_filename
            counted = name.startswith(touching) and not name.endswith("codec.py")
        else:
            counted = event == "c_call" and getattr(argument, "__module__", None) in KERNEL
        if counted:
            counter[0] += 1
            if counter[0] != wanted[0]:
                return
            if die is not None:
                wanted[0] = die(counter[0])
            else:
                if before is not None:
                    os.kill(before, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)

    threading.setprofile(step)
    sys.setprofile(step)
    return counter


def disarm():
    threading.setprofile(None)
    sys.setprofile(None)


def stopping(every, struck):
    """Stop until somebody lets this process go on; again so many steps later while `struck` is not there."""

    def stop(at):
        os.kill(os.getpid(), signal.SIGSTOP)
        return 0 if os.path.exists(struck) else at + every

    return stop


def main():
    dashes = sys.argv.index("--")
    limit, report, *begin = sys.argv[1:dashes]
    argv = sys.argv[dashes + 1 :]
    limit, _, every = limit.partition("+")

    import labctl.agent.client
    import labctl.app.apply
    import labctl.app.deploy
    import labctl.app.destroy
    import labctl.app.fault
    import labctl.app.run
    import labctl.runtime.docker_create
    import labctl.runtime.runc  # noqa: F401  (imports are no steps)
    from labctl.cli.main import run

    with contextlib.suppress(ImportError):
        import docker  # noqa: F401
    die = stopping(int(every), report + ".struck") if every else None
    counter = arm(int(limit), begin=begin[0] if begin else None, die=die)
    try:
        run(argv)
    finally:
        disarm()
        with open(report, "w") as file:
            file.write(str(counter[0]))


if __name__ == "__main__":
    main()
