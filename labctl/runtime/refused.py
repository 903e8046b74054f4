"""What the kernel refuses of a lab's network, as an error that names the cable or node and its place in the lab file.

The checks before a deploy find what can be known beforehand. The rest is known to the kernel alone: an interface name
that one of its modules takes in every new namespace, an address of a family that a sysctl turns off, memory. A full or
read-only disk is not of that kind; it stays the error that it is.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping

from labctl.errors import LabctlError, Span

_HINTS: Mapping[int, str] = {
    errno.EEXIST: "the kernel has one of that name in every new namespace, or it is given twice; choose another name",
    errno.EACCES: "a sysctl of the node turns off what the address needs; change one of the two",
    errno.ENOMEM: "this machine has no memory left for it; a smaller lab needs less",
    errno.ENOBUFS: "this machine has no memory left for it; a smaller lab needs less",
    errno.EMFILE: "a lab needs a descriptor for each namespace: `ulimit -n` raises how many labctl may have",
    errno.EPERM: "labctl needs CAP_NET_ADMIN and CAP_SYS_ADMIN: run it as root, outside an unprivileged container",
}
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@contextlib.contextmanager
def refused(what: str, where: Span | None) -> Iterator[None]:
    """`not-wired` for what the kernel refuses in the block. `what`: the beginning of a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK:
            raise
        raise LabctlError(
            "not-wired",
            f"{what}: {error.strerror or error}",
            where=where,
            hint=_HINTS.get(error.errno or 0),
        ) from error
