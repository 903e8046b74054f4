"""The shared part of active probes: send at a pace, collect what comes back, one thread for many flows.

A `Sampler` asks its flows to send in turn, each at its own offset within the interval so that they do not burst, and
waits for answers in between. A slot that was missed because the machine was busy is skipped and counted, never made
up for by a burst: a probe must not be the load it measures. It ends by itself after `limit_s`; `stop` ends it early.
The samples whose time to answer was cut short by the end are left out (`Track.open`).
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from labctl.model.measure import Sample, Series, Track


@dataclass(slots=True)
class Book:
    """What a flow sent and what came back, while it runs. Written by the sampler's thread only."""

    sent: dict[int, float] = field(default_factory=dict)
    value: dict[int, float] = field(default_factory=dict)
    error: dict[int, str] = field(default_factory=dict)
    duplicates: int = 0

    def answered(self, seq: int, value: float) -> None:
        """The first answer counts; a later one of the same number is a duplicate."""
        if seq in self.value:
            self.duplicates += 1
        elif seq in self.sent:
            self.value[seq] = value


class Flow(Protocol):
    """One subject of a sampler. All methods are called in its thread; none may block."""

    series: Series
    book: Book

    def open(self, selector: selectors.BaseSelector) -> None:
        """Get ready; sockets to watch are registered with `data` = a function without arguments."""
        ...

    def send(self, seq: int) -> None: ...

    def close(self) -> None: ...


class Sampler:
    """Runs flows until `stop`, `limit_s`, or the end of the `with` block; `tracks` then holds what was seen."""

    def __init__(
        self, flows: Sequence[Flow], *, interval_s: float = 0.02, late_s: float = 1.0, limit_s: float = 600.0
    ) -> None:
        self._flows = tuple(flows)
        self._interval_s = interval_s
        self._late_s = late_s
        self._limit_s = limit_s
        self._stop = threading.Event()
        self._skipped = [0] * len(self._flows)
        self._slot = 0
        self._failed = ""
        self._ended = 0.0
        self._thread = threading.Thread(target=self._run, name="labctl-sampler", daemon=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Open the sockets (raising if that cannot be done) and begin."""
        self._selector = selectors.DefaultSelector()
        try:
            for flow in self._flows:
                flow.open(self._selector)
        except BaseException:
            self._close()
            raise
        self._thread.start()
        return self

    def stop(self) -> tuple[Track, ...]:
        """Stop sending, wait for the answers that may still come in time, and return what was seen."""
        self._stop.set()
        self._thread.join()
        return self.tracks()

    def recent(self, start: float, end: float) -> tuple[Track, ...]:
        """What was sent in this stretch, while the sampler runs. `end` is at least `late_s` ago: else the slow
        answers are missing and only the quick ones count.
        """
        horizon = min(end, time.monotonic() - self._late_s)
        return tuple(self._recent(i, start, horizon) for i in range(len(self._flows)))

    def _recent(self, index: int, start: float, end: float) -> Track:
        flow, book = self._flows[index], self._flows[index].book
        samples: list[Sample] = []
        for seq in range(self._slot // len(self._flows), -1, -1):
            sent = book.sent.get(seq)
            if sent is None or sent > end:  # a slot that was left out, or too new
                continue
            if sent < start:
                break
            value = book.value.get(seq)
            error = book.error.get(seq, "") if value is None else ""
            samples.append(Sample(seq=seq, sent=sent, value=value, error=error))
        return Track(
            series=flow.series,
            interval_s=self._interval_s,
            late_s=self._late_s,
            samples=tuple(reversed(samples)),
            error=self._failed,
        )

    def tracks(self) -> tuple[Track, ...]:
        """What was seen, once the sampler has ended."""
        return tuple(
            self._track(flow, skipped) for flow, skipped in zip(self._flows, self._skipped, strict=True)
        )

    def _track(self, flow: Flow, skipped: int) -> Track:
        book = flow.book
        samples = []
        still_open = 0
        for seq, sent in sorted(book.sent.items()):
            value, error = book.value.get(seq), book.error.get(seq, "")
            if value is None and not error and sent + self._late_s > self._ended:
                still_open += 1
                continue
            samples.append(Sample(seq=seq, sent=sent, value=value, error=error if value is None else ""))
        return Track(
            series=flow.series,
            interval_s=self._interval_s,
            late_s=self._late_s,
            samples=tuple(samples),
            skipped=skipped,
            open=still_open,
            duplicates=book.duplicates,
            error=self._failed,
        )

    def _run(self) -> None:
        try:
            self._send_until_stopped()
            self._drain()
        except Exception as error:  # noqa: BLE001  (a probe that raised is UNKNOWN with its reason, never silence)
            self._failed = f"{type(error).__name__}: {error}"
        finally:
            self._ended = time.monotonic()
            self._close()

    def _send_until_stopped(self) -> None:
        count = len(self._flows)
        start = time.monotonic()
        step = self._interval_s / max(count, 1)
        slot = 0
        while count and not self._stop.is_set():
            now = time.monotonic()
            if now - start > self._limit_s:
                return
            due = start + slot * step
            if now < due:
                self._poll(min(due - now, 0.1))
                continue
            behind = int((now - due) / step)
            if behind > count:  # more than a whole interval late: leave those slots out
                for missed in range(slot, slot + behind):
                    self._skipped[missed % count] += 1
                slot += behind
            self._flows[slot % count].send(slot // count)
            slot += 1
            self._slot = slot

    def _drain(self) -> None:
        end = time.monotonic() + self._late_s
        while (left := end - time.monotonic()) > 0 and self._waiting():
            self._poll(min(left, 0.1))

    def _waiting(self) -> bool:
        """Whether any send of the last `late_s` still has no answer."""
        horizon = time.monotonic() - self._late_s
        for flow in self._flows:
            for seq in reversed(flow.book.sent):
                if flow.book.sent[seq] < horizon:
                    break
                if seq not in flow.book.value and seq not in flow.book.error:
                    return True
        return False

    def _poll(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            key.data()

    def _close(self) -> None:
        for flow in self._flows:
            flow.close()
        self._selector.close()
