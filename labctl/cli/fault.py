"""`labctl fault add|list|clear|kinds`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from labctl.cli import complete, out
from labctl.errors import Exit

if TYPE_CHECKING:
    from labctl.app.fault import Touched

#: A fault's own settings are flags that typer does not know.
_ANY = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        name="fault",
        help="Break something of a running lab by hand; it heals by itself.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(name="add", context_settings=_ANY)(add)
    group.command(name="list")(list_)
    group.command(name="clear")(clear)
    group.command(name="kinds")(kinds)
    app.add_typer(group)


def add(
    context: typer.Context,
    kind: str = typer.Argument(
        ..., help="What to break it with: `labctl fault kinds` lists them.", autocompletion=complete.faults
    ),
    target: str = typer.Argument(
        ...,
        help="A cable (`r1:eth1--r2:eth1`), node or port (`r1:eth1`), with globs, or a query.",
        autocompletion=complete.targets,
    ),
    for_: str | None = typer.Option(None, "--for", help="How long: `60s`, `5m`. It ends by itself."),
    fault_id: str | None = typer.Option(None, "--id", help="Its name; default: the kind and a number."),
    seed: int | None = out.SEED,
    lab: str | None = out.LAB,
    output: out.Format = out.FORMAT,
) -> None:
    """Break something; the fault's settings are flags after its target, like `--loss 3% --delay 40ms`.

    Exit 4 if it did not take: then it was withdrawn, and the reason is printed.
    """
    from labctl.app import attached
    from labctl.app import fault as app
    from labctl.runtime.store import Instance

    request = app.Request(
        kind=kind,
        target=target,
        for_=for_,
        settings=_flags(context.args),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        id=fault_id,
    )
    added = app.add(attached.own(Instance.here(), lab), request)
    if output is out.Format.JSON:
        out.print_json(
            {
                "version": 1,
                "id": added.id,
                "kind": added.kind,
                "about": added.about,
                "seed": added.seed,
                "for_s": added.for_s,
                "touched": [_touched(each) for each in added.touched],
            }
        )
        return
    out.say(f"{added.id}: {added.about}, for {added.for_s:g} s (seed {added.seed})")
    rows = [(t.on, f"{t.applied_ms:.1f} ms", f"{t.read_ms:.1f} ms") for t in added.touched]
    out.print_table(("WHAT", "APPLIED", "READ BACK"), rows)


def list_(lab: str | None = out.LAB, output: out.Format = out.FORMAT) -> None:
    """List the faults that are active, also those of a running scenario."""
    from labctl.app import attached
    from labctl.app import fault as app
    from labctl.runtime.store import Instance

    place = attached.own(Instance.here(), lab)
    found = app.active(place)
    if output is out.Format.JSON:
        faults = [
            {
                "id": each.id,
                "about": each.about,
                "remaining_s": each.remaining_s,
                "until": datetime.fromtimestamp(each.until, UTC).isoformat(),
                "effects": [{"on": on, "change": change, "now": now} for on, change, now in each.effects],
            }
            for each in found
        ]
        out.print_json({"version": 1, "lab": place.name, "faults": faults})
    elif found:
        rows = [
            (each.id, f"{each.remaining_s:.0f} s", len(each.effects), each.about or each.effects[0][0])
            for each in found
        ]
        out.print_table(("ID", "LEFT", "EFFECTS", "WHAT"), rows)
    else:
        out.say("No fault is active.")


def clear(
    fault_id: str | None = typer.Argument(
        None, metavar="[ID]", help="The fault to end.", autocompletion=complete.active
    ),
    everything: bool = typer.Option(False, "--all", "-a", help="End all of them."),
    lab: str | None = out.LAB,
    output: out.Format = out.FORMAT,
) -> None:
    """End a fault before its time; exit 7 if something could not be put back."""
    from labctl.app import attached
    from labctl.app import fault as app
    from labctl.runtime.store import Instance

    if (fault_id is None) is not everything:
        raise typer.BadParameter("give the ID of a fault, or --all")
    cleared = app.clear(attached.own(Instance.here(), lab), fault_id)
    if output is out.Format.JSON:
        touched = [_touched(each) for each in cleared.put_back]
        out.print_json({"version": 1, "cleared": list(cleared.ids), "put_back": touched})
    else:
        out.say(f"Ended: {', '.join(cleared.ids)}." if cleared.ids else "No fault is active.")
        if cleared.dirty:
            out.print_table(("NOT PUT BACK", "WHY"), [(each.on, each.note) for each in cleared.dirty])
    if cleared.dirty:
        raise typer.Exit(Exit.DIRTY)


def kinds(output: out.Format = out.FORMAT) -> None:
    """List every fault with its settings."""
    from labctl.app import fault as app

    found = app.kinds()
    if output is out.Format.JSON:
        out.print_json(
            {
                "version": 1,
                "kinds": [
                    {
                        "kind": kind.kind,
                        "on": kind.on.value,
                        "settings": [
                            {
                                "key": spec.key,
                                "unit": spec.unit,
                                "required": spec.required,
                                "default": spec.default_text,
                                "help": spec.help,
                            }
                            for spec in specs
                        ],
                    }
                    for kind, specs in found
                ],
            }
        )
        return
    rows = [
        (
            kind.kind,
            kind.on.value,
            " ".join(f"--{spec.key.replace('_', '-')}" + ("*" if spec.required else "") for spec in specs),
        )
        for kind, specs in found
    ]
    out.print_table(("KIND", "ON", "SETTINGS (* must be given)"), rows)


def _flags(words: list[str]) -> dict[str, str | list[str]]:
    """`["--loss", "3%", "--delay=40ms"]` -> `{"loss": "3%", "delay": "40ms"}`; a flag that repeats is a list."""
    found: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--") or len(word) < 3:
            raise typer.BadParameter(f"{word!r} is not a setting; they follow the target, like `--loss 3%`")
        name, equals, value = word[2:].partition("=")
        if not equals:
            following = next(rest, None)
            if following is None or following.startswith("--"):
                raise typer.BadParameter(f"--{name} has no value")
            value = following
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _touched(each: Touched) -> dict[str, Any]:
    return {"on": each.on, "applied_ms": each.applied_ms, "read_ms": each.read_ms, "note": each.note}
