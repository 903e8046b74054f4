"""Starting one node with runc: its root file system on overlayfs, and the one call that makes it run.

A node's files are in its directory: `upper` (what it writes) and `work` of the overlay that is mounted at `rootfs`, the
bundle's `config.json`, `log` with its output, `stdin`, and `init.json`, which names its first process.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence

from labctl.errors import LabctlError
from labctl.linux import mounts, proc, rooted, whole
from labctl.model.lab import LabSpec, NodeSpec
from labctl.runtime import bundle, ended
from labctl.runtime.images import Image
from labctl.runtime.store import LabDir

RUNC = "runc"
#: How often somebody else may write into a directory while it is removed.
_TRIES = 10


def state_dir(place: LabDir, node: str) -> str:
    """What runc keeps of a node."""
    return os.path.join(place.runc_dir, place.container_id(node))


def root_filesystem(lab: LabSpec, node: NodeSpec, image: Image, home: str, rootfs: str) -> None:
    """Mount the node's root, unless it is: the image below, what the node wrote on top."""
    if os.path.isdir(home) and rootfs in mounts.below(home):
        return
    upper, work = os.path.join(home, "upper"), os.path.join(home, "work")
    for directory in (home, rootfs, work):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    if not os.path.isdir(upper):
        _fresh_upper(upper, lab, node)
    mounts.overlay(rootfs, lower=image.rootfs, upper=upper, work=work)


def remove_home(home: str) -> None:
    """Remove the directory of a node whose processes are dead; what is mounted below it first.

    The agent may be about to write down there how the first process ended: not any more once nothing names it.
    """
    mounts.unmount_below(home)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(home, "init.json"))
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            try:
                shutil.rmtree(home)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
        if not os.path.isdir(home):
            return
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), home)


def update_hosts(root: str, old: str, new: str) -> None:
    """Change etc/hosts below `root` of a node that runs: our lines of before go, those of now come, all others stay as they are."""
    if old == new:
        return
    try:
        fd = rooted.open_in(root, "etc/hosts", os.O_RDWR)
    except OSError:
        return  # the node has none any more, and knows why
    with open(fd, "r+", encoding="utf-8", errors="surrogateescape") as file:
        gone = set(old.splitlines()) - set(new.splitlines())
        kept = [line for line in file.read().splitlines() if line not in gone]
        text = "\n".join([*kept, *(line for line in new.splitlines() if line not in kept)]) + "\n"
        file.seek(0)
        file.write(text)
        file.truncate()


def update_environment(home: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Change what commands in the node see from now on, and its first process if it is started again."""
    path = os.path.join(home, "config.json")
    if old == new or not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    env = dict(entry.partition("=")[::2] for entry in spec["process"]["env"])
    env = {key: value for key, value in env.items() if key not in old or key in new} | dict(new)
    spec["process"]["env"] = [f"{key}={value}" for key, value in env.items()]
    whole.write(path, json.dumps(spec).encode())


def run(place: LabDir, node: str, home: str, *, keep: Sequence[int]) -> None:
    """Run the bundle in `home`. `keep`: descriptors that runc inherits."""
    log, pid_file = os.path.join(home, "log"), os.path.join(home, "pid")
    runc_log = os.path.join(home, "runc.log")
    for stale in (pid_file, runc_log):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stale)
    fifo = os.path.join(home, "stdin")
    if not os.path.exists(fifo):
        os.mkfifo(fifo, 0o600)
    # Opened for reading and writing, so a shell that is the node's command waits for input and never sees its end.
    stdin = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
    try:
        code = proc.run_logged(
            [
                RUNC,
                "--root",
                place.runc_dir,
                "--log",
                runc_log,
                "run",
                "--detach",
                "--bundle",
                home,
                "--pid-file",
                pid_file,
                place.container_id(node),
            ],
            log=log,
            stdin=stdin,
            keep=keep,
        )
    finally:
        os.close(stdin)
    who = _read_pid(pid_file)
    if code or who is None:
        raise LabctlError(
            "node-not-started",
            f"node {node!r} did not start: {_last_words(runc_log, log)}",
            hint="check its `image`, `cmd` and `binds`",
        )
    with open(os.path.join(home, "init.json"), "w", encoding="utf-8") as file:
        json.dump({"pid": who.pid, "start_ticks": who.start_ticks}, file)
    ended.touch(place)


def _fresh_upper(upper: str, lab: LabSpec, node: NodeSpec) -> None:
    """The node's own layer with the files that make it itself; whole or not at all, also after a crash."""
    making = upper + ".new"
    shutil.rmtree(making, ignore_errors=True)
    os.makedirs(os.path.join(making, "etc"), mode=0o755)
    os.chmod(making, 0o755)  # noqa: S103  (it becomes the node's /)
    files: Mapping[str, str] = {
        "hostname": (node.hostname or node.name) + "\n",
        "hosts": bundle.hosts(lab, node),
        "resolv.conf": bundle.resolv_conf(node),
    }
    for name, content in files.items():
        path = os.path.join(making, "etc", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        os.chmod(path, 0o644)
    os.rename(making, upper)


def _read_pid(path: str) -> proc.Identity | None:
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
        return proc.identity(pid) or proc.Identity(pid, 0)  # 0: it has ended already
    except (FileNotFoundError, ValueError):
        return None


def _last_words(*logs: str) -> str:
    for log in logs:
        with contextlib.suppress(OSError), open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
            if lines:
                return _message(lines[-1].strip())
    return "it ended at once"


def _message(line: str) -> str:
    """runc's `time="…" level=error msg="…"` without the time."""
    found = re.fullmatch(r'time="[^"]*" level=\w+ msg="(.*)"', line)
    return found[1].replace('\\"', '"') if found else line
