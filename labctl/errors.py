"""Every error a user can meet, in one shape.

A `LabctlError` says *what* is wrong (a stable kebab-case code), *where* (file, line, column), in words, and what to
do about it (a hint). One place prints it (`render`), one table (`CODES`) lists all codes with the exit status they
lead to, and `tests/errors/` holds, beside each code, an input that provokes it and the exact text it prints.

Stages collect all their errors in a `Problems` and stop at the end of the stage, so a user with five mistakes reads
five messages, not one.

    LabctlError            one thing that is wrong
    └── LabctlErrors       several of them, from one stage
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class Exit(enum.IntEnum):
    """Exit status of the command line; a contract that scripts rely on (docs/cli.md)."""

    PASS = 0
    FAIL = 1  # something was found
    USAGE = 2
    BAD_INPUT = 3  # printed with file:line
    UNKNOWN = 4  # could not be judged
    NOTHING = 5  # nothing to run
    CANNOT = 6  # this machine cannot do it; the message names the fix
    DIRTY = 7  # lab left dirty, `labctl heal` needed
    BUG = 70
    INTERRUPTED = 130  # interrupted and healed


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in an input file. Lines and columns count from 1; 0 means "the whole file"."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


#: code -> (exit status, one line for docs/errors.md). Sorted; a test keeps it so and asks for a golden file for each.
CODES: dict[str, tuple[Exit, str]] = {
    "address-twice": (Exit.BAD_INPUT, "Two nodes have the same management address."),
    "agent-unreachable": (Exit.DIRTY, "The lab's agent does not answer and could not be restarted."),
    "attached-lab": (
        Exit.USAGE,
        "containerlab deployed this lab: labctl looks into it, and changes or removes nothing of it.",
    ),
    "bad-address": (Exit.BAD_INPUT, "An IP address, prefix or MAC address does not parse."),
    "bad-config": (Exit.BAD_INPUT, "A device configuration contradicts itself or lacks what it refers to."),
    "bad-journal": (
        Exit.BAD_INPUT,
        "The journal or the samples of a run are damaged, or another version wrote them.",
    ),
    "bad-json": (Exit.BAD_INPUT, "The file is not JSON."),
    "bad-name": (Exit.BAD_INPUT, "A lab, node, interface or cable name has a form that is not allowed."),
    "bad-option": (Exit.USAGE, "A flag or argument of the command line has a value that it cannot have."),
    "bad-query": (
        Exit.BAD_INPUT,
        "A target query does not parse, or uses what its kind of target does not have.",
    ),
    "bad-record": (Exit.DIRTY, "The record of a lab was written by another version of labctl or is damaged."),
    "bad-request": (
        Exit.USAGE,
        "The agent was asked something that it does not know or that is not well formed.",
    ),
    "bad-row": (Exit.BAD_INPUT, "A row of a table of production cannot be used."),
    "bad-snmp-row": (Exit.BAD_INPUT, "A line of an SNMP walk cannot be decoded."),
    "bad-sysctl": (Exit.CANNOT, "The kernel does not have or does not take a sysctl that a node asks for."),
    "bad-template": (
        Exit.BAD_INPUT,
        "The Go template of a lab file does not parse, cannot be carried out, or makes too much.",
    ),
    "bad-unit": (
        Exit.BAD_INPUT,
        "A duration, rate, size or percentage has no unit, an unknown one, or is out of range.",
    ),
    "bad-value": (Exit.BAD_INPUT, "A value has the wrong type or is outside what the key allows."),
    "bad-yaml": (Exit.BAD_INPUT, "The file is not YAML."),
    "blast-radius": (
        Exit.BAD_INPUT,
        "A scenario would touch or cut off more of this lab than it allows itself.",
    ),
    "boundary-unknown": (
        Exit.UNKNOWN,
        "A removed device might let changes inside a scope come back, and nobody knows what it does.",
    ),
    "boundary-unsafe": (
        Exit.BAD_INPUT,
        "Routes that leave a scope can come back into it through devices that were removed.",
    ),
    "bug": (Exit.BUG, "labctl itself failed; the traceback is saved and its path printed."),
    "cannot-apply": (
        Exit.USAGE,
        "A file asks for what a running lab cannot become: another name, prefix or runtime.",
    ),
    "cannot-write": (Exit.CANNOT, "A file or directory that labctl is to write cannot be written."),
    "command-not-run": (Exit.CANNOT, "A command could not be started inside a node."),
    "config-truncated": (
        Exit.BAD_INPUT,
        "A device configuration ends before its end; nothing was taken from it.",
    ),
    "device-refused": (
        Exit.UNKNOWN,
        "A device answers and does not let us in: wrong user or key. What it said before is kept.",
    ),
    "device-unreachable": (
        Exit.UNKNOWN,
        "A device could not be read this time. What it said before is kept.",
    ),
    "duplicate-key": (Exit.BAD_INPUT, "A key is given twice in one map."),
    "effect-not-taken": (
        Exit.UNKNOWN,
        "A fault was applied and reading back showed that it did not take; it was withdrawn.",
    ),
    "empty-pool": (
        Exit.NOTHING,
        "The constraints of a campaign leave nothing that could be drawn on this lab.",
    ),
    "empty-target": (Exit.BAD_INPUT, "A target query selects nothing, or less than is to be picked."),
    "endpoint-twice": (Exit.BAD_INPUT, "An interface is the end of two links."),
    "engine-refused": (Exit.CANNOT, "The Docker engine does not do what it was asked for, and says why."),
    "engine-unfit": (Exit.CANNOT, "A Docker engine is there, and labs cannot run on it."),
    "engine-unreachable": (Exit.CANNOT, "No Docker engine answers, or it stopped answering half-way."),
    "exec-timeout": (Exit.UNKNOWN, "A command inside a node did not end in time; it was killed."),
    "faults-do-not-compose": (
        Exit.BAD_INPUT,
        "Two faults on one direction of a cable have no meaning together.",
    ),
    "file-not-found": (Exit.BAD_INPUT, "An input file or directory does not exist or cannot be read."),
    "file-too-large": (Exit.BAD_INPUT, "A file is larger than anything that labctl reads."),
    "filters-not-loaded": (
        Exit.CANNOT,
        "A node would run without its packet filters: its image does not load them, or nft refuses them.",
    ),
    "frr-rejected": (Exit.BAD_INPUT, "FRR does not accept a line of a rendered configuration."),
    "half-applied": (
        Exit.DIRTY,
        "A change of a running lab ended before its end; the next `apply` or `heal` goes on from there.",
    ),
    "image-build-failed": (Exit.CANNOT, "An image could not be built or pulled; the log says why."),
    "image-not-found": (Exit.BAD_INPUT, "An image is not on this machine and cannot be had."),
    "kernel-missing": (
        Exit.CANNOT,
        "The kernel lacks something that labctl needs; the hint says what to load.",
    ),
    "lab-busy": (Exit.CANNOT, "Another labctl is changing this lab right now."),
    "lab-exists": (Exit.USAGE, "A lab of this name is deployed already."),
    "lab-gone": (Exit.USAGE, "The lab ran on another boot or kernel; of it there are only files here."),
    "ledger-corrupt": (
        Exit.DIRTY,
        "A lab's ledger of faults was damaged by something other than a crash of labctl.",
    ),
    "limit-refused": (
        Exit.CANNOT,
        "A running node uses more than a new limit leaves it, or the kernel does not or cannot keep the limit.",
    ),
    "machine-interface": (
        Exit.CANNOT,
        "An interface of the machine that a lab is to make is there already, or one that it builds on is not.",
    ),
    "machine-port": (
        Exit.CANNOT,
        "A port of the machine that a lab is to publish is somebody else's, or its address is not the machine's.",
    ),
    "missing-key": (Exit.BAD_INPUT, "A key that must be there is not."),
    "missing-secret": (
        Exit.BAD_INPUT,
        "A key or password is to come from the environment or a file that is not there.",
    ),
    "missing-variable": (
        Exit.BAD_INPUT,
        "The Go template of a lab file needs a variable that no file of variables sets.",
    ),
    "no-address-left": (Exit.BAD_INPUT, "The management subnet of a lab is too small for its nodes."),
    "no-lab": (Exit.USAGE, "No lab has this name, or it is not clear which lab is meant."),
    "no-root": (Exit.CANNOT, "The command needs root on this machine."),
    "node-not-running": (Exit.CANNOT, "A node has to run for this, and it is stopped or frozen."),
    "node-not-started": (
        Exit.CANNOT,
        "A node of the lab could not be started; everything was removed again.",
    ),
    "not-a-file": (Exit.BAD_INPUT, "A pipe, device or socket stands where a file is to be read."),
    "not-wired": (
        Exit.CANNOT,
        "The kernel refuses a namespace, a cable or an address of a lab; a lab that was being made is removed again.",
    ),
    "nothing-to-apply": (Exit.NOTHING, "The lab is what its file says already."),
    "reserved-name": (
        Exit.BAD_INPUT,
        "A name has a meaning of its own and cannot be given to something else.",
    ),
    "stage-not-reached": (
        Exit.CANNOT,
        "A node of a lab did not become healthy, or did not end, though another node waits for it.",
    ),
    "system-refused": (
        Exit.CANNOT,
        "The operating system refuses a path or a resource: not allowed, in use, gone, run out.",
    ),
    "tool-missing": (Exit.CANNOT, "A program that labctl runs is not installed; the hint installs it."),
    "undefined-interface": (
        Exit.BAD_INPUT,
        "A configuration uses an interface that its device does not have.",
    ),
    "unknown-device": (Exit.USAGE, "No device or port of production has this name."),
    "unknown-fault": (Exit.BAD_INPUT, "A scenario names a fault that labctl does not have."),
    "unknown-key": (Exit.BAD_INPUT, "A key is not part of the file format."),
    "unknown-node": (Exit.BAD_INPUT, "A name is not that of a node of the lab."),
    "unknown-plugin": (Exit.USAGE, "No source, parser, runtime, fault, probe or writer has this name."),
    "unknown-probe": (
        Exit.BAD_INPUT,
        "A probe is of an unknown kind, or an expectation is about one that the scenario does not have.",
    ),
    "unknown-resource": (Exit.USAGE, "A fault names a cable or node that the lab does not have."),
    "unknown-schema": (Exit.USAGE, "There is no schema of this name."),
    "unknown-source": (Exit.BAD_INPUT, "A path holds nothing that discovery can read."),
    "unknown-target": (Exit.BAD_INPUT, "A step names a target that the scenario does not define."),
    "unknown-trial": (Exit.USAGE, "No campaign that was played has a trial of this name."),
    "unsupported": (Exit.BAD_INPUT, "The file asks for something that labctl does not emulate."),
    "walk-incomplete": (
        Exit.UNKNOWN,
        "A device stopped answering in the middle of a walk. What it said before is kept.",
    ),
    "walk-truncated": (
        Exit.BAD_INPUT,
        "An SNMP walk ends before its end; its silence about a neighbour means nothing.",
    ),
    "would-overwrite": (Exit.USAGE, "A file is in the way that labctl did not write."),
    "wrong-file": (Exit.BAD_INPUT, "A file is of another kind than the verb takes; the hint names its verb."),
}


class LabctlError(Exception):
    """One thing that is wrong, in the shape that `render` prints.

    `code` must be in `CODES`; `where` is None when no input file is to blame; `hint` says what to do, and for a
    machine that cannot do it (exit 6) it is the command that fixes it.
    """

    def __init__(
        self, code: str, message: str, *, where: Span | None = None, hint: str | None = None
    ) -> None:
        if code not in CODES:
            raise AssertionError(f"error code {code!r} is not in labctl.errors.CODES")
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    @property
    def exit(self) -> Exit:
        return CODES[self.code][0]

    @property
    def each(self) -> tuple[LabctlError, ...]:
        return (self,)

    def __str__(self) -> str:
        return self.message


class LabctlErrors(LabctlError):  # noqa: N818  (it is several of them)
    """Several errors of one stage. Its code, place and exit are those of the first."""

    def __init__(self, errors: Sequence[LabctlError]) -> None:
        first = errors[0]
        super().__init__(first.code, first.message, where=first.where, hint=first.hint)
        self._each = tuple(errors)

    @property
    def each(self) -> tuple[LabctlError, ...]:
        return self._each


def on_command_line(error: LabctlError, flag: str = "") -> LabctlError:
    """The same mistake, made in a flag instead of a file: `bad-option`, which is wrong usage.

    >>> str(on_command_line(LabctlError("bad-unit", "no unit"), "--for").where)
    '--for'
    """
    each = [
        LabctlError("bad-option", e.message, where=e.where or (Span(flag) if flag else None), hint=e.hint)
        for e in error.each
    ]
    return each[0] if len(each) == 1 else LabctlErrors(each)


class Problems:
    """Collects the errors of a stage; `stop()` raises if there were any.

    >>> problems = Problems()
    >>> problems.add("bad-name", "no")
    >>> len(problems)
    1
    """

    def __init__(self) -> None:
        self._errors: list[LabctlError] = []

    def add(self, code: str, message: str, *, where: Span | None = None, hint: str | None = None) -> None:
        self._errors.append(LabctlError(code, message, where=where, hint=hint))

    def extend(self, error: LabctlError) -> None:
        self._errors.extend(error.each)

    def attempt(self, work: Callable[[], T]) -> T | None:
        """What `work` returns; None if it raised a `LabctlError`, which is collected."""
        try:
            return work()
        except LabctlError as error:
            self.extend(error)
            return None

    def __len__(self) -> int:
        return len(self._errors)

    def stop(self) -> None:
        """Raise everything collected so far, in file order (errors without a place last)."""
        if self._errors:
            ordered = sorted(self._errors, key=lambda e: (e.where is None, e.where or Span("")))
            raise ordered[0] if len(ordered) == 1 else LabctlErrors(ordered)


def render(error: LabctlError) -> str:
    """The text a user reads. Codes first, then the place, then the hint on a line of its own."""
    return "\n".join(_render_one(each) for each in error.each)


def _render_one(error: LabctlError) -> str:
    place = f"{error.where}  " if error.where else ""
    lines = [f"error: {error.code}", f"  {place}{error.message}"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint for a mistyped name: the nearest known ones, or the list when it is short."""
    choices = sorted(known)
    near = get_close_matches(word, choices, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{n}`" for n in near) + "?"
    if choices and len(choices) <= 12:
        return "known: " + ", ".join(choices)
    return None
