"""What the digits example shows: a progress bar while it trains, and a picture at the end."""

import sys
from contextlib import contextmanager
from importlib.util import find_spec

PAPER, CARD, INK, SOFT, FAINT = "#f7f3ea", "#ece6d8", "#1f2a36", "#6d7278", "#c4bdae"
RIGHT, WRONG, UNSEEN = "#17786f", "#c8452f", "#c08a1e"


def progress_bar(total):
    """Show how far the training is: `with progress_bar(200) as advance: ... advance(loss)`.

    The bar is rich's where rich is installed and a line of plain text elsewhere. Both go to the
    standard error, so that the standard output holds results only.
    """
    return _rich_bar(total) if find_spec("rich") else _plain_bar(total)


@contextmanager
def _rich_bar(total):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("training"),
        BarColumn(complete_style="cyan", finished_style="green"),
        MofNCompleteColumn(),
        TextColumn("epochs, loss {task.fields[loss]:.4f}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=total, loss=float("nan"))
        yield lambda loss: progress.update(task, advance=1, loss=loss)


@contextmanager
def _plain_bar(total, width=40):
    """Redraw one line on a terminal; into a file or a pipe, write the finished line only."""
    done = 0

    def advance(loss):
        nonlocal done
        done += 1
        bar = ("#" * (width * done // total)).ljust(width, ".")
        line = f"training [{bar}] {done}/{total} epochs, loss {loss:.4f}"
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif done == total:
            print(line, end="", file=sys.stderr)

    yield advance
    print(file=sys.stderr)


def draw(path, library, accuracy, losses, unseen_losses, cards):
    """Draw the loss curve and, for each of twelve images, its ten predicted probabilities.

    A card is (8 x 8 pixels, the right digit, ten probabilities). The first eight are any images,
    the last four those that the model got most wrong.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8.6), facecolor=PAPER)
    heading = {"fontsize": 12.5, "weight": "bold", "color": INK}
    note = {"fontsize": 12.5, "color": SOFT}
    result = f"Logistic regression on {library}: {accuracy:.1%} of the unseen digits read right"
    figure.text(0.035, 0.922, "Ten digits, one softmax", fontsize=28, weight="bold", color=INK)
    figure.text(0.035, 0.880, result, **note)

    figure.text(0.035, 0.800, "Mean cross-entropy", **heading)
    _draw_losses(figure.add_axes((0.06, 0.085, 0.275, 0.655)), losses, unseen_losses)

    figure.text(0.400, 0.800, "Eight digits it had never seen", **heading)
    figure.text(0.622, 0.800, "its answer, and a bar for each probability", **note)
    figure.text(0.400, 0.280, "The four it got most wrong", **heading)
    for number, card in enumerate(cards):
        row, column = divmod(number, 4)
        _draw_card(figure, 0.400 + 0.1467 * column, (0.575, 0.333, 0.055)[row], *card)
    figure.savefig(path, dpi=150)


def _draw_losses(axes, losses, unseen_losses):
    """Draw both losses on a logarithmic scale, with their last values above."""
    from matplotlib.ticker import LogLocator

    epochs = len(losses)
    curves = (
        (range(1, epochs + 1), unseen_losses, UNSEEN, "unseen digits"),
        (range(epochs), losses, INK, "training digits"),  # each noted before the epoch's step
    )
    for (at, values, color, name), y in zip(curves, (0.800, 0.766), strict=True):
        axes.plot(at, values, color=color, linewidth=2.8, solid_capstyle="round")
        axes.plot(at[-1], values[-1], "o", color=color, markersize=7)
        style = {"fontsize": 12.5, "weight": "bold", "color": color, "ha": "right"}
        axes.figure.text(0.335, y, f"{name}  {values[-1]:.3f}", **style)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(axis="y", color=CARD, linewidth=1.2)
    axes.set_xlabel("epochs", color=SOFT, fontsize=11)
    calm(axes)


def _draw_card(figure, x, y, pixels, digit, probabilities):
    """Draw one image, the model's answer beside it, and below a bar for each probability."""
    from matplotlib.colors import LinearSegmentedColormap

    answer = max(range(10), key=probabilities.__getitem__)
    color = RIGHT if answer == digit else WRONG
    image = figure.add_axes((x, y + 0.075, 0.0814, 0.1325))
    ink_on_card = LinearSegmentedColormap.from_list("ink on card", (CARD, INK))
    image.imshow(pixels, cmap=ink_on_card, vmin=0, vmax=1)
    image.set_axis_off()
    figure.text(x + 0.087, y + 0.154, str(answer), fontsize=36, weight="bold", color=color)
    figure.text(x + 0.0875, y + 0.122, f"{probabilities[answer]:.1%}", fontsize=11, color=color)
    if answer != digit:
        figure.text(x + 0.0875, y + 0.085, f"truth: {digit}", fontsize=11, color=RIGHT)

    bars = figure.add_axes((x, y + 0.014, 0.125, 0.05))
    colors = [FAINT] * 10
    colors[digit], colors[answer] = RIGHT, color
    bars.bar(range(10), 1, color=CARD)
    bars.bar(range(10), probabilities, color=colors)
    bars.set(xlim=(-0.4, 9.4), ylim=(0, 1), yticks=[], xticks=range(10))
    calm(bars)
    bars.get_xticklabels()[digit].set(weight="bold", color=RIGHT)


def calm(axes):
    """Take away frame and tick marks, so that only the data speak."""
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=SOFT, labelsize=9.5)
