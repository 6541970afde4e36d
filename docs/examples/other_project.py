"""Train a small StyleGAN2 on drawn discs: what another project needs of `sdx_kernels`, and nothing of sdx.

python docs/examples/other_project.py --out discs.png
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, normalize, softplus

from sdx_kernels import bias_act, modulated_conv2d, upfirdn2d

SIZE = 16
CHANNELS = {4: 64, 8: 48, 16: 32}
WIDTH = 64  # of z and w
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8  # StyleGAN2's low-pass, one axis


class Dense(nn.Module):
    """A linear layer whose weights start at unit size and are scaled when used: all layers learn at one pace."""

    def __init__(self, inputs: int, outputs: int, act: str = "linear", bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs] of [N, inputs]."""
        return bias_act(x @ (self.weight / math.sqrt(x.shape[1])).T, self.bias, act=self.act)


class Conv(nn.Module):
    """A convolution of the discriminator with its bias and activation; ``down`` = 2 halves the picture."""

    def __init__(self, inputs: int, outputs: int, kernel: int, down: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / down, W / down] of [N, inputs, H, W]."""
        weight = self.weight / math.sqrt(self.weight[0].numel())
        pad = weight.shape[2] // 2
        if self.down == 2:  # one more pixel before and after than the kernel asks for, by the four taps of the filter
            x, pad = upfirdn2d(x, TAPS, padding=pad + 1), 0
        return bias_act(conv2d(x, weight, stride=self.down, padding=pad), self.bias, act="lrelu")


class Styled(nn.Module):
    """A layer of the generator: modulated convolution, noise, bias, activation in one op."""

    def __init__(self, inputs: int, outputs: int, up: int) -> None:
        super().__init__()
        self.affine = Dense(WIDTH, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(()))
        self.up = up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return [N, outputs, up H, up W] of [N, inputs, H, W] and [N, WIDTH]."""
        noise = self.strength * torch.randn(len(x), 1, x.shape[2] * self.up, x.shape[3] * self.up)
        return modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            up=self.up,
            padding=1,
            filter=TAPS,
            noise=noise,
            bias=self.bias,
            act="lrelu",
            clamp=256,
        )


class Colours(nn.Module):
    """The colours that a resolution adds to the picture."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.affine = Dense(WIDTH, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return [N, 3, H, W]."""
        styles = self.affine(w) / math.sqrt(x.shape[1])
        return modulated_conv2d(x, self.weight, styles, demodulate=False, bias=self.bias)


class Generator(nn.Module):
    """Mapping network and synthesis with skip connections."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(*(Dense(WIDTH, WIDTH, "lrelu") for _ in range(3)))
        self.start = nn.Parameter(torch.randn(1, CHANNELS[4], 4, 4))
        layers, colours, before = [], [], CHANNELS[4]
        for size, channels in CHANNELS.items():
            layers += [Styled(before, channels, 2)] if size > 4 else []
            layers += [Styled(channels, channels, 1)]
            colours += [Colours(channels)]
            before = channels
        self.layers, self.colours = nn.ModuleList(layers), nn.ModuleList(colours)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return pictures [N, 3, SIZE, SIZE], about [-1, 1], and their w, [N, WIDTH], of normals [N, WIDTH]."""
        w = self.mapping(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt())
        x, picture = self.start.expand(len(z), -1, -1, -1), torch.zeros(())
        colours = iter(self.colours)
        for layer in self.layers:
            if layer.up == 2:
                picture = upfirdn2d(picture, TAPS, up=2, padding=(2, 1, 2, 1), gain=4.0)
            x = layer(x, w)
            if layer.up == 1:
                picture = picture + next(colours)(x, w)
        return picture, w


class Discriminator(nn.Module):
    """A plain stack that halves the picture down to 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        sizes = sorted(CHANNELS, reverse=True)
        blocks = [Conv(3, CHANNELS[SIZE], 1)]
        for size, half in pairwise(sizes):
            blocks += [Conv(CHANNELS[size], CHANNELS[size], 3), Conv(CHANNELS[size], CHANNELS[half], 3, down=2)]
        self.blocks = nn.Sequential(*blocks)
        self.last = Conv(CHANNELS[4] + 1, CHANNELS[4], 3)
        self.dense = Dense(CHANNELS[4] * 16, CHANNELS[4], "lrelu")
        self.out = Dense(CHANNELS[4], 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Return logits [N]: real is positive."""
        x = self.blocks(picture)
        # How much the pictures of four differ, as a channel: a generator of few pictures is found out.
        groups = x.unflatten(0, (-1, 4) if len(x) % 4 == 0 else (1, -1))
        spread = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
        spread = spread.repeat_interleave(groups.shape[1])[:, None, None, None].expand(-1, 1, 4, 4)
        x = self.last(torch.cat([x, spread], 1))
        return self.out(self.dense(x.flatten(1)))[:, 0]


def discs(n: int) -> Tensor:
    """Return pictures [n, 3, SIZE, SIZE] in [-1, 1]: a disc of one colour before a background of another."""
    back, front = torch.rand(2, n, 3, 1, 1) * 1.6 - 0.8
    centre_x, centre_y = torch.rand(2, n, 1, 1) * 6 + (SIZE - 6) / 2
    radius = torch.rand(n, 1, 1) * 2.5 + 2.5
    at = torch.arange(SIZE) + 0.5
    distance = ((at - centre_x).square() + (at[:, None] - centre_y).square()).sqrt()
    inside = (radius - distance + 0.5).clamp(0, 1)[:, None]  # a soft edge of one pixel
    return back + (front - back) * inside


