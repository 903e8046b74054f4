"""The gate for packet filters: an image that does not load them, a script that nft does not take."""

import os
import shutil

import pytest

from labctl.errors import LabctlError, Span
from labctl.runtime.images import Image, ImageStore
from labctl.runtime.packets_check import check_packets
from labctl.runtime.store import Instance

GOOD = "table ip labctl-packets {\n  chain forward {\n    type filter hook forward priority 0;\n  }\n}\n"
LOADER = ("usr/sbin/nft", "usr/lib/labctl/start.d/05-packets")


def image(root, ref="labctl/frr", has=()):
    for path in has:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return Image(ref=ref, digest="0", rootfs=str(root))


def refusal(script, of):
    with pytest.raises(LabctlError) as caught:
        check_packets("r1", script, of, where=Span("dc1.clab.yml", 4))
    assert caught.value.code == "filters-not-loaded"
    assert str(caught.value.where) == "dc1.clab.yml:4"
    return caught.value


@pytest.mark.parametrize("missing", LOADER)
def test_an_image_of_before_is_made_anew(tmp_path, missing):
    found = refusal(GOOD, image(tmp_path, has=[p for p in LOADER if p != missing]))
    assert f"image 'labctl/frr' has no /{missing}" in found.message
    assert found.hint == "make images"


def test_other_images_cannot_be_made_to_load_them(tmp_path):
    assert "labctl/frr" in refusal(GOOD, image(tmp_path, ref="example/router:1")).hint
    assert "labctl/frr" in refusal(GOOD, image(tmp_path, ref="labctl/host")).hint


@pytest.mark.root
def test_the_nft_of_the_image_judges_and_nothing_is_left():
    ours = ImageStore(Instance.here(os.environ.get("LABCTL_TEST_STATE"))).find("labctl/frr")
    if ours is None or shutil.which("unshare") is None:
        pytest.skip("no image labctl/frr here (make images)")
    namespaces = os.readlink("/proc/self/ns/net")
    check_packets("r1", GOOD, ours)
    found = refusal(GOOD.replace("hook forward", "hook nowhere"), ours)
    assert "nft does not load them: line 3:" in found.message
    assert os.readlink("/proc/self/ns/net") == namespaces
    assert os.listdir(os.path.join(ours.rootfs, "mnt")) == []
    with open("/proc/self/mounts", encoding="utf-8") as file:
        assert not any(f" {ours.rootfs}/" in line for line in file)
