"""What is inside nodes, brought to its setting beside the loop: each node has a lane of its own.

To stop a daemon, to start it with its configuration, to boot a node takes from some milliseconds to several seconds, in
which other nodes' faults begin and end. Inside one node nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from labctl.agent import clock, settlers
from labctl.agent.again import Again
from labctl.agent.inside import Inside
from labctl.agent.lanes import Job, Lanes
from labctl.agent.reading import Reading
from labctl.agent.saved import Saved
from labctl.errors import LabctlError
from labctl.model.effects import BASE, NodeRef, Resource, Setting
from labctl.runtime.base import RUNTIMES, Runtime
from labctl.runtime.store import LabDir, Record


class Nodes:
    """All nodes of one lab. settings: what everything should be, asked for when its turn has come."""

    def __init__(self, place: LabDir, settings: Callable[[], Mapping[Resource, Setting]]) -> None:
        self._place = place
        self._settings = settings
        self._runtime: Runtime | None = None
        self._lanes: Lanes[Resource, Reading] = Lanes(self._settle, settlers.rank)
        self.saved = Saved(place.saved_dir)
        self.again = Again(place)

    def close(self) -> None:
        self._lanes.close()

    def fileno(self) -> int:
        """Becomes readable when `collect` has something."""
        return self._lanes.fileno()

    def load(self, record: Record) -> None:
        self._record = record
        self.again.watch(record.lab)

    def prepare(self, nodes: Collection[str]) -> None:
        """Have ready what is needed inside these nodes."""
        for node in nodes:
            self.runtime.read(self._record.lab, NodeRef(node))

    def submit(self, touched: Iterable[Resource]) -> Job[Resource, Reading]:
        """Have these looked at; done when all have been, and what has to follow as well."""
        job: Job[Resource, Reading] = Job(set())
        lanes: dict[str, list[Resource]] = {}
        for on in touched:
            node = settlers.node_of(on)
            assert node is not None
            lanes.setdefault(node, []).append(on)
        for node, resources in lanes.items():
            self._lanes.submit(node, resources, job)
        return job

    def collect(self) -> list[Reading]:
        return self._lanes.collect()

    def disagrees(self, on: Resource, wanted: Setting) -> str:
        """What of it, looked at now, is not as it should be. Changes nothing."""
        return settlers.disagrees(self._inside(), on, wanted)

    @property
    def runtime(self) -> Runtime:
        """Imported at the first effect inside a node: most agents never need it."""
        if self._runtime is None:
            self._runtime = RUNTIMES[self._record.runtime](self._place.instance)
        return self._runtime

    def _inside(self) -> Inside:
        return Inside(
            place=self._place, lab=self._record.lab, runtime=self.runtime, saved=self.saved, again=self.again
        )

    def _settle(self, on: Resource) -> tuple[Reading, list[Resource]]:
        """Bring it to what it should be now; what else has to be looked at because of that."""
        asked = clock.now()
        settings = self._settings()
        wanted = settings.get(on, BASE)
        inside = self._inside()
        try:
            changed = settlers.ensure(inside, on, wanted)
            applied = clock.now()
            note = settlers.disagrees(inside, on, wanted)
        except (OSError, LabctlError) as error:
            return Reading.failed(on, asked, error), []
        reading = Reading(
            on=on,
            asked=asked,
            applied=applied,
            read=clock.now(),
            changed=changed,
            taken=not note,
            note=note,
        )
        if isinstance(on, NodeRef) and changed:  # what has just booted knows of no fault
            return reading, list(settlers.within(on, settings, BASE))
        return reading, []
