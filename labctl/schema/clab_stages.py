"""`stages` and `healthcheck` of a node. Stages of all levels add up, defaults first; a health check is the most specific."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labctl.errors import Span, did_you_mean
from labctl.model.lab import NodeKind, NodeSpec
from labctl.model.stages import Healthcheck, Phase, Stage, StageCommand, Wait, circle
from labctl.schema import fields
from labctl.schema.clab_keys import HEALTHCHECK, STAGE, STAGE_EXEC, STAGES, WAIT_FOR
from labctl.schema.clab_read import Checked, Reading, said
from labctl.schema.yaml import Map, Seq, Value

#: What an interval, a timeout or a number of retries of zero means.
_DEFAULTS = Healthcheck(test=())
_LONGEST_S = 86_400


def stages(
    reading: Reading, levels: Sequence[Checked], node: str
) -> tuple[tuple[Wait, ...], tuple[StageCommand, ...]]:
    """All waits and all commands of a node."""
    waits: list[Wait] = []
    commands: list[StageCommand] = []
    for level in levels:
        if "stages" not in level:
            continue
        found = reading.keys(level["stages"].value, STAGES, f"{node}: stages")
        for name, entry in found.items():
            stage = Stage(name)
            body = reading.keys(entry.value, STAGE, f"{node}: stage {name}")
            waits += _waits(reading, body, stage)
            commands += _commands(reading, body, stage)
    return tuple(dict.fromkeys(waits)), tuple(commands)


def _items(reading: Reading, body: Checked, key: str) -> Iterator[Map]:
    value: Value | None = body[key].value if key in body else None
    if value is None or (not isinstance(value, Seq) and fields.text(value, key, reading.problems) is None):
        return
    if not isinstance(value, Seq):
        fields.wrong(reading.problems, value, key, "a list")
        return
    for item in value.items:
        found = fields.mapping(item, f"each item of {key}", reading.problems)
        if found is not None:
            yield found


def _waits(reading: Reading, body: Checked, stage: Stage) -> Iterator[Wait]:
    for item in _items(reading, body, "wait-for"):
        found = reading.keys(item, WAIT_FOR, "wait-for")
        node, until = said(found, "node"), said(found, "stage")
        if node is None or until is None:
            missing = "node" if node is None else "stage"
            reading.problems.add("missing-key", f"the wait has no `{missing}`", where=item.span)
        elif until not in list(Stage):
            where = found["stage"].value.span
            reading.problems.add(
                "bad-value",
                f"there is no stage {until!r}",
                where=where,
                hint=did_you_mean(until, list(Stage)),
            )
        else:
            yield Wait(stage=stage, node=node, until=Stage(until), where=item.span)


def _commands(reading: Reading, body: Checked, stage: Stage) -> Iterator[StageCommand]:
    for item in _items(reading, body, "exec"):
        found = reading.keys(item, STAGE_EXEC, "exec")
        command = said(found, "command")
        target, phase = said(found, "target") or "container", said(found, "phase") or Phase.ON_ENTER
        if command is None:
            reading.problems.add("missing-key", "the command has no `command`", where=item.span)
        elif target not in ("container", "host"):
            reading.problems.add(
                "bad-value", f"there is no target {target!r}", where=item.span, hint="`container`"
            )
        elif phase not in list(Phase):
            reading.problems.add(
                "bad-value", f"there is no phase {phase!r}", where=item.span, hint="`on-enter` or `on-exit`"
            )
        elif target == "host":
            reading.at_deploy(
                "unsupported",
                "labctl runs no command of a lab file on the machine itself",
                where=item.span,
                hint="run it yourself, before or after the deploy",
            )
        elif stage is Stage.EXIT or (stage is Stage.CREATE and phase == Phase.ON_ENTER):
            reading.problems.add(
                "bad-value",
                f"nothing runs in the node {phase} of stage {stage.value}",
                where=item.span,
                hint="`on-exit` of `create` is when its process has started",
            )
        else:
            yield StageCommand(stage=stage, phase=Phase(phase), command=command)


def healthcheck(reading: Reading, levels: Sequence[Checked]) -> Healthcheck | None:
    """The most specific one; None if there is none, or it says `NONE`."""
    level = next((each for each in reversed(levels) if "healthcheck" in each), None)
    body = reading.keys(level["healthcheck"].value, HEALTHCHECK, "healthcheck") if level else {}
    if level is None or not body:
        return None
    where = level["healthcheck"].value.span
    words = (
        [item.text for item in fields.texts(body["test"].value, "test", reading.problems)]
        if "test" in body
        else []
    )
    match words:
        case ["NONE"]:
            return None
        case ["CMD", *argv] if argv:
            test = tuple(argv)
        case ["CMD-SHELL", script]:
            test = ("/bin/sh", "-c", script)
        case _:
            reading.problems.add(
                "bad-value",
                "healthcheck: `test` is no command",
                where=body["test"].value.span if "test" in body else where,
                hint="`[CMD, program, argument]`, `[CMD-SHELL, script]` or `[NONE]`",
            )
            return None

    def whole(key: str) -> int:
        value = body[key].value if key in body else None
        return fields.integer(value, key, reading.problems, low=0, high=_LONGEST_S) or 0

    return Healthcheck(
        test=test,
        start_period_s=float(whole("start-period")),
        interval_s=float(whole("interval") or _DEFAULTS.interval_s),
        timeout_s=float(whole("timeout") or _DEFAULTS.timeout_s),
        retries=whole("retries") or _DEFAULTS.retries,
    )


def check(reading: Reading, nodes: Mapping[str, NodeSpec]) -> None:
    """Waits that could never end: for nobody, for itself, for a health that nothing asks for, in a circle."""
    for node in nodes.values():
        for wait in node.waits:
            _check_wait(reading, nodes, node, wait)
    found = circle({node.name: node.waits for node in nodes.values()})
    if found:
        first = min(found, key=lambda wait: wait.where or Span(reading.file))
        way = " -> ".join(f"{wait.node} {wait.until.value}" for wait in (*found, found[0]))
        reading.problems.add(
            "bad-value",
            f"these stages wait for each other: {way}",
            where=first.where,
            hint="no node of the circle would ever start; take one `wait-for` away",
        )


def _check_wait(reading: Reading, nodes: Mapping[str, NodeSpec], node: NodeSpec, wait: Wait) -> None:
    other = nodes.get(wait.node)
    if other is None:
        reading.problems.add(
            "unknown-node",
            f"node {node.name!r} waits for {wait.node!r}, which is no node",
            where=wait.where,
            hint=did_you_mean(wait.node, nodes),
        )
    elif NodeKind.LINUX not in (node.kind, other.kind) or other.kind is not NodeKind.LINUX:
        reading.problems.add(
            "bad-value",
            f"node {wait.node!r} is of kind {other.kind.value} and has no stages",
            where=wait.where,
            hint="bridges are there from the beginning",
        )
    elif wait.until is Stage.HEALTHY and other.healthcheck is None:
        reading.problems.add(
            "bad-value",
            f"node {wait.node!r} has no `healthcheck` and never becomes healthy",
            where=wait.where,
            hint="give it a `healthcheck`, or wait for `configure`",
        )
