"""What can stand at the cursor: names of labs, nodes, cables, faults, files. Asked by the shell at every Tab.

So it is quick, changes nothing, and says nothing: where a name cannot be known (no lab, not root) there is none. Names of a
lab are read from its record as the JSON that it is.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import typer

#: Asks `labctl` itself, by typer's protocol: the words of the line, the number of the one that is completed, a name a line.
SCRIPTS = {
    "bash": r"""# labctl: completion for bash. Use it with: source <(labctl completion bash)
_labctl() {
    local line word cut cword
    local -a words
    line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<< "$line"
    cword=$((${#words[@]} - 1))
    word=${words[cword]}
    [[ $line != *[[:space:]] ]] || { word=; cword=$((cword + 1)); }
    mapfile -t COMPREPLY < <(COMP_WORDS=$line COMP_CWORD=$cword _LABCTL_COMPLETE=complete_bash "$1" 2> /dev/null)
    [[ -n ${COMPREPLY[*]} ]] || COMPREPLY=() # nothing of ours: bash completes a path
    # Readline takes what is behind a colon for a word of its own, and replaces only that.
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        cut=${word%"${word##*:}"}
        COMPREPLY=("${COMPREPLY[@]#"$cut"}")
    fi
}
complete -o default -F _labctl labctl
""",
    "zsh": r"""#compdef labctl
# labctl: completion for zsh. Use it with: source <(labctl completion zsh)
_labctl() {
    local -a found
    found=("${(@f)$(COMP_WORDS="${words[1,CURRENT]}" COMP_CWORD=$((CURRENT - 1)) \
        _LABCTL_COMPLETE=complete_bash ${words[1]} 2> /dev/null)}")
    if [[ -n ${found[1]} ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _labctl labctl
""",
    "fish": r"""# labctl: completion for fish. Use it with: labctl completion fish | source
function __labctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    COMP_WORDS="$words $current" COMP_CWORD=(count $words) _LABCTL_COMPLETE=complete_bash $words[1] 2> /dev/null
end
complete -c labctl -a '(__labctl_complete)'
""",
}

_Names = Callable[[typer.Context], Iterable[str]]


def _completer(names: _Names) -> Callable[[typer.Context, str], Sequence[str]]:
    """Those of the names that begin with what is typed; none if they cannot be had."""

    @functools.wraps(names)
    def complete(ctx: typer.Context, incomplete: str) -> Sequence[str]:
        with contextlib.suppress(Exception):
            return [name for name in dict.fromkeys(names(ctx)) if name.startswith(incomplete)]
        return []

    # typer looks at the signature, and wraps() makes it that of `names`.
    del complete.__wrapped__
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    return complete


@_completer
def labs(_: typer.Context) -> Iterable[str]:
    return _labs()


@_completer
def nodes(ctx: typer.Context) -> Iterable[str]:
    """Those in which something runs."""
    return [name for name, kind in _nodes(ctx).items() if kind == "linux"]


@_completer
def cables_and_ports(ctx: typer.Context) -> Iterable[str]:
    return [*_cables(ctx), *_ports(ctx)]


@_completer
def targets(ctx: typer.Context) -> Iterable[str]:
    """Whatever a fault can be about."""
    return [*_nodes(ctx), *_cables(ctx), *_ports(ctx)]


@_completer
def faults(_: typer.Context) -> Iterable[str]:
    from labctl.faults.base import FAULTS

    return FAULTS


@_completer
def active(ctx: typer.Context) -> Iterable[str]:
    """Ids of faults that are active."""
    from labctl.agent import client
    from labctl.runtime.store import Instance

    return [str(each["id"]) for each in client.leases(Instance.here().find(ctx.params.get("lab")))]


@_completer
def schemas(_: typer.Context) -> Iterable[str]:
    from labctl.schema import json_schema

    return json_schema.names()


@_completer
def scenarios(_: typer.Context) -> Iterable[str]:
    return _files("scenarios/*.yml")


@_completer
def campaigns(_: typer.Context) -> Iterable[str]:
    return _files("scenarios/campaigns/*.yml")


@_completer
def lab_files(_: typer.Context) -> Iterable[str]:
    return _files("*.clab.yml", "*.clab.yaml", "topologies/*.clab.yml")


def _files(*patterns: str) -> Iterator[str]:
    """What lies at the usual places; the shell itself completes all other paths."""
    for pattern in patterns:
        yield from sorted(glob.glob(pattern))


def _directory() -> str:
    root = os.environ.get("LABCTL_STATE") or "/var/lib/labctl"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return os.path.join(root, "boots", file.read().strip(), "labs")


def _labs() -> list[str]:
    return sorted(os.listdir(_directory()))


def _lab(ctx: typer.Context) -> dict[str, Any]:
    """The LabSpec in the record of the lab that is meant: by `--lab`, else the only one."""
    name = ctx.params.get("lab") or os.environ.get("LABCTL_LAB")
    if not name:
        (name,) = _labs()
    with open(os.path.join(_directory(), name, "lab.json"), encoding="utf-8") as file:
        lab: dict[str, Any] = json.load(file)["lab"]
    return lab


def _nodes(ctx: typer.Context) -> dict[str, str]:
    return {node["name"]: node["kind"] for node in _lab(ctx)["nodes"]}


def _ends(ctx: typer.Context) -> Iterator[list[str]]:
    for cable in _lab(ctx)["cables"]:
        ends = [cable[side]["port"] for side in ("a", "z") if cable[side] is not None]
        yield sorted(f"{port['node']}:{port['interface']}" for port in ends)


def _cables(ctx: typer.Context) -> list[str]:
    return ["--".join(ends) for ends in _ends(ctx) if len(ends) == 2]


def _ports(ctx: typer.Context) -> list[str]:
    return [port for ends in _ends(ctx) for port in ends]
