"""Call every public function with whatever hypothesis draws, until the time is over.

    python tests/fuzz/run.py --library numpy --minutes 10

The exit status is 1 if a result was wrong, or an error that is not documented came.
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from expected import RIGHT
from libraries import variants
from refused import REFUSED
from relations import RELATIONS
from rounds import Round

PROPERTIES = {one.name: one for one in [*RIGHT, *REFUSED, *RELATIONS]}
EXAMPLES = {"numpy": 40, "strict": 25, "torch": 40, "jax": 8, "dask": 12}
"""Calls of a round: fewer where a call compiles or builds a graph."""


def main():
    options = arguments()
    found = {xp.name: xp for xp in variants(options.library) if xp.any_shape}
    chosen = [found[name] for name in options.variant or found]
    properties = [PROPERTIES[name] for name in options.property or PROPERTIES]
    if options.seed is not None:
        rounds = [(found, one, options.seed) for found in chosen for one in properties]
    else:
        rounds = endless(chosen, properties)
    print(f"fuzzing {', '.join(xp.name for xp in chosen)}: {options.minutes:g} minutes", flush=True)
    return fuzz(options, rounds)


def fuzz(options, rounds):
    """Run rounds until the time is over; report each kind of finding once."""
    start = time.monotonic()
    end = start + 60 * options.minutes
    examples = options.examples or EXAMPLES.get(options.library, 10)
    calls, findings = 0, {}
    for n, (xp, one, seed) in enumerate(rounds):
        if time.monotonic() > end:
            break
        if xp.lacks(one.needs):
            continue
        current = Round(options.library, xp, one, seed, examples, end)
        finding = current.finding()
        calls += current.calls
        if finding is not None and finding.kind not in findings:
            findings[finding.kind] = finding
            print(finding, flush=True)
        if n % 50 == 49:
            xp.forget()
    minutes = (time.monotonic() - start) / 60
    print(f"{calls} calls in {minutes:.1f} minutes, {len(findings)} findings")
    return 1 if findings else 0


def endless(chosen, properties):
    """Yield every property on some variant, again and again, each time with a fresh seed."""
    while True:
        for one in random.sample(properties, len(properties)):
            yield random.choice(chosen), one, random.getrandbits(32)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--library", default="numpy", help="the array library")
    parser.add_argument("--minutes", type=float, default=10.0, help="when to stop (default: 10)")
    parser.add_argument("--seed", type=int, help="repeat the round that had this seed")
    parser.add_argument("--examples", type=int, help="calls of a round")
    parser.add_argument("--variant", action="append", help="only this variant of the library")
    parser.add_argument(
        "--property", action="append", choices=PROPERTIES, metavar="NAME", help="check only this"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
