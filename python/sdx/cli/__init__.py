"""The command line: one module a command, no logic."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

import click
import torch

from sdx.cli.cache import cache
from sdx.cli.calibrate import calibrate
from sdx.cli.embed import embed
from sdx.cli.eval_scores import eval_scores
from sdx.cli.eval_templates import eval_templates
from sdx.cli.evaluate import evaluate
from sdx.cli.generate import generate
from sdx.cli.identify import identify
from sdx.cli.info import info
from sdx.cli.pretrain import pretrain
from sdx.cli.replay import replay
from sdx.cli.train import train
from sdx.errors import SdxError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sdx")
def cli() -> None:
    """Train small face-recognition networks from a face generator and a frozen teacher."""


cli.add_command(train)
cli.add_command(cache)
cli.add_command(embed)
cli.add_command(evaluate)
cli.add_command(eval_scores)
cli.add_command(eval_templates)
cli.add_command(identify)
cli.add_command(calibrate)
cli.add_command(generate)
cli.add_command(info)
cli.add_command(pretrain)
cli.add_command(replay)


def main() -> None:
    """Run the command line; an SdxError, and a lack of memory, end as one line on standard error and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        cli()
    except SdxError as error:
        _fail(str(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        reason = (str(error).splitlines() or ["out of memory"])[0]
        _fail(f"expected more memory than there is ({reason}); give a smaller batch=, fewer images or smaller ones")


def _is_lack_of_memory(error: MemoryError | RuntimeError) -> bool:
    # torch has a type of its own for GPUs alone; on the host it raises a plain RuntimeError.
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


def _fail(message: str) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(1)
