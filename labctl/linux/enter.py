"""Running a command inside a container, without the container runtime: 3 ms instead of 30.

The child joins the node's control groups, then all namespaces of the node's first process at once (setns on a pidfd, so
a pid that was used again cannot be entered by mistake), forks once more because a process never changes its own pid
namespace, drops the capabilities that nodes do not have, and executes. Between `fork` and `exec` the child makes system
calls only. A helper process stays outside, waits, and passes the exit status on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from labctl.linux import cgroup, proc
from labctl.linux.netns import setns

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24

_libc = ctypes.CDLL(None, use_errno=True)


class Gone(Exception):  # noqa: N818  (a condition to handle)
    """The process whose namespaces were to be entered has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where a command is to run: the namespaces of a process, a control group, and what it starts with there."""

    process: proc.Identity
    cgroup: str
    env: Mapping[str, str]
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    drop_capabilities: tuple[int, ...] = field(default=())


def run(room: Room, argv: Sequence[str], *, timeout_s: float, stdin: str | None = None) -> proc.Result:
    """Run to the end and collect the output. CommandFailed (code 124) if it is late; FileNotFoundError if absent.

    Output goes to files: a daemon that the command leaves behind may keep them open without keeping us.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write((stdin or "").encode())
        given.seek(0)
        process = _start(
            room, argv, stdin=given.fileno(), stdout=out.fileno(), stderr=err.fileno(), alone=True
        )
        late = False
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            late, code = True, 124
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        err.seek(0)
        result = proc.Result(
            argv=tuple(argv),
            code=code if code >= 0 else 128 - code,
            stdout=out.read().decode(errors="replace"),
            stderr=err.read().decode(errors="replace") + (f"no end within {timeout_s:g} s" if late else ""),
        )
    if late:
        raise proc.CommandFailed(result)
    return result


def attach(room: Room, argv: Sequence[str]) -> int:
    """Run on the caller's own terminal and pipes; the exit status. SIGTERM ends the command with us."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by the caller
            stream.flush()
    # While the command starts, signals wait: what a handler raises in one of Python's own hooks of a fork is lost.
    waiting = {signal.SIGINT, signal.SIGTERM}
    held = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        process = _start(
            room, argv, stdin=None, stdout=None, stderr=None, alone=False, unblock=waiting - held
        )
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        raise
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        while True:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
                code = process.wait()
            except KeyboardInterrupt:  # the terminal has sent it to the command as well
                continue
            return code if code >= 0 else 128 - code
    except _Terminated:
        process.kill()  # the command dies with the helper
        process.wait()
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """SIGTERM, which unlike Ctrl-C has not reached the command."""


def _terminate(_number: int, _frame: object) -> None:
    raise _Terminated


def spawn(room: Room, argv: Sequence[str], *, log: str) -> proc.Identity:
    """Start a process that outlives its starter, its output appended to a file."""
    reader, writer = os.pipe()
    try:
        with open(log, "ab", buffering=0) as file:
            process = _start(
                room,
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file.fileno(),
                stderr=file.fileno(),
                alone=True,
                report=writer,
            )
        process.wait()
        os.close(writer)
        writer = -1
        said = os.read(reader, 32)
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    who = proc.identity(int(said)) if said else None
    if who is None:
        # It has ended already: name it all the same, as a process that is no more.
        return proc.Identity(int(said or b"0"), 0)
    return who


def _start(
    room: Room,
    argv: Sequence[str],
    *,
    stdin: int | None,
    stdout: int | None,
    stderr: int | None,
    alone: bool,
    report: int | None = None,
    unblock: Iterable[int] = (),
) -> subprocess.Popen[bytes]:
    """Start the helper that enters the room; with `report` it writes the command's pid there and leaves. unblock: signals
    that the caller holds back and the command does not.
    """
    procs = [os.path.join(place, "cgroup.procs") for place in cgroup.directories(room.cgroup)]
    try:
        pidfd = os.pidfd_open(room.process.pid)
    except ProcessLookupError:
        raise Gone from None

    starter = os.getpid()

    def enter() -> None:
        if report is None:
            _die_with(starter)
        _join(procs)
        setns(pidfd, NAMESPACES)
        child = os.fork()
        if child:
            _stay_outside(child, report)
        if report is None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for capability in room.drop_capabilities:
            _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.setgroups(room.groups)
        os.setgid(room.gid)
        os.setuid(room.uid)
        os.chdir(room.cwd)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, unblock)

    try:
        if not proc.alive(room.process):
            raise Gone
        return subprocess.Popen(
            list(argv),
            env=dict(room.env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=alone,
            pass_fds=(report,) if report is not None else (),
            preexec_fn=enter,  # noqa: PLW1509  (system calls only; namespaces cannot be entered after exec)
        )
    except subprocess.SubprocessError:
        if not proc.alive(room.process):
            raise Gone from None
        # What happened is lost with the child; with its process alive it is what limits processes.
        raise OSError(
            errno.EAGAIN, "the node cannot be entered: it has as many processes as it may have"
        ) from None
    finally:
        os.close(pidfd)


def _join(procs: Sequence[str]) -> None:
    for file in procs:
        fd = os.open(file, os.O_WRONLY)
        os.write(fd, b"0")
        os.close(fd)


def _die_with(starter: int) -> None:
    """Whatever ends the starter, even while the command is being started, ends the command."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != starter:
        os._exit(125)


def _stay_outside(child: int, report: int | None) -> None:
    """The helper's part: wait for the command and end as it ended."""
    try:
        if report is not None:
            os.write(report, str(child).encode())
            os._exit(0)
        for fd in range(3):
            os.close(fd)
        os.closerange(3, 1 << 20)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    except BaseException:  # noqa: BLE001  (never return into the interpreter of the parent)
        os._exit(125)
