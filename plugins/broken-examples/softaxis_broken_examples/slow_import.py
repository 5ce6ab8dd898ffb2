"""Takes seconds to import: as many as SOFTAXIS_BROKEN_SECONDS says, or 8."""

import os
import time

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

time.sleep(float(os.environ.get("SOFTAXIS_BROKEN_SECONDS", "8")))

backend = Backend("slow_import", types=(np.ndarray,))
backend.implements(name="sigmoid")(lambda x, /, **options: right.sigmoid(x, **options))
