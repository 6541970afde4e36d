"""Embedding a set: every image once, in order, ahead of the network, and nothing that is not finite."""

import threading

import numpy as np
import pytest
import torch

from sdx.errors import ArtefactError, DataError
from sdx.evaluation.embed import embed
from sdx.evaluation.images import PixelImages


class Linear:
    """Embeds by a fixed random matrix; notes what it was given."""

    name, sha256, embedding = "linear", "0" * 64, 5

    def __init__(self, size):
        self.weight = torch.from_numpy(np.random.default_rng(0).normal(size=(3 * size * size, 5))).float()
        self.batches = []

    def embed(self, face, frame):
        assert frame == "aligned"
        assert face.dtype == torch.float32
        self.batches.append(face)
        return face.flatten(1) @ self.weight


def pixels(count, size=6):
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 7, 8, 33])
def test_embeddings_equal_those_of_a_plain_loop(count):
    data = pixels(count)
    model = Linear(6)
    found = embed(model, PixelImages(data), "aligned", flip=True, batch=8)
    assert found.dtype == np.float32
    assert found.shape == (2, count, 5)
    weight = model.weight.double().numpy()
    for position, image in enumerate(data):
        for view, seen in enumerate((image, image[:, ::-1])):
            face = (seen.astype(np.float64) / 255 - 0.5) / 0.5
            np.testing.assert_allclose(found[view, position], face.transpose(2, 0, 1).ravel() @ weight, atol=1e-4)


def test_the_network_sees_the_whole_range_in_channels_last_and_whole_batches():
    data = pixels(20)
    data[0], data[1] = 0, 255
    model = Linear(6)
    embed(model, PixelImages(data), "aligned", batch=8)
    assert [len(batch) for batch in model.batches] == [8, 8, 4]
    assert (model.batches[0][0] == -1).all()
    assert (model.batches[0][1] == 1).all()
    assert model.batches[0].is_contiguous(memory_format=torch.channels_last)


def test_without_flip_each_image_goes_through_once():
    model = Linear(6)
    found = embed(model, PixelImages(pixels(9)), "aligned", batch=4)
    assert found.shape == (1, 9, 5)
    assert sum(map(len, model.batches)) == 9


class Counting:
    """Images that know how far ahead of the network they were read."""

    size = 4

    def __init__(self, count, fail_at=None):
        self.count, self.fail_at, self.read_so_far, self.lock = count, fail_at, 0, threading.Lock()

    def __len__(self):
        return self.count

    def read(self, start, stop):
        with self.lock:
            self.read_so_far = max(self.read_so_far, stop)
        if self.fail_at is not None and start <= self.fail_at < stop:
            raise DataError(f"item {self.fail_at}")
        return np.zeros((stop - start, 4, 4, 3), np.uint8)


def test_reading_ahead_is_bounded():
    images = Counting(100)
    gaps = []

    class Slow(Linear):
        def embed(self, face, frame):
            super().embed(face, frame)
            threading.Event().wait(0.005)
            gaps.append(images.read_so_far - 2 * len(self.batches))
            return torch.zeros(len(face), 5)

    embed(Slow(4), images, "aligned", batch=2)
    assert 0 < max(gaps) <= 2 * 4


def test_an_unreadable_image_is_an_error_and_leaves_no_thread_behind():
    before = threading.active_count()
    with pytest.raises(DataError, match="item 5"):
        embed(Linear(4), Counting(400, fail_at=5), "aligned", batch=2)
    assert threading.active_count() == before


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("flip", [False, True])
def test_an_embedding_that_is_not_finite_names_the_model_and_the_image(bad, flip):
    class Broken(Linear):
        def embed(self, face, frame):
            found = super().embed(face, frame)
            if len(self.batches) == (4 if flip else 2):  # the last view of the second batch
                found[1, 3] = bad
            return found

    with pytest.raises(ArtefactError, match=r"^linear: expected finite embeddings, got .* for image 5: "):
        embed(Broken(6), PixelImages(pixels(12)), "aligned", flip=flip, batch=4)
