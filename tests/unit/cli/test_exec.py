"""Whose flag it is."""

import pytest

from labctl.cli.exec import refuse_flags_of_the_command
from labctl.errors import LabctlError


@pytest.mark.parametrize(
    "line",
    [
        "r1 -- sh -c true",
        "r1 hostname",
        "-l dc1 r1 ip route",
        "r1 --lab dc1 -- ls -l",
        "r1 -l dc1 hostname",
        "r1 hostname --lab dc1",
        "r1 cat -",
        "--help",
        "",
        "-l",
    ],
)
def test_lines_that_can_be_read_in_one_way(line):
    refuse_flags_of_the_command(line.split())


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        (["r1", "sh", "-c", "ip route"], "labctl exec r1 -- sh -c 'ip route'"),
        (["-l", "dc1", "r1", "ls", "-l", "/tmp"], "labctl exec -l dc1 r1 -- ls -l /tmp"),
        (["r1", "--lab=dc1", "vtysh", "--help"], "labctl exec --lab=dc1 r1 -- vtysh --help"),
        (["r1", "sh", "-h", "--", "x"], "labctl exec r1 -- sh -h"),
    ],
)
def test_a_flag_of_the_command_is_refused_with_what_to_type(line, typed):
    with pytest.raises(LabctlError) as stop:
        refuse_flags_of_the_command(line)
    assert stop.value.code == "bad-option"
    assert f"`{typed}`" in str(stop.value.hint)
