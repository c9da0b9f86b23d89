"""The page of ``validate --html``: all that was found, and nothing that runs or is loaded."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from scenes import random_scenes

from densesirst_gen.cli.options import FAILED, PROBLEMS
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.labels.findings import RULES, Finding
from densesirst_gen.labels.validate import Validated
from densesirst_gen.scene.annotate import annotate

pytest.importorskip("jinja2")

from densesirst_gen.labels.page import SHOWN, findings_html

EVIL = """<img src=x onerror="pwned=1">'"&<script>pwned=1</script>{{ 7*7 }}"""


def found(*findings: Finding) -> Validated:
    return Validated(sorted(findings), 1234, 56, {"sirst": 55, "devkit": 1})


def test_every_rule_file_and_value_is_on_it() -> None:
    findings = [Finding(rule, f"{rule}.xml", f"{rule} is 7") for rule in RULES]
    page = findings_html("mine", found(*findings), "Some are wrong.")
    text = html.unescape(page)
    for rule, title in RULES.items():
        assert title in text
        assert f'<th scope="row">{rule}.xml</th><td>{rule} is 7</td>' in text
    assert page.index('id="problems"') < page.index('id="notes"')
    for words in ("Labels of mine", "Some are wrong.", "1,234", "Boxes by dialect"):
        assert words in text


def test_long_lists_are_cut_and_that_is_said() -> None:
    many = [Finding("box", f"{k:04d}.xml", "none") for k in range(SHOWN + 1234)]
    page = findings_html("mine", found(*many), "")
    assert page.count("<th scope") - 4 - 1 == SHOWN
    assert "1,234 more" in page


def test_names_are_text_and_nothing_runs() -> None:
    page = findings_html(EVIL, found(Finding("box", EVIL, EVIL)), EVIL)
    assert "<img" not in page
    assert "<script" not in page
    assert "{{ 7*7 }}" in page
    assert "default-src 'none'" in page


def test_nothing_wrong_has_no_empty_parts() -> None:
    page = findings_html("mine", found(), "Nothing wrong.")
    assert 'id="problems"' not in page
    assert 'id="notes"' not in page


def test_the_command_writes_it_and_asks_for_jinja_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scene in random_scenes(5, 2):
        scene.image[:] = np.random.default_rng(int(scene.name)).integers(0, 99, scene.shape)
        write_files(tmp_path / "kit", devkit_files(scene, annotate(scene.labels)))
    (tmp_path / "kit/SIRST/BBox/001.xml").unlink()
    run("validate", tmp_path / "kit", "--html", tmp_path / "a.html", code=PROBLEMS)
    assert "no box file, SIRST/BBox/001.xml" in (tmp_path / "a.html").read_text()
    monkeypatch.setattr("densesirst_gen.cli.installed.find_spec", lambda name: None)
    said = run("validate", tmp_path / "kit", "--html", tmp_path / "b.html", code=FAILED).stderr
    assert "pip install 'densesirst_gen[report]'" in said
