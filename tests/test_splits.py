"""Splits: identities never cross, official folds come out, draws depend on nothing but seed and name."""

from __future__ import annotations

import csv
import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from avbench.data.splits import Split, balance, cross, folds, identity_of, limit, list_digest, split
from avbench.errors import UserError
from avbench.hashing import stable_hash
from avbench.types import Forgery, Sample

# The 500 identities of FakeAVCeleb v1.2 by race and gender: ten strata of fifty.
OFFICIAL = {
    "African/men": """
        00076 00166 00173 00366 00391 00475 00476 00478 00518 00701 00761 00781 00830 00944 00987 01036 01076
        01170 01171 01179 01207 01236 01392 01452 01521 01528 01530 01544 01597 01598 01610 01637 01691 01717
        01779 01835 01856 01920 01933 01972 01995 02005 02040 02051 02268 02296 02316 02342 02494 04727""",
    "African/women": """
        00220 00359 00371 00460 00568 00577 00592 00707 00829 00832 01178 01532 01661 01783 01838 01907 02071
        02301 02508 02586 02617 02721 02808 02824 02838 02948 03103 03569 03656 03658 03713 03747 04055 04245
        04374 04376 04437 04540 04547 04689 04705 04736 04820 04939 05106 05231 05235 05251 05252 05980""",
    "Asian (East)/men": """
        00056 00126 00560 00597 00740 00863 01204 01212 01215 01589 01683 02332 02365 02493 02553 02561 03028
        03168 03889 03965 04111 04222 04687 04691 04726 04774 04789 04884 05268 05332 05383 05479 05743 06152
        06269 06467 06470 06535 06591 06594 06776 06807 06878 07102 07338 08299 08613 08652 09053 09143""",
    "Asian (East)/women": """
        00137 00363 00430 00566 00579 00582 00763 00935 01281 01451 02587 02807 03211 03379 03940 04057 04066
        04144 04414 04701 05576 05620 05631 05844 06054 06060 06061 06065 06066 06158 06225 06388 06427 06443
        06462 07039 07383 07739 07799 07901 08139 08397 08402 08819 09116 09125 09171 09174 09175 09181""",
    "Asian (South)/men": """
        00032 00033 00078 00082 00103 00350 00414 00459 00685 00732 00745 00769 00773 00816 00857 00860 03180
        03344 03599 03945 04526 04537 04554 04560 04561 04562 04599 04601 04928 06334 06354 06355 06753 07058
        07108 07161 07163 07165 07179 07182 07194 07195 07200 07210 07233 07463 07768 08313 08314 08457""",
    "Asian (South)/women": """
        00043 00080 00149 00235 00417 00461 00488 00739 00747 01026 02089 02310 02619 03559 03815 03897 03985
        04070 04490 04529 04530 04564 04582 04583 04927 05434 05435 05478 05845 05920 05931 06232 06254 06268
        06343 06428 06437 06438 06439 06445 06752 07008 07049 07051 07078 07136 07236 07377 07686 07689""",
    "Caucasian (American)/men": """
        00018 00020 00021 00029 00049 00052 00060 00062 00087 00088 00169 00179 00184 00243 00264 00345 00529
        00696 00708 00775 00777 00943 00945 00971 01035 01042 01044 01048 01096 01105 01124 01163 01168 01172
        01175 01182 01192 01201 01210 01211 01239 03525 03668 03678 03757 04034 04073 04216 04219 04221""",
    "Caucasian (American)/women": """
        00025 00097 00098 00100 00145 00180 00190 00231 00261 00272 00291 00381 00383 00385 00398 00418 00428
        00431 00458 00462 00555 00575 00616 00618 00680 00752 00835 00841 00842 00848 01004 01005 01075 01091
        01216 01217 01223 01225 01227 01231 01238 01245 01248 02464 02466 03556 03605 03696 03707 03781""",
    "Caucasian (European)/men": """
        00055 00063 00171 00183 00185 00186 00187 00192 00225 00241 00253 00265 00266 00282 00292 00305 00306
        00358 00368 00415 00498 00519 00520 00535 00548 00554 00559 00594 00694 00709 00909 00919 00946 00963
        00981 00990 00999 01051 01052 01058 01098 01099 01102 01123 01126 01154 01156 01157 02567 03205""",
    "Caucasian (European)/women": """
        00042 00068 00071 00188 00232 00234 00262 00270 00271 00287 00325 00328 00330 00332 00365 00373 00374
        00379 00395 00403 00434 00484 00491 00495 00496 00569 00581 00589 00591 00633 00634 00735 00806 00813
        00823 00826 00897 01001 01002 01018 03371 03589 03620 03649 03651 03716 03816 03844 03858 03941""",
}


