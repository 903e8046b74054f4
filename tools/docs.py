"""Writes the reference pages that are made from the code; `--check` (in `make lint`) says which are out of date.

docs/cli.md       every verb, flag, variable and exit status, from the typer application
docs/labfile.md   every key of a lab file, from labctl.schema.clab_keys
docs/errors.md    every error code with the inputs and texts of tests/errors
docs/apply.md     what `labctl apply` does, and what a change of each field costs, from labctl.render.change
docs/faults.md    every fault with its settings, and what other lists of failures it stands for (fault_coverage.py)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fault_coverage as coverage
import typer.main

from labctl.cli.main import program
from labctl.errors import CODES, Exit
from labctl.faults.base import FAULTS
from labctl.model.lab import CableSpec, End, LabSpec, Limits, MgmtSpec, NodeSpec
from labctl.render import change
from labctl.render.change import Cost
from labctl.runtime.impair.choose import PREFERENCES
from labctl.schema import clab_keys
from labctl.schema import faults as fault_settings
from labctl.schema.clab_keys import Key
from labctl.schema.template_calls import calls

ROOT = Path(__file__).resolve().parent.parent
ERRORS = ROOT / "tests" / "errors"
MADE = "<!-- Made by tools/docs.py; edit what it reads, not this page. -->"
EXITS = {
    Exit.PASS: "pass",
    Exit.FAIL: "fail: something was found",
    Exit.USAGE: "the command line is wrong",
    Exit.BAD_INPUT: "bad input, printed with file:line",
    Exit.UNKNOWN: "it could not be judged",
    Exit.NOTHING: "there was nothing to run",
    Exit.CANNOT: "this machine cannot do it; the message names the fix",
    Exit.DIRTY: "the lab was left dirty; `labctl heal` is needed",
    Exit.BUG: "labctl itself failed; please report it with the file that it names",
    Exit.INTERRUPTED: "interrupted, and healed",
}


# ---- docs/cli.md


def cli() -> Iterator[str]:
    root: Any = typer.main.get_command(program())
    yield "# Command line"
    yield MADE
    yield (
        "Data goes to stdout, everything else to stderr. Every flag can also be set by the environment variable named "
        "beside it. `labctl VERB --help` prints the same as this page."
    )
    yield table(("verb", ""), [(f"[`{n}`](#labctl-{n})", first(c.help)) for n, c in root.commands.items()])
    yield "## Exit status"
    yield table(("status", "meaning"), [(f"`{e.value}`", EXITS[e]) for e in Exit])
    yield "[Error codes](errors.md) lists what each error means and the status it leads to."
    yield "## labctl"
    yield from parameters(root, "", root)
    for name, command in root.commands.items():
        yield f"## labctl {name}"
        yield command.help or ""
        yield from parameters(root, name, command)
        for below, part in getattr(command, "commands", {}).items():
            yield f"### labctl {name} {below}"
            yield part.help or ""
            yield from parameters(root, f"{name} {below}", part)


def first(text: str | None) -> str:
    return (text or "").split("\n")[0]


def parameters(root: Any, verb: str, command: Any) -> Iterator[str]:
    """The usage line, and what `--help` says of each argument and flag."""
    context = root.context_class(command, info_name=f"labctl {verb}".strip())
    yield f"    {command.get_usage(context).removeprefix('Usage: ')}"
    rows = []
    for param in command.params:
        record = param.get_help_record(context)
        if record:
            said = (
                record[1]
                .replace(f"  [env var: {param.envvar}]", "")
                .replace(f"env var: {param.envvar}; ", "")
            )
            rows.append((f"`{record[0]}`", f"`{param.envvar}`" if param.envvar else "", said))
    if rows:
        yield table(("flag", "variable", ""), rows)


# ---- docs/labfile.md


def labfile() -> Iterator[str]:
    yield "# Lab files"
    yield MADE
    yield (
        "labctl reads containerlab's lab files (`*.clab.yml`, as of containerlab 0.79) and writes files that "
        "containerlab deploys. `labctl validate FILE` checks one without touching anything; `labctl schema lab` prints "
        "its JSON Schema for an editor."
    )
    yield (
        "A file is read in containerlab's order: its Go template is rendered, variables are expanded in the raw text "
        "(`${NAME}`, `${NAME:-default}`; an unset variable stays as it is; `$$` is a dollar sign), then YAML is read, keys "
        "are checked, every node inherits from defaults, its kind and its group, and links are resolved. Values keep their "
        "text: `22:22` is no number and `on` no boolean. In `name`, `__gitBranch__` and `__gitHash__` are those of the "
        "repository that the file lies in (`none` outside of one)."
    )
    yield (
        "Of Go's templates labctl renders `{{ . }}`, fields, variables, pipes, `if`, `with`, `range`, comments, and the "
        f"functions {', '.join(f'`{name}`' for name in sorted(calls()))}; the rest is refused with its place. A variable "
        "that is printed and not set is an error (containerlab would write `<no value>`). `--vars FILE` (repeatable; maps "
        "are merged, later files win) gives a template its variables; without it those of `x.clab_vars.yml` and "
        "`x.clab_vars.*.yml` (also `.yaml`, `.json`) beside `x.clab.yml` hold."
    )
    yield (
        "`labctl validate` takes what containerlab takes when it reads a file. What only a deploy must not meet is a "
        "warning there and an error everywhere else: an interface with two links, a management address outside the "
        "management network, a file of `env-files` that is not there."
    )
    yield (
        "What labctl does with a key: **yes**: it is honoured. **no effect**: accepted with a warning, and the lab runs "
        "as if it were absent; it has to be right all the same. **refused**: an error, because leaving it out would make another lab. "
        "**--lenient**: an old key; an error unless `--lenient` is given, then a warning."
    )
    sections: Sequence[tuple[str, Mapping[str, Key]]] = (
        ("The file", clab_keys.TOP),
        ("mgmt", clab_keys.MGMT),
        ("topology", clab_keys.TOPOLOGY),
        ("Kinds", clab_keys.KINDS),
    )
    for title, keys in sections:
        yield f"## {title}"
        yield key_table(keys)
    yield "## Nodes, and what they inherit"
    yield (
        "The same keys stand in `defaults`, `kinds`, `groups` and `nodes`, from the least to the most specific. A node's "
        "kind is its own, else its group's, else the default group's, else that of `defaults`."
    )
    yield key_table(clab_keys.NODE, merge=True)
    for title, keys in (
        ("stages", clab_keys.STAGES),
        ("A stage", clab_keys.STAGE),
        ("Each wait-for", clab_keys.WAIT_FOR),
        ("Each exec of a stage", clab_keys.STAGE_EXEC),
        ("healthcheck", clab_keys.HEALTHCHECK),
        ("dns", clab_keys.DNS),
    ):
        yield f"### {title}"
        yield key_table(keys)
    yield "## Links"
    yield (
        'A link without `type` is brief: `endpoints: ["r1:eth1", "r2:eth1"]`. An interface has at most 15 bytes and '
        "one link; `eth0` is the management interface unless the node has `network-mode: none`."
    )
    yield key_table(clab_keys.LINK_TYPES)
    for title, keys in (
        ("Keys of a brief link", clab_keys.BRIEF),
        ("Keys of a veth link", clab_keys.VETH),
        ("Keys of a dummy link", clab_keys.DUMMY),
        ("Keys of a host or mgmt-net link", clab_keys.HOST),
        ("Keys of a macvlan link", clab_keys.MACVLAN),
        ("Keys of a vxlan or vxlan-stitch link", clab_keys.VXLAN),
        ("Keys of an end of a link with `type`", clab_keys.END),
    ):
        yield f"### {title}"
        yield key_table(keys)


def key_table(keys: Mapping[str, Key], *, merge: bool = False) -> str:
    columns = ("key", "labctl", *(("inherited",) if merge else ()), "")
    rows = []
    for name, key in keys.items():
        merged = (key.merge.value if key.support.value in ("yes", "--lenient") else "",) if merge else ()
        rows.append((f"`{name}`", key.support.value, *merged, key.note))
    return table(columns, rows)


# ---- docs/errors.md


def errors() -> Iterator[str]:
    yield "# Errors"
    yield MADE
    yield (
        "An error prints its code, the place in your file, what is wrong, and a hint. Codes are stable; scripts may rely "
        "on them and on the exit status. Each example below is run by the tests, and its text compared."
    )
    yield table(
        ("code", "exit", ""),
        [(f"[`{c}`](#{c})", f"`{status.value}`", text) for c, (status, text) in CODES.items()],
    )
    for code, (status, text) in CODES.items():
        yield f"## {code}"
        yield f"{text} Exit status {status.value}: {EXITS[status]}."
        for golden in sorted(ERRORS.glob(f"{code}*.txt")):
            if code_of(golden.stem) == code:
                yield from example(golden)


def code_of(stem: str) -> str | None:
    codes = [code for code in CODES if stem == code or stem.startswith(f"{code}-")]
    return max(codes, key=len, default=None)


def example(golden: Path) -> Iterator[str]:
    for source in sorted(ERRORS.glob(f"{golden.stem}.*")):
        if source.suffix in (".yml", ".sh"):
            language = "yaml" if source.suffix == ".yml" else "sh"
            yield f"`{source.name}`:"
            yield f"```{language}\n{source.read_text().rstrip()}\n```"
    yield f"```text\n{golden.read_text().rstrip()}\n```"


# ---- docs/faults.md


def faults() -> Iterator[str]:
    yield "# Faults"
    yield MADE
    yield (
        "A fault is added by hand (`labctl fault add KIND TARGET --for 60s --SETTING VALUE`) or by a step of a scenario "
        "(`fault: KIND`, with its settings beside it). Every fault ends by itself: its effects are under a lease that "
        "the lab's agent keeps, and what they were before is on disk before the first touch, so `labctl heal` puts it "
        "back after any crash. Faults that overlap add up: down wins, delays add, losses compose, the narrowest rate and "
        "the smallest CPU share count. An effect that was read back and is not there is an error, and the fault is "
        "withdrawn. Durations, rates, sizes and percentages need their unit. What a link is like when nothing is broken (a "
        "long line, a slow one) is said in the lab file, by labels of the link (`labels: {labctl-delay: 40ms}`, each "
        "setting of `link.degrade`); faults add to it and leave it as it was."
    )
    rows = [(f"[`{kind}`](#{anchor(kind)})", FAULTS[kind].on.value, summary(kind)) for kind in FAULTS]
    yield table(("fault", "on", ""), rows)
    for kind in FAULTS:
        yield from one_fault(kind)
    yield "## What other tools call a failure"
    yield "Which fault stands for it. What has none yet says why."
    for title, found in (
        ("Links", coverage.LINKS),
        ("Devices", coverage.DEVICES),
        ("Applications", coverage.APPLICATIONS),
        ("Resources", coverage.RESOURCES),
    ):
        yield f"### {title}"
        yield coverage_table(found)
    yield "## The issue types of NIKA"
    yield (
        "NIKA (arXiv 2512.16381) is a benchmark of network incidents for troubleshooting agents. Its issue types, by the "
        "names of its repository (those of Kubernetes left out)."
    )
    covered = sum(bool(kinds) for _, kinds, _ in coverage.NIKA)
    yield f"{covered} of {len(coverage.NIKA)} can be made with labctl now."
    yield coverage_table(coverage.NIKA)


def one_fault(kind: str) -> Iterator[str]:
    fault: Any = FAULTS[kind]
    yield f"## {kind}"
    module = sys.modules[fault.__module__].__doc__ or ""
    yield from (" ".join(part.split()) for part in module.strip().split("\n\n"))
    specs = fault_settings.settings(fault)
    if specs:
        rows = [
            (f"`--{s.key.replace('_', '-')}`", s.unit, "required" if s.required else s.default_text, s.help)
            for s in specs
        ]
        yield table(("setting", "unit", "default", ""), rows)
    yield f"**By**: {mechanism(kind)}. **At its end**: {fault.reverts}."


def mechanism(kind: str) -> str:
    used = [
        f"{name.removesuffix('_s')}: {', '.join(PREFERENCES[name])}"
        for name in coverage.IMPAIRS.get(kind, ())
    ]
    said = [coverage.MECHANISM[kind]] if kind in coverage.MECHANISM else []
    if used:
        said.append(f"the first of these that the kernel has ({'; '.join(used)})")
    return "; ".join(said)


def coverage_table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Raises if a row names a fault that there is not, or says neither which fault nor why none."""
    shown = []
    for failure, kinds, remark in rows:
        for each in filter(None, kinds.split(", ")):
            known = {f"--{s.key.replace('_', '-')}" for s in fault_settings.settings(FAULTS[each.split()[0]])}
            unknown = {word for word in each.split() if word.startswith("--")} - known
            if unknown:
                raise SystemExit(f"{failure}: {each}: no such setting {unknown}")
        if not (kinds or remark):
            raise SystemExit(f"{failure}: neither a fault nor a reason")
        shown.append(
            (failure, ", ".join(f"`{k}`" for k in kinds.split(", ")) if kinds else "not yet", remark)
        )
    return table(("failure", "fault", ""), shown)


