"""`--help` imports nothing heavy: what a verb needs, it imports when it runs.

pydantic is typer's own: it converts every value of a command line with it, so `labctl --help` does without and
`labctl VERB --help` cannot.
"""

import subprocess
import sys

import pytest

from labctl.cli.main import VERBS
from labctl.errors import Exit

HEAVY = ("networkx", "paramiko", "pysnmp", "pyroute2", "jinja2", "yaml", "cryptography", "asyncio")
#: What the modules of the command line may import before a verb runs.
LIGHT = ("labctl.cli", "labctl.errors", "labctl.model", "labctl.model.event", "labctl.units", "labctl.names")
PROBE = """
import sys
from labctl.cli.main import run
try:
    run(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print(*sorted(sys.modules), file=sys.stderr)
"""


def modules_after(*argv, before=""):
    done = subprocess.run(
        [sys.executable, "-c", before + PROBE, *argv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return set(done.stderr.split())


def ours(modules):
    return {m for m in modules if m.startswith("labctl.") and not m.startswith("labctl.cli.")} - set(LIGHT)


def test_the_list_of_verbs_needs_no_pydantic():
    found = modules_after("--help")
    assert not found & {*HEAVY, "pydantic", "rich"}
    assert not ours(found)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_imports_nothing_heavy(verb):
    found = modules_after(verb, "--help")
    assert not found & set(HEAVY)
    assert not ours(found)


def test_the_probe_would_notice():
    assert "pydantic" in modules_after("--help", before="import pydantic\n")
    assert ours(modules_after("--help", before="import labctl.schema.clab\n"))


INTERRUPTED = """
import sys

class Hook:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Hook())
from labctl.__main__ import command
command()
"""


def test_who_interrupts_while_it_is_loaded_gets_no_traceback():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (Exit.INTERRUPTED, "", "interrupted\n")


LATE = """
import sys
from labctl.cli import main

def over():
    try:
        sys.exit(int(sys.argv[1]))
    finally:
        raise KeyboardInterrupt

main.run = over
main.command()
"""


@pytest.mark.parametrize("status", [0, 3])
def test_an_interrupt_when_all_is_over_changes_nothing(status):
    done = subprocess.run(
        [sys.executable, "-c", LATE, str(status)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (status, "")
