"""The conformance kit finds wrong lines in what runs on Dask; see mutants.py."""

import pytest
from mutants import assert_found, assert_green, copies, sample


@pytest.mark.parametrize("mutant", sample("dask"), ids=lambda mutant: mutant.name)
def test_the_kit_finds_the_mutant(mutant):
    assert_found(mutant)


@pytest.mark.parametrize("mutant", copies("dask").values(), ids=copies("dask"))
def test_the_bare_copy_passes(mutant):
    assert_green(mutant)
