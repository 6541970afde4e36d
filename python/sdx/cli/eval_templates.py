"""``sdx eval-templates``: verification of templates, as IJB-B and IJB-C have it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sdx.cli.console import console
from sdx.cli.eval_scores import rates_table
from sdx.cli.template_options import template_options, templates, weighting
from sdx.evaluation import ijb
from sdx.evaluation.template_file import TemplateFile
from sdx.evaluation.template_pairs import verify


@click.command(name="eval-templates")
@template_options
def eval_templates(
    file: Path,
    meta: Path | None,
    norms: bool | None,
    detector: bool | None,
    flip: str | None,
    script: str | None,
    halves: bool,
    as_json: bool,
) -> None:
    """Verify the templates that the image embeddings in FILE make (1:1).

    FILE is an .npz with arrays embedding [N, D] and mirrored [N, D] (embs and embs_f in the field's), raw and in the
    order of the list of images. Which image makes which template, and the pairs, stand in the lists of --meta or in
    FILE: template, media and detector_score [N], first, second and mated [P] (templates, medias, face_scores, p1, p2
    and label in the field's).
    """
    source = TemplateFile(file)
    made = templates(source, meta, weighting(norms, detector, flip, script), halves)
    result = verify(made, source.pairs() if meta is None else ijb.read_pairs(meta))
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2, allow_nan=False))
        return
    out = console()
    out.print(f"{result.images:,} images make {result.templates:,} templates: {result.weighting}", markup=False)
    out.print(rates_table(result.judgement, result.name))
    equal = result.judgement
    out.print(f"EER {100 * equal.eer:.3f} % at {equal.eer_threshold:.6g}   AUC {100 * equal.auc:.4f} %", markup=False)
