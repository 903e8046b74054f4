"""Impairments on the patch panel: `ensure`, `read` and `clear` one half-cable, whatever backend does it; many at once by
`stage`, `strike` and `finish`.

Level, not edge, like everything the agent does: `ensure` looks at what is there and makes it what is asked; doing it
twice is doing it once, and asking for `NEUTRAL` is clearing. `Impairer` keeps sockets, not state.
"""

from __future__ import annotations

from labctl.runtime.impair.base import Choice, Half, Installed
from labctl.runtime.impair.pipeline import Impairer, Staged

__all__ = ["Choice", "Half", "Impairer", "Installed", "Staged"]
