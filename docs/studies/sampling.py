"""Does `resample` teach more than `fresh`? Paired seeds, verified on the dev sets.

    python docs/studies/sampling.py IMAGES SEEDS FOLDER [key=value ...]

Every half-step of `resample` draws new images, as every step of `fresh` does, so equal generated images are equal
student updates as well. Prints mean accuracy over the six dev sets for each seed, and the mean paired difference with
its 95 % interval (Student's t).
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import fmean, stdev

from sdx import config, recipes
from sdx.training import run

T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
"""Two-sided 95 % quantile of Student's t by number of pairs."""


def accuracy(sampler: str, seed: int, images: int, folder: Path, extra: dict[str, str]) -> float:
    """Return a student's mean accuracy over the dev sets; a run that is there already is not run again."""
    summary = folder / f"{sampler}-{seed}" / "summary.json"
    if not summary.exists():
        assignments = {"sampler": sampler, "seed": str(seed), "images": str(images), "eval": "sim@dev"}
        fixed = {"baselines": "false", "validate_every": "none", "checkpoint_every": "none"}
        run.train(config.override(recipes.get("demo"), assignments | fixed | extra), summary.parent)
    results = json.loads(summary.read_text())["results"]
    return fmean(r["accuracy"] for r in results if r["model"] == "small")


def main() -> None:
    """Run all seeds and print the table."""
    images, seeds, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    extra = dict(argument.split("=", 1) for argument in sys.argv[4:])
    differences = []
    for seed in range(seeds):
        fresh, resample = (accuracy(s, seed, images, folder, extra) for s in ("fresh", "resample"))
        differences.append(resample - fresh)
        print(f"seed {seed}: fresh {100 * fresh:.2f}  resample {100 * resample:.2f}", flush=True)
    half = T_95[seeds] * stdev(differences) / math.sqrt(seeds)
    print(f"resample - fresh: {100 * fmean(differences):+.2f} ± {100 * half:.2f} points (95 %, {seeds} pairs)")


if __name__ == "__main__":
    main()
