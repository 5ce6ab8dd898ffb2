"""The limits of the floating dtypes: eps, the smallest normal number, the largest number."""

import numpy as np

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
TINY = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
LARGEST = {
    "float16": 65504.0,
    "bfloat16": (2.0 - 2.0**-7) * 2.0**127,
    "float32": (2.0 - 2.0**-23) * 2.0**127,
    "float64": float(np.finfo(np.float64).max),
}
EPS["longdouble"] = float(np.finfo(np.longdouble).eps)
TINY["longdouble"] = TINY["float64"]
LARGEST["longdouble"] = LARGEST["float64"]
for _single, _double in (("complex64", "float32"), ("complex128", "float64")):
    EPS[_single], TINY[_single], LARGEST[_single] = EPS[_double], TINY[_double], LARGEST[_double]
