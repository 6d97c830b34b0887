"""What holds for any database: nobody is on both sides, order does not matter, draws keep their shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avbench.data.splits import balance, cross, folds, identity_of, limit, list_digest, split
from avbench.types import Forgery, Sample

PEOPLE = [f"p{number:02d}" for number in range(24)]


@st.composite
def databases(draw: st.DrawFn, min_people: int = 1) -> list[Sample]:
    """Return samples of a few people in an order of their own; some name targets, some nobody at all."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(PEOPLE),
                st.sampled_from(Forgery),
                st.sampled_from(["", "s1", "s2", "s3"]),
                st.lists(st.sampled_from(PEOPLE), max_size=2),
                st.booleans(),
            ),
            min_size=max(1, min_people),
            max_size=40,
        )
    )
    samples = [
        Sample(
            f"{number:03d}.mp4",
            Path(f"{number:03d}.mp4"),
            forgery,
            identity=person if named else "",
            other_identities=tuple(targets) if forgery else (),
            stratum=stratum,
        )
        for number, (person, forgery, stratum, targets, named) in enumerate(rows)
    ]
    assume(len(identities(samples)) >= min_people)
    return samples


def identities(samples: Sequence[Sample]) -> set[str]:
    return {identity_of(sample) for sample in samples}


def ids(samples: Sequence[Sample]) -> list[str]:
    return [sample.id for sample in samples]


@settings(max_examples=40)
@given(samples=databases(), count=st.integers(1, 9), seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_folds_share_out_all_identities_evenly_whatever_the_order(samples, count, seed, order) -> None:
    found = folds(samples, count, seed)
    assert found.keys() == identities(samples)
    sizes = Counter(found.values())
    assert set(sizes) == set(range(1, min(count, len(found)) + 1)) and max(sizes.values()) - min(sizes.values()) <= 1
    shuffled = list(samples)
    order.shuffle(shuffled)
    assert folds(shuffled, count, seed) == found


@settings(max_examples=40)
@given(
    samples=databases(min_people=2),
    fold=st.integers(1, 5),
    seed=st.integers(0, 9),
    strict=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_nobody_is_in_two_parts_whatever_the_order(samples, fold, seed, strict, order) -> None:
    assume(fold <= len(identities(samples)))
    parts = split(samples, fold=fold, seed=seed, strict_identity=strict)
    three = (parts.train, parts.validation, parts.test)
    train, validation, test = map(identities, three)
    assert not (train & validation or train & test or validation & test)
    listed = [name for part in three for name in ids(part)]
    assert len(listed) == len(set(listed)) == len(samples) - parts.dropped_by_strict
    assert all(ids(part) == sorted(ids(part)) for part in three), "each list keeps the order of the database"
    naming = [s for s in parts.test if (train | validation) & set(s.other_identities)]
    assert len(naming) == parts.target_overlap and not (strict and naming)
    shuffled = list(samples)
    order.shuffle(shuffled)
    again = split(shuffled, fold=fold, seed=seed, strict_identity=strict)
    for part, other in zip(three, (again.train, again.validation, again.test), strict=True):
        assert sorted(ids(part)) == sorted(ids(other)) and list_digest(part) == list_digest(other)
    assert (parts.dropped_by_strict, parts.target_overlap, parts.named_in_training, parts.notes) == (
        again.dropped_by_strict,
        again.target_overlap,
        again.named_in_training,
        again.notes,
    )


@settings(max_examples=40)
@given(samples=databases(min_people=5), seed=st.integers(0, 9))
def test_each_sample_is_tested_in_exactly_one_fold(samples, seed) -> None:
    tested = Counter(name for fold in range(1, 6) for name in ids(split(samples, fold=fold, seed=seed).test))
    assert tested == Counter(ids(samples))


@settings(max_examples=40)
@given(samples=databases(min_people=3), more=databases(min_people=1))
def test_a_cross_test_takes_one_side_of_each(samples, more) -> None:
    learnt = split([replace(sample, dataset="one") for sample in samples])
    judged = split([replace(sample, dataset="two") for sample in more])
    both = cross(learnt, judged)
    assert (both.train, both.validation, both.test) == (learnt.train, learnt.validation, judged.test)
    assert both.target_overlap == both.dropped_by_strict == 0, "names are comparable within a database only"
    assert sorted(ids(cross(learnt, judged, test_on="all").test)) == ids(more)


@settings(max_examples=60)
@given(samples=databases(), most=st.integers(1, 60), seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_a_limit_keeps_shares_order_and_classes_and_is_drawn_by_the_seed(samples, most, seed, order) -> None:
    kept = limit(samples, most, seed)
    assert len(kept) == min(most, len(samples)) and ids(kept) == sorted(set(ids(kept)))
    there, left = Counter(s.forgery for s in samples), Counter(s.forgery for s in kept)
    assert len(left) == min(most, len(there)), "each class keeps one where there is room"
    assert all(left[forgery] <= there[forgery] for forgery in left)
    raised = sum(there[forgery] * most < len(samples) for forgery in there)  # to the one that it keeps
    if most < len(samples) and most >= len(there):
        for forgery in there:
            share = most * there[forgery] / len(samples)
            assert share - 1 - raised < left[forgery] < max(share, 1) + 1
    assert kept == limit(samples, most, seed)
    shuffled = list(samples)
    order.shuffle(shuffled)
    assert sorted(ids(limit(shuffled, most, seed))) == ids(kept)


@settings(max_examples=60)
@given(samples=databases(), most=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_limit_of_one_class_is_in_every_larger_one(samples, most, seed) -> None:
    small, large = limit(samples, most, seed), limit(samples, most + 1, seed)
    for forgery in Forgery:
        few, many = ({s.id for s in kept if s.forgery is forgery} for kept in (small, large))
        assert few <= many or many <= few
    assert len(set(ids(large)) - set(ids(small))) >= len(large) - len(small)


@settings(max_examples=40)
@given(samples=databases(), seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
def test_balance_takes_the_fewest_of_each_class(samples, seed, order) -> None:
    there = Counter(s.forgery for s in samples)
    kept = balance(samples, seed)
    assert Counter(s.forgery for s in kept) == dict.fromkeys(there, min(there.values()))
    assert ids(kept) == sorted(set(ids(kept))) and balance(kept, seed) == kept
    shuffled = list(samples)
    order.shuffle(shuffled)
    assert sorted(ids(balance(shuffled, seed))) == ids(kept)
