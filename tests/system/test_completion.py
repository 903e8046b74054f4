"""Completion as real shells do it: bash with the script, on a terminal where it matters."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time

import pytest
from rig import lab, rig

from labctl.cli import complete, main
from labctl.faults.base import FAULTS

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A running lab, files at the usual places, and `labctl` on the PATH."""
    root = tmp_path_factory.mktemp("state")
    work = tmp_path_factory.mktemp("work")
    (work / "scenarios" / "campaigns").mkdir(parents=True)
    for name in ("scenarios/cut.yml", "scenarios/campaigns/night.yml", "dc1.clab.yml", "notes.txt"):
        (work / name).write_text("")
    (work / "bin").mkdir()
    script = work / "bin" / "labctl"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'labctl'\nfrom labctl.cli.main import run\nrun()\n"
    )
    script.chmod(0o755)
    with rig(root, lab(("r1:eth1", "r2:eth1"), ("r1:eth2", "sw:p1"), bridges=("sw",))) as running:
        running.release()
        yield (
            work,
            os.environ
            | {
                "LABCTL_STATE": str(root),
                "PATH": f"{work}/bin:{os.environ['PATH']}",
                "PS1": "$ ",
                "HISTFILE": "",
            },
        )


@pytest.fixture
def press_tab(environment):
    """What bash would put there, in front of what is typed already: the names."""
    work, env = environment

    def press(line):
        words = line.split()
        if line.endswith(" "):
            words.append("")
        script = f"""source <(labctl completion bash)
COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}
COMP_WORDS=({" ".join(map(shlex.quote, words))}) COMP_CWORD={len(words) - 1}
_labctl labctl {shlex.quote(words[-1])} {shlex.quote(words[-2])}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = subprocess.run(
            ["bash", "--norc", "-euc", script],
            cwd=work, env=env, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    return press


@pytest.fixture
def ask(environment, monkeypatch, capsys):
    """What labctl answers to a script that asks, without a shell."""
    work, env = environment
    monkeypatch.chdir(work)
    monkeypatch.setenv("LABCTL_STATE", env["LABCTL_STATE"])

    def names(line):
        words = line.split()
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - (not line.endswith(" "))))
        monkeypatch.setenv(main.COMPLETE, "complete_bash")
        with pytest.raises(SystemExit):
            main.run([])
        return capsys.readouterr().out.split()

    return names


def test_bash_takes_what_it_is_told(press_tab):
    assert press_tab("labctl exec ") == ["r1", "r2"]
    assert press_tab("labctl capture r1:eth1-") == ["eth1--r2:eth1"]
    assert press_tab("labctl logs -l other r") == []


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("labctl cap", ["capture"]),
        ("labctl fault ", ["add", "list", "clear", "kinds"]),
        ("labctl capture --sna", ["--snaplen"]),
        ("labctl capture --direction ", ["both", "out", "in"]),
        ("labctl inspect --lab ", ["rig"]),
        ("labctl destroy r", ["rig"]),
        ("labctl exec ", ["r1", "r2"]),
        ("labctl logs -l rig r", ["r1", "r2"]),
        ("labctl logs -l other r", []),
        ("labctl capture r1:eth1-", ["r1:eth1--r2:eth1"]),
        ("labctl capture r1:eth2", ["r1:eth2--sw:p1", "r1:eth2"]),
        ("labctl fault add link.d", ["link.degrade", "link.down"]),
        ("labctl fault add node.hang r", None),
        ("labctl run ", ["scenarios/cut.yml"]),
        ("labctl campaign ", ["scenarios/campaigns/night.yml"]),
        ("labctl deploy ", ["dc1.clab.yml"]),
        ("labctl deploy no", []),
        ("labctl schema fault-k", ["fault-kinds"]),
    ],
)
def test_what_can_stand_there(ask, line, names):
    if names is None:
        names = ["r1", "r2", "r1:eth1--r2:eth1", "r1:eth2--sw:p1", "r1:eth1", "r2:eth1", "r1:eth2"]
    assert ask(line) == names


def test_all_faults_are_there(ask):
    assert ask("labctl fault add ") == list(FAULTS)


def test_on_a_terminal(environment):
    """The colon is what breaks: readline takes it for the end of a word."""
    work, env = environment
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(work)
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], env)
    try:

        def expect(text):
            said, deadline = b"", time.monotonic() + 30
            while text.encode() not in said:
                assert time.monotonic() < deadline, said
                if select.select([terminal], [], [], 0.1)[0]:
                    said += os.read(terminal, 4096)

        expect("$ ")
        os.write(terminal, b"bind 'set bell-style none'; source <(labctl completion bash); echo rea''dy\n")
        expect("ready")
        os.write(terminal, b"echo labctl; labctl capture r2:\t")
        expect("capture r2:eth1 ")
        os.write(terminal, b"\x15labctl capture r1:eth1-\t")
        expect("capture r1:eth1--r2:eth1 ")
        os.write(terminal, b"\x15labctl deploy not\t")  # a path, which bash completes by itself
        expect("deploy notes.txt ")
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_take_their_script(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(complete.SCRIPTS[shell])
    subprocess.run([shell, "--no-execute", script], check=True)


def test_a_machine_without_labs_completes_quietly(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "none"))
    assert ask("labctl exec ") == []
    assert ask("labctl fault clear ") == []
