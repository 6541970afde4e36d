"""``sdx pretrain generator``: make a face generator."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sdx import config as configuration
from sdx.cli.train import RESUMABLE, next_folder, split
from sdx.pretrain import config as recipes
from sdx.pretrain import run, workers
from sdx.training.interruption import Interrupted


@click.group()
def pretrain() -> None:
    """Make what training needs: a face generator."""


@pretrain.command()
@click.argument("arguments", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...")
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), help="Run folder; resumes what it holds.")
@click.option("--dry-run", is_flag=True, help="Print the configuration; write nothing.")
def generator(arguments: Sequence[str], run_dir: Path | None, dry_run: bool) -> None:
    """Make a StyleGAN2 by RECIPE (default: regression) and measure it.

    KEY=VALUE changes the recipe: images, batch, seed, checkpoint_every, start, or any dotted key that --dry-run shows.
    The same command with the same --run-dir resumes. Under `torchrun` the processes share every batch.
    """
    name, assignments = split(arguments)
    config = configuration.override(recipes.get(name or "regression"), assignments)
    if dry_run:
        click.echo(configuration.dump(config))
        return
    folder = run_dir or next_folder(f"generator-{config.recipe}")
    with workers.join() as joined:
        if joined.rank == 0:
            click.echo(f"run folder {folder}")
        try:
            summary = run.pretrain(config, folder, joined)
        except Interrupted:
            if joined.rank == 0:
                click.echo(f"stopped; the same command with --run-dir {folder} goes on from here", err=True)
            sys.exit(RESUMABLE)
    if joined.rank == 0:
        click.echo(f"{summary.images_seen} images; generator in {summary.path}")
        click.echo(", ".join(f"{key} {value:.4g}" for key, value in summary.scores.items()))
