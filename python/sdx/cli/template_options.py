"""What the commands on templates share: where the embeddings are, and how the images weigh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from sdx.evaluation import ijb
from sdx.evaluation.template_file import TemplateFile
from sdx.evaluation.templates import Flip, Templates, Weighting

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.argument("file", type=FILE),
    click.option("--meta", type=FOLDER, metavar="FOLDER", help="Lists of IJB-B or IJB-C; otherwise FILE has them."),
    click.option(
        "--norms/--no-norms", default=None, help="Images weigh by the length of their embedding.  [default: norms]"
    ),
    click.option(
        "--detector/--no-detector", default=None, help="... and by the detector's score.  [default: detector]"
    ),
    click.option("--flip", type=click.Choice(["sum", "concat", "none"]), help="Mirror images.  [default: sum]"),
    click.option(
        "--as", "script", metavar="SCRIPT:MODE", help="Instead: as eval_ijbc:N1D1F1 or ijb_evals:N0D1F1 does."
    ),
    click.option("--halves", is_flag=True, help="The second half of each embedding is the mirror image's."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON alone."),
)


def template_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument FILE and the options that `templates` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def weighting(norms: bool | None, detector: bool | None, flip: str | None, script: str | None) -> Weighting:
    """Return how images weigh; UsageError where a script's name and an option both say it."""
    if script is None:
        chosen = Weighting()
        return Weighting(
            chosen.norm_weighting if norms is None else norms,
            chosen.detector_weighting if detector is None else detector,
            chosen.flip if flip is None else cast(Flip, flip),
        )
    if norms is not None or detector is not None or flip is not None:
        raise click.UsageError("--as says it all: leave --norms, --detector and --flip out")
    return Weighting.of_script(script)


def templates(file: TemplateFile, meta: Path | None, weighing: Weighting, halves: bool) -> Templates:
    """Return the templates of the embeddings in a file."""
    of_set = file.templates() if meta is None else ijb.read_images(meta).templates
    return of_set.aggregate(file.images(halves=halves), weighing)
