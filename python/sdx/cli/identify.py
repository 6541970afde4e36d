"""``sdx identify``: searches of galleries, as IJB-B and IJB-C have them."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from sdx.cli.console import console
from sdx.cli.template_options import FILE, template_options, templates, weighting
from sdx.evaluation import identification as of
from sdx.evaluation import ijb
from sdx.evaluation.identification import Identification, LegacyResult
from sdx.evaluation.support import LEAST, MARKS, SUPPORT
from sdx.evaluation.template_file import TemplateFile


@click.command()
@template_options
@click.option("--gallery", type=FILE, multiple=True, metavar="CSV", help="Template, subject; --meta's unless given.")
@click.option("--probes", type=FILE, metavar="CSV", help="Likewise; give both or none.")
@click.option("--rank", type=click.IntRange(1), default=1, show_default=True, help="Within which a mate is found.")
@click.option("--protocol", type=click.Choice(["exact", "insightface-legacy"]), default="exact", show_default=True)
def identify(
    file: Path,
    meta: Path | None,
    norms: bool | None,
    detector: bool | None,
    flip: str | None,
    script: str | None,
    halves: bool,
    as_json: bool,
    gallery: tuple[Path, ...],
    probes: Path | None,
    rank: int,
    protocol: str,
) -> None:
    """Search galleries for the templates that the image embeddings in FILE make (1:N).

    FILE is as for eval-templates. Each gallery is searched on its own: closed set by rank, open set at the threshold
    that the searches without a mate set. insightface-legacy is the field's older way, for figures printed by it.
    """
    if bool(gallery) != (probes is not None) or (meta is None and probes is None):
        raise click.UsageError("give --gallery and --probes, or --meta with both in it")
    if protocol != "exact" and rank != 1:
        raise click.UsageError("--rank belongs to protocol exact: the older one has a threshold alone")
    made = templates(TemplateFile(file), meta, weighting(norms, detector, flip, script), halves)
    if probes is not None:
        rosters, searches = tuple(map(ijb.read_roster, gallery)), ijb.read_roster(probes)
    else:
        assert meta is not None
        rosters, searches = ijb.read_galleries(meta)
    result: Identification | LegacyResult
    if protocol == "exact":
        result = of.identify(made, rosters, searches, rank=rank)
    else:
        result = of.legacy(made, rosters, searches)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2, allow_nan=False))
        return
    out = console()
    out.print(f"{made.images:,} images make {len(made):,} templates: {made.weighting}", markup=False)
    if isinstance(result, LegacyResult):
        out.print(_legacy_table(result))
        return
    out.print(_closed_table(result))
    if result.fnir:
        out.print(_open_table(result))
    else:
        out.print("open set: no search is without a mate, so nothing sets a threshold")


def _closed_table(result: Identification) -> Table:
    table = Table(
        title=f"{escape(result.name)}, closed set: {result.probes:,} probes",
        caption="share of mated searches in % whose mate is within the rank; the mate stands behind its equals",
    )
    for heading in ("gallery", "subjects", "mated", *(f"rank {rank}" for rank in of.RANKS)):
        table.add_column(heading, justify="left" if heading == "gallery" else "right", overflow="fold")
    for one in result.galleries:
        counts = f"{one.subjects:,}", f"{one.mated:,}"
        table.add_row(escape(one.name), *counts, *(f"{100 * share:.3f}" for share in one.cmc.values()))
    table.add_row("mean", "", "", *(f"{100 * share:.3f}" for share in result.cmc.values()))
    return table


def _open_table(result: Identification) -> Table:
    table = Table(
        title=f"{escape(result.name)}, open set: rank {result.rank}",
        caption=f"TPIR = 1 - FNIR in %, 95 % interval of independent searches; ~ fewer than {SUPPORT} false positives "
        f"can occur, not supported: fewer than {LEAST}",
    )
    for heading in (
        "gallery",
        "non-mated",
        "FPIR",
        "TPIR",
        "interval",
        "threshold",
        "false positives",
        "attained FPIR",
    ):
        table.add_column(heading, justify="left" if heading == "gallery" else "right", overflow="fold")
    for one in result.galleries:
        for name, rate in one.rates.items():
            low, high = rate.fnir_interval
            table.add_row(
                escape(one.name),
                f"{one.nonmated:,}",
                name,
                f"{MARKS[rate.support]}{100 * (1 - rate.fnir):.3f}",
                f"{100 * (1 - high):.3f} to {100 * (1 - low):.3f}",
                f"{rate.threshold:.6g}",
                f"{rate.false_positives:,}",
                f"{rate.attained:.3g}",
            )
    for name, fnir in result.fnir.items():
        table.add_row("mean", "", name, f"{100 * (1 - fnir):.3f}", "", "", "", "")
    return table


def _legacy_table(result: LegacyResult) -> Table:
    table = Table(
        title=f"{escape(result.name)}, insightface-legacy: {result.probes:,} probes, {result.subjects:,} subjects",
        caption='shares of the probes in %; the "FAR" counts scores of all templates a probe: it is no FPIR',
        min_width=100,
    )
    rows = [(f"rank {rank}", share, "") for rank, share in result.cmc.items()]
    rows += [(f'"FAR" {name}', result.recall[name], f"{result.threshold[name]:.6g}") for name in result.recall]
    for heading in ("figure", "share", "threshold"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, share, threshold in rows:
        table.add_row(name, f"{100 * share:.3f}", threshold)
    return table
