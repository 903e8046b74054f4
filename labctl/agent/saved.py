"""What a resource was before it was touched, where putting it back needs to know: the other half of the ledger.

Most resources are what the lab's record says and need nothing remembered. A few are not: the addresses that a port
loses when it is shut down, the command line and configuration of a daemon that is killed, the configuration that is
changed. That is written here, synced to disk, before the first touch, and removed after the last step of putting it back.
So a resource that has a file here is off its base, whoever was killed when; and one file a resource means that damage to
one, or to the ledger, costs no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from labctl.agent import codec
from labctl.errors import LabctlError
from labctl.model.effects import Resource

VERSION = 1


class Saved:
    """The files of one lab, in `directory`; one process writes at a time (the agent, under its lock)."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def read(self, on: Resource) -> dict[str, Any] | None:
        """What was written of it; None if it was not touched."""
        path = self._path(on)
        try:
            with open(path, encoding="utf-8") as file:
                value = json.load(file)
            if value["version"] != VERSION or not isinstance(value["state"], dict):
                raise ValueError("another version")  # noqa: TRY301
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from error
        state: dict[str, Any] = value["state"]
        return state

    def write(self, on: Resource, state: Mapping[str, Any]) -> None:
        """On disk when it returns; a crash leaves the old state or the new."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        path = self._path(on)
        value = {"version": VERSION, "on": codec.resource(on), "state": state}
        fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".new", path)
        self._sync()

    def remove(self, on: Resource) -> None:
        """It is at its base again."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(on))
            self._sync()

    def resources(self) -> list[Resource]:
        """Everything that has a file that can be read."""
        return [each for each in map(self._resource, self._names()) if not isinstance(each, str | None)]

    def damaged(self) -> dict[str, str]:
        """File -> what is wrong with it: what it stands for cannot be put back."""
        found = {name: self._resource(name) for name in self._names()}
        return {os.path.join("saved", name): why for name, why in found.items() if isinstance(why, str)}

    def _resource(self, name: str) -> Resource | str | None:
        """What the file is about; why that cannot be told; None if it is gone."""
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8") as file:
                return codec.parse_resource(json.load(file)["on"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            return f"it was damaged: {error}"

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.directory) if name.endswith(".json"))
        except FileNotFoundError:
            return []

    def _path(self, on: Resource) -> str:
        text = json.dumps(codec.resource(on), sort_keys=True)
        return os.path.join(self.directory, hashlib.sha256(text.encode()).hexdigest()[:24] + ".json")

    def _sync(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _damaged(path: str, error: Exception) -> LabctlError:
    return LabctlError(
        "ledger-corrupt",
        f"{path} was damaged: {error}",
        hint="what it names stays as it is; `labctl destroy` removes the lab",
    )
