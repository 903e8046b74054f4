"""FRR's daemons for a test, in a network namespace of their own, without a container."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

DAEMONS = ("zebra", "staticd", "ospfd", "bgpd", "vrrpd", "bfdd")
LIB = "/usr/lib/frr"


class Router:
    """zebra, staticd, ospfd, bgpd, vrrpd and bfdd; isisd if asked for, with their sockets in a private directory."""

    def __init__(self, namespace, directory, *, isis=False):
        self.daemons = (*DAEMONS, "isisd") if isis else DAEMONS
        self.namespace = namespace
        self.directory = directory

    def _inside(self, *argv):
        return ["ip", "netns", "exec", self.namespace, *argv]

    def start(self):
        for daemon in self.daemons:
            argv = [f"{LIB}/{daemon}", "-d", "-P", "0", "-A", "127.0.0.1", "-f", "/dev/null"]
            argv += ["--vty_socket", self.directory, "-z", f"{self.directory}/zserv.api"]
            argv += ["-i", f"{self.directory}/{daemon}.pid", "--log", f"file:{self.directory}/{daemon}.log"]
            if daemon == "bfdd":
                argv += ["--bfdctl", f"{self.directory}/bfdd.sock"]
            subprocess.run(self._inside(*argv), check=True, capture_output=True, text=True)
            # a daemon that does not find zebra's socket asks again in ten seconds
            while not os.path.exists(f"{self.directory}/zserv.api"):
                time.sleep(0.01)

    def stop(self):
        for daemon in reversed(self.daemons):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
                with open(f"{self.directory}/{daemon}.pid") as file:
                    pid = int(file.read())
                os.kill(
                    pid, signal.SIGKILL
                )  # a graceful stop takes ten seconds, and the namespace goes anyway

    def vtysh(self, *argv):
        common = ("vtysh", "--vty_socket", self.directory, "--config_dir", self.directory)
        return subprocess.run(self._inside(*common, *argv), capture_output=True, text=True, check=False)

    def load(self, text):
        path = f"{self.directory}/load.conf"
        with open(path, "w") as file:
            file.write(text)
        return self.vtysh("-f", path)

    def running(self):
        return self.vtysh("-c", "show running-config").stdout


@contextlib.contextmanager
def router(ports=(), *, isis=False):
    """A running router whose namespace has these ports (veth ends with carrier)."""
    namespace = f"labctl-test-frr-{os.getpid()}"
    directory = tempfile.mkdtemp(prefix="labctl-frr-")
    shutil.chown(directory, "frr", "frr")
    with open(f"{directory}/vtysh.conf", "w"):
        pass
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    found = Router(namespace, directory, isis=isis)
    try:
        ip = ["ip", "-n", namespace, "link"]
        subprocess.run([*ip, "set", "lo", "up"], check=True)
        for number, port in enumerate(ports):
            peer = f"peer{number}"
            subprocess.run([*ip, "add", port, "type", "veth", "peer", "name", peer], check=True)
            for end in (port, peer):
                subprocess.run([*ip, "set", end, "up"], check=True)
        found.start()
        yield found
    finally:
        found.stop()
        subprocess.run(["ip", "netns", "del", namespace], check=True)
        shutil.rmtree(directory)
