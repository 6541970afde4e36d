"""Draw simface.png: seven people of SimFace, a row each; a portrait and eight wild captures."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sdx.random import Philox
from sdx.simface.population import FAMILY_SIZE, Population
from sdx.simface.render import render
from sdx.types import Stream

PEOPLE, VIEWS, SIZE = 7, 8, 64


def main() -> None:
    """Render the grid and write it beside this file; the first two people are family."""
    random = Philox(7)
    world = Population("E-dev", "wild", random)
    person = torch.tensor([0, 1, *(FAMILY_SIZE * torch.arange(1, PEOPLE - 1)).tolist()])
    identity, view = person.repeat_interleave(VIEWS + 1), torch.arange(VIEWS + 1).repeat(PEOPLE)
    latent = world.latent(identity, view)
    grain = torch.from_numpy(random.normals(Stream.GRAIN, world.key(identity, view), 3 * SIZE * SIZE))
    grain = grain.view(-1, 3, SIZE, SIZE)
    face = render(latent, nuisance="wild", grain=grain)
    first = view == 0
    face[first] = render(latent[first], nuisance="portrait", grain=grain[first])
    grid = face.view(PEOPLE, VIEWS + 1, 3, SIZE, SIZE).permute(0, 3, 1, 4, 2).reshape(PEOPLE * SIZE, -1, 3)
    pixels = np.round((grid.numpy() + 1) * 127.5).astype(np.uint8)
    Image.fromarray(pixels).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
