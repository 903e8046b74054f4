"""Runs a command, in a chroot with that chroot as the root of a mount namespace; elsewhere it only runs it.

runc and buildah do not work in a plain chroot (labctl.linux.rootns says why). The Makefile runs labctl through this;
by hand `.venv/bin/python tools/in_root.py bash` is a shell in which labctl works.
"""

import os
import sys

from labctl.linux import rootns

if os.geteuid() == 0 and not rootns.at_root():
    rootns.become_root()
os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606
