"""Public lab files with their own configurations (LABCTL_CORPUS), deployed as they are but for the images, and pinged
from end to end, on every runtime."""

import os
import shutil
from pathlib import Path

import pytest
from labs import instance, nothing_left
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


#: The first waits 40 s for OSPF; once in every run is enough of that.
RUNS = [
    pytest.param(runtime, *lab.values, marks=marks, id=f"{runtime}-{lab.id}")
    for runtime, lab, marks in (
        ("runc", LABS[0], []),
        ("runc", LABS[1], []),
        ("docker", LABS[0], [pytest.mark.docker, pytest.mark.soak]),
        ("docker", LABS[1], [pytest.mark.docker]),
    )
]


@pytest.fixture
def here(request, runtime, tmp_path, monkeypatch):
    if runtime == "docker":
        monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("dockerd").url)
    return instance(tmp_path / "state", monkeypatch, runtime)


@pytest.mark.parametrize(("runtime", "path", "images", "pings"), RUNS)
def test_a_public_lab_pings_from_end_to_end(here, runtime, path, images, pings):
    """Of a copy: daemons change the owners of what is bound into their node."""
    directory = Path(here.root).parent / "lab"
    shutil.copytree((CORPUS / path).parent, directory)
    file = directory / Path(path).name
    plan = deploy.deploy(deploy.Request(file=str(file), images=images, runtime=runtime), here)
    place = here.lab(plan.lab.name)
    try:
        record = place.need()
        nodes, lab = RUNTIMES[record.runtime](here), record.lab

        def reached(node, address):
            return nodes.exec(lab, node, ["ping", "-c1", "-W1", address]).code == 0

        for node, address in pings:
            until(lambda n=node, a=address: reached(n, a), f"{node} reaches {address}", 120)
    finally:
        destroy.destroy(place)
    nothing_left(here, [lab])
