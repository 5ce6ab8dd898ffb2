"""Learn to write like Shakespeare: a small transformer in PyTorch, with softmax by softaxis.

    python examples/sonnets_torch.py             trains it
    python examples/sonnets_torch.py --native    beside itself with PyTorch's own functions

The lines are padded on the left, so that some rows of the attention are masked entirely. With -inf
for what is masked, `torch.softmax` makes such a row NaN, and NaN times 0 is NaN in all the rest.
"""

import math
import sys

import torch
from sonnets_setup import CLASSES, IGNORED, LENGTH, PAD, SMOOTHING
from sonnets_show import main
from torch.nn import GELU, Embedding, LayerNorm, Linear, Module, ModuleList, Sequential
from torch.nn.functional import cross_entropy

from softaxis.torch import nn


class Block(Module):
    """Attention, then two layers for each position by itself."""

    def __init__(self, width, heads, attend):
        super().__init__()
        self.heads, self.attend = heads, attend
        self.before_attention, self.before_layers = LayerNorm(width), LayerNorm(width)
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.layers = Sequential(Linear(width, 4 * width), GELU(), Linear(4 * width, width))

    def forward(self, x, visible):
        qkv = self.qkv(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, width / heads)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        mixed = self.attend(scores, where=visible) @ v
        x = x + self.out(mixed.transpose(1, 2).flatten(-2))
        return x + self.layers(self.before_layers(x))


class Transformer(Module):
    """Logits of the next character, (batch, length, CLASSES), for each character of some lines."""

    def __init__(self, attend, width=64, heads=4, blocks=2):
        super().__init__()
        self.characters, self.positions = Embedding(CLASSES, width), Embedding(LENGTH, width)
        self.blocks = ModuleList(Block(width, heads, attend) for _ in range(blocks))
        self.norm, self.head = LayerNorm(width), Linear(width, CLASSES)

    def forward(self, tokens):
        real = tokens != PAD
        past = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
        visible = past & real[:, None, None, :]  # (batch, 1, from, to)
        position = real.cumsum(-1).clamp(min=1) - 1  # 0 at the first character of the line
        x = self.characters(tokens) + self.positions(position)
        for block in self.blocks:
            x = block(x, visible)
        return self.head(self.norm(x))


def native_softmax(scores, where):
    """What is written without softaxis."""
    return torch.softmax(scores.masked_fill(~where, -torch.inf), -1)


def native_loss(logits, labels):
    """The same; PyTorch wants the classes on axis 1."""
    rows, labels = logits.flatten(0, 1), labels.flatten()
    return cross_entropy(rows, labels, ignore_index=IGNORED, label_smoothing=SMOOTHING)


def training(native, dtype, seed):
    """Return what takes a step of training on (tokens, labels) and returns the loss before it."""
    torch.manual_seed(seed)
    attend = native_softmax if native else nn.Softmax()
    mean_loss = native_loss if native else nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    model = Transformer(attend).to(getattr(torch, dtype))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(tokens, labels):
        optimizer.zero_grad()
        loss = mean_loss(model(torch.asarray(tokens)), torch.asarray(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    sys.exit(main("PyTorch", training))
