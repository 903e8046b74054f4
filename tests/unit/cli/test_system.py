"""What the operating system refuses: its words and the path, or a bug."""

import errno
import os

import pytest

from labctl.cli.system import refused
from labctl.errors import render


def error(number, *names):
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ("number", "names", "said"),
    [
        (errno.EACCES, ("/srv/labs",), "error: system-refused\n  /srv/labs  permission denied"),
        (errno.EBUSY, ("a", None, "b"), "error: system-refused\n  a -> b  device or resource busy"),
        (errno.ENOENT, (b"/srv/x",), "error: system-refused\n  /srv/x  no such file or directory"),
        (errno.EPERM, (), "error: system-refused\n  operation not permitted"),
        (errno.EMFILE, (), "error: system-refused\n  too many open files"),
        (errno.ENOSPC, (), "error: cannot-write\n  cannot write what was asked for: no space left on device"),
        (errno.EROFS, ("/srv",), "error: cannot-write\n  cannot write /srv: read-only file system"),
    ],
)
def test_what_a_user_can_act_on(number, names, said):
    found = render(refused(error(number, *names)))
    assert found.startswith(f"{said}\nhint: ")


@pytest.mark.parametrize("found", [error(errno.EINVAL), error(errno.EBADF, 7), OSError("of our own making")])
def test_what_labctl_asked_wrongly_stays_a_bug(found):
    assert refused(found) is None
