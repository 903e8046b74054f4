"""What a node printed: its `log`, bounded, with times that somebody noted from outside.

    nodes/<node>/log     written by the node's own processes, always at its end
    nodes/<node>/log.1   what was in it before it was full
    …/log.times          `<wall time> <from> <to>`: these bytes were there by then, and were not at the line before
    …/log.1.times

Nobody stands between a node and its log: a pipe would end with whoever reads it, and the node with the pipe. So a full log is
copied aside and then emptied, which nodes do not notice; what is written between the two is lost (microseconds). And times are
those at which the agent looked, once a second at most, while something is written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator

from labctl.runtime.store import LabDir

#: A log is put aside when it has this size, and when this many bytes tell of its times.
_MOST_BYTES, _MOST_TIMES = 4 << 20, 1 << 20
_PAUSE_S = 0.1
_CHUNK = 1 << 16


def log(place: LabDir, node: str) -> str:
    return os.path.join(place.node_dir(node), "log")


class Keeper:
    """Notes the times of one node's log, and bounds it. One process does this: the agent."""

    def __init__(self, place: LabDir, node: str) -> None:
        self.log = log(place, node)
        last = _times(self.log)[-1:]
        self._known = last[0][2] if last else 0

    def look(self) -> None:
        """Note what came since the last look. A log that is gone has nothing to note."""
        with contextlib.suppress(FileNotFoundError):
            size = os.stat(self.log).st_size
            if size > self._known:
                with open(self.log + ".times", "a", encoding="ascii") as file:
                    file.write(f"{time.time():.3f} {self._known} {size}\n")
                    times = file.tell()
                self._known = size
                if size > _MOST_BYTES or times > _MOST_TIMES:
                    self._set_aside()

    def _set_aside(self) -> None:
        old = self.log + ".1"
        shutil.copyfile(self.log, old + ".new")
        os.replace(self.log + ".times", old + ".times")
        os.replace(old + ".new", old)
        os.truncate(self.log, 0)
        self._known = 0


def read(
    place: LabDir, node: str, *, since_s: float | None = None, tail: int | None = None, follow: bool = False
) -> Iterator[bytes]:
    """What the node printed: from this time on (seconds since 1970), of that the last `tail` lines.

    follow: and what it prints from now on, until the lab is destroyed. Nothing that was printed since then is left out;
    up to a second of what was before it may be there as well, or all of it that was printed while no agent looked.
    """
    path = log(place, node)
    with contextlib.closing(_Reader(path + ".1")) as old, contextlib.closing(_Reader(path)) as file:
        if tail is None:
            yield from _past(old, file, path, since_s)
        else:
            yield from _last(b"".join(_past(old, file, path, since_s)), tail)
        if follow:
            yield from _follow(place, path, file, old)


def last_bytes(place: LabDir, node: str, count: int) -> bytes:
    """The end of what it printed."""
    path = log(place, node)
    found = b""
    for each in (path, path + ".1"):
        if len(found) < count:
            with contextlib.suppress(OSError), open(each, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - (count - len(found))))
                found = file.read() + found
    return found


class _Reader:
    """A file that is read on; it may not be there yet."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd: int | None = None
        self.open()

    def open(self) -> None:
        if self._fd is None:
            with contextlib.suppress(FileNotFoundError):
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def inode(self) -> int | None:
        return None if self._fd is None else os.fstat(self._fd).st_ino

    def read(self) -> Iterator[bytes]:
        """To the end of what there is."""
        while self._fd is not None and (data := os.read(self._fd, _CHUNK)):
            yield data

    def seek(self, offset: int) -> None:
        if self._fd is not None:
            os.lseek(self._fd, offset, os.SEEK_SET)

    def tell(self) -> int:
        return 0 if self._fd is None else os.lseek(self._fd, 0, os.SEEK_CUR)


def _past(old: _Reader, file: _Reader, path: str, since_s: float | None) -> Iterator[bytes]:
    if since_s is not None:
        start = _from(_times(path + ".1"), since_s)
        old.seek(start)
        newer = _times(path)
        file.seek(_from(newer, since_s) if newer else 0)
    yield from old.read()
    yield from file.read()


def _follow(place: LabDir, path: str, file: _Reader, old: _Reader) -> Iterator[bytes]:
    """A log that was put aside is another `log.1`: what we have not read of it is there, at the same place.

    The `log.1` that we know stays open meanwhile, for else a later one may be given its inode.
    """
    with contextlib.ExitStack() as held:
        while True:
            there = os.path.exists(place.record_file)
            file.open()
            now = _Reader(path + ".1")
            if now.inode == old.inode:
                now.close()
            else:
                held.close()
                held.callback(now.close)
                old = now
                now.seek(file.tell())
                yield from now.read()
                file.seek(0)
            yield from file.read()
            if not there:
                return
            time.sleep(_PAUSE_S)


def _last(data: bytes, lines: int) -> Iterator[bytes]:
    kept = data.splitlines(keepends=True)[-lines:] if lines else []
    yield b"".join(kept)


def _from(times: list[tuple[float, int, int]], since_s: float) -> int:
    """Where what was printed since then begins."""
    return next((begin for wall, begin, _ in times if wall >= since_s), times[-1][2] if times else 0)


def _times(path: str) -> list[tuple[float, int, int]]:
    found: list[tuple[float, int, int]] = []
    with contextlib.suppress(OSError, ValueError), open(path + ".times", encoding="ascii") as file:
        for line in file:  # a full disk may have cut the last one
            wall, begin, end = line.split()
            found.append((float(wall), int(begin), int(end)))
    return found
