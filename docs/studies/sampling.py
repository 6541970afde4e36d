"""Do `resample` and `pool` teach more than `fresh`? Paired seeds, verified on the dev sets.

    python docs/studies/sampling.py IMAGES SEEDS FOLDER [key=value ...]

Every step of every sampler draws a batch of new images, so equal generated images are equal student updates as well.
Prints for each seed the mean accuracy over the six dev sets and the mean FNMR at FMR 1e-3, and for both the mean paired
difference to `fresh` with its 95 % interval (Student's t).
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import fmean, stdev

from sdx import config, recipes
from sdx.training import run

SAMPLERS = ("fresh", "resample", "pool")
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
"""Two-sided 95 % quantile of Student's t by number of pairs."""


def measured(sampler: str, seed: int, images: int, folder: Path, extra: dict[str, str]) -> tuple[float, float]:
    """Return a student's mean accuracy and FNMR over the dev sets; a run that is there already is not run again."""
    summary = folder / f"{sampler}-{seed}" / "summary.json"
    if not summary.exists():
        assignments = {"sampler": sampler, "seed": str(seed), "images": str(images), "eval": "sim@dev"}
        fixed = {"baselines": "false", "validate_every": "none", "checkpoint_every": "none"}
        run.train(config.override(recipes.get("demo"), assignments | fixed | extra), summary.parent)
    results = [r for r in json.loads(summary.read_text())["results"] if r["model"] == "small"]
    return fmean(r["accuracy"] for r in results), fmean(1 - r["tar_at_far"]["1e-3"] for r in results)


def main() -> None:
    """Run all seeds and print the table."""
    images, seeds, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    extra = dict(argument.split("=", 1) for argument in sys.argv[4:])
    if seeds not in T_95:
        sys.exit(f"expected a number of seeds out of {', '.join(map(str, T_95))}, got {seeds}")
    found: dict[str, list[tuple[float, float]]] = {sampler: [] for sampler in SAMPLERS}
    for seed in range(seeds):
        for sampler in SAMPLERS:
            found[sampler].append(measured(sampler, seed, images, folder, extra))
        row = "  ".join(f"{name} {100 * found[name][-1][0]:.2f} / {100 * found[name][-1][1]:.1f}" for name in SAMPLERS)
        print(f"seed {seed}, accuracy / FNMR at FMR 1e-3 in %: {row}", flush=True)
    for sampler in SAMPLERS[1:]:
        for place, what in enumerate(("accuracy", "FNMR")):
            each = [one[place] - other[place] for one, other in zip(found[sampler], found["fresh"], strict=True)]
            half = T_95[seeds] * stdev(each) / math.sqrt(seeds)
            print(
                f"{sampler} - fresh, {what}: {100 * fmean(each):+.2f} ± {100 * half:.2f} points (95 %, {seeds} pairs)"
            )


if __name__ == "__main__":
    main()
