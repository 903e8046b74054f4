"""Public lab files with their own configurations (LABCTL_CORPUS), deployed as they are but for the images, and pinged
from end to end."""

import os
import shutil
from pathlib import Path

import pytest
from labs import instance
from rig import until

from labctl.app import deploy
from labctl.run import destroy
from labctl.runtime.runc import RuncRuntime

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


@pytest.mark.parametrize(("path", "images", "pings"), LABS)
def test_a_public_lab_pings_from_end_to_end(tmp_path, monkeypatch, path, images, pings):
    """Of a copy: daemons change the owners of what is bound into their node."""
    here = instance(tmp_path / "state", monkeypatch)
    shutil.copytree((CORPUS / path).parent, tmp_path / "lab")
    file = tmp_path / "lab" / Path(path).name
    plan = deploy.deploy(deploy.Request(file=str(file), images=images), here)
    place = here.lab(plan.lab.name)
    try:
        runtime, lab = RuncRuntime(here), place.need().lab

        def reached(node, address):
            return runtime.exec(lab, node, ["ping", "-c1", "-W1", address]).code == 0

        for node, address in pings:
            until(lambda n=node, a=address: reached(n, a), f"{node} reaches {address}", 120)
    finally:
        destroy.destroy(place)
    assert here.labs() == []
