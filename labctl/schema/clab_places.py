"""Where a lab file says what a `LabSpec` has, for errors that are found after it was read: against a lab that runs.

It is kept beside the spec and not in it: a spec is written down for as long as its lab runs, and its file changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labctl.errors import Span
from labctl.model.lab import NodeSpec
from labctl.schema.clab_read import Checked

#: Fields of a node and of its limits that are not called like their key, with `_` for `-`.
KEYS: Mapping[str, str] = {
    "pull": "image-pull-policy",
    "startup_delay_s": "startup-delay",
    "cpus": "cpu-set",
    "shm_bytes": "shm-size",
    "memory_bytes": "memory",
    "restart": "restart-policy",
    "waits": "stages",
    "stage_commands": "stages",
    **dict.fromkeys(("pids", "read_bps", "write_bps", "read_iops", "write_iops"), "labels"),
}


@dataclass(slots=True, kw_only=True)
class Places:
    """Of one file. start: where its map begins, which is what is named for a key that it does not have."""

    file: str
    start: Span | None = None
    keys: dict[str, Span] = field(default_factory=dict)  # of the file's own keys, and `links`
    nodes: dict[str, dict[str, Span]] = field(default_factory=dict)  # node -> key; the most specific level's

    def take(self, keys: Checked) -> None:
        """These keys of the file stand where they stand."""
        self.keys |= {key: entry.value.span for key, entry in keys.items()}

    def take_node(self, node: str, levels: Iterable[Checked]) -> None:
        """What these levels say of a node, from the least to the most specific one."""
        found = self.nodes.setdefault(node, {})
        for level in levels:
            found |= {key: entry.value.span for key, entry in level.items()}

    def of_lab(self, key: str) -> Span:
        """Where the file says something of the lab itself."""
        return self.keys.get(key) or self.start or Span(self.file)

    def of_node(self, node: NodeSpec, fields: Iterable[str]) -> Span:
        """Where the file says the first of these fields (`binds /SOURCE`, `env.NAME`) of a node, else where the node is."""
        for each in fields:
            name, _, source = each.partition(" ")
            bind = next((b.where for b in node.binds if name == "binds" and b.source == source), None)
            found = bind or self.nodes.get(node.name, {}).get(key_of(name.partition(".")[0]))
            if found:
                return found
        return node.where or self.of_lab("nodes")


def key_of(field: str) -> str:
    """The key by which a file says a field of a node or of its limits."""
    return KEYS.get(field, field.replace("_", "-"))
