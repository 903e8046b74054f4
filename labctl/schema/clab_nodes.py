"""Nodes of a lab file: what each inherits from defaults, kinds and groups, and what that makes of it.

The merge rule of each key is in `clab_keys.NODE`. Levels go from the least to the most specific: defaults, kind,
group, node. What goes together is read beside: `clab_files`, `clab_limits`, `clab_network`, `clab_ports`, `clab_stages`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from labctl import names
from labctl.errors import LabctlError, Span, did_you_mean
from labctl.model import capabilities
from labctl.model.lab import (
    MgmtSpec,
    NodeKind,
    NodeSpec,
    Published,
    Pull,
    Restart,
)
from labctl.schema import clab_files, clab_limits, clab_network, clab_ports, clab_stages, fields
from labctl.schema.clab_keys import KINDS
from labctl.schema.clab_levels import Levels
from labctl.schema.clab_places import Places
from labctl.schema.clab_read import Checked, Reading, place, said

#: Names with a meaning of their own: in links, as the far end of a stub, in the lab's state directory.
RESERVED = frozenset({"host", "mgmt-net", "macvlan", "vxlan", "stub", "panel"})
_LONGEST_DELAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """The checked `topology:` of a file."""

    defaults: Checked
    kinds: Mapping[str, Checked]
    groups: Mapping[str, Checked]
    nodes: Mapping[str, tuple[Span, Checked]]


class NodeReader:
    """Makes a `NodeSpec` of each node; `lab` and `mgmt` are known by then."""

    def __init__(
        self, reading: Reading, definitions: Definitions, lab: str, mgmt: MgmtSpec, places: Places
    ) -> None:
        self._reading = reading
        self._problems = reading.problems
        self._all = definitions
        self._lab = lab
        self._mgmt = mgmt
        self._places = places
        self._told: set[Span] = set()  # what stands at a level of several nodes is told once

    def nodes(self) -> tuple[NodeSpec, ...]:
        """All nodes, by name."""
        found = [self._node(name, *self._all.nodes[name]) for name in sorted(self._all.nodes)]
        clab_network.check_addresses(self._reading, self._all.nodes)
        clab_stages.check(self._reading, {node.name: node for node in found if node})
        clab_ports.check_once(((node.name, node.ports) for node in found if node), self._problems)
        clab_network.check_sharing(self._reading, {node.name: node for node in found if node})
        return tuple(node for node in found if node)

    def _node(self, name: str, where: Span, own: Checked) -> NodeSpec | None:
        self._check_name(name, where)
        kind, kind_at = self._kind(own, where)
        if kind not in KINDS:
            self._unknown_kind(name, kind, kind_at)
            return None
        group = self._group(own, kind)
        no_level: Checked = {}
        levels = Levels(
            (
                self._all.defaults,
                self._all.kinds.get(kind, no_level),
                self._all.groups.get(group, no_level),
                own,
            )
        )
        self._places.take_node(name, levels.levels)
        env = clab_files.environment(self._reading, levels)
        labels = levels.by_key("labels")
        waits, stage_commands = clab_stages.stages(self._reading, levels.levels, name)
        limits = clab_limits.limits(self._reading, levels, labels, where)
        if kind == NodeKind.LINUX and not levels.text("image"):
            self._reading.notice(where, f"node {name!r} has no image; it cannot be deployed")
        return NodeSpec(
            name=name,
            kind=NodeKind(kind),
            image=levels.text("image"),
            pull=self._pull(levels, name),
            cmd=self._words(levels, "cmd"),
            entrypoint=self._words(levels, "entrypoint"),
            env=env,
            env_files=clab_files.absent_env_files(self._reading, levels),
            exec=tuple(
                dict.fromkeys(
                    clab_files.filled(self._reading, item.text, lab=self._lab, node=name)
                    for item in levels.items("exec")
                )
            ),
            binds=clab_files.binds(self._reading, levels, lab=self._lab, node=name),
            labels=labels,
            sysctls=self._sysctls(levels),
            sysctl_places=levels.places("sysctls"),
            group=group,
            user=levels.text("user"),
            hostname=clab_network.hostname(self._reading, levels, name, where),
            network_mode=clab_network.network_mode(self._reading, levels),
            mgmt_ipv4=clab_network.mgmt_address(self._reading, own, 4, self._mgmt),
            mgmt_ipv6=clab_network.mgmt_address(self._reading, own, 6, self._mgmt),
            startup_delay_s=clab_limits.number(self._reading, levels, "startup-delay", 0.0, _LONGEST_DELAY_S)
            or 0.0,
            aliases=clab_network.aliases(self._reading, own),
            dns=clab_network.dns(self._reading, levels, name),
            cpus=clab_limits.cpus(self._reading, levels),
            shm_bytes=clab_limits.size(self._reading, levels, "shm-size"),
            ports=self._ports(levels) if kind == NodeKind.LINUX else (),
            tmpfs=clab_files.tmpfs(self._reading, levels),
            limits=limits,
            restart=self._restart(levels),
            privileged=(levels.text("privileged") or "").lower() != "false",
            cap_add=self._cap_add(levels),
            devices=clab_files.devices(self._reading, levels),
            healthcheck=clab_stages.healthcheck(self._reading, levels.levels),
            waits=waits,
            stage_commands=stage_commands,
            where=where,
        )

    def _check_name(self, name: str, where: Span) -> None:
        try:
            names.check_node(name, where=where)
        except LabctlError as error:
            self._problems.extend(error)
        if name in RESERVED:
            self._problems.add(
                "reserved-name", f"no node can be called {name!r}", where=where, hint="choose another name"
            )

    def _kind(self, own: Checked, where: Span) -> tuple[str, Span]:
        """node, else the node's group, else the default group, else defaults."""
        groups, defaults = self._all.groups, self._all.defaults
        for level in (
            own,
            groups.get(said(own, "group") or "", {}),
            groups.get(said(defaults, "group") or "", {}),
            defaults,
        ):
            kind = said(level, "kind")
            if kind:
                return kind, place(level, "kind", where)
        return "", where

    def _unknown_kind(self, name: str, kind: str, where: Span) -> None:
        if not kind:
            self._problems.add(
                "missing-key", f"node {name!r} has no kind", where=where, hint="add `kind: linux`"
            )
            return
        self._problems.add(
            "unsupported",
            f"node {name!r}: labctl does not emulate kind {kind!r} yet",
            where=where,
            hint=did_you_mean(kind, KINDS),
        )

    def _group(self, own: Checked, kind: str) -> str:
        of_kind = said(self._all.kinds.get(kind, {}), "group")
        return said(own, "group") or of_kind or said(self._all.defaults, "group") or ""

    def _sysctls(self, levels: Levels) -> dict[str, str]:
        """Dots separate, `/` stands for a dot in a name. An empty part would lead out of /proc/sys."""
        for level in levels.levels:
            if "sysctls" in level:
                for entry in getattr(level["sysctls"].value, "entries", {}).values():
                    value = entry.value.text
                    if not all(re.split("[./]", entry.key)) or not (value.isascii() and value.isprintable()):
                        self._problems.add(
                            "bad-value",
                            f"{entry.key!r}: {value!r} is not a sysctl with its value",
                            where=entry.span,
                            hint="write it like `net.ipv4.ip_forward: 1`",
                        )
        return levels.by_key("sysctls")

    def _words(self, levels: Levels, key: str) -> tuple[str, ...] | None:
        found = levels.first(key)
        if found is None:
            return None
        try:
            return tuple(shlex.split(found.text)) or None
        except ValueError as error:
            self._problems.add(
                "bad-value",
                f"{key} cannot be split into words: {str(error).lower()}",
                where=found.span,
                hint="close the quotes",
            )
            return None

    def _pull(self, levels: Levels, node: str) -> Pull:
        """In any case, as in containerlab."""
        found = levels.first("image-pull-policy")
        policy = next((each for each in Pull if found and each.lower() == found.text.lower()), None)
        if found and policy is None:
            self._problems.add(
                "bad-value",
                f"node {node}: image-pull-policy cannot be {fields.shorten(found.text)!r}",
                where=found.span,
                hint=did_you_mean(found.text, list(Pull)),
            )
        return policy or Pull.IF_NOT_PRESENT

    def _cap_add(self, levels: Levels) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for item in levels.items("cap-add"):
            name = capabilities.full_name(item.text)
            if name == capabilities.ALL or name in capabilities.OF_NODES:
                found[name] = None
                continue
            if item.span in self._told:
                continue
            self._told.add(item.span)
            if name in capabilities.OF_NO_NODE:
                self._reading.notice(item.span, f"cap-add: no node gets {name}, which reaches the machine")
            else:
                known = [each.removeprefix("CAP_") for each in capabilities.OF_NODES]
                self._problems.add(
                    "bad-value",
                    f"cap-add: there is no capability {fields.shorten(item.text)!r}",
                    where=item.span,
                    hint=did_you_mean(name.removeprefix("CAP_"), known) or "capabilities(7) lists them",
                )
        return tuple(sorted(found))

    def _restart(self, levels: Levels) -> Restart:
        found = levels.first("restart-policy")
        if found is None or found.text in set(Restart):
            return Restart(found.text) if found else Restart.NO
        self._problems.add(
            "bad-value",
            f"restart-policy cannot be {fields.shorten(found.text)!r}",
            where=found.span,
            hint=did_you_mean(found.text, list(Restart)) or f"one of {', '.join(Restart)}",
        )
        return Restart.NO

    def _ports(self, levels: Levels) -> tuple[Published, ...]:
        """The most specific list that says something; they are not joined."""
        for level in reversed(levels.levels):
            found = list(Levels((level,)).items("ports"))
            if found:
                return tuple(each for item in found for each in clab_ports.read(item, self._problems))
        return ()