def sample(name: str, forgery: int = 0, identity: str = "", split: str = "", stratum: str = "") -> Sample:
    return Sample(name, Path(name), Forgery(forgery), split=split, identity=identity, stratum=stratum)


def official_samples() -> list[Sample]:
    return [
        sample(f"{stratum}/id{number}.mp4", identity=f"id{number}", stratum=stratum)
        for stratum, numbers in OFFICIAL.items()
        for number in numbers.split()
    ]


def random_database(seed: int) -> list[Sample]:
    """Return a database of 1 to 40 identities in 1 to 6 strata, with uneven videos and targets."""
    generator = random.Random(seed)
    people = [f"p{n}" for n in range(generator.randint(1, 40))]
    strata = [f"s{n}" for n in range(generator.randint(1, 6))]
    samples = []
    for person in people:
        stratum = generator.choice(strata)
        for number in range(generator.randint(1, 9)):
            made = sample(f"{person}/{number}", generator.randrange(4), person, stratum=stratum)
            targets = tuple(generator.sample(people, min(len(people), generator.randint(0, 2))))
            samples.append(replace(made, other_identities=targets if made.forgery else ()))
    return samples


def identities(samples: Sequence[Sample]) -> set[str]:
    return {identity_of(s) for s in samples}


def test_the_draw_is_the_same_everywhere() -> None:
    assert stable_hash(2024, "validation", "id00018") == 3404540159686094202
    assert stable_hash("a", "b") != stable_hash("ab") != stable_hash("a\x1fb", "")
    assert all(0 <= stable_hash(n) < 2**63 for n in range(999))
    assert 0.45 < sum(stable_hash(n) / 2**63 for n in range(999)) / 999 < 0.55


def test_official_identities_get_the_published_folds() -> None:
    samples = official_samples()
    found = folds(samples)
    random.Random(1).shuffle(samples)
    assert found == folds(samples)  # order plays no part
    lines = "".join(f"{identity},{fold}\n" for identity, fold in sorted(found.items()))
    golden = "e45560b15379536517d761eb67b9e1af55995489e0b1e20810828a8cd72b0995"
    assert hashlib.sha256(lines.encode()).hexdigest() == golden
    assert Counter(found.values()) == dict.fromkeys(range(1, 6), 100)
    per_stratum = Counter((s.stratum, found[s.identity]) for s in samples)
    assert set(per_stratum.values()) == {10}


def test_official_identities_get_the_folds_of_the_table(specs_root: Path) -> None:
    with (specs_root / "data" / "fakeavceleb_5fold_seed2024.csv").open() as stream:
        published = {row["source"]: int(row["test_fold"]) for row in csv.DictReader(stream)}
    assert folds(official_samples()) == published


@pytest.mark.parametrize("count", [2, 3, 7])
def test_folds_are_even_in_number_and_over_strata(count: int) -> None:
    for seed in range(30):
        samples = random_database(seed)
        found = folds(samples, count)
        sizes = Counter(found.values())
        assert set(sizes) == set(range(1, min(count, len(found)) + 1))
        assert max(sizes.values()) - min(sizes.values()) <= 1
        stratum_of = {s.identity: s.stratum for s in samples}
        for stratum in set(stratum_of.values()):
            within = Counter(found[i] for i, own in stratum_of.items() if own == stratum)
            assert max(within.values()) - min(within.get(fold, 0) for fold in sizes) <= 1
    assert folds(random_database(1), seed=1) != folds(random_database(1), seed=2)


