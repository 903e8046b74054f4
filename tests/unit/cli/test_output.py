"""Where output cannot go: that is the machine's fault, said in a line, and no bug of labctl."""

import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "labctl", "schema", "snapshot"]


def test_a_full_disk_is_said_and_no_bug():
    with open("/dev/full", "w") as full:
        done = subprocess.run(COMMAND, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 6
    assert done.stderr == (
        "error: cannot-write\n  cannot write what was asked for: no space left on device\n"
        "hint: make room on that file system, then repeat\n"
    )


@pytest.mark.parametrize(("reader", "read"), [("head -1", "{\n"), ("exec <&-; sleep 1", "")])
def test_a_reader_that_has_seen_enough_is_no_error(reader, read):
    done = subprocess.run(
        ["bash", "-c", f'"$@" | ({reader}); echo "${{PIPESTATUS[0]}}"', "bash", *COMMAND],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (f"{read}0\n", "")
