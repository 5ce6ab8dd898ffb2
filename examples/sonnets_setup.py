"""What the sonnets examples start from: lines of Shakespeare as batches of numbers, in NumPy.

A line is a sequence of characters, each a number, and the model learns to predict the next one.
Lines differ in length; in a batch they are padded to the longest:

    padded right    \n M y   m i s t r e s s ' ...  .  .  .      . is PAD
    padded left      .  .  . \n M y   m i s t r e s s ' ...

On the left is where generation has it, for all lines of the batch to go on at their end. There, the
first positions see nothing but padding, as a character sees only what stands before it: their rows
of the attention are masked entirely.
"""

from pathlib import Path

import numpy as np

PAD = 0
IGNORED = -100  # the label of padding
SMOOTHING = 0.1

TEXT = Path(__file__).with_name("sonnets.txt").read_text(encoding="ascii")
LINES = [line.strip() for line in TEXT.splitlines() if line.strip()]
CHARACTERS = sorted({"\n", *"".join(LINES)})
CLASSES = len(CHARACTERS) + 1  # and PAD
LENGTH = max(map(len, LINES)) + 1


def batches(count, size, padded, seed):
    """Yield `count` pairs (tokens, labels) of `size` lines: int64, (size, LENGTH)."""
    rng = np.random.default_rng(seed)
    numbers = {character: number for number, character in enumerate(CHARACTERS, 1)}
    for _ in range(count):
        tokens = np.full((size, LENGTH), PAD)
        labels = np.full((size, LENGTH), IGNORED)
        for row, choice in enumerate(rng.choice(len(LINES), size, replace=False)):
            line = [numbers[character] for character in f"\n{LINES[choice]}\n"]
            n = len(line) - 1
            real = slice(LENGTH - n, LENGTH) if padded == "left" else slice(n)
            tokens[row, real], labels[row, real] = line[:-1], line[1:]
        yield tokens, labels
