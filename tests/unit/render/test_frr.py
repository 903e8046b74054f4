"""The FRR renderer: what it writes, the parser reads back to the same model, and FRR accepts every line of it."""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest
from config_strategies import KEYS, configs
from hypothesis import HealthCheck, given, settings

from labctl.ingest.frr import parse
from labctl.ingest.redact import Redactor
from labctl.model.account import LineClass
from labctl.render.frr import render_daemons, render_frr

SOAK = os.environ.get("LABCTL_SOAK") == "1"
SLOW = settings(
    max_examples=2000 if SOAK else 100,
    derandomize=not SOAK,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def read(text):
    return parse(text, file="frr.conf", device="d", redactor=Redactor(KEYS))


@SLOW
@given(configs())
def test_parse_is_the_inverse_of_render(config):
    text = render_frr(config)
    found = read(text)
    lost = found.account.of(LineClass.UNKNOWN, LineClass.UNSUPPORTED)
    assert [line.text for line in lost] == []
    assert found.config == config
    assert render_frr(found.config) == text


@settings(SLOW, max_examples=300 if SOAK else 25)
@given(configs())
@pytest.mark.skipif(shutil.which("vtysh") is None, reason="needs vtysh (apt-get install frr)")
def test_frr_accepts_every_line(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("frr") / "frr.conf"
    path.write_text(render_frr(config))
    done = subprocess.run(["vtysh", "-C", "-f", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), path.read_text()


def test_daemons_are_those_that_the_configuration_needs():
    text = render_daemons(read("router ospf\n ospf router-id 1.1.1.1\n").config)
    assert [line for line in text.splitlines() if "_options" not in line] == [
        "bgpd=no",
        "ospfd=yes",
        "isisd=no",
        "bfdd=no",
        "vrrpd=no",
        "watchfrr_enable=no",
        "vtysh_enable=yes",
    ]
    bfd = read("interface eth1\n ip ospf bfd\nrouter ospf\nrouter bgp 65001\n").config
    assert "bfdd=yes\n" in render_daemons(bfd)
    assert "bgpd=yes\n" in render_daemons(bfd)


def test_no_line_break_gets_out_of_a_description():
    config = read("interface eth1\n description x\n").config
    (port,) = config.interfaces
    broken = replace(config, interfaces=(replace(port, description="x\n!\nrouter bgp 1\n"),))
    assert " description x ! router bgp 1\n" in render_frr(broken)
    assert read(render_frr(broken)).config.bgp is None
