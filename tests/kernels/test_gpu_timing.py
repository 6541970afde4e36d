"""The GPU benches' stopwatch, on a device that is made up: what counts, how often, and what cannot be recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

import gpu_timing


class _Device:
    """A clock that calls and replays advance."""

    def __init__(self) -> None:
        self.now = 0.0
        self.graph: list[float] | None = None
        self.replays = 0

    def call(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            if self.graph is not None:
                self.graph.append(seconds)
            else:
                self.now += seconds

        return run

    def waiting(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            if self.graph is not None:
                raise RuntimeError("operation not permitted when stream is capturing")
            self.now += seconds

        return run


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> _Device:
    made = _Device()

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            self.at = 0.0

        def record(self) -> None:
            self.at = made.now

        def synchronize(self) -> None:
            pass

        def elapsed_time(self, other: Event) -> float:
            return (other.at - self.at) * 1e3

    class Graph:
        def __init__(self) -> None:
            self.held: list[float] = []

        def replay(self) -> None:
            made.replays += 1
            made.now += sum(self.held)

    class Stream:
        def wait_stream(self, other: Any) -> None:
            pass

    @contextmanager
    def graph(into: Graph) -> Iterator[None]:
        made.graph = into.held
        try:
            yield
        finally:
            made.graph = None

    fakes = {
        "Event": Event,
        "CUDAGraph": Graph,
        "Stream": Stream,
        "current_stream": Stream,
        "stream": nullcontext,
        "graph": graph,
        "synchronize": lambda: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return made


@pytest.mark.parametrize(("seconds", "calls"), [(1e-6, 20), (4e-4, 5), (1.0, 1)])
def test_a_replay_takes_two_milliseconds_of_at_most_twenty_calls(device: _Device, seconds: float, calls: int) -> None:
    counted: list[int] = []
    replay = gpu_timing._graph

    def spy(call: Any, count: int) -> Any:
        counted.append(count)
        return replay(call, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_timing, "_graph", spy)
        timing = gpu_timing.recorded({"ours": device.call(seconds)})["ours"]
    assert counted == [calls]
    assert timing.seconds == pytest.approx([seconds] * 20)
    assert timing.recorded is True
    assert device.replays == 2 * 23  # each behind one that does not count


def test_what_waits_is_called_plainly(device: _Device) -> None:
    timings = gpu_timing.recorded({"ours": device.call(1e-3), "waits": device.waiting(1e-3)})
    assert timings["waits"].seconds == pytest.approx([1e-3] * 20)
    about = gpu_timing.about(timings)
    assert about["recorded"] == {"ours": True, "waits": False}
    assert set(about["peers"]) == {"waits"}
    assert set(about["host_us"]) == {"ours", "waits"}


def test_plain_calls_are_timed_one_by_one(device: _Device) -> None:
    about = gpu_timing.about(gpu_timing.plain({"ours": device.waiting(2.0)}))
    assert about["device_times"] == pytest.approx([2.0] * 20)
    assert about["recorded"] == {}
    assert device.now == pytest.approx(2.0 * (23 + 1))  # a long call is not repeated for the host's time


def test_the_host_s_time_is_that_of_the_call_alone(device: _Device) -> None:
    def slow() -> None:
        time.sleep(2e-3)
        device.now += 1e-3

    host = gpu_timing.plain({"ours": slow})["ours"].host
    assert 2e-3 <= host < 2e-2


def test_what_fails_is_absent(device: _Device) -> None:
    def fails() -> None:
        raise AttributeError("no plugin\nand more")

    found, absent = gpu_timing.able({"one": device.call(1.0), "other": fails})
    assert list(found) == ["one"]
    assert absent == {"other": "AttributeError: no plugin"}
