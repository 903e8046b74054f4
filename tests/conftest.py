"""What every test may rely on: markers that say why they skip, and one printed seed."""

import os
import signal

import dockerd
import hypothesis
import pytest
import soaking
import umlkernel

#: `LABCTL_TEST_SEED=7 make test` repeats a run; without it the sample is the same every time.
SEED = int(os.environ.get("LABCTL_TEST_SEED", "20261120"))
SOAK = os.environ.get("LABCTL_SOAK") == "1"


# A busy machine is no failure.
hypothesis.settings.register_profile("labctl", deadline=None)
hypothesis.settings.load_profile("labctl")


#: No test speaks to an engine of the machine, nor finds one by chance; those that want one bring their own.
os.environ["DOCKER_HOST"] = "unix:///nonexistent/docker.sock"


def pytest_configure(config):
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # started with `&`: children would inherit deaf ears
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # labs and engines go also then
    if SOAK:
        config.pluginmanager.register(soaking.Resume(SEED), "soak-resume")


def pytest_report_header():
    return f"labctl: seed {SEED} (LABCTL_TEST_SEED), soak {'on' if SOAK else 'off'} (LABCTL_SOAK=1)"


def pytest_collection_modifyitems(items):
    no_kernel = umlkernel.missing()
    for item in items:
        if _on(item) == "docker" and not item.get_closest_marker("both"):
            item.add_marker(pytest.mark.soak)
        if item.get_closest_marker("uml") and no_kernel:
            item.add_marker(pytest.mark.skip(reason=no_kernel))
        if item.get_closest_marker("docker") and dockerd.missing():
            item.add_marker(pytest.mark.skip(reason=f"Docker: {dockerd.missing()}"))
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("soak") and not SOAK:
            item.add_marker(pytest.mark.skip(reason="a long suite: `make soak` runs it"))


def _on(item):
    """The runtime that a test of several runs on; None if it has no choice."""
    return getattr(item, "callspec", None) and item.callspec.params.get("kind")


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of several processes: the first one prints
        session.config.workeroutput["figures"] = soaking.FIGURES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    soaking.FIGURES.extend(getattr(node, "workeroutput", {}).get("figures", ()))


def pytest_terminal_summary(terminalreporter):
    for line in soaking.FIGURES:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def seed():
    return SEED


@pytest.fixture(scope="session", name="dockerd")
def own_dockerd():
    """A Docker engine of our own, for tests that are marked so."""
    with dockerd.Dockerd() as engine:
        yield engine


@pytest.fixture(scope="module", params=["runc", pytest.param("docker", marks=pytest.mark.docker)])
def kind(request):
    """The runtime that a module's labs are on: each test once on each. DOCKER_HOST names an engine of our own.

    On Docker only `make soak` runs them all, `make test` those that are marked `both`.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "docker":
            patch.setenv("DOCKER_HOST", request.getfixturevalue("dockerd").url)
        yield request.param
