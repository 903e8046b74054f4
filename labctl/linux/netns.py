"""Network namespaces pinned at a path, and doing things inside them.

A namespace lives as long as something refers to it. labctl pins each one with a bind mount of its nsfs file, so a
node's namespace (and the cables in it) outlives every process of the node. `inside` moves the *calling thread* and
brings it back; `socket_in` hands out sockets that keep talking to their namespace from anywhere. A thread that cannot
be brought back must never go on: it would do the next caller's work in the wrong network, so that is a SystemError.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Iterator

from labctl.linux import mounts

CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread into the namespace of `fd`."""
    if _libc.setns(fd, kind):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def unshare(flags: int = CLONE_NEWNET) -> None:
    """Give the calling thread new namespaces of its own."""
    if _libc.unshare(flags):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def prepare(directory: str) -> None:
    """Make `directory` fit to pin namespaces in: a shared mount of its own.

    A mount namespace that is copied while a pin exists copies the pin too; because the directory is shared, removing
    the pin here removes those copies as well, and the namespace really ends.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if not mounts.is_mount(directory):
        mounts.bind(directory, directory)
    mounts.make_shared(directory)


def create(path: str) -> None:
    """Create a network namespace pinned at `path`; its loopback is down. FileExistsError if the path exists."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    failed: list[BaseException] = []

    def work() -> None:
        try:
            unshare(CLONE_NEWNET)
            mounts.bind(OWN, path)
        except BaseException as error:  # noqa: BLE001  (handed to the caller's thread)
            failed.append(error)

    thread = threading.Thread(target=work, name="netns-create")
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C: whoever clears up must not meet a pin that is still to come
        thread.join()
        raise
    if failed:
        os.unlink(path)
        raise failed[0]


def pin(path: str, source: str = OWN) -> None:
    """Pin a namespace that is there (the caller's own, or that of another pin) at `path` as well."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    try:
        mounts.bind(source, path)
    except OSError:
        os.unlink(path)
        raise


def delete(path: str) -> None:
    """Remove the pin and its file, whichever of the two still exists."""
    mounts.unmount(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def exists(path: str) -> bool:
    """Whether a namespace is pinned at `path` (a crash can leave the bare file behind)."""
    return mounts.is_nsfs(path)


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of the namespace, as IFLA_NET_NS_FD and setns want it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def inside(path: str) -> Iterator[None]:
    """Run the block with the calling thread in the namespace, then come back."""
    home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with opened(path) as there:
            setns(there)
        try:
            yield
        finally:
            try:
                setns(home)
            except OSError as error:
                raise SystemError(f"thread is lost in network namespace {path}: {error}") from error
    finally:
        os.close(home)


def socket_in(path: str | None, family: int, kind: int, proto: int = 0) -> socket.socket:
    """A socket that belongs to the namespace at `path` (None: the caller's own), usable from any thread."""
    if path is None:
        return socket.socket(family, kind | socket.SOCK_CLOEXEC, proto)
    with inside(path):
        return socket.socket(family, kind | socket.SOCK_CLOEXEC, proto)


def inode(path: str = OWN) -> int:
    """The namespace's identity: the inode that `readlink /proc/<pid>/ns/net` shows as `net:[…]`."""
    return os.stat(path).st_ino


def write_sysctl(path: str, key: str, value: str) -> None:
    """Write one `net.…` sysctl of the namespace at `path`. Dots separate, as in `sysctl -w`; `/` may stand in names."""
    with inside(path), open(sysctl_file(key), "w", encoding="ascii") as file:
        file.write(value)


def read_sysctl(path: str, key: str) -> str:
    with inside(path), open(sysctl_file(key), encoding="ascii") as file:
        return file.read().strip()


def sysctl_file(key: str) -> str:
    """`net.ipv4.ip_forward` -> `/proc/sys/net/ipv4/ip_forward`; as in sysctl(8), `a/b.c` keeps the dot in a name."""
    first = min((i for i in (key.find("."), key.find("/")) if i >= 0), default=-1)
    if first >= 0 and key[first] == "/":
        return "/proc/sys/" + key
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))
