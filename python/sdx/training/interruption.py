"""How a run is stopped without losing anything."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """A run that was asked to stop (SIGINT or SIGTERM), has saved its state, and can be resumed."""


class Interruption:
    """While entered, the first SIGINT or SIGTERM sets ``asked``; a second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Interruption:
        self._handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
