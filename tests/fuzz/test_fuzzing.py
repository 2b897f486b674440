"""Short runs of all fuzz targets: on the inputs in the corpus, and on reproducible mutations of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation import CORPUS, HIGHEST, load, mutated
from targets import TARGETS

NUMBERS = st.integers(0, HIGHEST - 1)
EDITS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=6)


def test_every_target_has_inputs_and_no_input_is_without_a_target():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(len(load(CORPUS / name)) >= 2 for name in TARGETS)


@pytest.mark.parametrize(("name", "data"), [
    pytest.param(name, path.read_bytes(), id=f"{name}-{path.name}")
    for name in TARGETS for path in sorted((CORPUS / name).iterdir())])
def test_kept_inputs(name, data):
    TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs(name):
    corpus, target = load(CORPUS / name), TARGETS[name]

    @settings(derandomize=True, database=None, max_examples=300)
    @given(st.sampled_from(corpus), EDITS)
    def run(data, edits):
        target.run(mutated(data, edits, corpus, target.tokens))

    run()
