"""containerlab's lab files, in: `load(path)` gives the `LabSpec` that they mean.

The order is containerlab's: the file's template is rendered and variables are expanded in the raw text (`clab_text`),
then YAML is read, keys are checked (unknown ones are errors), each node inherits from defaults, kind and group, links
are resolved in file order. What labctl does not emulate is an error or a `Notice`, never dropped in silence;
`clab_keys` lists every key.

What containerlab takes when it reads a file and refuses when it deploys it (an interface with two links, a management
address outside the network, a file of variables that is not there) is an error as well, unless the caller is content
to be told (`deferred`), as `labctl validate` is.

`clab_out.dump` is the way back: `parse(dump(x)) == x`.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Mapping, Sequence

from labctl import names
from labctl.errors import LabctlError, Span
from labctl.model.lab import LabSpec, MgmtSpec
from labctl.schema import clab_text, fields, git_words, yaml
from labctl.schema.clab_keys import MGMT, NODE, TOP, TOPOLOGY
from labctl.schema.clab_links import MTU_MAX, MTU_MIN_IPV6, LinkReader
from labctl.schema.clab_nodes import Definitions, NodeReader
from labctl.schema.clab_places import Places
from labctl.schema.clab_read import Checked, Notice, Notify, Reading, place, said
from labctl.schema.clab_text import Variables


def load(
    path: str | os.PathLike[str],
    *,
    lenient: bool = False,
    name: str | None = None,
    variables: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    notify: Notify | None = None,
    deferred: Notify | None = None,
    places: Places | None = None,
) -> LabSpec:
    """The lab of a file. `lenient` maps old keys; `name` overrides the lab's; `env` defaults to the process's.

    variables: files with what its template names; without any, those that lie beside the file and carry its name.
    `notify` hears of keys that have no effect; without it they go to the log. `deferred` hears of what only a deploy
    must not meet; without it that is an error. `places` is told where the file says what.
    """
    text = clab_text.read(path)
    return parse(
        text,
        file=os.fspath(path),
        lenient=lenient,
        name=name,
        variables=clab_text.variables(path, variables) if variables or "{{" in text else None,
        env=env,
        notify=notify,
        deferred=deferred,
        places=places,
    )


def parse(
    text: str,
    *,
    file: str,
    lenient: bool = False,
    name: str | None = None,
    variables: Variables | None = None,
    env: Mapping[str, str] | None = None,
    notify: Notify | None = None,
    deferred: Notify | None = None,
    places: Places | None = None,
) -> LabSpec:
    """The lab of a text; relative paths in it start from the directory of `file`. variables: what its template names."""
    env = os.environ if env is None else env
    done, where = clab_text.prepared(text, variables, env, file)
    root = yaml.parse(done, file=file, nul=False, place=where)
    source = os.path.abspath(file)
    reading = Reading(
        file=file,
        directory=os.path.dirname(source),
        lenient=lenient,
        env=env,
        notify=notify or _to_the_log,
        deferred=deferred,
    )
    return _resolve(reading, root, name, source, places or Places(file=file))


def _to_the_log(notice: Notice) -> None:
    logging.getLogger("labctl").warning("%s", notice)


def _resolve(reading: Reading, root: yaml.Value, name: str | None, source: str, places: Places) -> LabSpec:
    problems = reading.problems
    if not isinstance(root, yaml.Map):
        fields.wrong(problems, root, "a lab file", "a map with `name` and `topology`")
        problems.stop()
    top = reading.keys(root, TOP, "the file")
    topology = reading.keys(top["topology"].value, TOPOLOGY, "topology") if "topology" in top else {}
    mgmt_keys = reading.keys(top["mgmt"].value, MGMT, "mgmt") if "mgmt" in top else {}
    definitions = _definitions(reading, topology)
    problems.stop()

    if name is not None:
        names.check_lab(name)  # from the command line: no place in the file
    lab = name or _name(reading, top, root.span)
    if "topology" not in top:
        problems.add("missing-key", "the file has no `topology`", where=root.span)
    mgmt = _mgmt(reading, mgmt_keys)
    problems.stop()

    places.start = root.span
    places.take(topology)
    places.take(top)
    nodes = NodeReader(reading, definitions, lab, mgmt, places).nodes()
    by_name = {node.name: node for node in nodes}
    cables = LinkReader(reading, lab, by_name).cables(
        topology["links"].value if "links" in topology else None
    )
    problems.stop()
    return LabSpec(name=lab, prefix=_prefix(top), nodes=nodes, cables=cables, mgmt=mgmt, source=source)


def _definitions(reading: Reading, topology: Checked) -> Definitions:
    def level(key: str, what: str) -> dict[str, Checked]:
        value = topology[key].value if key in topology else None
        found = fields.mapping(value, key, reading.problems) or ()
        return {entry.key: reading.keys(entry.value, NODE, f"{what} {entry.key}") for entry in found}

    nodes = level("nodes", "node")
    bodies = topology["nodes"].value if "nodes" in topology else None
    spans = {entry.key: entry.span for entry in bodies} if isinstance(bodies, yaml.Map) else {}
    defaults = topology.get("defaults")
    return Definitions(
        defaults=reading.keys(defaults.value, NODE, "defaults") if defaults else {},
        kinds=level("kinds", "kind"),
        groups=level("groups", "group"),
        nodes={name: (spans[name], own) for name, own in nodes.items()},
    )


def _name(reading: Reading, top: Checked, where: Span) -> str:
    name = said(top, "name")
    if name is None:
        reading.problems.add(
            "missing-key", "the lab has no `name`", where=where, hint="add `name: …` or pass --name"
        )
        return "lab"
    where = place(top, "name", where)
    name = git_words.filled(name, reading.directory)
    try:
        names.check_lab(name, where=where)
    except LabctlError as error:
        reading.problems.extend(error)
    return name


def _prefix(top: Checked) -> str:
    """`prefix: ""` is a choice of its own; an absent or null one is the default."""
    value = top["prefix"].value if "prefix" in top else None
    return value.text if isinstance(value, yaml.Scalar) and not value.is_null else "clab"


def _mgmt(reading: Reading, found: Checked) -> MgmtSpec:
    base = MgmtSpec()
    problems = reading.problems

    def subnet(version: int, default: str) -> str:
        key = f"ipv{version}-subnet"
        text = said(found, key)
        if text is None or text == "auto":
            return default
        return fields.network(text, found[key].value.span, problems, version=version, key=key) or default

    def within(key: str, version: int, whole: str) -> str | None:
        """A range (`…-range`) or an address (`…-gw`) inside of the subnet."""
        text = said(found, key)
        if text is None:
            return None
        where = found[key].value.span
        if key.endswith("-gw"):
            part = fields.address(text, where, problems, version=version, prefix=False, key=key)
        else:
            part = fields.network(text, where, problems, version=version, key=key)
        if part is not None and not _inside(part, whole):
            problems.add(
                "bad-address", f"{key} {part} is outside the management network {whole}", where=where
            )
        return part

    mtu = found["mtu"].value if "mtu" in found else None
    ipv4, ipv6 = subnet(4, base.ipv4_subnet), subnet(6, base.ipv6_subnet)
    return MgmtSpec(
        network=said(found, "network") or base.network,
        ipv4_subnet=ipv4,
        ipv6_subnet=ipv6,
        ipv4_range=within("ipv4-range", 4, ipv4),
        ipv6_range=within("ipv6-range", 6, ipv6),
        ipv4_gateway=within("ipv4-gw", 4, ipv4),
        ipv6_gateway=within("ipv6-gw", 6, ipv6),
        mtu=fields.integer(mtu, "mtu", problems, low=MTU_MIN_IPV6, high=MTU_MAX) or base.mtu,
    )


def _inside(part: str, whole: str) -> bool:
    """Whether an address or a prefix lies in a prefix of its version."""
    one, network = ipaddress.ip_network(part), ipaddress.ip_network(whole)
    return int(network[0]) <= int(one[0]) and int(one[-1]) <= int(network[-1])
