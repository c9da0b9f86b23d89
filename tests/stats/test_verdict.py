import json

import pytest
from scenes import random_scenes

from densesirst_gen.stats.compare.fidelity import Score, StatisticDistance, compare
from densesirst_gen.stats.compare.scorecard import STATISTICS
from densesirst_gen.stats.compare.verdict import (
    PARTS,
    comparison_document,
    comparison_text,
    is_near,
    sentence,
)
from densesirst_gen.stats.tables import dataset_stats


def distances(*ratios: float | None) -> list[StatisticDistance]:
    padded = [*ratios, *[0.5] * (len(STATISTICS) - len(ratios))]
    return [
        StatisticDistance(s.name, s.kind, r, 1.0, r, 1.0, 2.0)
        for s, r in zip(STATISTICS, padded, strict=True)
    ]


def test_near_is_what_other_draws_keep_to():
    assert is_near(Score(20, 17, 0.9, 2.9))
    assert not is_near(Score(20, 16, 0.9, 2.9))
    assert not is_near(Score(20, 17, 1.1, 2.9))
    assert not is_near(Score(20, 19, 0.9, 3.1))
    assert not is_near(Score(0, 0, 0.0, 0.0))


def test_sentence_of_a_near_dataset():
    said = sentence(distances(1.4), "REF", 768)
    assert said == (
        "As near to REF as another draw of it would be: 19 of 20 statistics within the noise "
        "floor, mean ratio 0.55; above it, in multiples of the floor: targets_per_image (1.4)."
    )


def test_sentence_of_another_dataset_names_the_worst():
    said = sentence(distances(2.0, 9.0, 4.0, 8.0), "REF", 768)
    assert said.startswith("Differs from REF by more than chance: 16 of 20")
    worst = "clusters_per_image (9.0), sky_fraction (8.0), singles_per_image (4.0)."
    assert said.endswith(worst)


def test_sentence_says_what_it_could_not_see():
    said = sentence(distances(None, None), "REF", 6)
    assert "18 of 18 statistics" in said
    assert "2 statistics could not be compared; with 6 images only large differences show" in said
    nothing = sentence(distances(*[None] * 20), "REF", 6)
    assert nothing == "Nothing of this dataset can be compared with REF."


@pytest.mark.parametrize("n", [0, 3])
def test_text_and_document(n):
    scenes = random_scenes(0, 8)
    blank = [type(s)(s.name, s.image, 0 * s.labels) for s in scenes]
    found = compare(dataset_stats(scenes[:n] or blank[:4]), dataset_stats(scenes))
    lines = comparison_text(found, ("mine", "theirs")).splitlines()
    assert len(lines) == 1 + len(STATISTICS) + len(PARTS)
    assert lines[0].split()[:4] == ["statistic", "kind", "mine", "theirs"]
    assert len({len(line) for line in lines[: 1 + len(STATISTICS)]}) == 1
    document = json.loads(json.dumps(comparison_document(found), allow_nan=False))
    assert [row["name"] for row in document["statistics"]] == [s.name for s in STATISTICS]
    assert document["score"].keys() == PARTS.keys()
