"""How the conformance kit makes sparse arrays, and looks at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sparse

from softaxis.testing import Arrays


class SparseArrays(Arrays):
    """pydata/sparse: floating arrays whose unstored entries are -inf, others 0 or False."""

    namespace = "sparse"
    immutable = True

    def from_numpy(self, array: npt.NDArray[Any], dtype: str) -> sparse.COO:
        """Store what differs from the fill value."""
        fill = -np.inf if np.issubdtype(dtype, np.floating) else 0
        return sparse.COO.from_numpy(array, fill_value=array.dtype.type(fill))

    def to_numpy(self, array: sparse.COO) -> npt.NDArray[Any]:
        """Write the unstored entries out."""
        return np.asarray(array.todense())

    def holds(self, result: Any) -> bool:
        """Take COO only."""
        return isinstance(result, sparse.COO)


arrays = SparseArrays()
