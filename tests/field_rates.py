"""Ten folds and rates of the core, held against the field's script; for simulated scores and for real ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from peers import field_script
from sdx import _core


def assert_equal_to_the_script(distance: NDArray[np.float64], mated: NDArray[np.bool_]) -> None:
    """Squared distances, float64 [P], and labels, bool [P]: every count the same."""
    got = _core.tenfold_accuracy(distance, mated, "insightface")
    accuracy, threshold = field_script.accuracy(distance, mated)
    np.testing.assert_array_equal(got.accuracy, accuracy, err_msg="accuracy")
    np.testing.assert_array_equal(got.threshold, threshold, err_msg="threshold")
    rates = got.tar, got.tar_std, got.far
    np.testing.assert_allclose(rates, field_script.tar_at_far(distance, mated), rtol=1e-12, atol=1e-15)
    curve = _core.Curve(-distance, mated)
    table = field_script.table(-distance, mated, drop=False)
    found = [1 - curve.at_fmr(far, "nearest").fnmr for far in field_script.FARS]
    np.testing.assert_allclose(found, table["tar_at_far"], rtol=1e-12)
    np.testing.assert_allclose(curve.auc(), table["auc"], rtol=1e-12)
