"""Target queries: which links, nodes or ports of a lab a fault is to hit, said by what they are and not by a list.

`check` reads an expression (`labctl.topo.query_syntax`), `select` evaluates it over a lab (`labctl.topo.query_graph`).
Selections are sets of one kind, so `and`, `or` and `not` mean intersection, union and "all of this kind but".
A name without wildcards must exist. Segments (nodes of kind bridge) carry paths and are no targets.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import cast

from labctl.errors import LabctlError, did_you_mean
from labctl.model.scenario import Draw, Kind, Query, Targets
from labctl.names import CableId, PortId
from labctl.topo import query_syntax
from labctl.topo.query_functions import FUNCTIONS, Argument, Words
from labctl.topo.query_graph import Found, Graph, Item, on
from labctl.topo.query_syntax import Both, Call, Either, Expr, Glob, Not, Pair, error

__all__ = ["FUNCTIONS", "Graph", "check", "select"]

_WILD = frozenset("*?[")


def check(query: Query) -> Expr:
    """The tree of the query's expression; `bad-query` if it is none, or uses what its kind does not have."""
    tree = query_syntax.parse(query.expression, query.where)
    _check(tree, query, query.kind)
    return tree


def select(query: Query, graph: Graph, draw: Draw) -> Targets:
    """What the query means in this lab, `pick` of them drawn. `empty-target` if that is nothing and may not be."""
    found = sorted(_evaluate(check(query), query, graph, query.kind), key=str)
    if not found and not query.allow_empty:
        raise LabctlError(
            "empty-target",
            f"no {query.kind} of lab {graph.lab.name} is {query.expression!r}",
            where=query.where,
            hint="with `allow_empty: true` the step does nothing instead",
        )
    if query.pick is not None:
        found = _pick(found, query.pick, query, graph, draw)
    return Targets(
        cables=tuple(i for i in found if isinstance(i, CableId)),
        nodes=tuple(i for i in found if isinstance(i, str)),
        ports=tuple(i for i in found if isinstance(i, PortId)),
    )


def _pick(found: list[Item], count: int, query: Query, graph: Graph, draw: Draw) -> list[Item]:
    """By a drawn rank of each, not by position: what joins the lab changes nobody's rank."""
    if count > len(found) and not query.allow_empty:
        raise LabctlError(
            "empty-target",
            f"{count} of {query.expression!r} are to be picked, and lab {graph.lab.name} has {len(found)}",
            where=query.where,
        )
    ranked = sorted(found, key=lambda item: (draw.uniform(f"pick {item}", 0, 1), str(item)))
    return sorted(ranked[:count], key=str)


# ---- checking


def _check(tree: Expr, query: Query, kind: Kind) -> None:
    match tree:
        case Not():
            _check(tree.of, query, kind)
        case Both() | Either():
            _check(tree.one, query, kind)
            _check(tree.other, query, kind)
        case Call():
            _check_call(tree, query, kind)
        case Glob():
            _check_glob(tree, query, kind)


def _check_glob(glob: Glob, query: Query, kind: Kind) -> None:
    said, hint = glob.pattern, ""
    if kind is Kind.LINK and said != "*" and "--" not in said:
        hint = "name both ends, `r1:eth1--r2:eth1` or `r1:*--r2:*`; `of(r1)` are all links of a node"
    elif kind is Kind.PORT and said != "*" and ":" not in said:
        hint = "write it like `r1:eth1` or `r1:*`"
    elif kind is Kind.NODE and ":" in said:
        hint = "a node has a name like `r1`"
    if hint:
        raise error(f"{said!r} names no {kind}", glob.at, query.where, hint)


