"""Where output cannot go: that is the machine's fault, said in a line, and no bug of labctl."""

import os
import subprocess
import sys

import pytest

from labctl.cli import out
from labctl.errors import LabctlError

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


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_the_number_of_a_closed_stream_is_given_to_nothing_else(tmp_path, closed):
    """Else what a helper prints would be written into the lock of a lab, or a capture into its socket."""
    note = tmp_path / "note"
    probe = (
        "import contextlib, os, sys\n"
        "from labctl.cli.main import run\n"
        "with contextlib.suppress(SystemExit):\n"
        "    run(['schema'])\n"
        f"number = os.open({str(note)!r}, os.O_CREAT | os.O_WRONLY)\n"
        "os.write(number, str(number).encode())\n"
    )

    def close():
        for number in closed:
            os.close(number)

    subprocess.run([sys.executable, "-c", probe], check=True, stdin=subprocess.DEVNULL, preexec_fn=close)
    assert int(note.read_text()) > 2


def test_bytes_for_a_closed_stdout_are_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(LabctlError, match="stdout is closed") as caught:
        out.binary()
    assert caught.value.code == "cannot-write"