def sliced_distance(a: Tensor, b: Tensor, directions: int = 256) -> float:
    """Return the sliced Wasserstein distance of the 8x8 patches of as many pictures; 0 for the same pictures.

    Patches are projected onto random unit vectors, the projections of either side sorted and compared.
    """
    seeded = torch.Generator().manual_seed(0)
    onto = normalize(torch.randn(3 * 64, directions, generator=seeded), dim=0)
    sides = []
    for pictures in (a, b):
        patches = pictures.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3 * 64)
        sides.append((patches @ onto).sort(0).values)
    return (sides[0] - sides[1]).abs().mean().item()


class Losses(NamedTuple):
    """The figures of a step; those of a penalty are nan where it was not due."""

    discriminator: float
    generator: float
    r1: float
    path: float


class Trainer:
    """Both networks, their optimisers and the moving average of the generator.

    Args:
        batch: pictures of a step.
        gamma: weight of R1.
        stiffness: weight of the path length penalty.
        lazy: a penalty is due every so many steps, and counts so many times.
    """

    def __init__(self, batch: int = 16, gamma: float = 0.02, stiffness: float = 0.2, lazy: int = 8) -> None:
        self.generator, self.discriminator = Generator(), Discriminator()
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimisers = [
            torch.optim.Adam(net.parameters(), lr=0.002, betas=(0.0, 0.99))
            for net in (self.generator, self.discriminator)
        ]
        self.batch, self.gamma, self.stiffness, self.lazy = batch, gamma, stiffness, lazy
        self.usual_path = torch.zeros(())

    def steps(self, count: int) -> Iterator[Losses]:
        """Train, and give the figures of each step; the gradients of the step are still there."""
        for step in range(count):
            due = step % self.lazy == 0
            d, r1 = self._discriminate(due)
            g, path = self._generate(due)
            with torch.no_grad():
                # Half of it is younger than 200 steps, or than a tenth of the steps so far.
                decay = 0.5 ** (1 / min(200.0, 1 + step / 10))
                for mean, new in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                    mean.lerp_(new, 1 - decay)
            yield Losses(d, g, r1, path)

    def _discriminate(self, due: bool) -> tuple[float, float]:
        self.optimisers[1].zero_grad()
        with torch.no_grad():
            fake, _ = self.generator(torch.randn(self.batch, WIDTH))
        real = discs(self.batch).requires_grad_(due)
        logits = self.discriminator(real)
        loss = softplus(-logits).mean() + softplus(self.discriminator(fake)).mean()
        r1 = torch.tensor(math.nan)
        if due:  # the gradient of a gradient: through conv2d, upfirdn2d and bias_act
            (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
            r1 = slope.square().sum((1, 2, 3)).mean()
        (loss + r1 * (self.gamma / 2 * self.lazy) if due else loss).backward()
        self.optimisers[1].step()
        return loss.item(), r1.item()

    def _generate(self, due: bool) -> tuple[float, float]:
        self.optimisers[0].zero_grad()
        fake, w = self.generator(torch.randn(self.batch, WIDTH))
        self.discriminator.requires_grad_(False)
        loss = softplus(-self.discriminator(fake)).mean()
        self.discriminator.requires_grad_(True)
        path = torch.tensor(math.nan)
        if due:  # a step in w shall change the picture by the same amount anywhere: through modulated_conv2d twice
            onto = torch.randn_like(fake) / SIZE
            (slope,) = torch.autograd.grad((fake * onto).sum(), w, create_graph=True)
            length = slope.square().sum(1).sqrt()
            self.usual_path = self.usual_path.lerp(length.mean().detach(), 0.01 if self.usual_path > 0 else 1.0)
            path = (length - self.usual_path).square().mean()
        (loss + path * (self.stiffness * self.lazy) if due else loss).backward()
        self.optimisers[0].step()
        return loss.item(), path.item()

    @torch.no_grad()
    def draw(self, n: int) -> Tensor:
        """Return pictures of the averaged generator, [n, 3, SIZE, SIZE]."""
        return torch.cat([self.average(torch.randn(len(part), WIDTH))[0] for part in torch.empty(n).split(128)])


def write(pictures: Tensor, path: Path, columns: int) -> None:
    """Write pictures in [-1, 1], at twice their size, as a PNG of so many columns."""
    twice = pictures.clamp(-1, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    rows = twice.unflatten(0, (-1, columns)).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    Image.fromarray(np.round((rows.numpy() + 1) * 127.5).astype(np.uint8)).save(path, optimize=True)


def run(steps: int, out: Path, seed: int = 0, compared: int = 2048, say: Callable[[str], None] = print) -> Trainer:
    """Train, print how far the generated pictures are from drawn ones, and write some: above drawn, below generated."""
    torch.manual_seed(seed)
    trainer, real = Trainer(), discs(compared)
    say(f"distance of other drawn pictures {sliced_distance(discs(compared), real):.4f}")
    say(f"distance before training {sliced_distance(trainer.draw(compared), real):.4f}")
    start = time.perf_counter()
    for step, losses in enumerate(trainer.steps(steps), 1):
        if step % max(steps // 10, 1) == 1 or step == steps:
            seconds = time.perf_counter() - start
            due = {name: value for name, value in losses._asdict().items() if not math.isnan(value)}
            figures = " ".join(f"{name} {value:.3f}" for name, value in due.items())
            say(f"step {step} {seconds:.0f} s: {figures}")
    say(f"distance after training {sliced_distance(trainer.draw(compared), real):.4f}")
    write(torch.cat([real[:32], trainer.draw(64)]), out, 16)
    return trainer


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000, help="of both networks, 16 pictures each")
    parser.add_argument("--out", type=Path, default=Path("discs.png"), help="where the pictures are written")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    given = parser.parse_args()
    run(given.steps, given.out, given.seed)


if __name__ == "__main__":
    main()
