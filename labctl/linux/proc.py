"""Processes: who one is, and running one. With `enter` the only module that starts them.

A pid alone names nothing for long; with the start time (clock ticks since boot) the pair never repeats. A helper that
labctl runs inherits the lab's lock descriptor (`keep`), so after a `kill -9` of labctl itself the lock stays held until
the helper has finished what it was doing, and nobody cleans up under its hands.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import labctl

PF_EXITING = 0x4


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that never repeats within one boot."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A helper that ran to its end."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


class CommandFailed(Exception):  # noqa: N818  (reads as what happened)
    """A helper ended with an error, or did not end in time."""

    def __init__(self, result: Result) -> None:
        said = result.stderr.strip() or result.stdout.strip() or f"exit {result.code}"
        super().__init__(f"{' '.join(result.argv[:3])}: {said}")
        self.result = result


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if it is gone, exiting, or only waits to be reaped.

    The first process of a pid namespace can hang in its exit, not yet a zombie, until all others are reaped.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    exiting = fields[0] in ("Z", "X") or int(fields[6]) & PF_EXITING
    return None if exiting else int(fields[19])


def identity(pid: int) -> Identity | None:
    ticks = start_ticks(pid)
    return None if ticks is None else Identity(pid, ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a process looks like in /proc. `program` is its file as its own root sees it."""

    who: Identity
    parent: int
    name: str
    argv: tuple[str, ...]
    program: str
    stopped: bool


def describe(pid: int) -> Description | None:
    """None if it is gone, exiting, or a kernel thread."""
    who = identity(pid)
    if who is None:
        return None
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="surrogateescape") as file:
            before, _, after = file.read().rpartition(")")
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
            argv = file.read().rstrip("\0").split("\0")
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = after.split()[:2]
    return Description(
        who=who,
        parent=int(parent),
        name=before.partition("(")[2],
        argv=tuple(argv),
        program=program,
        stopped=state in ("T", "t"),
    )


def age_s(who: Identity) -> float:
    """How long the process has been there."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - who.start_ticks / os.sysconf("SC_CLK_TCK")


def alive(who: Identity) -> bool:
    """Whether exactly this process still runs."""
    return start_ticks(who.pid) == who.start_ticks


def kill(who: Identity, number: int = signal.SIGKILL) -> bool:
    """Signal exactly this process, never a later one with its pid; False if it is gone."""
    try:
        fd = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return False
    try:
        if not alive(who):
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def wait_gone(who: Identity, timeout_s: float) -> bool:
    """Wait until the process has ended; False if it has not in time."""
    deadline = time.monotonic() + timeout_s
    while alive(who):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def bounding_set(pid: int | None = None) -> int:
    """The capabilities that a process (None: this one) can hand on, as a bit mask; in a container root may lack some."""
    with open(f"/proc/{'self' if pid is None else pid}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd:"))


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout_s: float | None = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    keep: Sequence[int] = (),
    check: bool = True,
) -> Result:
    """Run a helper to its end. `keep`: descriptors it inherits. CommandFailed if it fails and `check`, or is late."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        partial = Result(
            argv=tuple(argv),
            code=124,
            stdout=_decoded(late.stdout),
            stderr=_decoded(late.stderr) + f"no end within {timeout_s:g} s",
        )
        raise CommandFailed(partial) from late
    result = Result(argv=tuple(argv), code=done.returncode, stdout=done.stdout, stderr=done.stderr)
    if check and result.code:
        raise CommandFailed(result)
    return result


def run_logged(
    argv: Sequence[str],
    *,
    log: str,
    stdin: int | None = None,
    timeout_s: float | None = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    keep: Sequence[int] = (),
) -> int:
    """Run a helper with its output appended to a file, for helpers whose children keep the output open."""
    with open(log, "ab", buffering=0) as file:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=file,
            stderr=file,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
        )
        try:
            return process.wait(timeout_s)
        except BaseException:
            process.kill()
            process.wait()
            raise


def start_detached(
    argv: Sequence[str],
    *,
    log: str,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    keep: Sequence[int] = (),
) -> int:
    """Start a process that outlives its starter: its own session, no terminal, output appended to a file; its pid."""
    with open(log, "ab", buffering=0) as file:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
            start_new_session=True,
        )
    process.returncode = 0  # it is not ours to wait for: no ResourceWarning when the object goes
    return process.pid


def start_talking(
    argv: Sequence[str],
    *,
    keep: Sequence[int] = (),
    log: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[str]:
    """Start a helper in a session of its own that is told lines of text, and answers in some; with a log it prints there."""
    with contextlib.ExitStack() as files:
        file = None if log is None else files.enter_context(open(log, "ab", buffering=0))
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if file is None else file,
            stderr=file,
            text=True,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
            start_new_session=True,
        )


def program(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """A module of labctl as a process of its own: the command, and an environment that has nothing of ours but the PATH."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(labctl.__file__)))
    env = {"PYTHONPATH": root, "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    return [sys.executable, "-m", module, *arguments], env


@contextlib.contextmanager
def output_of(argv: Sequence[str]) -> Iterator[IO[bytes]]:
    """What a helper prints, while it does; CommandFailed if it fails in the end."""
    with tempfile.TemporaryFile() as err:
        process = subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        assert process.stdout is not None
        try:
            yield process.stdout
            code = process.wait()
        finally:
            process.stdout.close()
            if process.returncode is None:
                process.kill()
                process.wait()
        err.seek(0)
        said = err.read().decode(errors="replace")
    if code:
        raise CommandFailed(Result(argv=tuple(argv), code=code, stdout="", stderr=said))


def _decoded(data: bytes | str | None) -> str:
    if data is None:
        return ""
    return data if isinstance(data, str) else data.decode(errors="replace")
