"""The commands that `doctor` names fit the machine they are named on."""

import pytest

from labctl.app import doctor_fixes


@pytest.mark.parametrize(
    ("installed", "fix"), [(True, "service docker start"), (False, "apt-get install docker.io")]
)
def test_an_engine_that_is_installed_is_started_not_installed_again(tmp_path, monkeypatch, installed, fix):
    monkeypatch.setenv("PATH", str(tmp_path))
    if installed:
        (tmp_path / "dockerd").write_text("#!/bin/sh\n")
        (tmp_path / "dockerd").chmod(0o755)
    assert doctor_fixes.engine() == fix
