"""Every flag is also an environment variable, named after the flag and not after the code behind it.

A flag that means the same everywhere has one variable (`LABCTL_FORMAT`), one of a single verb carries its name
(`LABCTL_DEPLOY_IMAGE`). docs/cli.md lists them.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

#: The flags that mean the same in every verb.
SHARED = frozenset({"lab", "format", "out", "dry-run", "seed", "runtime", "yes"})


class Verbs(TyperGroup):
    """The group of all verbs; gives each option its variable."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for verb, command in self.commands.items():
            for option in command.params:
                if option.param_type_name == "option" and not option.envvar:
                    option.envvar = variable(verb, option.opts)


def variable(verb: str, flags: list[str]) -> str:
    """`deploy`, `["--dry-run"]` -> `LABCTL_DRY_RUN`."""
    flag = max(flags, key=len).lstrip("-")
    words = (flag,) if flag in SHARED else (verb, flag)
    return "_".join(("LABCTL", *words)).upper().replace("-", "_")
