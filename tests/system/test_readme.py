"""README's first ten minutes, run as written, in order, after the demo.

Every line of a `console` block that starts with `$ ` is run in a shell; it must succeed, unless it says `# exits N`.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import labs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


def commands():
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    for line in lines:
        command, _, expected = line.partition("# exits ")
        yield command.strip(), int(expected or 0)


def test_readme_names_the_two_commands():
    assert "make demo" in PAGE
    assert "make test" in PAGE
    assert len(list(commands())) >= 8


@pytest.mark.root
def test_the_first_ten_minutes_as_written(tmp_path_factory, monkeypatch):
    here = labs.instance(tmp_path_factory.mktemp("state"), monkeypatch)
    tmp_path = tmp_path_factory.mktemp("readme")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(command):
        return subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    try:
        demo = run("labctl demo")
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert demo.stdout.splitlines()[-1] == "PASS"
        (directory,) = (tmp_path / "reports").glob("demo-*")
        assert {"scenario.yml", "plan.json", "topology.svg"} <= {p.name for p in directory.iterdir()}
        whole = (directory / "report.html").read_bytes()
        found = json.loads((directory / "report.json").read_text())
        assert found["comparison"]["compared"] == found["comparison"]["equal"] > 200
        assert [phase["phase"] for phase in found["convergence"][:2]] == ["production", "shadow"]
        assert max(flow["lost"] for flow in found["flows"]) > 0
        assert run(f"labctl report {directory}").returncode == 0
        assert (directory / "report.html").read_bytes() == whole
        secrets = [
            (tmp_path / "topologies/demo-production/access" / n).read_text()
            for n in ("community", "auth", "priv")
        ]
        for command, expected in commands():
            done = run(command)
            assert done.returncode == expected, f"$ {command}\n{done.stdout}{done.stderr}"
        written = [p for p in tmp_path.rglob("*") if p.is_file() and "demo-production" not in p.parts]
        assert len(written) > 20
        for secret in [*secrets, "demo-ospf-key", "demo-peering-key"]:
            assert [p for p in written if secret.encode() in p.read_bytes()] == []
    finally:
        run("labctl destroy --all --yes")
    labs.nothing_left(here)
