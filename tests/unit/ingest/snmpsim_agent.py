"""A foreign SNMP agent: snmpsim serves recorded walks over UDP, one device for each file, as community and v3 context."""

import contextlib
import getpass
import grp
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

USER, AUTH, PRIV = "labctl", "authentication", "encryption-key"


def free_port():
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Simulator:
    """One process; each walk is a device called by its file's stem."""

    def __init__(self, walks, directory):
        self.port = free_port()
        self.names = [path.stem for path in walks]
        data = Path(directory) / "data"
        data.mkdir()
        for path in walks:
            shutil.copyfile(path, data / path.name)
        command = [
            *(str(Path(sys.executable).with_name("snmpsim-command-responder")), f"--data-dir={data}"),
            *(f"--cache-dir={Path(directory) / 'cache'}", f"--agent-udpv4-endpoint=127.0.0.1:{self.port}"),
            *(f"--process-user={getpass.getuser()}", f"--process-group={grp.getgrgid(os.getgid()).gr_name}"),
            *(f"--v3-user={USER}", f"--v3-auth-key={AUTH}", "--v3-auth-proto=SHA"),
            *(f"--v3-priv-key={PRIV}", "--v3-priv-proto=AES", "--log-level=error"),
        ]
        self.log = Path(directory) / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.bound():
                return self
            time.sleep(0.1)
        self.__exit__()
        raise AssertionError(f"snmpsim did not start: {self.log.read_text()}")

    def bound(self):
        """Does it listen already? It indexes its files first."""
        return f"0100007F:{self.port:04X} " in Path("/proc/net/udp").read_text()

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def inventory(self, path, *, version, timeout=5, retries=2):
        lines = ["defaults: {ssh: none}", "devices:"]
        for name in self.names:
            lines += [f"  {name}:", "    address: 127.0.0.1"]
            if version == 2:
                access = f"version: 2c, community: {name}"
            else:
                access = (
                    f"user: {USER}, auth: sha, auth_key: {AUTH}, priv: aes, priv_key: {PRIV}, context: {name}"
                )
            lines.append(f"    snmp: {{{access}, port: {self.port}, timeout: {timeout}, retries: {retries}}}")
        path.write_text("\n".join(lines) + "\n")
        return str(path)
