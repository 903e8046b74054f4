"""Every scenario of the library, played on the demo lab: a seeded sample in `make test`, all of them in `make soak`."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from labs import deployed, instance

from labctl.agent import client
from labctl.app import ready
from labctl.cli import main
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance
from labctl.schema import clab

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
LIBRARY = sorted(path.stem for path in (ROOT / "scenarios").glob("*.yml"))
SEED = int(os.environ.get("LABCTL_TEST_SEED", "20261120"))
SAMPLE = random.Random(SEED).sample(LIBRARY, 1)
SOAK = os.environ.get("LABCTL_SOAK") == "1"


def spec():
    """The production stand-in, without the access files that `labctl demo` makes for its management station."""
    found = clab.load(str(ROOT / "topologies" / "demo" / "production.clab.yml"))
    nodes = tuple(
        replace(n, binds=tuple(b for b in n.binds if "/access/" not in b.source)) for n in found.nodes
    )
    return replace(found, name="library", nodes=nodes)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        if ImageStore(Instance.here()).find("labctl/prod") is None:
            pytest.fail("image labctl/prod is missing: run `make images` (`make test` does)")
        here = instance(tmp_path_factory.mktemp("state"), patch)
        with deployed(here, spec()) as place:
            seen = ready.wait(place, timeout_s=180)
            assert seen.settled, list(ready.told(seen))
            yield place


@pytest.mark.parametrize(
    "name", [n if n in SAMPLE and not SOAK else pytest.param(n, marks=pytest.mark.soak) for n in LIBRARY]
)
def test_it_passes_and_leaves_nothing(lab, tmp_path, capsys, name):
    scenario = str(ROOT / "scenarios" / f"{name}.yml")
    with pytest.raises(SystemExit) as stop:
        main.run(["run", scenario, "-l", lab.name, "-o", str(tmp_path), "--seed", str(SEED)])
    said = capsys.readouterr().out.splitlines()
    assert (int(stop.value.code or 0), said[-1]) == (0, "PASS"), "\n".join(said)
    assert client.leases(lab) == []
    assert client.ask(lab, "status")["off_base"] == {}
