"""What the conformance suite asked for, read back and measured, printed at the end; and which points `make test` runs.

The suite is a product of backends and impairments. `make soak` runs all of it, `make test` the points that a hash of the
seed and of their names picks, so another seed runs others.
"""

import os
import zlib

import pytest
from conformance import EVERY_POINT
from impair_field import cable

FIGURES = []
_SAMPLED = ("test_conformance.py", "test_checksums.py")
_SHARE = 0.3
_ALWAYS = (
    "test_changing_a_live",
    "test_everything_at_once",
    "test_the_same_seed",
    "test_what_nothing_can_do",
)


def pytest_collection_modifyitems(items):
    if EVERY_POINT:
        return
    soak = os.environ.get("LABCTL_SOAK") == "1"
    seed = os.environ.get("LABCTL_TEST_SEED", "20261120")
    for item in items:
        if os.path.basename(item.path) not in _SAMPLED or os.path.dirname(item.path) != os.path.dirname(
            __file__
        ):
            continue
        chosen = item.name.startswith(_ALWAYS) or (
            zlib.crc32(f"{seed} {item.name}".encode()) / 2**32 < _SHARE
        )
        if soak or not chosen:
            item.add_marker(pytest.mark.soak)


@pytest.fixture
def made(tmp_path):
    with cable(tmp_path) as found:
        yield found


@pytest.fixture
def talking(tmp_path):
    """The same with IPv4 and IPv6 addresses on both ends."""
    with cable(tmp_path, addresses=True) as found:
        yield found


@pytest.fixture
def record():
    """Note a figure: what was requested, what reads back, what was measured."""

    def note(backend, requested, found, measured):
        FIGURES.append((backend, str(requested), str(found), measured))

    return note


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section("impairments: requested, read back, measured")
        for backend, requested, found, measured in FIGURES:
            terminalreporter.line(f"{backend:7} {requested} | {found} | {measured}")
