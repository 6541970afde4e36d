"""What does the embedded generator draw, as the teacher sees it, and what does the sampler's noise in w change?

    python docs/studies/generator.py [IMAGES]

Prints figures on IMAGES held-out latents (4,096 unless given) and writes pictures into docs/images: drawn faces above
the rendered faces that their latents stand for, faces on straight lines in w, and histograms of cosines between pairs
of different faces.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss, normalize

from sdx import networks, sources, teachers
from sdx.config import SourceConfig
from sdx.evaluation import frechet
from sdx.random import Philox
from sdx.report import grid
from sdx.simface.parameters import DIMENSION, IDENTITY_SIZE, NAMES
from sdx.simface.render import render
from sdx.sources.stylegan2 import StyleGAN2Source
from sdx.types import HELD_OUT, Stream

PICTURES = Path(__file__).resolve().parent.parent / "images"
PARTS = {
    "identity": range(IDENTITY_SIZE),
    "pose": [NAMES.index(name) for name in ("yaw", "pitch", "roll")],
    "light": [i for i, name in enumerate(NAMES) if name.startswith("light") or name == "exposure"],
    "the rest": [i for i, name in enumerate(NAMES) if i >= IDENTITY_SIZE and "light" not in name],
}
NOISES = (0.1, 0.3, 0.5, 1.0, 2.0)
BATCH = 256

Embed = Callable[[Tensor], Tensor]


def batches(total: int, function: Callable[[Tensor], Tensor], start: int = 0) -> Tensor:
    """Return ``function`` of held-out image numbers, batch by batch."""
    return torch.cat(
        [function(index) for index in torch.arange(HELD_OUT + start, HELD_OUT + start + total).split(BATCH)]
    )


def figures(source: StyleGAN2Source, embed: Embed, images: int) -> tuple[Tensor, Tensor]:
    """Print distances and recovery, and return the embeddings of drawn and of rendered faces."""
    drawn = batches(images, lambda index: embed(source.draw(index, source.root(index)).face))
    rendered = batches(images, lambda index: embed(render(source.simface(index))))
    others = batches(images, lambda index: embed(render(source.simface(index))), start=images)
    print(f"Frechet distance drawn - rendered, same latents: {frechet.distance(drawn, rendered):.3f}")
    print(f"Frechet distance drawn - rendered, other latents: {frechet.distance(drawn, others):.3f}")
    print(f"Frechet distance between two rendered halves: {frechet.distance(rendered, others):.3f}")
    similarity = normalize(drawn) @ normalize(rendered).T
    own = similarity.diagonal()
    rank_one = (similarity.argmax(1) == torch.arange(images)).float().mean()
    print(f"cosine of a drawn face and its own rendered face: {own.mean():.3f}, 10 % below {own.quantile(0.1):.3f}")
    print(f"the nearest of {images} rendered faces is the drawn one's own: {100 * rank_one:.1f} %")
    return drawn, rendered


def known_parameters(source: StyleGAN2Source, embed: Embed, images: int, drawn: Tensor, rendered: Tensor) -> None:
    """Print how well a linear reading of the teacher's embedding recovers the known identity parameters."""
    latent = batches(images, source.simface)[:, :IDENTITY_SIZE]
    half = images // 2
    for name, seen in (("rendered", rendered), ("drawn", drawn)):
        read = ridge(rendered[:half], latent[:half])
        error = (read(seen[half:]) - latent[half:]).square().mean(0)
        print(f"share of the identity parameters' variance read from {name} faces: {1 - error.mean():.3f}")


def ridge(x: Tensor, y: Tensor, strength: float = 1e-3) -> Callable[[Tensor], Tensor]:
    """Return the linear map from x, [N, D], to y, [N, K], fitted with a small penalty."""
    mean, spread = x.mean(0), x.std(0) + 1e-9

    def features(value: Tensor) -> Tensor:
        return torch.cat([(value - mean) / spread, torch.ones(len(value), 1)], 1).double()

    a = features(x)
    weights = torch.linalg.solve(a.T @ a + strength * len(a) * torch.eye(a.shape[1]).double(), a.T @ y.double())
    return lambda value: (features(value) @ weights).float()


