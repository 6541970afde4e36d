"""``sdx eval``: how well models verify faces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import click
from rich.markup import escape
from rich.table import Table

from sdx import networks
from sdx.cli.console import console
from sdx.evaluation import datasets, models
from sdx.evaluation.verification import FARS, SUPPORT, Protocol, Result
from sdx.evaluation.verification import evaluate as verify


@click.command(name="eval")
@click.argument("model", nargs=-1, required=True)
@click.option("--data", multiple=True, default=("sim",), show_default=True, metavar="SET", help="Set or .bin file.")
@click.option("--protocol", type=click.Choice(["exact", "insightface"]), default="exact", show_default=True)
@click.option("--own", multiple=True, metavar="MODULE:NAME", help="Network of your own that a MODEL may be made of.")
@click.option("--flip", is_flag=True, help="Add the embedding of the mirror image.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone.")
def evaluate(
    model: tuple[str, ...], data: tuple[str, ...], protocol: str, own: tuple[str, ...], flip: bool, as_json: bool
) -> None:
    """Verify faces with each MODEL: a model file, a run folder, a built-in name, or FAMILY:PATH.

    SET is a built-in name (sim-easy, sim-pose, sim-age, sim-hardpose, sim-hardage, sim-low; sim for all six; @dev
    behind a name for its development split) or the path of a .bin file; give --data several times for several sets.
    """
    for architecture in own:
        networks.own.allow(architecture)
    loaded = [one for reference in model for one in models.load(reference)]
    results = []
    for reference in datasets.expand(data):
        dataset = datasets.load(reference)
        results += [verify(one, dataset, protocol=cast(Protocol, protocol), flip=flip) for one in loaded]
    if as_json:
        click.echo(json.dumps({"results": [result.to_json() for result in results]}, indent=2, allow_nan=False))
        return
    out = console()
    out.print(_table(results))
    for remark in models.remarks(loaded):
        out.print(remark, style="yellow", markup=False)


def _table(results: Sequence[Result]) -> Table:
    """Return one row a result; rates in percent."""
    first = results[0]
    table = Table(
        title=f"Verification: protocol {first.protocol}, flip {first.options['flip']}",
        caption="rates in %; ± population standard deviation of ten folds; threshold on squared distance of unit "
        f"embeddings; TAR at a FAR of at most the value, ~ where fewer than {SUPPORT} false accepts can occur",
    )
    table.add_column("model", overflow="fold")
    table.add_column("set", overflow="fold")
    for heading in ("mated", "non-mated", "accuracy", "threshold", *(f"TAR@{far}" for far in FARS), "EER", "AUC"):
        table.add_column(heading, justify="right")
    for result in results:
        low = result.low_support()
        table.add_row(
            escape(result.model),
            escape(result.dataset),
            f"{result.mated:,}",
            f"{result.nonmated:,}",
            f"{100 * result.accuracy:.2f} ± {100 * result.std:.2f}",
            f"{result.threshold:.3f}",
            *(f"{'~' if far in low else ''}{100 * tar:.2f}" for far, tar in result.tar_at_far.items()),
            f"{100 * result.eer:.2f}",
            f"{100 * result.auc:.2f}",
        )
    return table
