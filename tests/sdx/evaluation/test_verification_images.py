"""Encoded images: what decodes is exact, what does not is named."""

import io

import numpy as np
import pytest
from PIL import Image

from sdx.errors import DataError
from sdx.evaluation.images import MAX_SIDE, EncodedImages, PixelImages


def encode(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def noise(seed, height=8, width=8):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def images(*items, order=None):
    offsets = np.cumsum([0, *map(len, items)]).astype(np.int64)
    order = np.arange(len(items)) if order is None else np.array(order)
    return EncodedImages("set.bin", np.frombuffer(b"".join(items), np.uint8), offsets, order)


def test_png_is_read_exactly_in_the_asked_order():
    pixels = [noise(seed) for seed in range(4)]
    read = images(*map(encode, pixels), order=[3, 0, 2])
    assert len(read) == 3
    assert read.size == 8
    np.testing.assert_array_equal(read.read(0, 2), [pixels[3], pixels[0]])
    np.testing.assert_array_equal(read.read(2, 9), [pixels[2]])


def test_jpeg_is_read_as_pillow_reads_it_and_grey_becomes_rgb():
    jpeg = encode(noise(0), "JPEG", quality=95)
    grey = encode(noise(1)[:, :, 0])
    read = images(jpeg, grey).read(0, 2)
    np.testing.assert_array_equal(read[0], np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
    np.testing.assert_array_equal(read[1], np.repeat(noise(1)[:, :, :1], 3, axis=2))


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no image at all", id="text"),
        pytest.param(encode(noise(2))[:60], id="truncated png"),
        pytest.param(encode(noise(2, 64, 64), "JPEG")[:200], id="truncated jpeg"),
        pytest.param(encode(noise(2), "BMP"), id="foreign format"),
        pytest.param(encode(noise(2, 8, 9)), id="not square"),
        pytest.param(encode(noise(2, 9, 9)), id="another size"),
    ],
)
def test_a_bad_item_is_named_when_it_is_read(bad):
    read = images(encode(noise(0)), encode(noise(1)), bad, order=[0, 2])
    with pytest.raises(DataError, match=r"^set\.bin: item 2: expected .*, got .*$"):
        read.read(0, 2)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    side = MAX_SIDE + 1
    bomb = encode(np.zeros((side, side, 3), np.uint8))
    assert len(bomb) < 20_000
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match=f"item 0: expected a square of at most {MAX_SIDE} pixels, got .* {side} x"):
        images(bomb)


def test_damage_anywhere_gives_pixels_or_a_data_error():
    random = np.random.default_rng(7)
    good = [encode(noise(3, 16, 16)), encode(noise(3, 16, 16), "JPEG")]
    refused = 0
    for trial in range(400):
        bad = bytearray(good[trial % 2])
        for position in random.integers(0, len(bad), random.integers(1, 6)):
            bad[position] = random.integers(0, 256)
        read = images(encode(noise(3, 16, 16)), bytes(bad[: random.integers(1, len(bad) + 1)]))
        try:
            assert read.read(1, 2).shape == (1, 16, 16, 3)
        except DataError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "pixels", [np.zeros((1, 4, 5, 3), np.uint8), np.zeros((0, 4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3))]
)
def test_pixels_of_another_shape_are_refused(pixels):
    with pytest.raises(ValueError, match="expected square images uint8"):
        PixelImages(pixels)
