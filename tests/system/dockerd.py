"""A Docker engine of the tests' own: everything it has lies in one directory, and nothing of it stays.

Never the machine's: its own socket, data, control group and pid file; no bridge, and no hand on the machine's packet filter.
One for each process that runs tests, started by the first test that asks for it, and ended with the session (or, however
that ends, by the kernel).
"""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from rig import until

from labctl.errors import LabctlError
from labctl.linux import cgroup, mounts, proc
from labctl.runtime import docker_engine


@functools.cache
def missing():
    """Why there are no tests with Docker here; None if there are."""
    if os.environ.get("LABCTL_TEST_DOCKER") == "0":
        return "LABCTL_TEST_DOCKER=0"
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("dockerd", "containerd") if shutil.which(name) is None]
    return f"{absent[0]} is not installed: `./setup.sh test` does" if absent else None


class Dockerd:
    """An engine; a context manager."""

    def __init__(self):
        # Not pytest's directory: the path of a socket has 107 bytes.
        self.directory = tempfile.mkdtemp(prefix="labctl-dockerd-", dir="/var/tmp")
        self.cgroup = os.path.basename(self.directory)
        self.url = f"unix://{self.directory}/docker.sock"
        self.log = os.path.join(self.directory, "log")
        self.keeper_file = os.path.join(self.directory, "exec/containerd/containerd.pid")
        self.process = None

    def start(self, *, live_restore=False):
        """live_restore: containers that a dead engine left live on; else it ends them."""
        at = self.directory
        with open(os.path.join(at, "daemon.json"), "w") as file:
            json.dump({"live-restore": live_restore}, file)
        argv = [
            "setpriv", "--pdeathsig", "TERM", "dockerd",
            "--host", self.url, "--config-file", f"{at}/daemon.json", "--pidfile", f"{at}/pid",
            "--data-root", f"{at}/data", "--exec-root", f"{at}/exec", "--cgroup-parent", f"/{self.cgroup}",
            "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
            "--userland-proxy=false", "--shutdown-timeout=1", "--log-level=warn",
        ]  # fmt: skip
        if (
            self.keeper() is None
        ):  # where init does not reap, an engine takes its dead containerd for one at work
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.keeper_file)
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self.answers, "the engine answers", 60)

    def answers(self):
        if self.process.poll() is not None:
            with open(self.log) as log:
                raise AssertionError("dockerd has ended:\n" + "".join(log.readlines()[-20:]))
        with contextlib.suppress(LabctlError):
            return docker_engine.answers(self.url)

    def works(self):
        """Whether it and its containerd can do something."""
        with contextlib.suppress(AssertionError):
            return self.keeper() is not None and bool(self.docker("ps", "--all", "--quiet") or True)
        return False

    def keeper(self):
        """The engine's containerd; None if it has ended."""
        with contextlib.suppress(OSError, ValueError), open(self.keeper_file) as file:
            return proc.identity(int(file.read()))

    def kill(self):
        """As a crash would: its containers go on. The kernel ends its containerd as soon as it is gone."""
        self.process.kill()
        self.process.wait()
        until(lambda: self.keeper() is None, "containerd has ended")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        who = self.keeper()
        if who is not None:
            proc.kill(who, signal.SIGTERM)
            proc.wait_gone(who, 10)
            proc.kill(who)
        cgroup.destroy(self.cgroup)
        mounts.unmount_below(self.directory)
        for _ in range(5):
            with contextlib.suppress(OSError):
                shutil.rmtree(self.directory)
                return
            time.sleep(0.2)
        shutil.rmtree(self.directory)

    def docker(self, *argv, check=True):
        """The engine's own command line, as a user would type it."""
        done = subprocess.run(
            ["docker", "-H", self.url, *map(str, argv)], check=False, capture_output=True, text=True
        )
        if check and done.returncode:
            raise AssertionError(f"docker {argv}: {done.stderr}")
        return done.stdout

    def containers(self):
        """Names of all containers, sorted."""
        return sorted(self.docker("ps", "--all", "--format", "{{.Names}}").split())

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
