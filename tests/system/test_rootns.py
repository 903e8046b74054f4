"""A chroot that labctl can work in: its directory becomes the root of a mount namespace, and nothing is left."""

import os
import subprocess
import sys

import pytest

from labctl.linux import mounts, rootns

pytestmark = pytest.mark.root

#: A directory that looks like the machine: everything in / bound into it, the links copied, and a mark.
MAKE = """
mount -t tmpfs tmpfs "$1" && mkdir "$1/root" && cd / && place=$1/root && shift
for each in *; do
    if [ -h "$each" ]; then cp -P "$each" "$place/"
    elif [ -d "$each" ]; then mkdir -p "$place/$each" && mount --rbind "/$each" "$place/$each"
    fi
done
touch "$place/mark"
exec "$@"
"""
INSIDE = """
import os, sys
os.chroot(sys.argv[1]); os.chdir(sys.argv[2])
from labctl.linux import mounts, netns, rootns
print("a chroot", rootns.at_root(), os.path.exists("/mark"))
rootns.become_root()
print("a root", rootns.at_root(), os.path.exists("/mark"), os.getcwd() == sys.argv[2])
fd = os.open("/proc/self/ns/mnt", os.O_RDONLY)
netns.setns(fd, rootns.CLONE_NEWNS)
print("for those who enter", os.path.exists("/mark"))
"""


def test_here_it_is_at_root():
    assert rootns.at_root()


@pytest.mark.parametrize("bound", [False, True], ids=["directory", "mount"])
def test_a_chroot_becomes_a_root_of_its_own(tmp_path, bound):
    place = str(tmp_path / "root")
    make = MAKE.replace("exec", 'mount --rbind "$place" "$place"; exec') if bound else MAKE
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-euc", make, "sh", str(tmp_path)),
            *(sys.executable, "-c", INSIDE, place, os.getcwd()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "a chroot False True",
        "a root True True True",
        "for those who enter True",
    ], done.stderr
    assert mounts.below(str(tmp_path)) == []
    assert os.listdir(tmp_path) == []
