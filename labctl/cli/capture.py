"""`labctl capture CABLE|NODE:PORT`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

import typer

from labctl.cli import complete, out
from labctl.errors import LabctlError, Span

if TYPE_CHECKING:
    from labctl.names import PortId


class Which(StrEnum):
    """Directions, as the port's node sees them."""

    BOTH = "both"
    OUT = "out"
    IN = "in"


def register(app: typer.Typer) -> None:
    app.command(name="capture")(capture)


def capture(
    target: str = typer.Argument(
        ...,
        metavar="CABLE|PORT",
        help="A cable (`r1:eth1--r2:eth1`) or a port (`r1:eth1`).",
        autocompletion=complete.cables_and_ports,
    ),
    file: str = typer.Option("-", "--write", "-w", metavar="FILE|-", help="Where to; `-` is stdout."),
    direction: Which = typer.Option(
        Which.BOTH, "--direction", help="Only what the port's node sends (out) or is given (in)."
    ),
    count: int | None = typer.Option(None, "--count", "-c", min=1, help="End after this many frames."),
    for_: str | None = typer.Option(None, "--for", help="End after this time: `10s`, `5m`."),
    snaplen: int = typer.Option(
        0, "--snaplen", "-s", min=0, help="Keep this many bytes of each frame; 0: all of it."
    ),
    expression: str = typer.Option(
        "", "--filter", help="Only these frames, in tcpdump's language: `icmp or tcp port 179`."
    ),
    lab: str | None = out.LAB,
) -> None:
    """Record frames of a running lab as pcapng, with directions and nanoseconds; nothing in the lab can see it.

    A frame is recorded at every port it crosses: outbound where its node sends it, before anything on the cable
    impairs it; inbound where it is given to its node, after everything. So of a cable each frame that arrives is there
    twice, at its sender and at its receiver, and one that got lost once; `--direction out` has each frame once.
    A frame that the sender leaves to hardware to cut (TSO) is recorded uncut, as it crosses the cable, with a comment.

    In a lab that containerlab deployed there is nothing between two ports: frames are recorded at the ports themselves,
    and it ends when one of their nodes does.

    Ends by itself when the lab is destroyed; after Ctrl-C the file is complete. What the kernel had to drop is said.
    """
    from labctl.app import attached
    from labctl.app import capture as app
    from labctl.runtime.store import Instance
    from labctl.schema.pcapng import Direction
    from labctl.units import duration

    with out.reading("--for"):
        for_s = None if for_ is None else duration(for_)
    if file == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise LabctlError(
            "bad-option",
            "a capture is nothing to look at in a terminal",
            where=Span("-w"),
            hint="write it to a file with `-w FILE.pcapng`, or pipe it: `labctl capture … | tcpdump -nr -`",
        )
    wanted = {
        Which.BOTH: (Direction.OUT, Direction.IN),
        Which.OUT: (Direction.OUT,),
        Which.IN: (Direction.IN,),
    }
    request = app.Request(
        target=target,
        directions=wanted[direction],
        count=count,
        for_s=for_s,
        snaplen=snaplen,
        expression=expression,
    )
    place = attached.find(Instance.here(), lab)
    with contextlib.ExitStack() as held:
        # A descriptor of our own: after the reader has left, nobody finds something unwritten in it.
        stream = app.create(file) if file != "-" else out.binary(Span("-w"))
        held.callback(_close, stream)
        done = app.capture(place, request, stream, _began)
    for port, each in done.counts.items():
        if each.dropped:
            out.say(f"{port}: {each.dropped} of {each.received} frames came too fast and are missing")
    out.say(f"{done.frames} frames, {done.dropped} dropped; {done.ended}")


def _began(ports: Sequence[PortId]) -> None:
    out.say(f"capturing {', '.join(map(str, ports))}; Ctrl-C ends it")


def _close(stream: BinaryIO) -> None:
    with contextlib.suppress(BrokenPipeError):
        stream.close()
