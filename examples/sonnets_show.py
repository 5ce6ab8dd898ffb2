"""What the sonnets examples show: the losses beside each other, the time of a step, a picture."""

import argparse
import time
from math import isnan
from statistics import median

from digits_show import INK, PAPER, RIGHT, SOFT, WRONG, calm
from sonnets_setup import batches


class Run:
    """One training: whose functions, which padding, and what was measured at every step."""

    def __init__(self, functions, padded, step):
        self.functions, self.padded, self.step = functions, padded, step
        self.losses, self.seconds = [], []

    def advance(self, batch):
        start = time.perf_counter()
        self.losses.append(self.step(*batch))
        self.seconds.append(time.perf_counter() - start)


def main(library, training, arguments=None):
    """Read the command line, train, and show it; `training` makes a training of `library`."""
    parser = argparse.ArgumentParser(description=f"Train a small transformer in {library}.")
    option = parser.add_argument
    option("--native", action="store_true", help=f"beside itself with functions of {library}")
    option("--steps", type=int, default=200, help="steps of training (default: %(default)s)")
    option("--lines", type=int, default=32, help="lines in a batch (default: %(default)s)")
    option("--seed", type=int, default=0, help="of weights and batches (default: %(default)s)")
    option("--dtype", choices=("float32", "float64"), default="float32")
    option("--plot", metavar="FILE.png", help="draw the losses (needs --native and matplotlib)")
    options = parser.parse_args(arguments)
    if options.steps < 1 or options.lines < 1:
        parser.error("--steps and --lines must be at least 1")
    if options.plot and not options.native:
        parser.error("--plot needs --native")

    runs = [
        Run(functions, padded, training(functions == "native", options.dtype, options.seed))
        for padded in (("right", "left") if options.native else ("left",))
        for functions in (("softaxis", "native") if options.native else ("softaxis",))
    ]
    train(runs, options)
    if options.native:
        right, native, left, _ = (run.losses for run in runs)
        print(f"padded right   at most {_apart(right, native):.1e} between softaxis and native")
        print(f"softaxis       at most {_apart(left, right):.1e} between left and right")
    if options.plot:
        draw(options.plot, library, runs)
        print(f"picture        {options.plot}")


def train(runs, options):
    """Take every step with each of the runs in turn, and print some of them as a table."""
    print("padded   ", *(f"{run.padded:>10}" for run in runs))
    print("step     ", *(f"{run.functions:>10}" for run in runs))
    streams = {
        padded: batches(options.steps, options.lines, padded, options.seed)
        for padded in {run.padded for run in runs}
    }
    for step in range(1, options.steps + 1):
        batch = {padded: next(stream) for padded, stream in streams.items()}
        for run in runs:
            run.advance(batch[run.padded])
        if step == 1 or step % max(1, options.steps // 10) == 0:
            print(f"{step:<9}", *(f"{run.losses[-1]:10.6f}" for run in runs), flush=True)
    # medians, since the first steps also pay for what a library prepares only once
    print("ms a step", *(f"{1e3 * median(run.seconds):10.2f}" for run in runs))


def _apart(some, others):
    return max(abs(a - b) for a, b in zip(some, others, strict=True))


def draw(path, library, runs):
    """Draw the losses, on the left of lines padded right, on the right of lines padded left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 5.6), facecolor=PAPER)
    heading = {"weight": "bold", "color": INK}
    figure.text(0.035, 0.90, "Rows that see nothing", fontsize=26, **heading)
    note = f"Mean cross-entropy while a transformer in {library} learns to write sonnets"
    figure.text(0.035, 0.835, note, fontsize=12.5, color=SOFT)
    right, left = runs[:2], runs[2:]
    figure.text(0.035, 0.735, "Padded right: every position sees a character", **heading)
    _draw_losses(figure.add_axes((0.06, 0.11, 0.415, 0.58)), library, right)
    figure.text(0.525, 0.735, "Padded left: some positions see nothing at all", **heading)
    _draw_losses(figure.add_axes((0.55, 0.11, 0.415, 0.58)), library, left)
    figure.savefig(path, dpi=100)


def _draw_losses(axes, library, runs):
    """Draw both losses, and mark where the native one breaks."""
    from matplotlib.ticker import MaxNLocator

    ours, native = (run.losses for run in runs)
    steps = range(1, len(ours) + 1)
    axes.plot(steps, ours, color=RIGHT, linewidth=5, label="softaxis")
    axes.plot(steps, native, color=INK, linewidth=1.5, linestyle="--", label=library)
    broken = next((step for step in steps if isnan(native[step - 1])), None)
    if broken:
        axes.axvline(broken, color=WRONG, linewidth=2)
        style = {"color": WRONG, "fontsize": 12.5, "weight": "bold"}
        axes.text(
            broken + len(ours) / 50, ours[0], f"{library}: NaN from step {broken} on", **style
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("steps", color=SOFT, fontsize=11)
    axes.legend(frameon=False, labelcolor=INK, fontsize=11)
    calm(axes)
