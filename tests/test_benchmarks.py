"""Every benchmark can be loaded: what it takes from the tests and from labctl is there. What it measures is for `make bench`."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("[a-z]*.py")))
def test_a_benchmark_loads(name):
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}; {name}.__doc__.strip()"],
        cwd=BENCHMARKS, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
