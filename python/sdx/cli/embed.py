"""``sdx embed``: embeddings of the images of IJB-B or IJB-C, for the commands on templates."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from sdx.cli import output
from sdx.cli.template_options import FOLDER
from sdx.errors import ConfigError
from sdx.evaluation import embed as embedding
from sdx.evaluation import ijb, models, template_file
from sdx.evaluation.crops import AlignedCrops


@click.command()
@click.argument("model")
@click.argument("folder", type=FOLDER)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help=".npz to write.")
@click.option("--images", type=FOLDER, metavar="FOLDER", help="Loose crops.  [default: FOLDER/loose_crop]")
@click.option("--no-flip", is_flag=True, help="Leave the mirror images out: half the time.")
def embed(model: str, folder: Path, out: Path, images: Path | None, no_flip: bool) -> None:
    """Embed the images of a set of templates with MODEL (as for eval), for eval-templates and identify.

    FOLDER has the lists of IJB-B or IJB-C, or a folder meta of them, and the images in loose_crop; each is aligned by
    its five landmarks.
    """
    output.check(out)
    loaded = models.load(model)
    if len(loaded) != 1:
        raise ConfigError(f"expected one model, got {', '.join(one.name for one in loaded)}: name one of them")
    listed = ijb.read_images(folder)
    crops = AlignedCrops(folder / "loose_crop" if images is None else images, listed)
    found = embedding.embed(loaded[0], crops, "aligned", flip=not no_flip)
    with output.writing(out):
        template_file.write(out, found[0], None if no_flip else found[1], listed.templates)
    width = np.shape(found)[2]
    click.echo(f"{len(crops):,} images embedded by {loaded[0].name} ({width} numbers each) in {out}")
