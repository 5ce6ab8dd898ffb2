"""Read handwritten digits with softmax, on the array library you name.

    python examples/digits.py torch         (or numpy, jax, array_api_strict, cupy)

The model is multinomial logistic regression. An image is 64 pixels; the model multiplies them by a
table of weights, which gives ten scores (*logits*), one for each digit. Softmax turns the scores
into probabilities, cross-entropy says how surprised the model is by the right answer, and its
gradient says how to change the weights so that it will be a little less surprised.

The training code is the same for every library: it asks its arrays which library they belong to
and uses the names that the Python array API standard gives to all of them.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from array_api_compat import array_namespace, device
from digits_setup import LIBRARIES, UnavailableError, load_images, open_library, require
from digits_show import draw, progress_bar

import softaxis


def predict(model, images):
    """Return ten logits for each image: the larger, the more the image looks like that digit."""
    weights, bias = model
    return images @ weights + bias


def train_step(model, images, labels, learning_rate):
    """Take one step of gradient descent; return the new model and the loss of the old one."""
    xp = array_namespace(images)
    loss, grad = softaxis.cross_entropy_and_grad(predict(model, images), labels, reduction="mean")
    # grad is d loss / d logits, and logits = images @ weights + bias; so, by the chain rule,
    #     d loss / d weights = images.T @ grad      d loss / d bias = sum of the rows of grad
    weights, bias = model
    weights = weights - learning_rate * (images.T @ grad)
    bias = bias - learning_rate * xp.sum(grad, axis=0)
    return (weights, bias), loss


def mean_loss(model, images, labels):
    """Return the mean surprise: 0 for a model sure and right, log(10) = 2.3 for a blind guess."""
    return float(softaxis.cross_entropy(predict(model, images), labels, reduction="mean"))


def accuracy(model, images, labels):
    """Return the share of images whose largest logit is the one of the right digit."""
    xp = array_namespace(images)
    right = xp.argmax(predict(model, images), axis=1) == labels
    return float(xp.mean(xp.astype(right, images.dtype)))


def train(model, seen, unseen, *, epochs, learning_rate):
    """Show the model all `seen` images `epochs` times; return it, its losses and the times.

    `seen` and `unseen` are pairs (images, labels). Nothing is learnt from the unseen ones: their
    loss is noted so that the picture can show whether the model learns digits or learns by heart.
    """
    losses, unseen_losses, seconds = [], [], []
    with progress_bar(epochs) as advance:
        for _ in range(epochs):
            start = time.perf_counter()
            model, loss = train_step(model, *seen, learning_rate)
            losses.append(float(loss))
            unseen_losses.append(mean_loss(model, *unseen))  # waits for the new model
            seconds.append(time.perf_counter() - start)
            advance(losses[-1])
    return model, losses, unseen_losses, seconds


def run(xp, options):
    """Train and judge a model on the library whose namespace is `xp`; print and draw the result."""
    # Everything random happens in NumPy, so that all libraries start from the same numbers.
    train_pixels, test_pixels, train_digits, test_digits = load_images(options.seed)
    first_weights = np.random.default_rng(options.seed).normal(scale=0.01, size=(64, 10))

    # From here on, arrays belong to the chosen library. Taking off the mean image saves steps.
    dtype = getattr(xp, options.dtype)
    mean_image = train_pixels.mean(axis=0)
    images = xp.asarray(train_pixels - mean_image, dtype=dtype)
    unseen_images = xp.asarray(test_pixels - mean_image, dtype=dtype)
    seen = images, xp.asarray(train_digits, dtype=xp.int64)
    unseen = unseen_images, xp.asarray(test_digits, dtype=xp.int64)
    model = xp.asarray(first_weights, dtype=dtype), xp.zeros((10,), dtype=dtype)

    model, losses, unseen_losses, seconds = train(
        model, seen, unseen, epochs=options.epochs, learning_rate=options.learning_rate
    )
    share = accuracy(model, *unseen)
    ran = softaxis.explain_dispatch(
        softaxis.cross_entropy_and_grad, predict(model, images), seen[1], reduction="mean"
    )
    # The median, since the first epochs also pay for what a library prepares only once.
    print(f"library        {options.library} on {device(images)}, {options.dtype}")
    print(f"backend        {ran.backend} ran cross_entropy_and_grad")
    print(f"final loss     {mean_loss(model, *seen):.10f}")
    print(f"test accuracy  {share:.4f} on {len(test_digits)} unseen images")
    print(f"time           {1e3 * median(seconds):.3f} ms an epoch, the median of {options.epochs}")
    if options.plot:
        cards = list(pick_cards(model, *unseen, test_pixels))
        draw(options.plot, options.library, share, losses, unseen_losses, cards)
        print(f"picture        {options.plot}")


def pick_cards(model, images, labels, pixels):
    """Yield (pixels, right digit, ten probabilities) of eight images, then of the four hardest."""
    xp = array_namespace(images)
    logits = predict(model, images)
    probabilities = softaxis.softmax(logits)
    order = xp.argsort(softaxis.cross_entropy(logits, labels), descending=True)
    hardest = [int(order[k]) for k in range(4)]
    others = [i for i in range(12) if i not in hardest]
    for i in others[:8] + hardest:
        bars = [float(probabilities[i, k]) for k in range(10)]
        yield pixels[i, :].reshape(8, 8), int(labels[i]), bars


def main(arguments=None):
    """Read the command line, then train."""
    parser = argparse.ArgumentParser(prog="digits.py", description=__doc__.partition("\n")[0])
    option = parser.add_argument
    option("library", choices=LIBRARIES, help="the array library to train with")
    option("--epochs", type=int, default=200, help="steps of training (default: %(default)s)")
    option("--learning-rate", type=float, default=4.0, help="step size (default: %(default)s)")
    option("--seed", type=int, default=0, help="of split and weights (default: %(default)s)")
    option("--dtype", choices=("float64", "float32"), default="float64")
    option("--plot", metavar="FILE.png", help="the picture (default: digits-LIBRARY.png)")
    option("--no-plot", action="store_const", const="", dest="plot", help="draw no picture")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    if options.plot is None:
        options.plot = f"digits-{options.library}.png"
    if options.plot and not (options.plot.endswith(".png") and Path(options.plot).parent.is_dir()):
        parser.error(f"--plot must be a .png file in an existing folder, not {options.plot!r}")
    try:
        require(options.library, "sklearn", *(["matplotlib"] if options.plot else []))
        run(open_library(options.library), options)
    except UnavailableError as error:
        parser.exit(2, f"digits.py: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
