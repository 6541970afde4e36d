"""One thread, two or five: `sdx._core` gives the same bits; and so do threads of Python that call it at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import thread_work
from thread_work import WORK, digest, parts

from sdx import _core


@cache
def digests(threads: int) -> dict[str, str]:
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [sys.executable, thread_work.__file__]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=240)
    found: dict[str, str] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("name", WORK)
def test_any_number_of_threads_gives_the_same_bits(name: str) -> None:
    assert digests(1)[name] == digests(2)[name] == digests(5)[name]


@pytest.mark.parametrize("name", WORK)
def test_calls_at_the_same_time_do_not_disturb_each_other(name: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(lambda _: digest(WORK[name]()), range(3)))
    assert found == {digests(1)[name]}


def test_a_digest_sees_every_bit_of_a_result() -> None:
    low, high = (_core.Curve(np.array([0.0, 1.0]), np.array(mated)) for mated in ([True, False], [False, True]))
    assert len(list(parts(low.equal_error()))) == 5
    assert digest(low.equal_error()) != digest(high.equal_error())
    assert digest(np.zeros(2)) != digest(np.array([0.0, -0.0]))
    assert digest(np.zeros((2, 1))) != digest(np.zeros((1, 2)))
