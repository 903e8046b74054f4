"""`labctl heal`: everything back to base, whatever happened."""

from __future__ import annotations

from labctl.app import attached
from labctl.errors import LabctlError, LabctlErrors
from labctl.model.event import Emit, ignore
from labctl.run import heal as healing
from labctl.run.heal import Healed
from labctl.runtime.store import Instance


def heal(instance: Instance, name: str | None, *, everything: bool, emit: Emit = ignore) -> list[Healed]:
    """Heal one lab (`name`; default: the only one) or all. Unfinished commands are cleaned up in every lab."""
    before = [each for each in healing.implicit(instance, emit) if each.put_back or each.left or each.busy]
    if everything or (name is None and not instance.labs()):
        places = instance.labs()
    elif name in {each.lab for each in before} and not instance.lab(name).exists():
        places = []  # it was left unfinished and is removed
    else:
        places = [attached.own(instance, name)]
    after = [healing.heal(place, emit) for place in places]
    return _merged([*before, *after])


def dirty(healed: list[Healed]) -> bool:
    return any(each.left for each in healed)


def busy(instance: Instance, healed: list[Healed]) -> LabctlError | None:
    """`lab-busy` for those that were left alone because another labctl is at work on them."""
    problems = [instance.lab(each.lab).busy() for each in healed if each.busy]
    return LabctlErrors(problems) if problems else None


def _merged(healed: list[Healed]) -> list[Healed]:
    """One entry a lab; what could not be put back is what the last attempt says."""
    found: dict[str, Healed] = {}
    for each in healed:
        earlier = found.get(each.lab)
        put_back = (*earlier.put_back, *each.put_back) if earlier else each.put_back
        found[each.lab] = Healed(lab=each.lab, put_back=put_back, left=each.left, busy=each.busy)
    return [found[lab] for lab in sorted(found)]
