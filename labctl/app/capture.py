"""`labctl capture`: frames of a cable or a port into a pcapng file, while the lab goes on as if nobody looked."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO

import labctl
from labctl.agent import refusals
from labctl.errors import LabctlError, Span, did_you_mean
from labctl.linux.pcap import Filter
from labctl.model.lab import LabSpec
from labctl.names import CableId, PortId
from labctl.run import heal
from labctl.runtime import attached_wiring, mgmt
from labctl.runtime.capture import Capture, Count, Frame, Spot, Standing
from labctl.runtime.docker_attached import Attached
from labctl.runtime.panel import mgmt_key
from labctl.runtime.store import LabDir, Record
from labctl.schema import pcapng
from labctl.schema.pcapng import Direction

_BOTH = (Direction.OUT, Direction.IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`snaplen` 0 keeps frames whole; `count` and `for_s` None have no end. `expression`: a filter of pcap's."""

    target: str
    directions: Sequence[Direction] = _BOTH
    count: int | None = None
    for_s: float | None = None
    snaplen: int = 0
    expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """frames: written; ended: why it was over; counts: port -> what its taps saw."""

    frames: int
    ended: str
    counts: Mapping[PortId, Count]

    @property
    def dropped(self) -> int:
        return sum(count.dropped for count in self.counts.values())


def capture(
    place: LabDir | Attached, request: Request, file: BinaryIO, began: Callable[[Sequence[PortId]], None]
) -> Captured:
    """Write frames to `file` until the request is fulfilled, the lab goes, the reader leaves, or Ctrl-C.

    `began` is called with the ports once nothing more is missed. The file is complete in every case.
    """
    ports, over = _where(place, request.target)
    with contextlib.ExitStack() as held:
        wanted = held.enter_context(Filter(request.expression)) if request.expression else None
        taps = held.enter_context(Capture(ports, request.directions, over))
        writer = _Writer(file, tuple(ports), request, wanted)
        stop = held.enter_context(_asked_to_stop())
        began(tuple(ports))
        try:
            ended = _until_over(taps, writer, request, stop)
            for frames in taps.rest():
                writer.write(frames)
        except BrokenPipeError:
            ended = "the reader has left"
        taps.count()
        with contextlib.suppress(BrokenPipeError):
            writer.finish(taps.counts)
        return Captured(frames=writer.frames, ended=ended, counts=taps.counts)


def create(path: str) -> BinaryIO:
    """The file to write; one that is there is replaced if it is empty or a capture, else `would-overwrite`."""
    try:
        with open(path, "rb") as file:
            foreign = stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(4) not in (
                b"",
                pcapng.MAGIC,
            )
    except FileNotFoundError:
        foreign = False
    except OSError as error:
        raise _cannot_write(path, error) from None
    if foreign:
        raise LabctlError(
            "would-overwrite",
            "the file is there and is no capture",
            where=Span(path),
            hint="choose another name with -w",
        )
    try:
        return open(path, "wb")
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: str, error: OSError) -> LabctlError:
    reason = (error.strerror or str(error)).lower()
    return LabctlError("cannot-write", f"cannot write the file: {reason}", where=Span(path))


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: it must not come between the two halves of a block. Pressed again it interrupts."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield lambda: False
        return

    def note(signum: int, frame: FrameType | None) -> None:
        if asked:
            signal.default_int_handler(signum, frame)
        asked.append(signum)

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _until_over(taps: Capture, writer: _Writer, request: Request, stop: Callable[[], bool]) -> str:
    deadline = None if request.for_s is None else time.monotonic() + request.for_s
    while True:
        left = 1.0 if deadline is None else deadline - time.monotonic()
        over = taps.wait(left)
        writer.write(taps.read())
        if writer.full:
            return f"{request.count} frames"
        if stop():
            return "interrupted"
        if over:
            return over
        if left <= 0:
            return "its time is over"


