"""Each error, as a user meets it: the command is run, and its text and exit status are compared (tests/errors)."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.cli import main
from labctl.errors import CODES, Exit

HERE = Path(__file__).parent / "errors"
ROOT = Path(__file__).parents[1]
STATE = os.environ.get("LABCTL_STATE", "/var/lib/labctl")
IMAGES = os.environ.get("LABCTL_IMAGES") or os.path.join(STATE, "images")
UPDATE = os.environ.get("LABCTL_UPDATE_GOLDENS") == "1"


def stem_of(path):
    return path.name.split(".")[0]


def code_of(stem):
    """The longest code that the stem starts with."""
    codes = [code for code in CODES if stem == code or stem.startswith(f"{code}-")]
    return max(codes, key=len, default=None)


INPUTS = sorted(p for p in HERE.iterdir() if p.suffix not in {".txt", ".md"})
RUN = [p for p in INPUTS if p.suffix in {".yml", ".yaml", ".sh"}]
ELSEWHERE = sorted({stem_of(p) for p in INPUTS} - {stem_of(p) for p in RUN})


@pytest.mark.parametrize("path", RUN, ids=stem_of)
def test_the_text_of_an_error(path, tmp_path, monkeypatch, capfd):
    run = run_script if path.suffix == ".sh" else run_in_process
    status, text = run(path, tmp_path, monkeypatch, capfd)
    golden = HERE / f"{stem_of(path)}.txt"
    if UPDATE:
        golden.write_text(text)
    assert text == golden.read_text()
    assert status == CODES[code_of(stem_of(path))][0]
    assert f"error: {code_of(stem_of(path))}\n" in text


def run_in_process(path, tmp_path, monkeypatch, capfd):
    first = path.read_text().partition("\n")[0]
    words = (
        first.removeprefix("# labctl: ").split() if first.startswith("# labctl: ") else ["validate", "FILE"]
    )
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        main.run([path.name if word == "FILE" else word for word in words])
    return stop.value.code, capfd.readouterr().err


def run_script(path, tmp_path, monkeypatch, capfd):
    needs(path)
    work = tmp_path / "work"
    work.mkdir()
    environment = os.environ | {
        "LABCTL_STATE": str(tmp_path / "state"),
        "LABCTL_IMAGES": IMAGES,
        "HERE": str(HERE),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "TMPDIR": str(work),
    }
    done = subprocess.run(
        ["bash", "-eu", str(path)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    text = done.stderr.replace(str(work), "$DIR").replace(str(tmp_path), "$DIR")
    text = re.sub(r"(?m)^warning: lab \S+: in a container .*\n", "", text)  # `make bare` runs us in one
    return done.returncode, re.sub(r"labctl-bug-\w+", "labctl-bug-XXXXXXXX", text)


def needs(path):
    """Skip, saying so, what this machine cannot run."""
    for need in re.findall(r"^# needs: (.+)$", path.read_text(), re.MULTILINE):
        if need == "root":
            if os.geteuid() != 0:
                pytest.skip("needs root")
        elif need == "images":
            if not os.path.isdir(os.path.join(IMAGES, "refs")):
                pytest.skip(f"needs the images of `make images` (none in {IMAGES})")
        elif shutil.which(need) is None:
            pytest.skip(f"needs {need}")


def test_every_text_has_an_input_and_every_input_a_text():
    texts = {stem_of(p) for p in HERE.glob("*.txt")}
    assert texts == {stem_of(p) for p in INPUTS}


def test_every_file_is_named_after_a_code():
    assert [p.name for p in INPUTS if code_of(stem_of(p)) is None] == []


@pytest.mark.parametrize("stem", ELSEWHERE)
def test_what_is_not_run_here_is_run_elsewhere(stem):
    tests = [p for p in (ROOT / "tests").rglob("test_*.py") if p != Path(__file__)]
    assert any(f'"{stem}' in p.read_text() for p in tests), f"no test names {stem}"


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_text(code):
    assert code in {code_of(stem_of(p)) for p in INPUTS}


def test_codes_are_sorted_and_well_formed():
    assert list(CODES) == sorted(CODES)
    for code, (status, text) in CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert status not in (Exit.PASS, Exit.FAIL, Exit.INTERRUPTED)
        assert text.endswith(".")
