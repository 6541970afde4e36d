"""As `boundaries`: what scores embeddings, resamples rates, makes templates and reads columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from boundaries import MATED, NO_BOOLS, OVERFLOW, SCORE, Case, Entry

from sdx import _core
from sdx.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
EMBEDDING = RNG.normal(size=(12, 7)).astype(np.float32)
ZERO_ROW = EMBEDDING * (np.arange(12) != 3)[:, None].astype(np.float32)
FIRST, SECOND = np.arange(20) % 12, (np.arange(20) + 5) % 12
SUBJECT = np.arange(12) // 3
FREE = ("embedding", "embedding.columns")
NAN = float("nan")

OUT_OF_RANGE: list[Case] = [
    ({"embedding": ZERO_ROW}, DataError),
    ({"first": FIRST + 1}, DataError),
    ({"first": FIRST - 1}, DataError),
    ({"second": SECOND + 1}, DataError),
    ({"second": SECOND.astype(np.int32)}, TypeError),
]
NO_RATE: list[Case] = [({"fmrs": [value]}, DataError) for value in (-0.1, 1.1, NAN)]
NO_RATE += [({"thresholds": [NAN]}, DataError)]
ONE_KIND: list[Case] = [({"mated": np.full(20, kind)}, DataError) for kind in (True, False)] + NO_BOOLS

KEYS = {"seed": 1, "stream": 2, "replicates": 3}
NO_DRAW: list[Case] = [({"replicates": value}, ConfigError) for value in (0, 1_000_001)]
NO_DRAW += [({"seed": -1}, OVERFLOW), ({"stream": 2**32}, OVERFLOW), ({"replicates": -1}, OVERFLOW)]
WHO = {"mated": MATED, "first": np.arange(20) // 2, "second": np.arange(20) // 2 + np.where(MATED, 0, 1)}
NOT_WHO: list[Case] = [*ONE_KIND, ({"first": np.arange(20)}, DataError)]
ALL = _core.rate_all_pairs(EMBEDDING, SUBJECT, [0.1], tail=54)
EVERY = {
    "subject": SUBJECT,
    "mated_score": ALL.mated_score,
    "mated_first": ALL.mated_pair[:, 0].copy(),
    "mated_second": ALL.mated_pair[:, 1].copy(),
    "tail_score": ALL.tail_score,
    "tail_first": ALL.tail_pair[:, 0].copy(),
    "tail_second": ALL.tail_pair[:, 1].copy(),
}
IMAGES: dict[str, Any] = {
    "embedding": EMBEDDING,
    "template": SUBJECT,
    "media": np.arange(12) // 2,
    "count": 4,
    "norm_weighting": False,
    "flip": "sum",
    "mirrored": EMBEDDING[::-1].copy(),
    "detector_score": np.ones(12, np.float32),
}

RESULTS = ("AllPairs", "PairRates", "Replicates")

TABLE: dict[str, Entry] = {
    "aggregate_templates": Entry(
        _core.aggregate_templates,
        IMAGES,
        [
            ({"template": SUBJECT + 1}, DataError),
            ({"template": SUBJECT - 1}, DataError),
            ({"count": 5}, DataError),
            ({"count": -1}, OVERFLOW),
            ({"embedding": ZERO_ROW, "mirrored": ZERO_ROW}, DataError),
            ({"detector_score": -IMAGES["detector_score"]}, DataError),
            ({"detector_score": 0 * IMAGES["detector_score"]}, DataError),
            ({"flip": "both"}, ConfigError),
            ({"mirrored": None}, ConfigError),
        ],
    ),
    "rate_all_pairs": Entry(
        _core.rate_all_pairs,
        {"embedding": EMBEDDING, "subject": SUBJECT, "fmrs": [0.1], "thresholds": [0.5], "tail": 3},
        [
            ({"embedding": ZERO_ROW}, DataError),
            ({"subject": np.zeros(12, np.int64)}, DataError),
            ({"tail": -1}, OVERFLOW),
            *NO_RATE,
        ],
        FREE[1:],
    ),
    "rate_pairs": Entry(
        _core.rate_pairs,
        {
            "embedding": EMBEDDING,
            "first": FIRST,
            "second": SECOND,
            "mated": MATED,
            "fmrs": [0.1],
            "thresholds": [0.5],
        },
        [*OUT_OF_RANGE, *ONE_KIND, *NO_RATE],
        FREE,
    ),
    "read_columns": Entry(
        _core.read_columns,
        {"path": "columns.txt", "kinds": "ib*", "separator": " ", "header": False},
        [
            ({"path": "nowhere.txt"}, DataError),
            ({"kinds": "bi*"}, DataError),
            ({"kinds": "iib"}, DataError),
            ({"kinds": "x"}, ConfigError),
            ({"separator": ";"}, ConfigError),
        ],
    ),
    "resample_accuracy": Entry(
        _core.resample_accuracy,
        {"distance": SCORE, **WHO, "protocol": "exact", **KEYS},
        [*NOT_WHO, *NO_DRAW, ({"protocol": "lfw"}, ConfigError)],
    ),
    "resample_all_pairs": Entry(
        _core.resample_all_pairs,
        {**EVERY, "fmrs": [0.1], "thresholds": [0.0], **KEYS},
        [
            *NO_RATE,
            *NO_DRAW,
            ({"subject": np.zeros(12, np.int64)}, DataError),
            ({"mated_first": EVERY["mated_first"] + 12}, DataError),
            ({"tail_second": EVERY["tail_second"] - 12}, DataError),
        ],
    ),
    "resample_at_threshold": Entry(
        _core.resample_at_threshold,
        {
            "embedding": EMBEDDING,
            **{name: EVERY[name] for name in ("subject", "mated_score", "mated_first", "mated_second")},
            "threshold": 0.5,
            **KEYS,
        },
        [
            ({"embedding": ZERO_ROW}, DataError),
            ({"threshold": NAN}, DataError),
            ({"subject": np.zeros(12, np.int64)}, DataError),
            ({"mated_first": EVERY["mated_first"] + 12}, DataError),
            *NO_DRAW,
        ],
        FREE[1:],
    ),
    "resample_pairs": Entry(
        _core.resample_pairs,
        {"score": SCORE, **WHO, "fmrs": [0.1], "thresholds": [0.5], **KEYS},
        [*NOT_WHO, *NO_RATE, *NO_DRAW],
    ),
    "score_pairs": Entry(
        _core.score_pairs,
        {"embedding": EMBEDDING, "first": FIRST, "second": SECOND, "metric": "cosine", "method": "sparse"},
        [*OUT_OF_RANGE, ({"metric": "l1"}, ConfigError), ({"method": "fast"}, ConfigError)],
        FREE,
    ),
    "search": Entry(
        _core.search,
        {"gallery": EMBEDDING, "probe": EMBEDDING[:3], "count": 2},
        [
            ({"gallery": ZERO_ROW}, DataError),
            ({"probe": ZERO_ROW}, DataError),
            ({"count": 0}, ConfigError),
            ({"count": 13}, ConfigError),
            ({"count": -1}, OVERFLOW),
        ],
        ("gallery", "probe"),
    ),
}
