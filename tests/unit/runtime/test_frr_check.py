"""The gate: FRR reads every rendered file and names the lines that it does not take."""

import os
import shutil

import pytest

from labctl.errors import LabctlError
from labctl.runtime.frr_check import check_frr, judge
from labctl.runtime.images import Image, ImageStore
from labctl.runtime.store import Instance

needs_vtysh = pytest.mark.skipif(shutil.which("vtysh") is None, reason="needs vtysh (apt-get install frr)")
GOOD = "hostname r1\ninterface eth1\n ip address 10.0.0.1/24\nexit\n"
BAD = "hostname r2\ninterface eth1\n ip adress 10.0.0.1/24\n ip ospf cost none\nexit\n"


def problems(image):
    with pytest.raises(LabctlError) as caught:
        check_frr({"lab/r1/frr.conf": GOOD, "lab/r2/frr.conf": BAD}, image)
    return [(e.code, str(e.where)) for e in caught.value.each], caught.value.message


@needs_vtysh
def test_the_machines_own_vtysh():
    assert check_frr({"a": GOOD, "b": GOOD}, None) == shutil.which("vtysh")
    found, message = problems(None)
    assert found == [("frr-rejected", "lab/r2/frr.conf:3"), ("frr-rejected", "lab/r2/frr.conf:4")]
    assert "does not take `ip adress 10.0.0.1/24`: unknown command" in message


@needs_vtysh
def test_rejections_count_also_where_vtysh_is_content_at_its_end():
    """Seen: lines below one that was not taken are rejected, and the exit status is 0."""
    with pytest.raises(LabctlError) as caught:
        check_frr({"a": "route-map A permit 65536\n match tag 5\nexit\nroute-map B permit 10\nexit\n"}, None)
    assert str(caught.value.each[0].where) == "a:1"


@pytest.fixture
def frr_image():
    image = ImageStore(Instance.here(os.environ.get("LABCTL_TEST_STATE"))).find("labctl/frr")
    return image or pytest.skip("no image labctl/frr here (make images)")


@pytest.mark.root
def test_the_frr_of_the_image(frr_image):
    assert check_frr({"a": GOOD}, frr_image) == "image labctl/frr"
    found, _ = problems(frr_image)
    assert found == [("frr-rejected", "lab/r2/frr.conf:3"), ("frr-rejected", "lab/r2/frr.conf:4")]
    assert _mounts_in(frr_image.rootfs) == []
    assert os.listdir(os.path.join(frr_image.rootfs, "mnt")) == []


def _mounts_in(root):
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return [line for line in file if line.split()[1].startswith(f"{root}/")]


@pytest.mark.root
def test_an_image_that_cannot_check_is_said_and_not_passed_over(tmp_path):
    root = tmp_path / "rootfs"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/vtysh").write_text("not a program")
    with pytest.raises(LabctlError) as caught:
        check_frr({"a": GOOD}, Image(ref="labctl/frr", digest="0", rootfs=str(root)))
    assert caught.value.code == "frr-rejected"
    assert "could not check" in caught.value.message


def test_nobody_can_check(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_more: None)
    assert judge(None) == ""
    assert check_frr({"a": GOOD}, None) == ""


@needs_vtysh
def test_an_image_without_frr_leaves_it_to_the_machine(tmp_path):
    assert judge(Image(ref="labctl/host", digest="0", rootfs=str(tmp_path))) == shutil.which("vtysh")