def test_any_database_splits_into_parts_without_a_common_identity() -> None:
    checked = 0
    for seed in range(60):
        samples = random_database(seed)
        people = identities(samples)
        tested: list[str] = []
        for fold in range(1, min(5, len(people)) + 1):
            parts = split(samples, fold=fold)
            train, validation, test = map(identities, (parts.train, parts.validation, parts.test))
            assert not (train & validation or train & test or validation & test)
            assert train | validation | test == people
            assert len(parts.train) + len(parts.validation) + len(parts.test) == len(samples)
            tested += test
            if len(people) - len(test) >= 2:
                assert len(validation) == max(1, round(0.1 * (len(people) - len(test))))
                parts.check_trainable()
                checked += 1
        assert sorted(tested) == sorted(people)  # each identity is tested once
    assert checked > 200


def test_strict_identity_leaves_no_test_fake_that_names_a_training_identity() -> None:
    dropped = 0
    for seed in range(40):
        samples = random_database(seed)
        loose, strict = split(samples), split(samples, strict_identity=True)
        assert (strict.train, strict.validation) == (loose.train, loose.validation)
        learnt = identities([*loose.train, *loose.validation])
        naming = {s.id for s in loose.test if learnt & set(s.other_identities)}
        assert loose.target_overlap == strict.dropped_by_strict == len(naming)
        assert loose.dropped_by_strict == strict.target_overlap == 0
        assert [s for s in loose.test if s.id not in naming] == list(strict.test)
        judged = identities(strict.test)
        seen = [*strict.train, *strict.validation]
        assert strict.named_in_training == sum(bool(judged & set(s.other_identities)) for s in seen)
        dropped += strict.dropped_by_strict
    assert dropped > 100


def test_the_databases_own_split_is_kept() -> None:
    own = {"train": "a", "validation": "b", "test": "c"}
    samples = [sample(f"{part}/{n}", n, identity, part) for part, identity in own.items() for n in range(4)]
    parts = split(samples, fold=99)
    train, validation, test = (tuple(samples[first : first + 4]) for first in (0, 4, 8))
    assert parts == Split(train, validation, test, notes=("the database's own split",))


def test_an_own_split_without_validation_gives_up_training_identities() -> None:
    samples = [sample(f"{n}", 0, f"p{n}", "test" if n < 5 else "train") for n in range(35)]
    parts = split(samples)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (27, 3, 5)
    assert "validation: 3 of 30 training identities" in parts.notes


def test_an_official_training_list_replaces_the_fold() -> None:
    samples = official_samples()
    listed = frozenset(sorted(s.identity for s in samples)[:400]) | {"id99999"}
    parts = split(samples, fold=2, train_identities=listed)
    assert identities([*parts.train, *parts.validation]) == listed - {"id99999"}
    assert (len(parts.train), len(parts.validation), len(parts.test), parts.fold) == (360, 40, 100, 2)
    with pytest.raises(UserError, match="names no identity"):
        split(samples, train_identities=frozenset({"id99999"}))


