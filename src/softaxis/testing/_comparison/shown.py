"""What `compare` returns: what was found, as text and as a picture."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from softaxis.testing._comparison.result import Found
from softaxis.testing._comparison.tables import page


class Comparison(Found):
    """Every installed library side by side; ``print`` shows it as tables."""

    def __repr__(self) -> str:
        return f"<Comparison of {self.function} on {self.shape}: {len(self.rows)} rows>"

    def __str__(self) -> str:
        return page(self)

    def plot(self, path: str | Path) -> None:
        """Draw times, errors and special values; needs matplotlib.

        Parameters
        ----------
        path : str or pathlib.Path
            The file to write; its name ends in ``.png``, ``.svg`` or ``.pdf``.
        """
        try:
            import_module("matplotlib")
        except ImportError as error:
            raise ImportError(
                f"the plot needs matplotlib ({error}); to install it: "
                'python -m pip install "softaxis[cli]"'
            ) from error
        from softaxis.testing._comparison.plots import save

        save(self, Path(path))