class _Writer:
    """Frames into blocks, as many as are asked for."""

    def __init__(
        self,
        file: BinaryIO,
        ports: Sequence[PortId],
        request: Request,
        wanted: Callable[[bytes], bool] | None,
    ) -> None:
        self.frames = 0
        self._file = file
        self._request = request
        self._wanted = wanted
        self._numbers = {each: number for number, each in enumerate(ports)}
        self._began = time.time_ns()
        head = [pcapng.section(f"labctl {labctl.__version__}")]
        head += [
            pcapng.interface(str(each), snaplen=request.snaplen, filtered=request.expression)
            for each in ports
        ]
        self._put(b"".join(head))

    @property
    def full(self) -> bool:
        return self._request.count is not None and self.frames >= self._request.count

    def write(self, frames: Sequence[Frame]) -> None:
        blocks: list[bytes] = []
        for frame in frames:
            if self._request.count is not None and self.frames + len(blocks) >= self._request.count:
                break
            if self._wanted is None or self._wanted(frame.data):
                blocks.append(self._block(frame))
        if blocks:
            self._put(b"".join(blocks))
            self.frames += len(blocks)

    def finish(self, counts: Mapping[PortId, Count]) -> None:
        now = time.time_ns()
        for each, number in self._numbers.items():
            count = counts[each]
            self._put(
                pcapng.statistics(
                    number, began_ns=self._began, ended_ns=now, received=count.received, dropped=count.dropped
                )
            )

    def _block(self, frame: Frame) -> bytes:
        said = f"to be cut into frames of {frame.segments} bytes of payload" if frame.segments else ""
        data = frame.data[: self._request.snaplen] if self._request.snaplen else frame.data
        number = self._numbers[frame.port]
        return pcapng.frame(
            number, frame.time_ns, data, length=len(frame.data), direction=frame.direction, comment=said
        )

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()


def _where(place: LabDir | Attached, target: str) -> tuple[Mapping[PortId, Spot], Callable[[], str]]:
    """The ports that are meant, with where they are seen, and what asks whether the lab is over."""
    if isinstance(place, Attached):
        return attached_wiring.spots(place, target)
    heal.implicit(place.instance)
    record = place.need()
    return _ports(place, record, target), Standing(place)


def _ports(place: LabDir, record: Record, target: str) -> dict[PortId, Spot]:
    lab = record.lab
    found = _of_cable(lab, target) if "--" in target else _port(lab, target)
    return {
        port: Spot(netns=place.panel_ns, device=record.devices[key], above=_above(record, port))
        for port, key in found.items()
    }


def _above(record: Record, port: PortId) -> tuple[tuple[str, int], ...]:
    """The panel sides of the port's sub-interfaces, with their tags."""
    return tuple((record.devices[str(c.a.port)], c.over.vlan) for c in record.lab.above(port) if c.over)


def _of_cable(lab: LabSpec, text: str) -> dict[PortId, str]:
    try:
        cable = lab.cable(CableId.parse(text))
    except (KeyError, LabctlError):
        if found := _port(lab, text, known=False):  # a name may have dashes
            return found
        raise refusals.no_resource(lab, text) from None
    return {end.port: str(end.port) for end in cable.ends}


def _port(lab: LabSpec, text: str, *, known: bool = True) -> dict[PortId, str]:
    """`known`: it is an error if the lab does not have it."""
    ports = {str(end.port): end.port for cable in lab.cables for end in cable.ends}
    keys = {text: text for text in ports}
    for node in mgmt.nodes(lab):
        leg = PortId(node.name, mgmt.INTERFACE)
        if str(leg) not in ports:
            ports[str(leg)] = leg
            keys[str(leg)] = mgmt_key(node.name)
    if text in ports:
        return {ports[text]: keys[text]}
    if known:
        raise _no_port(lab, text, ports)
    return {}


def _no_port(lab: LabSpec, text: str, ports: Mapping[str, PortId]) -> LabctlError:
    return LabctlError(
        "unknown-resource", f"lab {lab.name!r} has no cable or port {text!r}", hint=did_you_mean(text, ports)
    )
