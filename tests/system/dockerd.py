"""A Docker engine of the tests' own: everything it has lies in one directory, and nothing of it stays.

Never the machine's: its own socket, data, control group and pid file; no bridge, and no hand on the machine's packet filter.
One for each process that runs tests, started by the first test that asks for it, and ended with the session. However that
ends, also by `kill -9`: a sweeper waits beside it (`python dockerd.py DIRECTORY PID START_TICKS`) and removes what is left.
"""

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import rig
from rig import until

from labctl.errors import LabctlError
from labctl.linux import cgroup, disks, mounts, proc
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

    def __init__(self, *, data_bytes=None):
        """data_bytes: the size of the disk of its own that its data is on."""
        # Not pytest's directory: the path of a socket has 107 bytes.
        self.directory = tempfile.mkdtemp(prefix="labctl-dockerd-", dir="/var/tmp")
        self.cgroup = os.path.basename(self.directory)
        self.url = f"unix://{self.directory}/docker.sock"
        self.log = os.path.join(self.directory, "log")
        self.keeper_file = os.path.join(self.directory, "exec/containerd/containerd.pid")
        self.process = None
        self.data = os.path.join(self.directory, "data")
        os.makedirs(self.data)
        if data_bytes:
            mounts.mount("tmpfs", self.data, "tmpfs", data=f"size={data_bytes}")
        elif not disks.of_files([self.data]):  # in memory, on the second kernel
            rig.mount_disk(self.data, 1 << 30)
        me = proc.identity(os.getpid())
        argv = [sys.executable, os.path.abspath(__file__), self.directory, str(me.pid), str(me.start_ticks)]
        self.sweeper = subprocess.Popen(
            argv,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *, live_restore=False):
        """live_restore: containers that a dead engine left live on; else it ends them."""
        at = self.directory
        with open(os.path.join(at, "daemon.json"), "w") as file:
            json.dump({"live-restore": live_restore}, file)
        argv = [
            "setpriv", "--pdeathsig", "TERM", "dockerd",
            "--host", self.url, "--config-file", f"{at}/daemon.json", "--pidfile", f"{at}/pid",
            "--data-root", self.data, "--exec-root", f"{at}/exec", "--cgroup-parent", f"/{self.cgroup}",
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

    def need(self):
        """Start it if it was killed and nobody has done so."""
        if self.process is not None and self.process.poll() is not None:
            self.start(live_restore=True)

    def works(self):
        """Whether it does something, and its containerd for it: that answers a little later than it is there."""
        with contextlib.suppress(AssertionError):
            said = json.loads(self.docker("version", "--format", "{{json .Server.Components}}"))
            return self.keeper() is not None and any(each["Name"] == "containerd" for each in said)
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
        sweep(self.directory)
        self.sweeper.kill()
        self.sweeper.wait()

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


def sweep(directory):
    """Remove what is left of an engine: its processes, its containers', its mounts and its files."""
    for who in _programs(directory):
        proc.kill(who)
        proc.wait_gone(who, 10)
    cgroup.destroy(os.path.basename(directory))
    mounts.unmount_below(directory)
    for _ in range(5):
        with contextlib.suppress(OSError):
            shutil.rmtree(directory)
            return
        time.sleep(0.2)
    shutil.rmtree(directory)


def _programs(directory):
    """The engine in this directory, its containerd and shims."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", errors="replace") as file:
            command = file.read()
            program = os.path.basename(command.partition("\0")[0])
            if directory in command and program.startswith(("dockerd", "containerd")):
                found.append(proc.identity(int(pid)))
    return [who for who in found if who is not None]


def main(directory, pid, start_ticks):
    """Wait for the end of the tests, then for that of the engine, which hears of it from the kernel."""
    who = proc.Identity(int(pid), int(start_ticks))
    with contextlib.suppress(ProcessLookupError):
        tests = os.pidfd_open(who.pid)
        if proc.alive(who):
            select.select([tests], [], [])
    with contextlib.suppress(AssertionError):
        until(lambda: not _programs(directory), "the engine has ended", 20)
    if os.path.isdir(directory):
        sweep(directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
