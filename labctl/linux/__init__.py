"""Primitives of the Linux kernel: namespaces, netlink, cgroups, mounts, processes. No policy."""
