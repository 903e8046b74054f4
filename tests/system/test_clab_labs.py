"""Public lab files with their own configurations (LABCTL_CORPUS), deployed as they are but for the images, and pinged
from end to end, on every runtime."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from labs import nothing_left, own_instance
from rig import until

from labctl.app import deploy
from labctl.run import destroy
from labctl.runtime.base import RUNTIMES

CORPUS = Path(os.environ.get("LABCTL_CORPUS", Path(__file__).parents[2] / "../shared/corpus")) / "clab"

pytestmark = [
    pytest.mark.root,
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS} (LABCTL_CORPUS)"),
]

LABS = [
    pytest.param(
        "srl-labs__containerlab/lab-examples/frr01/frr01.clab.yml",
        {"quay.io/frrouting/frr:10.5.1": "labctl/frr", "wbitt/network-multitool:3.22.2": "labctl/base"},
        [("PC1", "192.168.12.2"), ("PC2", "192.168.13.2"), ("PC3", "192.168.11.2")],
        id="frr01",
    ),
    pytest.param(
        "martimy__clab-bgp-frr/bgp-frr.clab.yml",
        {
            "quay.io/frrouting/frr:10.2.1": "labctl/frr",
            "wbitt/network-multitool:alpine-minimal": "labctl/base",
        },
        [("host11", "192.168.32.2"), ("host22", "192.168.12.2"), ("host31", "192.168.21.2")],
        id="clab-bgp-frr",
    ),
]


RUNS = [
    pytest.param(runtime, lab, marks=marks, id=f"{runtime}-{lab.id}")
    for runtime, lab, marks in (
        ("docker", LABS[1], [pytest.mark.docker]),
        ("docker", LABS[0], [pytest.mark.docker, pytest.mark.soak]),
        ("runc", LABS[1], []),
        ("runc", LABS[0], []),
    )
]


@contextlib.contextmanager
def running(root, lab, runtime):
    """Of a copy: daemons change the owners of what is bound into their node. Gives the place, and what is to reach what."""
    path, images, pings = lab.values
    directory = root / "lab"
    shutil.copytree((CORPUS / path).parent, directory)
    with own_instance(root / "state", runtime) as here:
        asked = deploy.Request(file=str(directory / Path(path).name), images=images, runtime=runtime)
        place = here.lab(deploy.deploy(asked, here).lab.name)
        spec = place.need().lab
        try:
            yield place, pings
        finally:
            destroy.destroy(place)
        nothing_left(here, [spec])


@pytest.fixture(scope="module", autouse=True)
def patient(request, tmp_path_factory):
    """The lab whose OSPF waits for 40 s: it does so while the others are tried, and is asked last."""
    if not any(item.name.endswith(f"[runc-{LABS[0].id}]") for item in request.session.items):
        yield None
        return
    with running(tmp_path_factory.mktemp("patient"), LABS[0], "runc") as found:
        yield found


@pytest.mark.parametrize(("runtime", "lab"), RUNS)
def test_a_public_lab_pings_from_end_to_end(request, patient, tmp_path, runtime, lab):
    with contextlib.ExitStack() as stack:
        if runtime == "docker":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("DOCKER_HOST", request.getfixturevalue("dockerd").url)
        found = patient if (runtime, lab) == ("runc", LABS[0]) else None
        place, pings = found or stack.enter_context(running(tmp_path, lab, runtime))
        record = place.need()
        nodes = RUNTIMES[record.runtime](place.instance)

        def reached(node, address):
            return nodes.exec(record.lab, node, ["ping", "-c1", "-W1", address]).code == 0

        for node, address in pings:
            until(lambda n=node, a=address: reached(n, a), f"{node} reaches {address}", 120)
