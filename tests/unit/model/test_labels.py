from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.labels import PREFIX, Labels, from_docker, to_docker, without_ours
from tests.builders import labels_for
from tests.strategies import names, words

ours = st.builds(
    Labels,
    fleet=names,
    sandbox=names,
    uid=names,
    kind=names,
    resource=names,
    digest=words,
    generation=st.integers(1, 10**6),
    revision=words,
    run=names,
    attempt=names,
    origin=st.sampled_from(["spec", "adhoc"]),
    ttl_s=st.none() | st.integers(1, 10**8),
    secrets=st.sampled_from(["", "env.TOKEN", "env.TOKEN,env.KEY"]),
)


@given(ours, st.dictionaries(names, words))
def test_what_is_written_is_read_back_among_others(labels: Labels, others: dict[str, str]) -> None:
    assert from_docker({**others, **to_docker(labels)}) == labels


@given(ours)
def test_docker_gets_strings_under_our_prefix(labels: Labels) -> None:
    written = to_docker(labels)
    assert all(name.startswith(PREFIX) and "_" not in name and value for name, value in written.items())
    assert (PREFIX + "ttl-s" in written) is (labels.ttl_s is not None)


@pytest.mark.parametrize("missing", ["fleet", "sandbox", "uid", "kind", "resource", "digest", "generation", "attempt"])
def test_labels_that_are_not_whole_are_none(missing: str) -> None:
    labels = labels_for()
    del labels[PREFIX + missing]
    assert from_docker(labels) is None


@pytest.mark.parametrize("value", ["", "one", "1.5", "0x1"])
def test_labels_that_are_not_well_formed_are_none(value: str) -> None:
    assert from_docker({**labels_for(), PREFIX + "generation": value}) is None


def test_no_labels_are_none() -> None:
    assert from_docker({}) is None
    assert from_docker({"app": "web"}) is None


def test_a_label_of_a_later_version_does_not_hide_the_others() -> None:
    assert from_docker({**labels_for(), PREFIX + "later": "x"}) == from_docker(labels_for())


@given(ours, st.dictionaries(names, words))
def test_without_ours_only_the_others_are_left(labels: Labels, others: dict[str, str]) -> None:
    assert without_ours({**others, **to_docker(labels)}) == others
