"""The second kernel itself: what it has, and that it cannot touch the machine."""

import json
import os
import sys

import pytest
import umlkernel

pytestmark = pytest.mark.uml


def test_it_has_what_the_machine_may_lack():
    ended = umlkernel.run(sys.executable, "-m", "labctl", "doctor", "--format", "json")
    found = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert {name: c["said"] for name, c in found.items() if c["needed"] and not c["ok"]} == {}
    assert ended.code == 0
    assert found["netem"]["ok"]
    assert found["tbf"]["ok"]
    assert found["control groups"]["said"] == "version 2"


def test_it_writes_nothing_on_the_machine_and_is_a_boot_of_its_own():
    script = "touch tests/uml/written; cat /proc/sys/kernel/random/boot_id; exit 7"
    ended = umlkernel.run("sh", "-c", script)
    assert ended.code == 7
    assert "Read-only file system" in ended.stderr
    assert not os.path.exists(os.path.join(umlkernel.HERE, "written"))
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        assert ended.stdout != file.read()


def test_it_runs_tests_and_hands_back_their_verdict():
    ended = umlkernel.run_pytest("tests/unit/linux/test_trial.py", "tests/uml", "-k", "not hangs")
    assert ended.code == 0, ended.stdout + ended.stderr
    assert "this is the second kernel" in ended.stdout, "no kernel in a kernel"
    none = umlkernel.run_pytest("tests/unit/linux/test_trial.py", "-k", "there_is_none")
    assert none.code == 5


#: Suites that must hold on this kernel too, control groups version 2 above all. `make test` runs the contract of the
#: runtimes on runc; `make soak` on Docker as well (an engine of its own in there, which takes minutes on this kernel), and more.
SUITES = {
    "runc": ("runtimes limits", ("-m", "not docker"), ()),
    "docker": ("runtimes limits", ("-m", "docker"), (pytest.mark.docker, pytest.mark.soak)),
    "what runs and heals": (
        "panel tagging restart heal node_images",
        ("-m", "not docker"),
        (pytest.mark.soak,),
    ),
}


@pytest.mark.parametrize(
    ("files", "options"),
    [pytest.param(files, options, id=name, marks=marks) for name, (files, options, marks) in SUITES.items()],
)
def test_labs_run_on_this_kernel_too(files, options):
    if not os.path.isdir(os.path.join(umlkernel.images_directory(), "refs")):
        pytest.skip(f"needs the images of `make images` (none in {umlkernel.images_directory()})")
    ended = umlkernel.run_pytest(*(f"tests/system/test_{name}.py" for name in files.split()), *options)
    assert ended.code == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout


def test_one_that_hangs_is_ended_with_all_its_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(umlkernel.BootFailed, match="no end of sleep 600 within 6 s"):
        umlkernel.run("sleep", "600", timeout_s=6.0)
    assert [pid for pid in os.listdir("/proc") if pid.isdecimal() and str(tmp_path) in command(pid)] == []
    assert os.listdir(tmp_path) == []


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
