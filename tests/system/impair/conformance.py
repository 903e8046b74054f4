"""What every backend has to do alike: which backend can be asked what, and how large a sample has to be.

A fraction p of n frames has a standard deviation of sqrt(n p (1-p)); five of them are at most 20 % of n p for
n >= 625 (1-p)/p. The tests allow five.
"""

import math
import os

import pytest

from labctl.linux.trial import Tried
from labctl.runtime.impair import choose
from labctl.runtime.impair.base import fields_in_use
from labctl.runtime.impair.choose import PREFERENCES, Backend

AMONG = {
    "kernel": frozenset({Backend.GATE, Backend.TBF}),
    "wire": frozenset({Backend.WIRE}),
    "netem": frozenset({Backend.NETEM}),
}
UML = bool(os.environ.get("LABCTL_TEST_UML"))
#: All of the suite in one go, as the soak does under the second kernel (which cannot note how far it came).
EVERY_POINT = os.environ.get("LABCTL_TEST_EVERY_POINT") == "1"
#: What a Python sender and the wire do without loss on a busy machine; user-mode Linux is slower by far.
PPS = 5_000 if UML else 20_000


def backends(impairment):
    """Those whose parts cover everything that the impairment uses."""
    return [
        name
        for name, among in AMONG.items()
        if all(among & set(PREFERENCES[each]) for each in fields_in_use(impairment))
    ]


def each_backend(cases, *, soak=()):
    """Parametrise by (backend, impairment); those whose name is in `soak` only run there."""
    found = []
    for name, impairment in cases.items():
        for backend in backends(impairment):
            marks = [pytest.mark.soak] if name in soak and not EVERY_POINT else []
            found.append(pytest.param(backend, impairment, id=f"{name}-{backend}", marks=marks))
    return pytest.mark.parametrize(("backend", "impairment"), found)


def need(backend):
    """Skip, saying why, where the kernel does not have the backend."""
    can = choose.capabilities()
    for each in AMONG[backend]:
        tried: Tried = can[each]
        if not tried.ok:
            pytest.skip(f"{each}: {tried.said}")


def enough(p, share=0.2, sigmas=5):
    """Frames for which `sigmas` deviations are `share` of what is expected."""
    return math.ceil((sigmas / share) ** 2 * (1 - p) / p)


def within(found, p, n, sigmas=5):
    """Whether a count is that of a chance `p` in `n` trials."""
    return abs(found - n * p) <= sigmas * math.sqrt(n * p * (1 - p)) + 1e-9
