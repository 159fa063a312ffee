"""What the Gaussian process sees of the values: nearly linear among the best, logarithmic in the tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Warp:
    """The map t = (log(1 + (y - best) / scale) - offset) / spread, of mean 0 and standard deviation 1.

    One bad region can be a hundred times worse than the rest; a process fitted to such values sees no difference
    among the good ones. The scale is the distance from the best value to the first quartile, so well-behaved
    values stay nearly as they are.
    """

    best: float
    scale: float
    offset: float
    spread: float

    @classmethod
    def fit(cls, values: np.ndarray) -> Warp:
        """Return the map for these values."""
        best = float(np.min(values))
        scale = float(np.quantile(values, 0.25) - best) or float(np.mean(values) - best) or 1.0
        t = np.log1p((values - best) / scale)
        return cls(best, scale, float(t.mean()), float(t.std()) or 1.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return warped values."""
        return (np.log1p((values - self.best) / self.scale) - self.offset) / self.spread

    def inverse(self, warped: np.ndarray) -> np.ndarray:
        """Return the values of warped ones."""
        return self.best + self.scale * np.expm1(warped * self.spread + self.offset)

    def slope(self, values: np.ndarray) -> np.ndarray:
        """Return the derivative of the map, which carries the noise over."""
        return 1 / (self.spread * (self.scale + values - self.best))
