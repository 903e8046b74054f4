"""Nodes of a lab file: what each inherits from defaults, kinds and groups, and what that makes of it.

The merge rule of each key is in `clab_keys.NODE`. Levels go from the least to the most specific: defaults, kind,
group, node.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl import names, units
from labctl.errors import LabctlError, Problems, Span, did_you_mean
from labctl.model import capabilities
from labctl.model.lab import (
    RATES,
    Bind,
    DeviceFile,
    Dns,
    Limits,
    MgmtSpec,
    NodeKind,
    NodeSpec,
    Published,
    Pull,
    Restart,
)
from labctl.schema import clab_ports, clab_stages, dotenv, fields
from labctl.schema.clab_keys import DNS, KINDS
from labctl.schema.clab_places import Places
from labctl.schema.clab_read import Checked, Reading, place, said
from labctl.schema.yaml import Scalar

#: Names with a meaning of their own: in links, as the far end of a stub, in the lab's state directory.
RESERVED = frozenset({"host", "mgmt-net", "macvlan", "vxlan", "stub", "panel"})
IMPORT_ENVS = "__IMPORT_ENVS"  # as a variable of `env` with the value `true`
#: Limits that containerlab has no keys for, as labels: what a node reads and writes per second on the disks of its files.
PIDS_LABEL = "labctl-pids"
RATE_LABELS: Mapping[str, str] = {name: f"labctl-{name.replace('_', '-')}" for name in RATES}
#: Docker's. Those about SELinux labels, propagation and copying have no effect here (`labctl.runtime.bundle`).
_BIND_OPTIONS = frozenset(
    {"ro", "rw", "noexec", "nosuid", "nodev", "z", "Z", "nocopy", "consistent", "cached", "delegated"}
    | {"private", "rprivate", "shared", "rshared", "slave", "rslave"}
)
_MOST_BYTES = float(2**63)
#: What the kernel, runc and Docker take. Below 6 MiB (Docker's least as well) the start of a container does not fit.
_LEAST_MEMORY = 6 << 20
_CPUS = (0.01, 8192.0)
_MOST_PIDS = 1 << 22
_LEAST_RATE, _MOST_IOPS = 4096, (1 << 32) - 1
_LONGEST_DELAY_S = 86_400.0
_DNS_OPTION = re.compile(r"[a-z0-9-]{1,32}(?::[0-9]{1,5})?")
_TMPFS_OPTION = re.compile(
    r"ro|rw|(?:no)?(?:exec|suid|dev)|(?:nr_inodes|nr_blocks)=[0-9]+[kmg]?|size=[0-9]+[kmg%]?|mode=[0-7]{3,4}|[ug]id=[0-9]+"
)
_DEVICE_ACCESS = re.compile(r"[rwm]{1,3}")
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtpe]?i?b?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """The checked `topology:` of a file."""

    defaults: Checked
    kinds: Mapping[str, Checked]
    groups: Mapping[str, Checked]
    nodes: Mapping[str, tuple[Span, Checked]]


@dataclass(frozen=True, slots=True)
class _Levels:
    levels: tuple[Checked, ...]

    def first(self, key: str) -> Scalar | None:
        """The most specific value that is not empty."""
        for level in reversed(self.levels):
            if said(level, key) is not None:
                value = level[key].value
                return value if isinstance(value, Scalar) else None
        return None

    def text(self, key: str) -> str | None:
        found = self.first(key)
        return found.text if found else None

    def number(self, key: str) -> tuple[float, Span] | None:
        """The most specific number that is not zero (zero and absent are one to containerlab), and where it stands."""
        for level in reversed(self.levels):
            value = float(said(level, key) or 0)
            if value:
                return value, level[key].value.span
        return None

    def items(self, key: str) -> Iterator[Scalar]:
        for level in self.levels:
            if key in level:
                yield from fields.texts(level[key].value, key, Problems())

    def by_key(self, key: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for level in self.levels:
            if key in level:
                found |= fields.text_map(level[key].value, key, Problems())
        return found

    def places(self, key: str) -> dict[str, Span]:
        """Where each entry of a map stands that `by_key` takes."""
        return {
            entry.key: entry.span
            for level in self.levels
            if key in level
            for entry in getattr(level[key].value, "entries", {}).values()
        }


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
        self._unique_addresses()
        clab_stages.check(self._reading, {node.name: node for node in found if node})
        clab_ports.check_once(((node.name, node.ports) for node in found if node), self._problems)
        self._check_sharing({node.name: node for node in found if node})
        return tuple(node for node in found if node)

    def _node(self, name: str, where: Span, own: Checked) -> NodeSpec | None:
        self._check_name(name, where)
        kind, kind_at = self._kind(own, where)
        if kind not in KINDS:
            self._unknown_kind(name, kind, kind_at)
            return None
        group = self._group(own, kind)
        no_level: Checked = {}
        levels = _Levels(
            (
                self._all.defaults,
                self._all.kinds.get(kind, no_level),
                self._all.groups.get(group, no_level),
                own,
            )
        )
        self._places.take_node(name, levels.levels)
        env = self._env(levels)
        labels = levels.by_key("labels")
        waits, stage_commands = clab_stages.stages(self._reading, levels.levels, name)
        limits = self._limits(levels, labels, where)
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
            env_files=self._absent_env_files(levels),
            exec=tuple(dict.fromkeys(self._magic(item.text, name) for item in levels.items("exec"))),
            binds=self._binds(levels, name),
            labels=labels,
            sysctls=self._sysctls(levels),
            sysctl_places=levels.places("sysctls"),
            group=group,
            user=levels.text("user"),
            hostname=self._hostname(levels, name, where),
            network_mode=self._network_mode(levels),
            mgmt_ipv4=self._mgmt_address(own, "mgmt-ipv4", 4, self._mgmt.ipv4_subnet),
            mgmt_ipv6=self._mgmt_address(own, "mgmt-ipv6", 6, self._mgmt.ipv6_subnet),
            startup_delay_s=self._number(levels, "startup-delay", 0.0, _LONGEST_DELAY_S) or 0.0,
            aliases=self._aliases(own),
            dns=self._dns(levels, name),
            cpus=self._cpus(levels),
            shm_bytes=self._size(levels, "shm-size"),
            ports=self._ports(levels) if kind == NodeKind.LINUX else (),
            tmpfs=self._tmpfs(levels),
            limits=limits,
            restart=self._restart(levels),
            privileged=(levels.text("privileged") or "").lower() != "false",
            cap_add=self._cap_add(levels),
            devices=self._devices(levels),
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

    def _env(self, levels: _Levels) -> dict[str, str]:
        """The files' variables, then those of each level; `__IMPORT_ENVS` adds what its own level does not say."""
        found = self._env_files(levels)
        for level in levels.levels:
            if "env" not in level:
                continue
            own = fields.text_map(level["env"].value, "env", Problems())
            if own.pop(IMPORT_ENVS, "") == "true":
                own = {
                    key: value for key, value in self._reading.env.items() if "\0" not in key + value
                } | own
            for entry in getattr(level["env"].value, "entries", {}).values():
                if not entry.key or "=" in entry.key:
                    self._problems.add(
                        "bad-value",
                        f"no environment variable can be called {entry.key!r}",
                        where=entry.span,
                    )
            found |= own
        return found

    def _env_files(self, levels: _Levels) -> dict[str, str]:
        """All files, defaults first; a later one wins."""
        found: dict[str, str] = {}
        for path, _ in self._paths_of(levels, "env-files"):
            if os.path.exists(path):
                try:
                    found |= dotenv.load(path)
                except LabctlError as error:
                    self._problems.extend(error)
        return found

    def _absent_env_files(self, levels: _Levels) -> tuple[str, ...]:
        """Files of variables that are not there (yet)."""
        absent = {p: where for p, where in self._paths_of(levels, "env-files") if not os.path.exists(p)}
        for path, where in absent.items():
            self._reading.at_deploy(
                "file-not-found",
                f"the file of variables {path} is not there",
                where=where,
                hint="write it, or say the variables under `env`",
            )
        return tuple(absent)

    def _paths_of(self, levels: _Levels, key: str) -> Iterator[tuple[str, Span]]:
        for item in levels.items(key):
            path = os.path.join(self._reading.directory, os.path.expanduser(item.text))
            yield os.path.normpath(path), item.span

    def _sysctls(self, levels: _Levels) -> dict[str, str]:
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

    def _words(self, levels: _Levels, key: str) -> tuple[str, ...] | None:
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

    def _pull(self, levels: _Levels, node: str) -> Pull:
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

    def _binds(self, levels: _Levels, node: str) -> tuple[Bind, ...]:
        found: dict[str, Bind] = {}
        for item in levels.items("binds"):
            bind = self._bind(item, node)
            if bind:
                found[bind.target] = bind
        return tuple(found.values())

    def _bind(self, item: Scalar, node: str) -> Bind | None:
        source, *rest = self._magic(item.text, node).split(":")
        if not source or len(rest) not in (1, 2) or not rest[0].startswith("/"):
            self._problems.add(
                "bad-value",
                f"bind {item.text!r} is not `source:target` with an absolute target",
                where=item.span,
                hint="write it like `config/r1:/etc/frr:ro`",
            )
            return None
        path = os.path.join(self._reading.directory, os.path.expanduser(source))
        options = tuple(o for o in rest[1].split(",") if o) if len(rest) == 2 else ()
        for option in options:
            if option not in _BIND_OPTIONS:
                self._problems.add(
                    "bad-value",
                    f"bind {item.text!r}: there is no option {option!r}",
                    where=item.span,
                    hint=did_you_mean(option, _BIND_OPTIONS),
                )
        return Bind(source=os.path.normpath(path), target=rest[0], options=options, where=item.span)

    def _devices(self, levels: _Levels) -> tuple[DeviceFile, ...]:
        """`source[:target][:access]`, as for `docker run --device`."""
        found: dict[str, DeviceFile] = {}
        for item in levels.items("devices"):
            source, *rest = item.text.split(":")
            access = rest.pop() if rest and _DEVICE_ACCESS.fullmatch(rest[-1]) else "rwm"
            target = rest.pop() if rest else source
            if rest or not _is_file(source) or not _is_file(target):
                self._problems.add(
                    "bad-value",
                    f"device {fields.shorten(item.text)!r} is not `source[:target[:rwm]]` with absolute paths",
                    where=item.span,
                    hint="write it like `/dev/kvm` or `/dev/kvm:/dev/kvm:rw`",
                )
                continue
            access = "".join(each for each in "rwm" if each in access)
            found[target] = DeviceFile(source=source, target=target, access=access, where=item.span)
        return tuple(found.values())

    def _magic(self, text: str, node: str) -> str:
        if "__clab" not in text:
            return text
        base = self._reading.env.get("CLAB_LABDIR_BASE") or self._reading.directory
        directory = os.path.join(os.path.abspath(base), f"clab-{self._lab}")
        for word, meaning in (
            ("__clabNodeDir__", os.path.join(directory, node)),
            ("__clabDir__", directory),
            ("__clabLabName__", f"clab-{self._lab}"),
            ("__clabNodeName__", node),
        ):
            text = text.replace(word, meaning)
        return text

    def _hostname(self, levels: _Levels, name: str, where: Span) -> str | None:
        found = levels.first("hostname")
        if found and not names.LAB.fullmatch(found.text):
            self._problems.add(
                "bad-name",
                f"{fields.shorten(found.text)!r} is not a host name",
                where=found.span,
                hint="letters, digits, `.`, `_` and `-`; a letter or digit first",
            )
        elif len(found.text if found else name) > 63:
            self._problems.add(
                "bad-name",
                f"the host name of node {name!r} is longer than 63 characters",
                where=found.span if found else where,
                hint="set a shorter `hostname`",
            )
        return found.text if found else None

    def _network_mode(self, levels: _Levels) -> str | None:
        found = levels.first("network-mode")
        if found is None or found.text == "bridge":
            return None
        mode, colon, node = found.text.partition(":")
        if found.text == "none" or (mode == "container" and colon and node):
            return found.text
        if mode == "host":
            self._problems.add(
                "unsupported",
                "labctl runs no node in the machine's own network: it would be no shadow, and its daemons would change "
                "the machine's routes",
                where=found.span,
                hint="leave `network-mode` out; a link to `host:IF` gives the node a leg of the machine",
            )
        else:
            self._problems.add(
                "bad-value",
                f"there is no network-mode {found.text!r}",
                where=found.span,
                hint="`none`, or `container:NODE` for the network of another node",
            )
        return None

    def _check_sharing(self, nodes: Mapping[str, NodeSpec]) -> None:
        """Whose network is whose: no circles, and a bridge in a node's network is called `BRIDGE|NODE`."""
        for node in nodes.values():
            where = node.where or Span(self._reading.file)
            bridge, bar, inside = node.name.partition("|")
            if bar or (node.shares and node.kind is not NodeKind.LINUX):
                if node.kind is not NodeKind.BRIDGE or node.shares != inside or inside not in nodes:
                    self._problems.add(
                        "bad-value",
                        f"node {node.name!r} is no bridge inside another node of the lab",
                        where=where,
                        hint="a node `br0|r1` has `kind: bridge` and `network-mode: container:r1`",
                    )
                elif len(bridge.encode()) > names.IFNAMSIZ:
                    self._problems.add(
                        "bad-name",
                        f"Linux allows no interface with the name {bridge!r}",
                        where=where,
                        hint=f"at most {names.IFNAMSIZ} bytes",
                    )
            if node.shares and node.shares in nodes and nodes[node.shares].kind is not NodeKind.LINUX:
                self._problems.add(
                    "bad-value",
                    f"node {node.name!r} is in the network of {node.shares!r}, which is no container",
                    where=where,
                    hint="name a node of kind linux",
                )
            if _in_a_circle(node, nodes):
                self._problems.add(
                    "bad-value",
                    f"node {node.name!r} is in its own network by `network-mode: container:{node.shares}`",
                    where=where,
                    hint="one node of the circle has a network of its own",
                )

    def _mgmt_address(self, own: Checked, key: str, version: int, subnet: str) -> str | None:
        text = said(own, key)
        if text is None:
            return None
        where = own[key].value.span
        found = fields.address(text, where, self._problems, version=version, prefix=False, key=key)
        if found and ipaddress.ip_address(found) not in ipaddress.ip_network(subnet):
            self._reading.at_deploy(
                "bad-address",
                f"{key} {found} is outside the management network {subnet}",
                where=where,
                hint=f"set `mgmt: {{ipv{version}-subnet: …}}` or change the address",
            )
        elif found and found in (self._mgmt.ipv4_gateway, self._mgmt.ipv6_gateway):
            self._problems.add(
                "bad-address", f"{key} {found} is the gateway of the management network", where=where
            )
        elif found and found in _not_of_one_node(subnet):
            self._problems.add(
                "bad-address", f"{key} {found} means all of the management network {subnet}", where=where
            )
        return found

    def _unique_addresses(self) -> None:
        for key in ("mgmt-ipv4", "mgmt-ipv6"):
            seen: dict[str, str] = {}
            for name, (where, own) in self._all.nodes.items():
                address = _plain(said(own, key))
                if address and seen.setdefault(address, name) != name:
                    self._problems.add(
                        "address-twice",
                        f"nodes {seen[address]!r} and {name!r} have the same {key} {address}",
                        where=place(own, key, where),
                        hint="give each node its own, or leave it out",
                    )

    def _limits(self, levels: _Levels, labels: dict[str, str], where: Span) -> Limits:
        """From keys, and from labels, which are taken out of `labels`."""
        places = levels.places("labels")
        rates = {
            name: self._rate(name, labels.pop(label), places.get(label, where))
            for name, label in RATE_LABELS.items()
            if label in labels
        }
        return Limits(
            cpu=self._number(levels, "cpu", *_CPUS),
            memory_bytes=self._memory(levels),
            pids=self._pids(labels.pop(PIDS_LABEL, None), places.get(PIDS_LABEL, where)),
            **rates,
        )

    def _rate(self, name: str, text: str, where: Span) -> int | None:
        """Bytes per second as sizes are written, or a number of operations."""
        label = RATE_LABELS[name]
        if name.endswith("_iops"):
            if re.fullmatch(r"[1-9][0-9]{0,9}", text) and int(text) <= _MOST_IOPS:
                return int(text)
            problem, hint = "is not a number of operations per second", f"from 1 to {_MOST_IOPS}"
        else:
            try:
                found = _bytes(text, where)
            except LabctlError:
                found = 0
            if found >= _LEAST_RATE:
                return found
            problem, hint = "is not a rate of at least 4096 bytes per second", "write it like `10MiB`"
        self._problems.add(
            "bad-value", f"label {label} {problem}: {fields.shorten(text)!r}", where=where, hint=hint
        )
        return None

    def _pids(self, text: str | None, where: Span) -> int | None:
        if text is None:
            return None
        if re.fullmatch(r"[1-9][0-9]{0,8}", text) and int(text) <= _MOST_PIDS:
            return int(text)
        self._problems.add(
            "bad-value",
            f"label {PIDS_LABEL} is not a number of processes: {fields.shorten(text)!r}",
            where=where,
            hint=f"from 1 to {_MOST_PIDS}",
        )
        return None

    def _number(self, levels: _Levels, key: str, least: float, most: float) -> float | None:
        found = levels.number(key)
        if found is None:
            return None
        value, where = found
        if not least <= value <= most:
            self._problems.add(
                "bad-value", f"{key} must be from {least:g} to {most:g}, not {value:g}", where=where
            )
        return value

    def _aliases(self, own: Checked) -> tuple[str, ...]:
        found = list(_Levels((own,)).items("aliases"))
        for item in found:
            self._host_name(item, "alias")
        return tuple(dict.fromkeys(item.text for item in found))

    def _dns(self, levels: _Levels, node: str) -> Dns | None:
        """As a whole from the most specific level that says something."""
        for level in reversed(levels.levels):
            if "dns" not in level:
                continue
            found = self._reading.keys(level["dns"].value, DNS, f"node {node}: dns")
            if not found:
                continue
            of_it = _Levels((found,))
            for item in of_it.items("servers"):
                version = 6 if ":" in item.text else 4
                fields.address(
                    item.text, item.span, self._problems, version=version, prefix=False, key="dns server"
                )
            for item in of_it.items("search"):
                self._host_name(item, "search domain")
            for item in of_it.items("options"):
                if not _DNS_OPTION.fullmatch(item.text):
                    self._problems.add(
                        "bad-value", f"dns: {fields.shorten(item.text)!r} is no option", where=item.span
                    )
            servers, search, options = (
                tuple(item.text for item in of_it.items(key)) for key in ("servers", "search", "options")
            )
            return Dns(servers=servers, search=search, options=options)
        return None

    def _host_name(self, item: Scalar, what: str) -> None:
        if not names.LAB.fullmatch(item.text) or len(item.text) > names.MOST:
            self._problems.add(
                "bad-name",
                f"{what} {fields.shorten(item.text)!r} is not a host name",
                where=item.span,
                hint="letters, digits, `.`, `_` and `-`; a letter or digit first",
            )

    def _cpus(self, levels: _Levels) -> str | None:
        found = levels.first("cpu-set")
        if found is None:
            return None
        try:
            units.numbers(found.text)
        except ValueError:
            self._problems.add(
                "bad-value",
                f"cpu-set {fields.shorten(found.text)!r} is no list of processors",
                where=found.span,
                hint="write it like `0-3,6`",
            )
            return None
        return found.text.replace(" ", "")

    def _cap_add(self, levels: _Levels) -> tuple[str, ...]:
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

    def _restart(self, levels: _Levels) -> Restart:
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

    def _ports(self, levels: _Levels) -> tuple[Published, ...]:
        """The most specific list that says something; they are not joined."""
        for level in reversed(levels.levels):
            found = list(_Levels((level,)).items("ports"))
            if found:
                return tuple(each for item in found for each in clab_ports.read(item, self._problems))
        return ()

    def _tmpfs(self, levels: _Levels) -> dict[str, str]:
        """Directories in the node with their mount options."""
        found = levels.by_key("tmpfs")
        places = levels.places("tmpfs")
        for target, options in found.items():
            plain = _is_file(target)
            wrong = [
                option for option in options.split(",") if option and not _TMPFS_OPTION.fullmatch(option)
            ]
            if not plain or wrong:
                self._problems.add(
                    "bad-value",
                    f"tmpfs: there is no option {fields.shorten(wrong[0])!r}"
                    if plain
                    else f"tmpfs: {fields.shorten(target)!r} is not the absolute path of a directory",
                    where=places[target],
                    hint="write it like `/var/cache: size=64m,mode=755`",
                )
        return found

    def _size(self, levels: _Levels, key: str) -> int | None:
        found = levels.first(key)
        if found is None:
            return None
        try:
            return _bytes(found.text, found.span) or None
        except LabctlError as error:
            self._problems.extend(error)
            return None

    def _memory(self, levels: _Levels) -> int | None:
        found, size = levels.first("memory"), self._size(levels, "memory")
        if found is None or size is None:
            return None
        if 0 < size < _LEAST_MEMORY:
            self._problems.add(
                "bad-unit",
                f"memory {fields.shorten(found.text)!r} is too small: a node does not start in it",
                where=found.span,
                hint="at least `6MiB`",
            )
        return size


