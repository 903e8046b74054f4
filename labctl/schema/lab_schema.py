"""The JSON Schema of a lab file, from the table of its keys (`clab_keys`)."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.model.lab import MacvlanMode
from labctl.schema import clab_keys
from labctl.schema.clab_keys import Key, Shape, Support
from labctl.schema.json_parts import COUNT, TEXT, Schema

#: YAML files leave the quotes to the reader: `22`, `on` and `1.10` are text where text is wanted.
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_SHAPES: Mapping[Shape, Schema] = {
    Shape.TEXT: _SCALAR,
    Shape.TEXTS: {"type": "array", "items": _SCALAR},
    Shape.TEXT_MAP: {"type": "object", "additionalProperties": _SCALAR},
    Shape.NUMBER: {"type": "number", "minimum": 0},
    Shape.COUNT: COUNT,
    Shape.MAP: {"type": ["object", "null"]},
    Shape.LIST: {"type": ["array", "null"]},
    Shape.BOOL: {"type": ["boolean", "null"]},
    Shape.ANY: {},
}


def lab() -> Schema:
    node = {"anyOf": [_keys(clab_keys.NODE), {"type": "null"}]}
    nodes: Schema = {"type": ["object", "null"], "additionalProperties": node}
    links = [
        _keys(clab_keys.BRIEF, {"endpoints": _pair(TEXT)}) | {"required": ["endpoints"]},
        _link(["veth", "veth-stitch"], clab_keys.VETH, {"endpoints": _pair(_end())}),
        _link(["dummy"], clab_keys.DUMMY, {"endpoint": _end()}),
        _link(["host", "mgmt-net"], clab_keys.HOST, {"endpoint": _end(), "host-interface": TEXT}),
        _link(
            ["macvlan"],
            clab_keys.MACVLAN,
            {"endpoint": _end(), "host-interface": TEXT},
            {"mode": {"enum": [*(mode.value for mode in MacvlanMode), "", None]}},
        ),
        _link(
            ["vxlan", "vxlan-stitch"],
            clab_keys.VXLAN,
            {"endpoint": _end(), "remote": TEXT, "vni": _SHAPES[Shape.COUNT]},
        ),
    ]
    topology = _keys(
        clab_keys.TOPOLOGY,
        {
            "nodes": nodes,
            "kinds": nodes,
            "groups": nodes,
            "defaults": node,
            "links": {"type": ["array", "null"], "items": {"anyOf": links}},
        },
    )
    mgmt = _keys(clab_keys.MGMT)
    return _keys(clab_keys.TOP, {"topology": topology, "mgmt": mgmt}) | {"required": ["name", "topology"]}


def _keys(table: Mapping[str, Key], own: Mapping[str, Schema] | None = None) -> Schema:
    """The keys that are accepted without `--lenient`."""
    found = {}
    for name, key in table.items():
        if key.support in (Support.YES, Support.NO_EFFECT):
            said = key.note if key.support is Support.YES else f"no effect: {key.note}"
            found[name] = dict((own or {}).get(name, _SHAPES[key.shape]))
            if said:
                found[name]["description"] = said
    return {"type": "object", "properties": found, "additionalProperties": False}


def _link(
    types: list[str],
    table: Mapping[str, Key],
    own: Mapping[str, Schema],
    optional: Mapping[str, Schema] | None = None,
) -> Schema:
    link = _keys(table, {**own, **(optional or {}), "type": {"enum": types}})
    return link | {"required": ["type", *own]}


def _pair(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 2, "maxItems": 2}


def _end() -> Schema:
    return _keys(clab_keys.END) | {"required": ["node", "interface"]}
