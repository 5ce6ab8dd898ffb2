"""One of two backends for arrays of a package that has no first-party backend."""

import array_api_strict

from softaxis.backend import Backend

backend = Backend("rival_one", types=(type(array_api_strict.asarray(0)),))


@backend.implements(dtypes=None)
def softmax(x, /, **_):
    """Answer in a way that shows who did: every probability is 1."""
    return array_api_strict.full_like(x, 1.0)
