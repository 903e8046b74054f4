"""Every flag is also an environment variable, named after the flag and not after the code behind it.

A flag that means the same everywhere has one variable (`LABCTL_FORMAT`), one of a single verb carries its name
(`LABCTL_DEPLOY_IMAGE`). docs/cli.md lists them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from typer.core import TyperGroup

#: The flags that mean the same in every verb.
SHARED = frozenset({"lab", "format", "out", "dry-run", "seed", "runtime", "yes"})


class Verbs(TyperGroup):
    """The group of all verbs, in `order`; gives each option its variable."""

    order: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.order:  # typer puts groups (`fault`) after commands
            self.commands = {name: self.commands[name] for name in self.order if name in self.commands}
        _name_variables(self, ())


def _name_variables(group: Any, path: tuple[str, ...]) -> None:
    for verb, command in group.commands.items():
        for option in command.params:
            if option.param_type_name == "option" and not option.envvar:
                option.envvar = variable("-".join((*path, verb)), option.opts)
        if hasattr(command, "commands"):  # `fault add`
            _name_variables(command, (*path, verb))


def variable(verb: str, flags: list[str]) -> str:
    """`deploy`, `["--dry-run"]` -> `LABCTL_DRY_RUN`."""
    flag = max(flags, key=len).lstrip("-")
    words = (flag,) if flag in SHARED else (verb, flag)
    return "_".join(("LABCTL", *words)).upper().replace("-", "_")
