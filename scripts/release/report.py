"""What the recovered parameters of many patches say, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np
from release.image import Inverted
from release.model import HIGH, LOW
from release.regions import regions_of
from scipy import stats

NAMES = ("lambda", "sigma_x", "sigma_y", "mu_x", "mu_y")


def summary_of(images: list[Inverted]) -> dict:
    """Distributions, donors, meetings and regions of a split."""
    rows = [row for image in images for row in image.rows]
    return {
        "why_not": dict(Counter(row["why_not"] for row in rows if row["why_not"])),
        "parameters": parameters_of(rows),
        "donors": donors_of(images),
        "meetings": meetings_of(images),
        "regions": regions_of(images),
        "several_donors": share(row["equally_good_donors"] > 1 for row in rows if row["exact"]),
        "saturated": shares_of(rows, "saturated_pixels"),
        "hidden": shares_of(rows, "hidden_pixels"),
    }


def share(values: Iterable[bool]) -> float:
    """Of those that are true; 0 of none."""
    values = list(values)
    return sum(values) / max(1, len(values))


def shares_of(rows: list[dict], key: str) -> dict[str, float]:
    """How many patches have such pixels, and how many of these are exact."""
    some = [row for row in rows if row[key]]
    return {"patches": len(some), "exact_share": share(row["exact"] for row in some)}


def parameters_of(rows: list[dict]) -> dict[str, dict]:
    """Quantiles beside those of the claimed uniform law, and the Kolmogorov-Smirnov distance.

    Turned by 90 degrees with the two sigmas exchanged a Gaussian is the same: theta is compared
    modulo 90. Lambda is that of patches with one possible donor, the others are of all exact ones:
    narrow patches have more often several donors.
    """
    exact = [row for row in rows if row["exact"]]
    sure = [row for row in exact if row["equally_good_donors"] == 1]
    if not sure:
        return {}
    bounds = dict(zip(NAMES, zip(LOW, HIGH, strict=True), strict=True))
    laws = {
        name: _compared(values_of(sure if name == "lambda" else exact, name), *bounds[name])
        for name in NAMES
    }
    laws["theta_mod_90"] = _compared(values_of(exact, "theta") % 90 + 0.5, 0, 90)
    return laws


def values_of(rows: list[dict], name: str) -> np.ndarray:
    """One column."""
    return np.array([row[name] for row in rows], float)


def _compared(values: np.ndarray, low: float, high: float) -> dict:
    probabilities = [0.05, 0.25, 0.5, 0.75, 0.95]
    distance = stats.kstest(values, stats.uniform(low, high - low).cdf).statistic
    return {
        "n": len(values),
        "quantiles": np.quantile(values, probabilities).round(4).tolist(),
        "claimed": [round(float(low + p * (high - low)), 4) for p in probabilities],
        "distance": round(float(distance), 4),
        "distance_by_chance": round(1.36 / np.sqrt(len(values)), 4),
    }


def donors_of(images: list[Inverted]) -> dict:
    """How evenly donors were drawn, and whether one image had the same twice."""
    per_image = [
        [row["donor"] for row in image.rows if row["exact"] and row["equally_good_donors"] == 1]
        for image in images
    ]
    used = Counter(donor for donors in per_image for donor in donors)
    pairs = sum(len(list(combinations(donors, 2))) for donors in per_image)
    repeats = sum(a == b for donors in per_image for a, b in combinations(donors, 2))
    total = sum(used.values())
    expected = pairs * sum((n / max(1, total)) ** 2 for n in used.values())
    return {
        "different": len(used),
        "unnamed": sum(donor.startswith("unnamed") for donor in used),
        "unnamed_share": round(
            sum(n for donor, n in used.items() if donor.startswith("unnamed")) / max(1, total), 4
        ),
        "pairs_in_one_image": pairs,
        "same_donor": repeats,
        "expected_with_replacement": round(expected, 1),
    }


def meetings_of(images: list[Inverted]) -> dict:
    """Pixels where two exact patches in a known order meet and the rules differ."""
    count: Counter[str] = Counter()
    for image in images:
        count.update(image.meetings)
    return dict(count)


def report_text(document: dict) -> str:
    """The document in a few lines."""
    summary = document["summary"]
    lines = [
        f"{document['patches']} patches in {document['images']} images",
        f"exact in all their pixels  {document['exact_share']:.2%}",
        f"pasted pixels exact        {document['exact_pixel_share']:.2%}",
        f"images equal               {document['equal_images']} of {document['images']}",
        f"pasted masks equal         {document['equal_masks']} of {document['images']}",
    ]
    lines += [f"not exact: {n:5} {reason}" for reason, n in summary["why_not"].items()]
    lines.append("parameter     n     5 25 50 75 95 %, claimed, KS distance (5 % by chance)")
    for name, law in summary["parameters"].items():
        found, claimed = (" ".join(f"{v:6.3f}" for v in law[k]) for k in ("quantiles", "claimed"))
        lines.append(
            f"{name:12} {law['n']:5} {found} | {claimed} | {law['distance']:.3f} "
            f"({law['distance_by_chance']:.3f})"
        )
    for key in ("donors", "meetings", "regions", "saturated", "hidden"):
        lines += [f"{key} {name}: {value}" for name, value in summary[key].items()]
    lines.append(f"several donors explain a patch: {summary['several_donors']:.1%}")
    return "\n".join(lines)
