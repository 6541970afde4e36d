"""What calls cost a CUDA device and its host: seconds on the device in turns, and the host's for a call it only queues.

A call of short kernels takes longer to start than to run. So a party is recorded as a CUDA graph of several calls, and
each timed replay is queued behind another one: the events around it see the device alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

Call = Callable[[], Any]
_WARM_UPS = 3
"""Calls before anything is measured, in which kernels are compiled and libraries choose their algorithms."""
_ROUNDS, _WARM = 20, 3
_REPLAY = 2e-3
"""Seconds that one replay is to take."""
_MOST = 20
"""Calls of a replay, and of the host's measurement."""
_HOST = 0.5
"""Seconds on the device that the host's measurement may queue."""


@dataclass(frozen=True)
class Timing:
    """One party.

    Args:
        seconds: on the device of a call, one for each round.
        host: seconds in which the host starts a call, none of them spent waiting for the device unless the call waits.
        recorded: whether a CUDA graph held the calls; None where none was tried.
    """

    seconds: list[float]
    host: float
    recorded: bool | None


def recorded(calls: dict[str, Call]) -> dict[str, Timing]:
    """Return the timing of each call without the host's part, in turns; what no graph can hold is called plainly."""
    parties: dict[str, tuple[Call, int]] = {}
    held: dict[str, bool | None] = {}
    for name, call in calls.items():
        _warmed(call)
        count = min(max(round(_REPLAY / _seconds(_several(call, _WARM_UPS), _WARM_UPS)), 1), _MOST)
        replay = _graph(call, count)
        held[name] = replay is not None
        parties[name] = (replay or _several(call, count), count)
    return _timings(calls, _turns(parties, queued=True), held)


def plain(calls: dict[str, Call]) -> dict[str, Timing]:
    """Return the timing of each call as it is, in turns: for work that replays a graph of its own, or waits."""
    seconds = _turns({name: (call, 1) for name, call in calls.items()}, queued=False)
    return _timings(calls, seconds, dict.fromkeys(calls))


def able(calls: dict[str, Call]) -> tuple[dict[str, Call], dict[str, str]]:
    """Return the calls that run, and why the others do not: other people's code may not know this torch or GPU."""
    found, absent = {}, {}
    for name, call in calls.items():
        try:
            call()
            torch.cuda.synchronize()
        except Exception as error:  # whatever it is, the reason is printed in place of a number
            absent[name] = first_line(error)
        else:
            found[name] = call
    return found, absent


def first_line(error: Exception) -> str:
    """Return an error's kind and the first line of what it says."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def about(timings: dict[str, Timing]) -> dict[str, Any]:
    """Return what a row of results wants to know of "ours" and the others."""
    return {
        "device_times": timings["ours"].seconds,
        "peers": {name: timing.seconds for name, timing in timings.items() if name != "ours"},
        "host_us": {name: round(timing.host * 1e6, 1) for name, timing in timings.items()},
        "recorded": {name: timing.recorded for name, timing in timings.items() if timing.recorded is not None},
    }


@lru_cache(maxsize=1)
def copy_bandwidth() -> float:
    """Return the bytes a second, read and written, of the quickest copy of a quarter GiB or one.

    Both are beyond any cache; on the first GPU that was measured the larger copy had two thirds of the smaller's rate.
    """
    return max(_copied(2**26), _copied(2**28))


def _copied(count: int) -> float:
    source = torch.randn(count, device="cuda")
    target = torch.empty_like(source)
    seconds = recorded({"copy": lambda: target.copy_(source)})["copy"].seconds
    return 2 * count * 4 / statistics.median(seconds)


def _timings(
    calls: dict[str, Call], seconds: dict[str, list[float]], held: dict[str, bool | None]
) -> dict[str, Timing]:
    return {
        name: Timing(seconds[name], _host_seconds(call, statistics.median(seconds[name])), held[name])
        for name, call in calls.items()
    }


def _turns(parties: dict[str, tuple[Call, int]], *, queued: bool) -> dict[str, list[float]]:
    """Return seconds of a call of each party, which makes several; ``queued`` behind as many that do not count."""
    times: dict[str, list[float]] = {name: [] for name in parties}
    for _ in range(_WARM + _ROUNDS):
        for name, (run, count) in parties.items():
            if queued:
                run()
            times[name].append(_seconds(run, count))
    return {name: each[_WARM:] for name, each in times.items()}


def _seconds(run: Call, count: int) -> float:
    """Return the seconds between two events around ``count`` calls, over their number."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / count


def _host_seconds(call: Call, seconds: float) -> float:
    count = min(max(int(_HOST / seconds), 1), _MOST)
    run = _several(call, count)
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    spent = time.perf_counter() - start
    torch.cuda.synchronize()
    return spent / count


def _several(call: Call, count: int) -> Call:
    def run() -> None:
        for _ in range(count):
            call()

    return run


def _warmed(call: Call) -> None:
    """Call a few times on a stream aside, as a recording wants it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        _several(call, _WARM_UPS)()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()


def _graph(call: Call, count: int) -> Call | None:
    """Return what replays ``count`` calls, None for a call that no graph can hold."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            _several(call, count)()
    except RuntimeError:  # it waits for the device, or goes to the host
        torch.cuda.synchronize()
        return None
    replay: Call = graph.replay
    return replay
