"""The fidelity account: what became of every configuration line on its way into the lab.

Discovery writes the parsers' account beside the snapshot (`NAME.account.json`); a render takes down what it could not
take along. A device whose lines nobody accounted for is named, and its fidelity is unknown, not perfect.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labctl.analyze.radius import Network, radii
from labctl.errors import LabctlError, Problems, Span
from labctl.linux import whole
from labctl.model.account import (
    AccountedLine,
    ConfigAccount,
    FidelityAccount,
    LineClass,
    counts,
    merged,
    score,
)
from labctl.model.snapshot import Snapshot
from labctl.model.verdict import Verdict
from labctl.render.account import with_losses
from labctl.render.project import Note
from labctl.schema import account_file, infile

LOST = (LineClass.UNKNOWN, LineClass.UNSUPPORTED, LineClass.APPROXIMATED)
_HEADER = "labctl: annotated configuration of "


@dataclass(frozen=True, slots=True, kw_only=True)
class LostLine:
    """reaches: the devices in its blast radius."""

    device: str
    line: AccountedLine
    reaches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """lost: the widest blast radius first. unaccounted: devices of which only the model is known."""

    accounts: Mapping[str, ConfigAccount]
    lost: tuple[LostLine, ...] = ()
    unaccounted: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[LineClass, int]:
        return counts(line for account in self.accounts.values() for line in account.lines)

    @property
    def score(self) -> float | None:
        return score(self.counts)


def path_beside(snapshot: str) -> str:
    """Where the account of a snapshot's file lies."""
    return f"{os.path.splitext(snapshot)[0]}.account.json"


def by_device(snapshot: Snapshot, accounts: Iterable[ConfigAccount]) -> dict[str, ConfigAccount]:
    """Each account under the name of its device in the snapshot."""
    owner = {config.where.file: name for name, config in snapshot.configs.items()}
    parts: dict[str, list[ConfigAccount]] = {}
    for account in accounts:
        name = next((owner[line.where.file] for line in account.lines if line.where.file in owner), None)
        parts.setdefault(name or account.device, []).append(account)
    return {name: merged(name, each) for name, each in parts.items()}


def load(snapshot: str) -> FidelityAccount | None:
    """What discovery wrote beside this file; None if there is nothing."""
    path = path_beside(snapshot)
    return account_file.parse(infile.text(path), file=path) if os.path.exists(path) else None


def save(snapshot: str, found: FidelityAccount) -> None:
    path = path_beside(snapshot)
    if found.devices:
        whole.write(path, account_file.dump(found).encode())
    elif os.path.exists(path):
        os.unlink(path)


def fidelity(
    snapshot: Snapshot, accounts: FidelityAccount | None, notes: Sequence[Note], rendered: Iterable[str]
) -> Fidelity:
    """The account of the devices that have a node."""
    here = set(rendered) & set(snapshot.configs)
    known = {name: a for name, a in (accounts.devices if accounts else {}).items() if name in here}
    lowered = with_losses(known, notes)
    network = Network(topology=snapshot.topology, configs=snapshot.configs)
    lost = [
        LostLine(device=name, line=line, reaches=reaches)
        for name, account in lowered.items()
        for line, reaches in radii(account, network)
        if line.cls in LOST
    ]
    lost.sort(key=lambda each: (-len(each.reaches), LOST.index(each.line.cls)))
    return Fidelity(accounts=lowered, lost=tuple(lost), unaccounted=tuple(sorted(here - known.keys())))


def gate(found: Fidelity, least: float) -> Verdict:
    """Is it true enough? Unknown while a configuration has no account, or no line that matters."""
    if found.unaccounted or found.score is None:
        return Verdict.UNKNOWN
    return Verdict.PASS if found.score >= least else Verdict.FAIL


def as_json(found: Fidelity) -> dict[str, Any]:
    return {
        "score": found.score,
        "counts": _counts(found.counts),
        "devices": [
            {"device": name, "score": score(own := counts(account.lines)), "counts": _counts(own)}
            for name, account in found.accounts.items()
        ],
        "lost": [
            {
                "device": each.device,
                "where": str(each.line.where),
                "text": each.line.text,
                "class": each.line.cls.value,
                "rule": each.line.rule,
                "blast_radius": len(each.reaches),
                "reaches": list(each.reaches),
            }
            for each in found.lost
        ],
        "unaccounted": list(found.unaccounted),
    }


def _counts(found: Mapping[LineClass, int]) -> dict[str, int]:
    return {cls.value: number for cls, number in found.items()}


# --- annotated configurations ---


def annotated(found: Fidelity) -> dict[str, str]:
    """File name -> every accounted line with its number, class and rule; secrets are out of the account already."""
    return {f"{name}.txt": _annotated(account) for name, account in found.accounts.items()}


def _annotated(account: ConfigAccount) -> str:
    text, file = f"{_HEADER}{account.device}\n", ""
    for line in account.lines:
        if line.where.file != file:
            file = line.where.file
            text += f"\n{file}\n"
        said = f"{line.where.line:>6}  {line.cls:<12}  {' ' * line.depth}{line.text}"
        text += f"{said}  <- {line.rule}\n" if line.rule else f"{said}\n"
    return text


def check_annotated(directory: str, *, force: bool) -> None:
    """Before anything is written: files in the way that labctl did not write."""
    whole.check_directory(directory)
    problems = Problems()
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) and not force else ():
        path = os.path.join(directory, name)
        ours = os.path.isfile(path) and infile.head(path, 200).startswith(_HEADER.encode())
        if name.endswith(".txt") and not ours:
            problems.add(
                "would-overwrite",
                "it is in the way, and labctl did not write it",
                where=Span(path),
                hint="--force overwrites it; --annotated takes another directory",
            )
    problems.stop()


def write_annotated(directory: str, found: Fidelity) -> None:
    for name, text in annotated(found).items():
        whole.write(os.path.join(directory, name), text.encode())


def kept(
    found: Mapping[str, ConfigAccount], snapshot: Snapshot, earlier: FidelityAccount | None
) -> FidelityAccount:
    """The accounts to write: those of now, and of devices whose configuration stayed, those of before."""
    before = earlier.devices if earlier else {}
    return FidelityAccount(
        devices={
            name: replace(account, device=name)
            for name in snapshot.configs
            if (account := found.get(name) or before.get(name)) is not None
        }
    )


def earlier(snapshot: str) -> FidelityAccount | None:
    """`load`, before the snapshot is written again; `would-overwrite` if the file is something else."""
    try:
        return load(snapshot)
    except LabctlError as error:
        raise LabctlError(
            "would-overwrite",
            f"the file is there and is no account that labctl can read: {error.message}",
            where=error.where or Span(path_beside(snapshot)),
            hint="choose another name with -n, or move the file away",
        ) from None