def _check_call(call: Call, query: Query, kind: Kind) -> None:
    function = FUNCTIONS.get(call.name)
    if function is None:
        near = did_you_mean(call.name, (name for name, f in FUNCTIONS.items() if kind in f.of))
        raise error(f"there is no function {call.name!r}", call.at, query.where, near)
    if kind not in function.of:
        kinds = " and ".join(f"{each}s" for each in function.of)
        raise error(f"{call.name}() selects {kinds}, not {kind}s", call.at, query.where)
    right = len(call.arguments) == len(function.takes) and all(
        isinstance(argument, Pair) == (takes is Words.PAIR)
        and (takes is not Words.NAME or isinstance(argument, Glob))
        for argument, takes in zip(call.arguments, function.takes, strict=True)
    )
    if not right:
        wanted = ", ".join(f"{t}s" if isinstance(t, Kind) else t for t in function.takes) or "nothing"
        raise error(
            f"{call.name}() takes {wanted}", call.at, query.where, f"write it like `{usage(call.name)}`"
        )
    for argument, takes in zip(call.arguments, function.takes, strict=True):
        if isinstance(takes, Kind):
            _check(cast("Expr", argument), query, takes)


def usage(name: str) -> str:
    """`cut(NODES, NODES)`."""
    takes = (f"{t}s".upper() if isinstance(t, Kind) else t.value for t in FUNCTIONS[name].takes)
    return f"{name}({', '.join(takes)})"


# ---- evaluating


def _evaluate(tree: Expr, query: Query, graph: Graph, kind: Kind) -> Found:
    match tree:
        case Not():
            return graph.all(kind) - _evaluate(tree.of, query, graph, kind)
        case Both():
            return _evaluate(tree.one, query, graph, kind) & _evaluate(tree.other, query, graph, kind)
        case Either():
            return _evaluate(tree.one, query, graph, kind) | _evaluate(tree.other, query, graph, kind)
        case Call():
            arguments: list[Argument] = []
            for argument, takes in zip(tree.arguments, FUNCTIONS[tree.name].takes, strict=True):
                arguments += _argument(argument, takes, query, graph)
            return frozenset(FUNCTIONS[tree.name].run(graph, kind, tuple(arguments))) & graph.all(kind)
        case Glob():
            return _named(tree, query, graph, kind)


def _argument(argument: Expr | Pair, takes: Kind | Words, query: Query, graph: Graph) -> tuple[Argument, ...]:
    if isinstance(argument, Pair):
        return argument.key, argument.value
    if isinstance(takes, Kind):
        return (_evaluate(argument, query, graph, takes),)
    return (cast("Glob", argument).pattern,)


def _named(glob: Glob, query: Query, graph: Graph, kind: Kind) -> Found:
    pattern = glob.pattern
    if kind is Kind.LINK:  # from either end: nobody remembers which one sorts first
        ways = {cable: (str(cable), f"{cable.z}--{cable.a}") for cable in graph.cables}
        found: Found = frozenset(c for c, each in ways.items() if any(fnmatchcase(w, pattern) for w in each))
    else:
        found = frozenset(item for item in graph.all(kind) if fnmatchcase(str(item), pattern))
    if not found and not _WILD & set(pattern):
        raise _missing(glob, query, graph, kind)
    return found


def _missing(glob: Glob, query: Query, graph: Graph, kind: Kind) -> LabctlError:
    lab, known = graph.lab.name, sorted(node.name for node in graph.lab.nodes)
    where = error("", glob.at, query.where).where
    nodes = [end.split(":")[0] for end in glob.pattern.split("--")] if kind is Kind.LINK else []
    nodes = nodes or [glob.pattern.split(":")[0]]
    for node in nodes:
        if node not in known and node != "stub":
            hint = did_you_mean(node, known)
            return LabctlError("unknown-node", f"lab {lab} has no node {node!r}", where=where, hint=hint)
    if kind is Kind.NODE:
        said = f"{glob.pattern!r} is a segment and runs nothing that could fail"
        return LabctlError("empty-target", said, where=where)
    near = [str(item) for item in graph.all(kind) if on(item) & set(nodes)]
    hint = did_you_mean(glob.pattern, near)
    return LabctlError("empty-target", f"lab {lab} has no {kind} {glob.pattern!r}", where=where, hint=hint)
