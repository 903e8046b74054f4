"""`__gitBranch__` and `__gitHash__` in the name of a lab: of the repository that the lab file lies in, read from its files.

Outside a repository, and before its first commit, they are `none`; `/` in a branch is `-`; a checkout without a branch
is `HEAD`.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass

_SHORT = 7
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
BRANCH, HASH = "__gitBranch__", "__gitHash__"


@dataclass(frozen=True, slots=True)
class _Repository:
    """`own` holds HEAD; `common` the branches, which the worktrees of a repository share."""

    own: str
    common: str


def filled(name: str, directory: str) -> str:
    """The name with both words replaced."""
    if BRANCH not in name and HASH not in name:
        return name
    repository = _find(directory)
    branch, commit = _head(repository) if repository else ("none", "none")
    return name.replace(BRANCH, branch.replace("/", "-")).replace(HASH, commit)


def _find(directory: str) -> _Repository | None:
    at = os.path.abspath(directory)
    while True:
        git = os.path.join(at, ".git")
        if os.path.isdir(git):
            return _Repository(git, git)
        if linked := re.fullmatch(r"gitdir: (.+)", _text(git)):
            own = os.path.normpath(os.path.join(at, linked[1]))
            common = _text(os.path.join(own, "commondir"))
            return _Repository(own, os.path.normpath(os.path.join(own, common)) if common else own)
        if os.path.dirname(at) == at:
            return None
        at = os.path.dirname(at)


def _head(repository: _Repository) -> tuple[str, str]:
    head = _text(os.path.join(repository.own, "HEAD"))
    if not head.startswith("ref: "):
        return "HEAD", _short(head)
    ref = head.removeprefix("ref: ")
    commit = _text(os.path.join(repository.common, ref)) or _packed(repository, ref)
    if not commit:
        return "none", "none"
    return ref.removeprefix("refs/heads/"), _short(commit)


def _packed(repository: _Repository, ref: str) -> str:
    for line in _text(os.path.join(repository.common, "packed-refs")).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref:
            return commit
    return ""


def _short(commit: str) -> str:
    return commit[:_SHORT] if _HASH.fullmatch(commit) else "none"


def _text(path: str) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as file:
        return file.read(1 << 24).strip()
    return ""
