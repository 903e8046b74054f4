"""What of the machine's files a lab file gives a node: variables, binds, devices; and its file systems in memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from labctl.errors import LabctlError, Problems, Span, did_you_mean
from labctl.model.lab import Bind, DeviceFile
from labctl.schema import dotenv, fields
from labctl.schema.clab_levels import Levels
from labctl.schema.clab_read import Reading
from labctl.schema.yaml import Scalar

IMPORT_ENVS = "__IMPORT_ENVS"  # as a variable of `env` with the value `true`
#: Docker's. Those about SELinux labels, propagation and copying have no effect here (`labctl.runtime.bundle`).
_BIND_OPTIONS = frozenset(
    {"ro", "rw", "noexec", "nosuid", "nodev", "z", "Z", "nocopy", "consistent", "cached", "delegated"}
    | {"private", "rprivate", "shared", "rshared", "slave", "rslave"}
)
_DEVICE_ACCESS = re.compile(r"[rwm]{1,3}")
_TMPFS_OPTION = re.compile(
    r"ro|rw|(?:no)?(?:exec|suid|dev)|(?:nr_inodes|nr_blocks)=[0-9]+[kmg]?|size=[0-9]+[kmg%]?|mode=[0-7]{3,4}|[ug]id=[0-9]+"
)


def environment(reading: Reading, levels: Levels) -> dict[str, str]:
    """The files' variables, then those of each level; `__IMPORT_ENVS` adds what its own level does not say."""
    found = _env_files(reading, levels)
    for level in levels.levels:
        if "env" not in level:
            continue
        own = fields.text_map(level["env"].value, "env", Problems())
        if own.pop(IMPORT_ENVS, "") == "true":
            own = {key: value for key, value in reading.env.items() if "\0" not in key + value} | own
        for entry in getattr(level["env"].value, "entries", {}).values():
            if not entry.key or "=" in entry.key:
                reading.problems.add(
                    "bad-value",
                    f"no environment variable can be called {entry.key!r}",
                    where=entry.span,
                )
        found |= own
    return found


def _env_files(reading: Reading, levels: Levels) -> dict[str, str]:
    """All files, defaults first; a later one wins."""
    found: dict[str, str] = {}
    for path, _ in _env_paths(reading, levels):
        if os.path.exists(path):
            try:
                found |= dotenv.load(path)
            except LabctlError as error:
                reading.problems.extend(error)
    return found


def absent_env_files(reading: Reading, levels: Levels) -> tuple[str, ...]:
    """Files of variables that are not there (yet)."""
    absent = {p: where for p, where in _env_paths(reading, levels) if not os.path.exists(p)}
    for path, where in absent.items():
        reading.at_deploy(
            "file-not-found",
            f"the file of variables {path} is not there",
            where=where,
            hint="write it, or say the variables under `env`",
        )
    return tuple(absent)


def _env_paths(reading: Reading, levels: Levels) -> Iterator[tuple[str, Span]]:
    for item in levels.items("env-files"):
        path = os.path.join(reading.directory, os.path.expanduser(item.text))
        yield os.path.normpath(path), item.span


def binds(reading: Reading, levels: Levels, *, lab: str, node: str) -> tuple[Bind, ...]:
    """Of several for one place in the node the most specific."""
    found: dict[str, Bind] = {}
    for item in levels.items("binds"):
        bind = _bind(reading, item, filled(reading, item.text, lab=lab, node=node))
        if bind:
            found[bind.target] = bind
    return tuple(found.values())


def _bind(reading: Reading, item: Scalar, text: str) -> Bind | None:
    source, *rest = text.split(":")
    if not source or len(rest) not in (1, 2) or not rest[0].startswith("/"):
        reading.problems.add(
            "bad-value",
            f"bind {item.text!r} is not `source:target` with an absolute target",
            where=item.span,
            hint="write it like `config/r1:/etc/frr:ro`",
        )
        return None
    path = os.path.join(reading.directory, os.path.expanduser(source))
    options = tuple(o for o in rest[1].split(",") if o) if len(rest) == 2 else ()
    for option in options:
        if option not in _BIND_OPTIONS:
            reading.problems.add(
                "bad-value",
                f"bind {item.text!r}: there is no option {option!r}",
                where=item.span,
                hint=did_you_mean(option, _BIND_OPTIONS),
            )
    return Bind(source=os.path.normpath(path), target=rest[0], options=options, where=item.span)


def devices(reading: Reading, levels: Levels) -> tuple[DeviceFile, ...]:
    """`source[:target][:access]`, as for `docker run --device`."""
    found: dict[str, DeviceFile] = {}
    for item in levels.items("devices"):
        source, *rest = item.text.split(":")
        access = rest.pop() if rest and _DEVICE_ACCESS.fullmatch(rest[-1]) else "rwm"
        target = rest.pop() if rest else source
        if rest or not _is_file(source) or not _is_file(target):
            reading.problems.add(
                "bad-value",
                f"device {fields.shorten(item.text)!r} is not `source[:target[:rwm]]` with absolute paths",
                where=item.span,
                hint="write it like `/dev/kvm` or `/dev/kvm:/dev/kvm:rw`",
            )
            continue
        access = "".join(each for each in "rwm" if each in access)
        found[target] = DeviceFile(source=source, target=target, access=access, where=item.span)
    return tuple(found.values())


def tmpfs(reading: Reading, levels: Levels) -> dict[str, str]:
    """Directories in the node with their mount options."""
    found = levels.by_key("tmpfs")
    places = levels.places("tmpfs")
    for target, options in found.items():
        plain = _is_file(target)
        wrong = [option for option in options.split(",") if option and not _TMPFS_OPTION.fullmatch(option)]
        if not plain or wrong:
            reading.problems.add(
                "bad-value",
                f"tmpfs: there is no option {fields.shorten(wrong[0])!r}"
                if plain
                else f"tmpfs: {fields.shorten(target)!r} is not the absolute path of a directory",
                where=places[target],
                hint="write it like `/var/cache: size=64m,mode=755`",
            )
    return found


def filled(reading: Reading, text: str, *, lab: str, node: str) -> str:
    """A text with containerlab's words for places (`__clabNodeDir__`, …) filled in."""
    if "__clab" not in text:
        return text
    base = reading.env.get("CLAB_LABDIR_BASE") or reading.directory
    directory = os.path.join(os.path.abspath(base), f"clab-{lab}")
    for word, meaning in (
        ("__clabNodeDir__", os.path.join(directory, node)),
        ("__clabDir__", directory),
        ("__clabLabName__", f"clab-{lab}"),
        ("__clabNodeName__", node),
    ):
        text = text.replace(word, meaning)
    return text


def _is_file(path: str) -> bool:
    """Whether a path is absolute, and in its one form."""
    return path.startswith("/") and os.path.normpath(path) == path != "/"
