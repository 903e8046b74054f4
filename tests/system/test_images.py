"""Images built by the real buildah: once, whole or not at all, whoever builds and whenever it is killed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from rig import until

from labctl.errors import LabctlError, render
from labctl.linux import mounts
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(shutil.which("buildah") is None, reason="needs buildah"),
]

BUILD = """
import sys
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance
image = ImageStore(Instance(root=sys.argv[1], boot="b")).build(sys.argv[2], "test/hello", lambda e: print(e.kind, flush=True))
print(image.digest)
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv("LABCTL_IMAGES", raising=False)
    yield ImageStore(Instance(root=str(tmp_path / "state"), boot="b"))
    assert mounts.below(str(tmp_path)) == []


@pytest.fixture
def context(tmp_path):
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(
        'FROM scratch\nCOPY hello /bin/hello\nENV GREETING="good day"\nWORKDIR /srv\nUSER 7:8\n'
        'ENTRYPOINT ["/bin/hello"]\nCMD ["world"]\n'
    )
    (directory / "hello").write_bytes(os.urandom(1 << 20))
    (directory / "hello").chmod(0o755)
    return directory


def test_built_once_and_described(store, context):
    seen = []
    image = store.build(str(context), "test/hello", lambda event: seen.append(event.kind))
    assert seen == ["image-build", "image-unpack", "image-ready"]
    assert (image.entrypoint, image.cmd) == (("/bin/hello",), ("world",))
    assert ("GREETING", "good day") in image.env
    assert (image.workdir, image.user) == ("/srv", "7:8")
    with open(os.path.join(image.rootfs, "bin/hello"), "rb") as file:
        assert file.read() == (context / "hello").read_bytes()
    assert os.access(os.path.join(image.rootfs, "bin/hello"), os.X_OK)

    assert store.build(str(context), "test/hello", seen.append) == image == store.resolve("test/hello")
    assert len(seen) == 3

    (context / "hello").write_bytes(b"another")
    changed = store.build(str(context), "test/hello")
    assert changed.digest != image.digest


def digests(store):
    return {name for name in os.listdir(store.root) if len(name) == 64}


def storage(store):
    """Images that buildah keeps, also those without a name."""
    work = os.path.join(store.root, "work")
    places = ["--root", f"{work}/storage", "--runroot", f"{work}/run"]
    environment = os.environ | {"CONTAINERS_STORAGE_CONF": f"{work}/storage.conf"}
    argv = ["buildah", *places, "images", "--quiet", "--no-trunc"]
    return len(
        subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout.split()
    )


def rebuild(store, context, seen=None):
    (context / "hello").write_bytes(os.urandom(100))
    (context / "hello").chmod(0o755)
    return store.build(str(context), "test/hello", seen.append if seen is not None else lambda _: None)


def test_a_newer_build_removes_the_older_one(store, context, tmp_path):
    child = tmp_path / "child"
    child.mkdir()
    (child / "Dockerfile").write_text("FROM test/hello\nCOPY more /more\n")
    (child / "more").write_text("more")
    first = store.build(str(context), "test/hello")
    on_first = store.build(str(child), "test/child")
    seen = []
    second = rebuild(store, context, seen)
    assert digests(store) == {second.digest, on_first.digest}, "the child is a whole image of its own"
    assert [event.subject for event in seen if event.kind == "image-pruned"] == [first.digest]
    assert store.resolve("test/child").digest == on_first.digest
    on_second = store.build(str(child), "test/child")
    assert digests(store) == {second.digest, on_second.digest}
    assert storage(store) == 2, "buildah keeps none without a name"
    assert [event.text for event in seen if event.kind == "warning"] == []
    assert not [name for name in os.listdir(os.path.join(store.root, "work")) if name.startswith("unpack")]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["this mount namespace", "another"])
