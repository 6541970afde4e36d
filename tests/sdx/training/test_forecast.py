"""What a dry run tells of speed is measured on the steps that the run would take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_run import RENDERED, RUN, TWO_STUDENTS

from sdx import config as configuration
from sdx import devices, recipes
from sdx.training import forecast, run
from sdx.training.frozen import Frozen
from sdx.training.learner import Learner

PLAIN = ["call", "step", "step"]
AHEAD = ["forward", "forward", "call", "backward", "backward"]


@pytest.mark.parametrize(
    ("overlap", "events"), [("false", 4 * PLAIN), ("true", ["call", *(4 * AHEAD)])], ids=["plain", "overlap"]
)
def test_the_steps_measured_are_the_runs(overlap: str, events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def telling(kind: type, name: str) -> None:
        plain = getattr(kind, name)

        def told(*args: Any, **kwargs: Any) -> Any:
            seen.append(name.strip("_"))
            return plain(*args, **kwargs)

        monkeypatch.setattr(kind, name, told)

    for kind, name in ((Frozen, "__call__"), (Learner, "step"), (Learner, "forward"), (Learner, "backward")):
        telling(kind, name)
    # A second for each batch drawn: one more is drawn ahead in the first step, which warms up.
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: float(seen.count("call")))
    keys = RUN | RENDERED | TWO_STUDENTS | {"overlap": overlap, "images": "1000", "checkpoint_every": "none"}
    config = configuration.override(recipes.get("demo"), keys)
    found = forecast.measure(config, run.build(config))
    assert seen == events
    assert found.images_per_second == config.batch
    assert found.seconds == 1000 / config.batch


def test_the_clock_is_read_when_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    for device in (devices.CPU, torch.device("cuda", 0)):
        assert forecast._now(device) > 0
    assert waited == [torch.device("cuda", 0)]
