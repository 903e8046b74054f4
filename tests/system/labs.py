"""A deployed lab for tests: real containers, a state directory of its own, the images of `make images`."""

import contextlib
import itertools
import os
import subprocess
import sys
import uuid

import leftovers
import pytest
from rig import until

from labctl.app import deploy
from labctl.model.lab import CableSpec, End, LabSpec, NodeSpec
from labctl.names import PortId
from labctl.run import destroy
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

IMAGE = "labctl/base"


def instance(root, monkeypatch, runtime="runc"):
    """An instance at `root` that shares the machine's images, and whose labs are of this runtime."""
    store = ImageStore(Instance.here())
    if store.find(IMAGE) is None:
        pytest.fail(f"image {IMAGE} is missing: run `make images` (`make test` does)")
    monkeypatch.setenv("LABCTL_IMAGES", store.root)
    monkeypatch.setenv("LABCTL_STATE", str(root))
    monkeypatch.setenv("LABCTL_RUNTIME", runtime)
    return Instance.here()


@contextlib.contextmanager
def own_instance(root, runtime):
    """An instance for a whole module, of which nothing is left in the end."""
    with pytest.MonkeyPatch.context() as patch:
        here = instance(root, patch, runtime)
        yield here
        nothing_left(here)


def nothing_left(here, specs=()):
    """Nothing of the instance is on the machine. Killed processes stay listed until the machine's init reaps them."""
    with contextlib.suppress(AssertionError):
        until(lambda: not leftovers.of(here, specs), "a clean machine", 20)
    assert leftovers.of(here, specs) == {}


def end(port, ipv4=None):
    """An end with a MAC that no other lab has: what is left of this one is told by it."""
    return End(port=PortId.parse(port), mac="02:1a:" + uuid.uuid4().bytes[:4].hex(":"), ipv4=ipv4)


def line(*nodes, name="line"):
    """Nodes in a row: `r1:eth2` to `r2:eth1` and so on, 10.1.N.1/30 to 10.1.N.2/30."""
    cables = tuple(
        CableSpec(
            a=end(f"{one.name}:eth2", f"10.1.{i}.1/30"),
            z=end(f"{other.name}:eth1", f"10.1.{i}.2/30"),
        )
        for i, (one, other) in enumerate(itertools.pairwise(nodes))
    )
    return LabSpec(name=name, nodes=nodes, cables=cables)


def node(name, **more):
    return NodeSpec(name=name, **({"image": IMAGE} | more))


def request():
    """What a deploy of a lab in memory is asked for with: the runtime of `instance`."""
    return deploy.Request(file="", runtime=os.environ.get("LABCTL_RUNTIME", "runc"))


@contextlib.contextmanager
def deployed(here, spec, emit=lambda _: None):
    """The lab, running; removed at the end."""
    plan = deploy.deploy_lab(spec, request(), here, emit)
    try:
        yield here.lab(spec.name)
    finally:
        if os.path.exists(here.lab(plan.lab.name).path):
            destroy.destroy(here.lab(plan.lab.name))


def labctl(*argv, check=True, **more):
    """The command line in a process of its own; with `check` its exit status is to be 0."""
    done = subprocess.run(
        [sys.executable, "-m", "labctl", *map(str, argv)],
        check=False, capture_output=True, text=True, timeout=300, **{"stdin": subprocess.DEVNULL} | more,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"labctl {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done