def test_an_image_that_somebody_stands_on_stays(store, context, tmp_path, elsewhere):
    first = store.build(str(context), "test/hello")
    target = tmp_path / "node"
    for name in ("upper", "work", "root"):
        (target / name).mkdir(parents=True)
    layers = f"lowerdir={first.rootfs},upperdir={target}/upper,workdir={target}/work"
    with tmpfs(target, layers, elsewhere):
        second = rebuild(store, context)
        assert digests(store) == {first.digest, second.digest}
        third = rebuild(store, context)
        assert digests(store) == {first.digest, third.digest}, "the second is free, the first is not"
    fourth = rebuild(store, context)
    assert digests(store) == {fourth.digest}


@contextlib.contextmanager
def tmpfs(target, layers, elsewhere):
    """An overlay with these layers, here or in a mount namespace that only its own process has."""
    mounts.mount("tmpfs", str(target), "tmpfs")
    for name in ("upper", "work", "root"):
        (target / name).mkdir(exist_ok=True)
    try:
        if elsewhere:
            script = f"mount -t overlay overlay -o {layers} {target}/root && echo mounted && exec sleep 300"
            argv = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script]
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
                try:
                    assert process.stdout.readline() == "mounted\n"
                    yield
                finally:
                    process.kill()
        else:
            mounts.mount("overlay", f"{target}/root", "overlay", data=layers)
            yield
    finally:
        mounts.unmount_below(str(target))


def test_nothing_is_removed_while_a_node_starts(store, context):
    first = store.build(str(context), "test/hello")
    (context / "hello").write_bytes(b"another")
    with store.standing():
        builder = start(store, context)
        until(lambda: store.resolve("test/hello").digest != first.digest, "the newer one is there", 60)
        assert os.path.isdir(first.rootfs)
        assert builder.poll() is None, "it waits to remove the older one"
    output = builder.communicate(timeout=60)[0]
    assert builder.returncode == 0
    assert "image-pruned" in output.split()
    assert not os.path.exists(first.rootfs)


def test_two_builders_make_one_image(store, context):
    builders = [start(store, context) for _ in range(2)]
    outputs = [builder.communicate(timeout=60)[0].split() for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert sum("image-build" in output for output in outputs) == 1
    assert outputs[0][-1] == outputs[1][-1] == store.resolve("test/hello").digest


@pytest.mark.parametrize("point", range(4))
def test_a_killed_builder_leaves_all_or_nothing(store, context, seed, point):
    builder = start(store, context)
    time.sleep(random.Random(f"{seed} {point}").uniform(0.1, 1.2))
    os.killpg(builder.pid, signal.SIGKILL)  # labctl and its buildah
    builder.communicate()
    found = store.find("test/hello")
    if found is not None:
        assert os.path.getsize(os.path.join(found.rootfs, "bin/hello")) == 1 << 20
    image = store.build(str(context), "test/hello")
    assert os.path.getsize(os.path.join(image.rootfs, "bin/hello")) == 1 << 20
    work = os.listdir(os.path.join(store.root, "work"))
    assert not [name for name in work if name.startswith("unpack")]


def test_a_builder_that_lost_its_labctl_keeps_the_lock(store, context):
    builder = start(store, context)
    assert builder.stdout.readline() == "image-build\n"
    builder.kill()  # labctl alone; buildah goes on
    builder.communicate()
    assert store.build(str(context), "test/hello").cmd == ("world",)


def test_a_dockerfile_that_fails_says_why_and_changes_nothing(store, context):
    (context / "Dockerfile").write_text("FROM scratch\nCOPY absent /\n")
    with pytest.raises(LabctlError) as caught:
        store.build(str(context), "test/hello")
    assert caught.value.code == "image-build-failed"
    assert "absent" in render(caught.value)
    assert store.refs() == ()


def test_without_buildah_the_hint_installs_it(store, context, monkeypatch):
    store.build(str(context), "test/hello")
    monkeypatch.setenv("PATH", "/nonexistent")
    (context / "hello").write_bytes(b"another")
    with pytest.raises(LabctlError) as caught:
        store.build(str(context), "test/hello")
    assert (caught.value.code, caught.value.hint) == ("tool-missing", "apt-get install buildah")
    assert store.find("test/hello"), "the old one stays"


def start(store, context):
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, os.path.dirname(store.root), str(context)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
