"""How long softmax and log_softmax take."""

from ._follow import Timed


class Softmax(Timed):
    """Into a new array."""

    function = "softmax"

    def track_softmax(self, implementation: str, name: str, dtype: str) -> float:
        return self.seconds()


class SoftmaxOut(Timed):
    """Into an array that exists."""

    function = "softmax out="

    def track_softmax_out(self, implementation: str, name: str, dtype: str) -> float:
        return self.seconds()


class LogSoftmax(Timed):
    """Into a new array."""

    function = "log_softmax"

    def track_log_softmax(self, implementation: str, name: str, dtype: str) -> float:
        return self.seconds()
