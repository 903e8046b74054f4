"""Every flag can be set from the environment, by a name that follows from the flag."""

import json

import pytest
import typer.main

from labctl.cli import main
from labctl.cli.variables import variable


@pytest.mark.parametrize(
    ("verb", "flags", "name"),
    [
        ("deploy", ["--runtime", "-r"], "LABCTL_RUNTIME"),
        ("deploy", ["--dry-run"], "LABCTL_DRY_RUN"),
        ("deploy", ["-x", "--image"], "LABCTL_DEPLOY_IMAGE"),
    ],
)
def test_names(verb, flags, name):
    assert variable(verb, flags) == name


def test_every_option_has_a_variable_of_its_own():
    commands = typer.main.get_command(main.program()).commands
    for verb, command in commands.items():
        names = [p.envvar for p in command.params if p.param_type_name == "option"]
        assert all(names), verb
        assert len(set(names)) == len(names), verb


def test_a_variable_sets_its_flag(monkeypatch, capsys):
    monkeypatch.setenv("LABCTL_FORMAT", "json")
    with pytest.raises(SystemExit):
        main.run(["schema"])
    assert json.loads(capsys.readouterr().out)["version"] == 1
