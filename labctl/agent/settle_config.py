"""The running configuration of a node: what a fault typed, and exactly what it was before.

FRR has no rollback. So the configuration is written down before the first line is typed, and going back is a fold of two
steps until nothing differs: lines that are missing are typed in their block, then lines that are too many are negated
(`labctl.agent.config_diff`). What counts is the text read back at the end: if it is not the one written down, the node is
off its base and says so.
"""

from __future__ import annotations

from functools import partial

from labctl.agent import vty
from labctl.agent.config_diff import missing, superfluous
from labctl.agent.inside import Inside
from labctl.errors import LabctlError
from labctl.model.effects import ConfigRef, Setting

ROUNDS = 4


def ensure(inside: Inside, ref: ConfigRef, wanted: Setting) -> bool:
    saved = inside.saved.read(ref)
    pushed = [list(each) for each in wanted.config]
    if saved is None and not pushed:
        return False
    if saved is None:
        inside.need_awake(ref.node)
        saved = {"before": vty.running_config(inside, ref.node), "pushed": []}
        inside.saved.write(ref, saved)
    if inside.off(ref.node):
        if not pushed:
            inside.saved.remove(ref)  # it boots with its own files
        return False
    inside.need_awake(ref.node)
    if saved["pushed"] == pushed and pushed:
        return False
    inside.saved.write(ref, saved | {"pushed": [["?"]]})  # from here to the end nobody knows
    if saved["pushed"] or not pushed:
        go_back(inside, ref.node, saved["before"])
    for lines in pushed:
        said = vty.push(inside, ref.node, "\n".join(lines))
        if said:
            raise LabctlError("effect-not-taken", f"{ref.node!r} does not take the lines: {said}")
    if pushed:
        inside.saved.write(ref, saved | {"pushed": pushed})
    else:
        inside.saved.remove(ref)
    return True


def disagrees(inside: Inside, ref: ConfigRef, wanted: Setting) -> str:
    saved = inside.saved.read(ref)
    if inside.off(ref.node):
        return "it is off" if wanted.config else ""
    if saved is None:
        return "its lines were not typed" if wanted.config else ""
    if saved["pushed"] != [list(each) for each in wanted.config] or not wanted.config:
        return "its configuration is neither the old nor the new one"
    return ""


def go_back(inside: Inside, node: str, before: str) -> None:
    """Bring the running configuration to this text."""
    for attempt in range(ROUNDS):
        for step in (missing, partial(superfluous, attempt=attempt)):
            now = vty.running_config(inside, node)
            if now == before:
                return
            lines = step(before, now)
            if lines:
                vty.push(inside, node, "\n".join(lines))  # what it refuses shows at the next look
    now = vty.running_config(inside, node)
    if now != before:
        left = [*missing(before, now), *superfluous(before, now)][:4]
        raise LabctlError(
            "effect-not-taken",
            f"the configuration of {node!r} does not go back to what it was: {'; '.join(left) or 'its order differs'}",
            hint=f"`labctl destroy` and `labctl deploy` make it new; {node} kept what it was told",
        )
