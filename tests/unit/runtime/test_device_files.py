"""Device files of the machine in nodes: by their numbers, wherever they lie and whatever they are called."""

import os

import pytest

from labctl.errors import LabctlError
from labctl.model.lab import DeviceFile, LabSpec, NodeKind, NodeSpec
from labctl.runtime import bundle, device_files, docker_container
from labctl.runtime.images import Image


def node(source, target="/dev/mine", access="rw", **more):
    return NodeSpec(name="r1", devices=(DeviceFile(source=source, target=target, access=access),), **more)


def test_a_link_to_a_device_is_that_device(tmp_path):
    (tmp_path / "link").symlink_to("/dev/full")
    (found,) = device_files.of(node(str(tmp_path / "link")))
    assert (found.source, found.target, found.major, found.minor) == ("/dev/full", "/dev/mine", 1, 7)
    assert found.mode == os.stat("/dev/full").st_mode & 0o7777
    assert device_files.rules([node("/dev/full")]) == ("c 1:7 rw",)
    assert device_files.of(node("/dev/full", kind=NodeKind.BRIDGE)) == ()


@pytest.mark.parametrize(
    ("source", "code"),
    [("/dev/absent", "file-not-found"), ("/dev/tty", "unsupported"), ("/dev", "unsupported"), ("/etc/passwd", "unsupported")],
)  # fmt: skip
def test_what_is_not_there_and_what_is_the_machines_is_refused(source, code):
    with pytest.raises(LabctlError) as caught:
        device_files.find(node(source), node(source).devices[0])
    assert caught.value.code == code


def asked(spec, tun):
    """The device files of a node on both runtimes, as (place, number or source, what it may do with it)."""
    lab, image, found = (
        LabSpec(name="x", nodes=(spec,)),
        Image(ref="x", digest="0", rootfs="/"),
        device_files.of(spec),
    )
    runc = bundle.config(
        lab, spec, image, who=bundle.User(), rootfs="/r", netns="/n", cgroup="g", nofile=1, tun=tun, held=0,
        devices=found,
    )["linux"]  # fmt: skip
    docker = docker_container.body(
        lab, spec, image, reference="x", who=bundle.User(), program="p", home="/h", netns="/n", gate="/g",
        cgroup_parent="", tag="t", owner="o", nofile=1, held=0, tun=tun, devices=found,
    )["HostConfig"]["Devices"]  # fmt: skip
    allowed = [
        f"{each['major']}:{each['minor']} {each['access']}"
        for each in runc["resources"]["devices"]
        if each.get("minor") is not None
    ]
    return (
        [(each["path"], each["major"], each["minor"]) for each in runc["devices"]],
        allowed,
        [(each["PathInContainer"], each["PathOnHost"], each["CgroupPermissions"]) for each in docker],
    )  # fmt: skip


def test_both_runtimes_are_asked_for_the_same():
    files, allowed, docker = asked(node("/dev/full", "/dev/filled", "r"), tun=True)
    assert files == [("/dev/net/tun", 10, 200), ("/dev/filled", 1, 7)]
    assert allowed[-1] == "1:7 r"
    assert docker == [("/dev/net/tun", "/dev/net/tun", "rwm"), ("/dev/filled", "/dev/full", "r")]


def test_what_is_asked_for_takes_the_place_of_what_every_node_has():
    files, _, docker = asked(node("/dev/null", "/dev/net/tun", "rw"), tun=True)
    assert files == [("/dev/net/tun", 1, 3)]
    assert docker == [("/dev/net/tun", "/dev/null", "rw")]
