"""The reference pages say what the code does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_reference_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_verb_flag_and_key_is_in_them():
    """Of what the pages are made from, nothing is left out by the way they are made."""
    import typer.main

    from labctl.cli.main import VERBS, program
    from labctl.schema import clab_keys

    cli = (ROOT / "docs" / "cli.md").read_text()
    commands = typer.main.get_command(program()).commands
    assert list(commands) == list(VERBS)
    for verb, command in commands.items():
        assert command.help, f"{verb} has no help"
        assert f"\n## labctl {verb}\n" in cli
        for param in command.params:
            assert param.help, f"{verb} {param.name} has no help"
            assert all(option in cli for option in param.opts if option.startswith("-"))
    labfile = (ROOT / "docs" / "labfile.md").read_text()
    for table in (clab_keys.TOP, clab_keys.MGMT, clab_keys.NODE, clab_keys.BRIEF, clab_keys.END):
        assert all(f"| `{key}` |" in labfile for key in table)


def test_yaml_in_the_pages_is_read_by_labctl(tmp_path):
    """Every lab file that a page shows is valid; the examples of errors have tests of their own."""
    import re

    from labctl.app.validate import validate

    pages = [p for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if p.name != "errors.md"]
    for page in pages:
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)):
            if "topology:" in block or "kind: snapshot" in block:
                path = tmp_path / f"{page.stem}-{number}.yml"
                path.write_text(block)
                assert validate([str(path)])[0].errors == (), f"{page.name}, block {number}"
