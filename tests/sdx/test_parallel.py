"""Slices over threads: the same numbers whatever the number of threads, and torch's own setting stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from sdx.parallel import over_slices


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.Flatten()).eval()


@pytest.mark.usefixtures("_threads")
def test_bits_do_not_depend_on_threads() -> None:
    network, x = _network(), torch.randn(23, 3, 16, 16)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(over_slices(network, [x], 4))
        assert torch.get_num_threads() == threads
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    torch.testing.assert_close(found[0], network(x))


@pytest.mark.usefixtures("_threads")
def test_every_slice_is_one_threads_work_and_new_threads_keep_torchs_setting() -> None:
    torch.set_num_threads(2)
    seen: list[int] = []

    def look(x: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        assert torch.is_inference_mode_enabled()
        return x

    over_slices(look, [torch.zeros(6, 1)], 1)
    assert seen == [1] * 6
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen[-1] == 2


def test_several_inputs_in_order_and_errors_come_out() -> None:
    a, b = torch.arange(10.0)[:, None], torch.arange(10.0)[:, None] * 10
    assert torch.equal(over_slices(lambda x, y: x + y, [a, b], 3), a + b)

    def fail(x: Tensor) -> Tensor:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        over_slices(fail, [a], 3)
