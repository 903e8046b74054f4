"""The machine's packet filter: the one module that speaks to nftables, through `nft`.

A script given to `load` is one transaction: the kernel takes all of it or nothing, and no packet sees half of it. What
is there is read back as nft's own JSON. Each function names the network namespace (a path; None: the caller's own).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labctl.linux import netns, proc
from labctl.linux.events import Changes

NETLINK_NETFILTER = 12
_GROUP_NFTABLES = 7
#: NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DEL…: table, chain, rule, set, element. What labctl made may be gone.
REMOVALS = frozenset(10 << 8 | kind for kind in (2, 5, 8, 11, 14))
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the inet family as far as it matters here: rules by chain, elements by set, packets by counter."""

    hooks: Mapping[str, str]  # chain -> hook
    rules: Mapping[str, int]  # chain -> how many
    sets: Mapping[str, frozenset[str]]
    counters: Mapping[str, int]


def load(script: str, path: str | None = None, *, keep: Sequence[int] = ()) -> None:
    """Run a script as one transaction; CommandFailed with nft's words, FileNotFoundError without nft.

    keep: descriptors that nft inherits.
    """
    _nft(path, "-f", "-", stdin=script, keep=keep)


def read(table: str, path: str | None = None) -> Table | None:
    """An inet table, or None if there is none of that name."""
    try:
        said = _nft(path, "-j", "list", "table", "inet", table)
    except proc.CommandFailed as error:
        if _absent(error):
            return None
        raise
    return parse(said)


def delete(table: str, path: str | None = None) -> bool:
    """Remove an inet table; False if there is none."""
    try:
        _nft(path, "delete", "table", "inet", table)
    except proc.CommandFailed as error:
        if _absent(error):
            return False
        raise
    return True


def elements(table: str, name: str, values: Sequence[str]) -> str:
    """The script that adds elements to a set; those that it has already are no error."""
    return f"add element inet {table} {name} {{ {', '.join(values)} }}\n" if values else ""


def changes(path: str | None = None) -> Changes:
    """Wakes whoever listens when anybody changes the packet filter of the namespace."""
    return Changes(path, protocol=NETLINK_NETFILTER, groups=1 << (_GROUP_NFTABLES - 1))


def parse(said: str) -> Table:
    hooks: dict[str, str] = {}
    rules: dict[str, int] = {}
    sets: dict[str, frozenset[str]] = {}
    counters: dict[str, int] = {}
    for entry in json.loads(said)["nftables"]:
        for kind, value in entry.items():
            match kind:
                case "chain":
                    hooks[value["name"]] = value.get("hook", "")
                case "rule":
                    rules[value["chain"]] = rules.get(value["chain"], 0) + 1
                case "set":
                    sets[value["name"]] = frozenset(map(str, value.get("elem", ())))
                case "counter":
                    counters[value["name"]] = value["packets"]
    return Table(hooks=hooks, rules=rules, sets=sets, counters=counters)


def _nft(path: str | None, *argv: str, stdin: str | None = None, keep: Sequence[int] = ()) -> str:
    with _inside(path):
        return proc.run(["nft", *argv], stdin=stdin, timeout_s=_TIMEOUT_S, keep=keep).stdout


@contextlib.contextmanager
def _inside(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    with netns.inside(path):
        yield


def _absent(error: proc.CommandFailed) -> bool:
    return "No such file or directory" in error.result.stderr