@pytest.mark.parametrize(
    ("samples", "fold", "message"),
    [
        ([], 1, "no samples"),
        ([sample("a", 0, "p"), sample("a", 0, "q")], 1, "more than once, first 'a'"),
        ([sample("a", split="train"), sample("b")], 1, "'b' has no split"),
        ([sample("a", split="dev")], 1, "split 'dev'"),
        ([sample(str(n), 0, str(n)) for n in range(9)], 6, "fold 6: 9 identities make folds 1 to 5"),
        ([sample(str(n), 0, str(n)) for n in range(3)], 4, "folds 1 to 3"),
        ([sample(i, 0, i, "train") for i in "pq"] + [sample("r", 0, "p", "test")], 1, "identities .* first 'p'"),
    ],
)
def test_what_cannot_be_split_is_refused(samples: list[Sample], fold: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(samples, fold=fold)


def test_too_few_identities_can_be_judged_but_not_trained_on() -> None:
    parts = split([sample(str(n), 0, f"p{n % 2}") for n in range(6)])
    assert len(parts.test) == 3
    with pytest.raises(UserError, match="no validation samples"):
        parts.check_trainable()
    with pytest.raises(UserError, match="no training samples"):
        split([sample("a"), replace(sample("b"), identity="a")]).check_trainable()


def test_a_cross_test_uses_the_test_split_of_within() -> None:
    learnt = split([replace(s, dataset="one") for s in random_database(3)], fold=2)
    other = [replace(s, dataset="two") for s in random_database(4)]
    judged = split(other)
    both = cross(learnt, judged)
    assert (both.train, both.validation, both.test) == (learnt.train, learnt.validation, judged.test)
    # Both databases call their people p0, p1, ...: a note, for names are comparable within a database only.
    known = identities([*learnt.train, *learnt.validation])
    assert both.shared_names == len(known & identities(judged.test)) > 0
    assert both.target_overlap == 0
    everything = cross(learnt, judged, test_on="all")
    assert {s.id for s in everything.test} == {s.id for s in other}
    assert (everything.train, everything.fold) == (learnt.train, judged.fold)
    assert cross(learnt, replace(judged, fold=None)).fold == learnt.fold, "the fold that was learnt, where one was"


def test_a_cross_test_on_what_was_learnt_is_refused() -> None:
    parts = split(random_database(3))
    with pytest.raises(UserError, match="ids are in training and in test"):
        cross(parts, parts, test_on="all")


def test_balance_draws_as_many_of_each_class() -> None:
    samples = [sample(f"{n}", (0, 1, 1, 1, 3, 3)[n % 6]) for n in range(60)]
    chosen = balance(samples, seed=5)
    assert Counter(s.forgery for s in chosen) == {Forgery.RARV: 10, Forgery.RAFV: 10, Forgery.FAFV: 10}
    assert chosen == [s for s in samples if s in chosen]
    assert {s.id for s in balance(samples[::-1], seed=5)} == {s.id for s in chosen}
    assert balance(samples, seed=6) != chosen
    assert balance([], seed=5) == []


def test_limit_keeps_proportions_order_and_every_class() -> None:
    sizes = {0: 36, 1: 332, 2: 331, 3: 2}
    samples = [sample(f"{k}/{n}", k) for n in range(332) for k in range(4) if n < sizes[k]]
    assert Counter(s.forgery for s in limit(samples, 100, 1)) == {0: 5, 1: 47, 2: 47, 3: 1}
    assert Counter(s.forgery for s in limit(samples, 4, 1)) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert Counter(s.forgery for s in limit(samples, 2, 1)) == {1: 1, 2: 1}
    assert limit(samples, 701, 1) == limit(samples, 9999, 1) == samples
    some, more = limit(samples, 50, 1), limit(samples, 80, 1)
    assert some == [s for s in samples if s in some] and set(s.id for s in some) <= set(s.id for s in more)
    assert some != limit(samples, 50, 2)
    with pytest.raises(UserError, match="at least 1"):
        limit(samples, 0, 1)


def test_limit_never_exceeds_its_number_nor_a_class() -> None:
    for seed in range(40):
        samples = random_database(seed)
        for most in (1, 3, 4, 10, 57):
            kept = limit(samples, most, seed)
            assert len(kept) == min(most, len(samples)) == len({s.id for s in kept})
            if most >= 4:
                assert {s.forgery for s in kept} == {s.forgery for s in samples}


def test_the_digest_names_the_list_not_its_order() -> None:
    samples = [sample("a/é.mp4", 0), sample("b.mp4", 3)]
    golden = "09cfc969b21a44be1a694a1317307681258ac3af44fd75023d27211224983629"
    assert list_digest(samples) == list_digest(samples[::-1]) == golden
    assert list_digest([sample("a/é.mp4", 1), samples[1]]) != golden
    assert list_digest(samples[:1]) != golden