def _in_a_circle(node: NodeSpec, nodes: Mapping[str, NodeSpec]) -> bool:
    """Whether the networks that lead on from this node's come back to it."""
    seen: set[str] = set()
    at: NodeSpec | None = node
    while at is not None and at.shares and at.name not in seen:
        seen.add(at.name)
        at = nodes.get(at.shares)
        if at is node:
            return True
    return False


def _is_file(path: str) -> bool:
    """Whether a path is absolute, and in its one form."""
    return path.startswith("/") and os.path.normpath(path) == path != "/"


def _plain(address: str | None) -> str | None:
    """The one way to write an address; as it is if it is none (that is said elsewhere)."""
    try:
        return str(ipaddress.ip_address(address)) if address else address
    except ValueError:
        return address


def _not_of_one_node(subnet: str) -> tuple[str, ...]:
    """The addresses of an IPv4 subnet that mean the whole of it."""
    network = ipaddress.ip_network(subnet)
    if network.version == 6 or network.prefixlen >= 31:
        return ()
    return str(network.network_address), str(network.broadcast_address)


def _bytes(text: str, where: Span) -> int:
    """containerlab's sizes: any case, `kb` and `k` are 1000, `kib` and `ki` 1024, no unit is bytes."""
    match = _BYTES.fullmatch(text.strip())
    if not match:
        return units.size(text, where=where)  # says what is wrong
    unit = match[2].lower().removesuffix("b")
    power = "kmgtpe".find(unit[:1]) + 1 if unit else 0
    if unit == "i":
        return units.size(text, where=where)
    base = 1024 if unit.endswith("i") else 1000
    count = float(match[1]) * float(base**power)
    if count >= _MOST_BYTES:
        raise LabctlError("bad-unit", f"size {fields.shorten(text)!r} is too large", where=where)
    return round(count)
