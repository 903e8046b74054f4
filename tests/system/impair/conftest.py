"""What the conformance suite asked for, read back and measured, printed at the end."""

import pytest
from impair_field import cable

FIGURES = []


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
def record(request):
    """Note a figure: what was requested, what reads back, what was measured."""

    def note(backend, requested, found, measured):
        FIGURES.append((backend, str(requested), str(found), measured))

    return note


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section("impairments: requested, read back, measured")
        for backend, requested, found, measured in FIGURES:
            terminalreporter.line(f"{backend:7} {requested} | {found} | {measured}")
