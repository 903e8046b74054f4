"""A second kernel for tests: user-mode Linux, booted as an ordinary process in about three seconds.

It has what the machine's own kernel may lack (netem and every other qdisc, cgroup v2, VRF, 802.1Q), and a network of
its own with no way out. It sees the machine's files, but can write none of them: its state is in memory and keyed by
its own boot id, so a labctl in there never meets the labs out here. Of nftables it has the bridge family only. By hand:

    .venv/bin/python tests/uml/umlkernel.py -- tc qdisc add dev lo root netem delay 10ms
    .venv/bin/python tests/uml/umlkernel.py -- .venv/bin/python -m pytest tests/system/test_doctor.py
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KERNEL = "linux.uml"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Set inside, for tests that ask where they are.
INSIDE = "LABCTL_TEST_UML"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that ran under the other kernel."""

    code: int
    stdout: str
    stderr: str


class BootFailed(Exception):  # noqa: N818  (reads as what happened)
    """The kernel ended without a word from the command; its console is the message.

    exchanged: what the command had written to /run/uml by then.
    """

    def __init__(self, said, exchanged):
        super().__init__(said)
        self.exchanged = exchanged


def missing():
    """Why no second kernel can be had here, or None."""
    if os.environ.get(INSIDE):
        return "this is the second kernel"
    if shutil.which(KERNEL) is None:
        return "needs user-mode Linux: apt-get install user-mode-linux"
    if shutil.which("modprobe", path=PATH) is None:
        return "needs modprobe: apt-get install kmod"
    return None


def run(*argv, timeout_s=120.0, memory="1G", env=None, disk=None):
    """Boot, run one command in the repository's directory, power off; what the command said. disk: a file, /dev/ubda."""
    with tempfile.TemporaryDirectory(prefix="labctl-uml-") as exchange:
        with open(os.path.join(exchange, "command"), "w", encoding="utf-8") as file:
            file.write(_script(argv, env or {}))
        console = _boot(exchange, memory, timeout_s, [f"ubd0={disk}"] if disk else [])
        status = _read(exchange, "status")
        if not status:
            said = _read(exchange, "stderr").strip() or _read(exchange, "stdout").strip()
            exchanged = {name: _read(exchange, name) for name in os.listdir(exchange) if name != "kernel"}
            raise BootFailed(
                f"no end of {' '.join(argv)} within {timeout_s:g} s\n{console}\n{said[-4000:]}", exchanged
            )
        return Ended(code=int(status), stdout=_read(exchange, "stdout"), stderr=_read(exchange, "stderr"))


def run_pytest(*selection, timeout_s=600.0, memory="2G"):
    """Run tests under the other kernel; those marked `uml` skip in there."""
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *selection)
    return run(*argv, timeout_s=timeout_s, memory=memory)


def images_directory():
    """The machine's images, which labs in there can stand on: read-only is enough for a lower layer."""
    state = os.environ.get("LABCTL_STATE") or "/var/lib/labctl"
    return os.environ.get("LABCTL_IMAGES") or os.path.join(state, "images")


def _script(argv, env):
    environment = {
        "PATH": f"{os.path.dirname(sys.executable)}:{PATH}",
        "HOME": "/run/home",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LABCTL_STATE": "/run/labctl",
        "LABCTL_IMAGES": images_directory(),
        INSIDE: "1",
        **{name: value for name, value in os.environ.items() if name.startswith("LABCTL_TEST_")},
        **env,
    }
    assigned = [f"{name}={value}" for name, value in environment.items()]
    return f"cd {shlex.quote(ROOT)} && exec {shlex.join(['env', '-i', *assigned, *argv])}\n"


def _boot(exchange, memory, timeout_s, options):
    """Run the kernel to its power-off, or kill it; its console."""
    process = subprocess.Popen(
        [
            KERNEL,
            f"mem={memory}",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            f"init={HERE}/init",
            f"uml_exchange={exchange}",
            f"uml_python={sys.executable}",
            f"uml_root={ROOT}",
            f"uml_dir={exchange}/",
            "umid=kernel",
            "con=null",
            "con0=null,fd:1",
            "panic=-1",
            "quiet",
            *options,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # the kernel is several processes
        env={**os.environ, "TMPDIR": _memory_place(exchange)},
    )
    try:
        console, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        console, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return console


def _memory_place(otherwise):
    """Where the kernel may keep its memory as a file that it executes from; containers mount /dev/shm noexec."""
    for place in ("/dev/shm", "/tmp"):
        if os.access(place, os.W_OK) and not os.statvfs(place).f_flag & os.ST_NOEXEC:
            return place
    return otherwise


def _read(exchange, name):
    try:
        with open(os.path.join(exchange, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    why = missing()
    if why:
        sys.exit(why)
    ended = run(*(sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]), timeout_s=3600)
    sys.stdout.write(ended.stdout)
    sys.stderr.write(ended.stderr)
    sys.exit(ended.code)
