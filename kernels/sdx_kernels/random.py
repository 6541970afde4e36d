"""Counter-based random numbers, so that noise depends on seed, image and pixel alone: Philox4x32-10 in torch.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The integers are Random123's and those of
`triton.language.philox`. The normals are straight-line float32 arithmetic, each operation rounded once, by inverse
transform with minimax fits in the shape of Giles ("Approximating the erfinv function", 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdx_kernels.dispatch import KernelError

_MULTIPLIER = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF

# (log(1 + g) - g) / g^2 + 1/2, divided by g; |x| / y in the centre and in the tails; highest power first.
LOG = (
    0.0703777, -0.115147546, 0.11677034, -0.124201246, 0.14249317, -0.16668057, 0.20000716, -0.24999994, 0.3333333,
)  # fmt: skip
CENTRE = (
    4.0354635e-8, 4.8610394e-7, -4.9905652e-6, -6.217993e-6, 3.091502e-4, -0.0017730101, -0.005908171, 0.34880266,
    2.1233137,
)  # fmt: skip
TAIL = (
    6.089454e-5, 2.8878992e-5, -4.503499e-4, 7.104798e-4, -8.529133e-4, 0.0014971836, -0.0029535363, 0.004642381,
    1.4246379, 4.7170887,
)  # fmt: skip
SQRT_HALF_BITS = 0x3F3504F3
LOG_2 = math.log(2)


@dataclass(frozen=True)
class NoiseKey:
    """Noise by number: the standard normal of (seed, stream, index[n], offset + pixel), times strength.

    Args:
        seed: in [0, 2**64).
        index: int64 [N], the number of each image.
        stream: in [0, 2**32), what the numbers are for.
        offset: number of this layer's first pixel among all that an image needs.
        strength: multiplier, a number or a tensor with one value (gradients flow to it).
        pitch: pixels from one row to the next, at least the width of what is drawn; more than that where a window of a
            wider image is drawn, whose first pixel is ``offset``. None for a whole image.
    """

    seed: int
    index: Tensor
    stream: int
    offset: int = 0
    strength: float | Tensor = 1.0
    pitch: int | None = None

    def image(self, height: int, width: int) -> Tensor:
        """Return the noise, float32 [N, 1, height, width]; a roi of it is cut from the whole.

        Raises KernelError for a pitch below the width.
        """
        pitch = self.row(width)
        noise = normals(self.seed, self.stream, self.index, height * pitch, offset=self.offset)
        return noise.view(-1, 1, height, pitch)[..., :width] * self.strength

    def window(self, top: int, left: int, width: int) -> NoiseKey:
        """Return the key of a part of an image ``width`` wide, from its pixel (top, left) on."""
        pitch = self.row(width)
        return replace(self, offset=self.offset + top * pitch + left, pitch=pitch)

    def row(self, width: int) -> int:
        """Return the pixels from one row to the next where ``width`` are drawn; raises KernelError if they are less."""
        if self.pitch is not None and self.pitch < width:
            raise KernelError(f"NoiseKey: expected a pitch of at least {width}, the width drawn, got {self.pitch}")
        return width if self.pitch is None else self.pitch


def philox(seed: int, stream: int, index: Tensor, count: int, *, offset: int = 0) -> Tensor:
    """Return random words, int64 [N, count] in [0, 2**32), elements ``offset`` to ``offset + count`` of each index.

    Element e of index i is word e % 4 of the block with key (seed low, seed high) and counter (e // 4, i low, i high,
    stream).

    Args:
        seed: in [0, 2**64).
        stream: in [0, 2**32).
        index: int64 [N].
        count: words of each index.
        offset: the first of them.
    """
    first, last = offset // 4, -(-(offset + count) // 4)
    number = torch.arange(first, last, device=index.device)[None]
    low, high = (index & _WORD)[:, None], (index >> 32 & _WORD)[:, None]
    shape = (len(index), last - first)
    c0, c1, c2, c3 = (t.expand(shape) for t in (number, low, high, torch.full_like(number, stream)))
    k0, k1 = seed & _WORD, seed >> 32 & _WORD
    for _ in range(10):
        a, b = _MULTIPLIER[0] * c0, _MULTIPLIER[1] * c2  # they wrap, which leaves the bits as they should be
        c0, c1, c2, c3 = (b >> 32 & _WORD) ^ c1 ^ k0, b & _WORD, (a >> 32 & _WORD) ^ c3 ^ k1, a & _WORD
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    words = torch.stack([c0, c1, c2, c3], 2).flatten(1)
    return words[:, offset - 4 * first :][:, :count]


def normals(seed: int, stream: int, index: Tensor, count: int, *, offset: int = 0) -> Tensor:
    """Return standard normals, float32 [N, count], one from each word of `philox`, within +-6.338.

    On a CPU the bits are always the same; where a compiler fuses multiplications and additions they may differ in the
    last places.
    """
    word = philox(seed, stream, index, count, offset=offset)
    odd = (word << 1 & _WORD) | 1  # a tail probability in units of 2^-32, never 0
    p = odd.float() * 2.0**-32
    y = (2**32 - odd).float() * 2.0**-32  # 1 - p, precise at both ends
    w = -_log(p * (2.0 - p))
    root = w.clamp_min(0).double().sqrt().float()  # torch's float32 square root on a CPU is off by a last bit
    size = y * torch.where(w < 5.0, _horner(CENTRE, w - 2.5), _horner(TAIL, root - 3.5))
    return torch.where(word >= 1 << 31, -size, size)


def _log(t: Tensor) -> Tensor:
    shifted = t.view(torch.int32) - SQRT_HALF_BITS
    exponent = (shifted >> 23).float()
    g = ((shifted & 0x7FFFFF) + SQRT_HALF_BITS).view(torch.float32) - 1.0
    return exponent * LOG_2 + (g + g * g * (g * _horner(LOG, g) - 0.5))


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    total = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total
