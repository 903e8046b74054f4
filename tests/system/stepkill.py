"""Run a labctl command and kill -9 it at the N-th step; with N = 0 count the steps.

    python stepkill.py N REPORT -- deploy lab.clab.yml

A step is the start of a function of the layers that touch the machine, or of a built-in that talks to the kernel, in any
thread, after the imports are done. So a kill can fall between any two touches of the machine, and the same N falls on (nearly) the same
place again, which no delay can promise. Helpers that the command has started go on, as after a real `kill -9`.
"""

import os
import signal
import sys
import threading

KERNEL = {"posix", "_socket", "fcntl", "_posixsubprocess"}
LAYERS = ("linux", "runtime", "agent", "run")


def arm(limit):
    """Count the steps of this process from now on, in all threads, and die at the `limit`-th; returns the counter."""
    package = os.path.dirname(sys.modules["labctl"].__file__)
    touching = tuple(os.path.join(package, layer) + "/" for layer in LAYERS)
    pid = os.getpid()
    counter = [0]

    def step(frame, event, argument):
        if os.getpid() != pid:
            return
        if event == "call":
            name = frame.f_code.co_filename
            counted = name.startswith(touching) and not name.endswith("codec.py")
        else:
            counted = event == "c_call" and getattr(argument, "__module__", None) in KERNEL
        if counted:
            counter[0] += 1
            if counter[0] == limit:
                os.kill(pid, signal.SIGKILL)

    threading.setprofile(step)
    sys.setprofile(step)
    return counter


def main():
    limit, report = int(sys.argv[1]), sys.argv[2]
    argv = sys.argv[sys.argv.index("--") + 1 :]

    import labctl.agent.client
    import labctl.app.deploy
    import labctl.app.destroy
    import labctl.runtime.runc  # noqa: F401  (imports are no steps)
    from labctl.cli.main import run

    counter = arm(limit)
    try:
        run(argv)
    finally:
        sys.setprofile(None)
        with open(report, "w") as file:
            file.write(str(counter[0]))


if __name__ == "__main__":
    main()
