"""buildah, with a storage and a configuration of its own, so that the machine's containers are not touched.

One `Buildah` lives for one build, under the image store's lock. The lock's descriptor is inherited by every tool that
runs, so after `kill -9` of labctl the next builder waits for the orphan instead of meeting it. What a tool prints goes
to a log per reference; an error quotes its last line and names the log.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from labctl.errors import LabctlError

_POLICY = json.dumps({"default": [{"type": "insecureAcceptAnything"}]})
_ASIDE = ("unshare", "--mount", "--propagation", "private")
_ASKS_POLICY = frozenset({"bud", "commit", "from", "pull"})
_REGISTRIES = 'unqualified-search-registries = ["docker.io"]\n'


class Buildah:
    """`run` is any tool under the same rules; `call` is buildah itself; `unpack` is the one thing it cannot say."""

    def __init__(self, work: str, lock: int) -> None:
        self._work = work
        self._lock = lock
        os.makedirs(os.path.join(work, "logs"), exist_ok=True)
        self._configure()
        self._sweep()

    def call(self, ref: str, *argv: str) -> str:
        """One buildah command; its standard output."""
        return self.run(ref, self._argv(*argv))

    def run(self, ref: str, argv: Sequence[str]) -> str:
        """One command to its end; `image-build-failed` if it says so."""
        log = os.path.join(self._work, "logs", quote(ref, safe="") + ".log")
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(argv)}\n")
            file.flush()
            try:
                done = subprocess.run(
                    argv,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    text=True,
                    env=self._environment(),
                    pass_fds=(self._lock,),
                )
            except FileNotFoundError:
                raise LabctlError(
                    "tool-missing",
                    f"`{argv[0]}` is not installed; image {ref!r} cannot be made without it",
                    hint=f"apt-get install {argv[0]}",
                ) from None
            last = _last_line(log)
            file.write(done.stdout)
        if done.returncode:
            raise LabctlError(
                "image-build-failed",
                f"image {ref!r}: {last}",
                hint=f"the whole log is in {log}",
            )
        return done.stdout

    def inspect(self, ref: str, name: str) -> tuple[str, Mapping[str, Any]]:
        """Digest (hex) and configuration of an image in the storage."""
        document = json.loads(self.call(ref, "inspect", "--type", "image", name))
        return str(document["FromImageID"]).removeprefix("sha256:"), document["OCIv1"].get("config") or {}

    def unpack(self, ref: str, name: str, out: str) -> None:
        """Copy the root file system of an image to the empty directory `out`, and see it on the disk."""
        container = self.call(ref, "from", "--pull-never", name).strip()
        # Mount and copy share one mount namespace: however this ends, no mount is left behind.
        script = 'out=$1; shift; from=$("$@"); cp -a --reflink=auto "$from/." "$out/"; sync -f "$out"'
        self.run(ref, [*_ASIDE, "sh", "-euc", script, "unpack", out, *self._argv("mount", container)])
        self.call(ref, "rm", container)

    def _argv(self, verb: str, *argv: str) -> list[str]:
        work = self._work
        policy = ["--signature-policy", f"{work}/policy.json"] if verb in _ASKS_POLICY else []
        storage = ["--root", f"{work}/storage", "--runroot", f"{work}/run"]
        return ["buildah", "--registries-conf", f"{work}/registries.conf", *storage, verb, *policy, *argv]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "CONTAINERS_STORAGE_CONF": f"{self._work}/storage.conf",
            "TMPDIR": self._work,
        }

    def _configure(self) -> None:
        """Ours alone: the machine's configuration may be absent or say something else."""
        path = os.path.join(self._work, "storage.conf")
        if os.path.exists(path):
            return  # a storage keeps the driver it was made with
        for name, content in (("policy.json", _POLICY), ("registries.conf", _REGISTRIES)):
            write_whole(os.path.join(self._work, name), content)
        write_whole(path, f'[storage]\ndriver = "{self._driver()}"\n')

    def _driver(self) -> str:
        """`overlay` where the kernel stacks it on this file system (an overlay itself, for one, refuses), else `vfs`."""
        probe = os.path.join(self._work, "probe")
        for name in ("lower", "upper", "work", "merged"):
            os.makedirs(os.path.join(probe, name), exist_ok=True)
        layers = f"lowerdir={probe}/lower,upperdir={probe}/upper,workdir={probe}/work"
        tried = subprocess.run(
            [*_ASIDE, "mount", "-t", "overlay", "overlay", "-o", layers, f"{probe}/merged"],
            check=False,
            capture_output=True,
        )
        shutil.rmtree(probe)
        return "overlay" if tried.returncode == 0 else "vfs"

    def _sweep(self) -> None:
        """What a killed builder left: half-unpacked trees and working containers."""
        for name in os.listdir(self._work):
            if name.startswith("unpack-"):
                shutil.rmtree(os.path.join(self._work, name))
        if os.path.isdir(os.path.join(self._work, "storage")):
            self.call("sweep", "rm", "--all")


def write_whole(path: str, content: str) -> None:
    """Replace a file so that a reader, or a crash, sees the old content or the new, never a part."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def _last_line(log: str) -> str:
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file.read().splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ")