def summary(kind: str) -> str:
    return first(sys.modules[FAULTS[kind].__module__].__doc__).rstrip(".")


def anchor(kind: str) -> str:
    return kind.replace(".", "")


# ---- docs/apply.md

#: What a row of the table of costs means to somebody who edits a file.
COSTS = {
    Cost.RECORD: "written down",
    Cost.LIVE: "in place",
    Cost.DEPENDS: "in place or anew",
    Cost.RECREATE: "**the node is made anew**",
    Cost.REFUSED: "refused",
}


def applying() -> Iterator[str]:
    yield "# Changing a running lab"
    yield MADE
    yield APPLY.rstrip()
    yield "## What a change costs"
    yield (
        "*In place*: nothing is restarted. *Anew*: the node's processes, files and network are removed and made again, its "
        "neighbours see the cable go dark and come back. *Written down*: nothing that runs is touched."
    )
    for spec, title in APPLY_SECTIONS:
        rows = [
            (f"`{n}`", COSTS[row.cost], row.why) for n, row in change.COSTS[spec].items() if row.cost in COSTS
        ]
        yield f"### {title}"
        yield table(("field", "a change of it", "because"), rows)


APPLY_SECTIONS = (
    (LabSpec, "The lab"),
    (NodeSpec, "A node"),
    (Limits, "Its limits"),
    (CableSpec, "A cable"),
    (End, "An end of a cable"),
    (MgmtSpec, "The management network"),
)
APPLY = """\
`labctl apply NEW.clab.yml` makes the running lab of that name what the file says, by the least change: it prints the
steps with the reason for each, then does them. `--dry-run` only prints them, `-f json` prints them for programs
(`labctl schema apply`), with numbers in the unit that a field's name ends with: `memory_bytes` `67108864` is `memory:
64MiB` in the table.

```text
STEP          ON                WHY
remove-cable  r2:eth2--r3:eth1  the file does not have it
                                port r2:eth2 stays and gets another cable
change-cable  r1:eth1--r2:eth1  mtu: 1500 → 9000; both ports are told
add-cable     r2:eth2--r4:eth1  the lab does not have it
                                port r2:eth2 is there and keeps its device
add-node      r4                the lab does not have it
```

What no step names is not touched: processes, ports, cables, routing sessions. A port that gets another cable keeps
its device, with its index and its addresses, and sees the light go and come. A node that asks for no management
address keeps the one it has, so adding a node changes no other. After it the lab is what a deploy of the file (with
those addresses) would have made; the tests compare the two as the kernel has them.

Cables of a new node are there before it starts, as at a deploy. A file
that is bound into a node and has another content than when the node was started makes the node anew, because it has
read the old one. Directories are not looked into.

## Links to the machine

Links to the machine (`host`), to the management network and out of the lab (`macvlan`, `vxlan`) come, change and go like all
others, and the plan says what the machine gets and loses by it:

```text
STEP          ON                  WHY
remove-cable  host:lab1--r1:eth1  the file does not have it
                                  port r1:eth1 stays and gets another cable
                                  the machine loses the interface lab1
add-cable     r1:eth1--r2:eth1    the lab does not have it
                                  port r1:eth1 is there and keeps its device
```

An interface that is to be made and is there already, or one that a link leads out over and that is missing, is told before
anything is touched (exit 6, `machine-interface`). An interface of the lab that gets another cable stays, with whatever
somebody has put on it; a macvlan or a tunnel is made anew when what it is made of changes, behind a port that stays. Nothing
else of the machine is touched: what labctl changes or removes there it knows by the cable that it is the end of, and not by its
name. What leaves the file is dark before anything else happens, and gone before anything new is made. All of these links lead
to one machine: the network namespace that the first of them was made from.

## Faults and scenarios

Active faults stay: after a change every cable and node has the setting that the lab and the active effects make of
it, also a node that was made anew. A fault ends with the last cable or node that it was about, and that is told.
While a scenario is being played `apply` refuses (`lab-busy`), because the change would spoil what is measured;
`--wait 10m` waits for its end. A scenario does not start while a change is on its way, and not on a half-changed lab.

## When it stops half-way

What the lab is to be is on disk before the first touch. After an error, Ctrl-C or `kill -9` the lab runs, half
changed (exit 7, `half-applied`), and the way is forward: `labctl apply` with the same file, or with any other one
(also that of before), goes on from where it is, and so does `labctl heal`. Nodes that were being made are made again;
`exec` commands that were added to a node are run again, so they should not mind. `labctl destroy` works at any point.

## Exit status

0: done (or, with `--dry-run`, there is something to do). 5, `nothing-to-apply`: the lab is what the file says. 2,
`cannot-apply`: the file asks for another lab. 7: half-way. With `-f json` and nothing to do the document has no
steps.

## What it does not do

* The first process of a node that runs on keeps the variables it was started with: `CLAB_INTFS`, `CLAB_LABEL_…` and `NO_PROXY` are new for commands and after a restart.
* An MTU or MAC that a node has set on its port itself stays until the file changes that of the port.
* Commands of `exec` that are about a port are not run again when only the cable at that port is new.
* Who shares a network stays. A node whose network is shared is never made anew: only its limits, its labels and what is just written down change.
"""


# ----


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "docs/cli.md": cli,
    "docs/labfile.md": labfile,
    "docs/errors.md": errors,
    "docs/faults.md": faults,
    "docs/apply.md": applying,
}


def main(argv: Sequence[str]) -> int:
    stale = []
    for name, make in PAGES.items():
        path = ROOT / name
        text = "\n\n".join(part for part in make() if part) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in argv:
        print(f"out of date: {', '.join(stale)}; run `.venv/bin/python tools/docs.py`", file=sys.stderr)
        return 1
    print(f"reference pages: {len(PAGES)}, {len(stale)} written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
