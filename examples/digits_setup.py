"""What the digits example starts from: the images, and the array library named by the user."""

import importlib
from importlib.util import find_spec

from array_api_compat import array_namespace

# The array libraries to choose from.
LIBRARIES = ("numpy", "torch", "jax", "array_api_strict", "cupy")

# What pip calls a package, where that is not the name to import.
PIP_NAMES = {
    "array_api_strict": "array-api-strict",
    "cupy": "cupy-cuda12x",
    "sklearn": "scikit-learn",
}


class UnavailableError(Exception):
    """Something that the example needs is not installed or does not work on this machine."""


def require(*packages):
    """Raise `UnavailableError`, with the way out, where one of the packages is not installed."""
    missing = [PIP_NAMES.get(name, name) for name in packages if find_spec(name) is None]
    if missing:
        names = " ".join(missing)
        raise UnavailableError(f"not installed: {names} (try: python -m pip install {names})")


def open_library(name):
    """Import the array library called `name`, try it on a small sum, return its namespace."""
    try:
        library = importlib.import_module(name)
        if name == "jax":
            library.config.update("jax_enable_x64", True)  # or every float64 becomes float32
            library = library.numpy
        xp = array_namespace(library.asarray([0.0]))
        float(xp.sum(xp.asarray([1.0, 2.0])))
    except Exception as error:  # no driver, no device, a broken install: no common class for these
        reason = str(error).strip().partition("\n")[0]
        raise UnavailableError(f"{name} is installed but cannot compute here: {reason}") from error
    return xp


def load_images(seed):
    """Return train images, test images, train labels, test labels as NumPy arrays.

    A third of the 1,797 images is held out: the model is judged on digits it has never seen.
    Each image is a row of 8 x 8 pixels between 0 and 1.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, digits = load_digits(return_X_y=True)
    return train_test_split(
        pixels / 16, digits, test_size=1 / 3, stratify=digits, random_state=seed
    )