def reader(source: StyleGAN2Source, images: int) -> Embed:
    """Return a small network that has learnt to read SimFace's parameters from drawn faces, none of them held out."""
    torch.manual_seed(0)
    network = networks.build("small", DIMENSION, source.size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3)
    steps = images // 64
    for step in range(steps):
        index = torch.arange(64 * step, 64 * step + 64)
        optimizer.param_groups[0]["lr"] = 4e-3 * (1 - step / steps)
        loss = mse_loss(network(source.draw(index, source.root(index)).face), source.simface(index))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval().requires_grad_(False)
    return lambda face: network(face.contiguous(memory_format=torch.channels_last))


def noise_in_w(source: StyleGAN2Source, embed: Embed, images: int, read: Embed) -> None:
    """Print what noise of a size does: the teacher's cosine, and the change of the parameters read from the face."""
    index = torch.arange(HELD_OUT, HELD_OUT + images)
    own = source.root(index)

    def look(latent: Tensor) -> tuple[Tensor, Tensor]:
        faces = [source.draw(i, part).face for i, part in zip(index.split(BATCH), latent.split(BATCH), strict=True)]
        return torch.cat([embed(face) for face in faces]), torch.cat([read(face) for face in faces])

    first, parameters = look(own)
    explained = 1 - (parameters - source.simface(index)).square().mean(0)
    print("share of the known variance that is read: " + by_part(explained))
    normal = torch.from_numpy(Philox(1).normals(Stream.PERTURBATION, index.numpy(), own.shape[1]))
    print("noise in rms(w): the teacher's cosine (10 %, 90 %); change in units of what is read of another face")
    _, others = look(own.roll(1, 0))
    usual = (others - parameters).square().mean(0)
    for size in NOISES:
        embedding, moved = look(own + size * source.latent_rms * normal)
        cosine = cosine_similarity(embedding, first)
        low, high = cosine.quantile(torch.tensor([0.1, 0.9])).tolist()
        change = by_part((moved - parameters).square().mean(0), usual)
        print(f"{size:.1f}: {cosine.mean():.3f} ({low:.3f}, {high:.3f}); {change}", flush=True)


def by_part(values: Tensor, unit: Tensor | None = None) -> str:
    """Return the mean of each part's columns, or the root of its ratio to the same of ``unit``, in words."""
    found = {}
    for part, columns in PARTS.items():
        mean = values[list(columns)].mean()
        found[part] = float(mean if unit is None else (mean / unit[list(columns)].mean()).sqrt())
    return ", ".join(f"{part} {value:.2f}" for part, value in found.items())


def pictures(source: StyleGAN2Source, drawn: Tensor, rendered: Tensor) -> None:
    """Write the three pictures."""
    index = torch.arange(HELD_OUT, HELD_OUT + 32)
    faces, truth = source.draw(index, source.root(index)).face, render(source.simface(index))
    rows = torch.stack([faces.view(4, 8, 3, 64, 64), truth.view(4, 8, 3, 64, 64)], 1).flatten(0, 2)
    grid.write(rows, PICTURES / "generator-pairs.png", columns=8, scale=2)
    grid.write(sources.strips(source, 6, 8), PICTURES / "generator-strips.png", columns=8, scale=2)
    figure = Figure(figsize=(6, 3.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, seen in (("rendered", rendered), ("drawn", drawn)):
        cosine = (normalize(seen) @ normalize(seen).T)[*torch.triu_indices(len(seen), len(seen), 1)]
        axes.hist(cosine.numpy(), bins=120, density=True, histtype="step", label=name)
        print(f"cosine of two different {name} faces: {cosine.mean():.3f} ± {cosine.std():.3f}")
    axes.set_xlabel("teacher's cosine between two different faces")
    axes.set_ylabel("density")
    axes.legend()
    figure.savefig(PICTURES / "generator-cosines.png")


def main() -> None:
    """Print all figures and write all pictures."""
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    source = sources.build(SourceConfig(kind="stylegan2"), Philox(0))
    if not isinstance(source, StyleGAN2Source):
        raise AssertionError("stylegan2 is a StyleGAN2Source")
    teacher = teachers.build("simface-teacher")

    def embed(face: Tensor) -> Tensor:
        return teacher.embed(face, source.frame)

    drawn, rendered = figures(source, embed, images)
    known_parameters(source, embed, images, drawn, rendered)
    noise_in_w(source, embed, images // 4, reader(source, 8 * images))
    pictures(source, drawn, rendered)


if __name__ == "__main__":
    main()
