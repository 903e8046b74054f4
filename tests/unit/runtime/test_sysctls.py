"""Which sysctls name a device, and how keys are written."""

import pytest

from labctl.runtime import sysctls


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("kernel.sem", "kernel.sem"),
        ("kernel/sem", "kernel.sem"),
        ("fs/mqueue/msg_max", "fs.mqueue.msg_max"),
        ("net.ipv4.ip_forward", "net.ipv4.ip_forward"),
    ],
)
def test_a_key_has_one_name(key, name):
    assert sysctls.dotted(key) == name


@pytest.mark.parametrize(
    ("key", "device"),
    [
        ("net.ipv4.conf.eth1.rp_filter", "eth1"),
        ("net.ipv6.neigh.eth1.gc_stale_time", "eth1"),
        ("net/ipv4/conf/eth1.100/rp_filter", "eth1.100"),
        ("net.ipv4.conf.eth1/100.rp_filter", "eth1.100"),
        ("net.ipv4.ip_forward", None),
        ("net.ipv4.route.flush", None),
        ("kernel.sem", None),
    ],
)
def test_the_device_of_a_sysctl(key, device):
    assert sysctls._device(key) == device


@pytest.mark.parametrize("key", ["net.core.somaxconn", "fs.mqueue.msg_max", "kernel.shmmax", "kernel/sem"])
def test_what_may_be_a_nodes(key):
    assert sysctls._of_a_node(key)


@pytest.mark.parametrize(
    "key", ["kernel.panic", "kernel.hostname", "vm.swappiness", "fs.file-max", "user.max_x"]
)
def test_what_never_is(key):
    assert not sysctls._of_a_node(key)
