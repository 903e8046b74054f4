"""References, Dockerfiles and records; building for real is in tests/system/test_images.py."""

import json

import pytest

from labctl.app.images import shipped
from labctl.errors import LabctlError
from labctl.runtime import images
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv("LABCTL_IMAGES", raising=False)
    return ImageStore(Instance(root=str(tmp_path), boot="b"))


@pytest.mark.parametrize(
    ("ref", "full"),
    [
        ("labctl/frr", "localhost/labctl/frr:latest"),
        ("labctl/frr:9", "localhost/labctl/frr:9"),
        ("debian:bookworm-slim", "docker.io/library/debian:bookworm-slim"),
        ("frrouting/frr", "docker.io/frrouting/frr:latest"),
        ("quay.io/frrouting/frr:10.2.1", "quay.io/frrouting/frr:10.2.1"),
        ("registry:5000/a/b", "registry:5000/a/b:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("a/b@sha256:00ff", "docker.io/a/b@sha256:00ff"),
    ],
)
def test_a_reference_has_one_full_form(ref, full):
    assert images.normal(ref) == full
    assert images.normal(full) == full


def test_only_labctls_own_images_are_its_own():
    assert images.own("labctl/frr")
    assert images.own("localhost/labctl/frr:latest")
    assert not images.own("example.org/labctl/frr")


def test_a_dockerfile_names_its_parents_without_its_own_stages(tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "FROM --platform=linux/amd64 debian:12 AS build\nRUN true\nFROM labctl/base\nCOPY --from=build /a /a\n"
        "from scratch\nFROM build\n"
    )
    assert images.parents(str(tmp_path)) == ("debian:12", "labctl/base")


def test_a_directory_without_dockerfile_is_an_error(tmp_path):
    with pytest.raises(LabctlError) as caught:
        images.parents(str(tmp_path))
    assert caught.value.code == "file-not-found"
    assert str(tmp_path / "Dockerfile") in caught.value.message


def test_an_image_that_is_not_here_names_the_fix(store):
    with pytest.raises(LabctlError) as own:
        store.resolve("labctl/frr")
    assert (own.value.code, own.value.hint) == ("image-not-found", "run `make images`")
    with pytest.raises(LabctlError) as foreign:
        store.resolve("quay.io/x/y:1")
    assert "deploy" in str(foreign.value.hint)


def test_a_mistyped_image_of_labctls_names_the_right_one(store):
    with pytest.raises(LabctlError) as caught:
        store.resolve("labctl/ffr")
    assert caught.value.hint == "did you mean `labctl/frr`?"


def test_what_is_shipped_is_what_is_known():
    assert tuple(shipped()) == images.OWN


def test_a_record_whose_root_file_system_is_gone_is_no_image(store, tmp_path):
    refs = tmp_path / "images" / "refs"
    refs.mkdir(parents=True)
    image = {
        "ref": "x/y",
        "digest": "d1",
        "rootfs": "",
        "cmd": ["a"],
        "entrypoint": [],
        "env": [["A", "b=c"]],
    }
    image |= {"workdir": "/", "user": ""}
    file = refs / "docker.io%2Fx%2Fy%3Alatest.json"
    file.write_text(json.dumps({"version": 1, "key": "k", "image": image}))
    assert store.find("x/y") is None
    assert store.refs() == ()

    (tmp_path / "images" / "d1" / "rootfs").mkdir(parents=True)
    assert store.refs() == ("x/y",)
    found = store.resolve("x/y")
    assert found.rootfs == str(tmp_path / "images" / "d1" / "rootfs")
    assert found.cmd == ("a",)
    assert found.env == (("A", "b=c"),)


def test_labctl_images_moves_the_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("LABCTL_IMAGES", str(tmp_path / "shared"))
    assert ImageStore(Instance(root="/nowhere", boot="b")).root == str(tmp_path / "shared")
