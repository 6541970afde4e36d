"""Typed face of the Rust extension; `rust/py` is its source and stubtest holds the two together.

Arrays go in as they are: another dtype or dimension is a TypeError, a strided array a ValueError, bools of other bytes
than 0 and 1 a DataError; none is copied. The caller must not write to one meanwhile. Bad files and values raise
`sdx.errors.DataError`, settings out of range `sdx.errors.ConfigError`, negative counts OverflowError.
"""

from sdx._core._bootstrap import (
    Replicates,
    resample_accuracy,
    resample_all_pairs,
    resample_at_threshold,
    resample_pairs,
)
from sdx._core._columns import read_columns
from sdx._core._parse import VerificationBin, read_verification_bin
from sdx._core._pool import LatentPool, PoolEntries, PoolStatistics
from sdx._core._random import normals, philox, uniforms
from sdx._core._scores import Curve, OperatingPoint, TenFold, tenfold_accuracy, wilson
from sdx._core._scoring import AllPairs, PairRates, rate_all_pairs, rate_pairs, score_pairs, search
from sdx._core._select import priorities, select_above, select_sample, select_top
from sdx._core._templates import aggregate_templates

__all__ = [
    "AllPairs",
    "Curve",
    "LatentPool",
    "OperatingPoint",
    "PairRates",
    "PoolEntries",
    "PoolStatistics",
    "Replicates",
    "TenFold",
    "VerificationBin",
    "aggregate_templates",
    "normals",
    "philox",
    "priorities",
    "rate_all_pairs",
    "rate_pairs",
    "read_columns",
    "read_verification_bin",
    "resample_accuracy",
    "resample_all_pairs",
    "resample_at_threshold",
    "resample_pairs",
    "score_pairs",
    "search",
    "select_above",
    "select_sample",
    "select_top",
    "tenfold_accuracy",
    "uniforms",
    "wilson",
]
