"""The command line as its users meet it: output, exit codes, messages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from command_line import run, run_program
from PIL import Image
from scenes import make_scene

from densesirst_gen.cli import options
from densesirst_gen.datasets import LAYOUTS
from densesirst_gen.datasets.grammar.dialects import DIALECTS
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.version import __version__

HEAVY = ("numpy", "scipy", "cv2", "PIL", "torch", "skimage", "shapely", "matplotlib", "tqdm")


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("in")
    for k in range(4):
        scene = make_scene(name=f"s{k}", seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return root


@pytest.fixture(scope="module")
def built(backgrounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    done = run_program("build", "-b", backgrounds, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("devkit: 4 images")
    _, *notes = done.stderr.splitlines()
    assert all(note.startswith("note: ") for note in notes)
    assert done.stdout.startswith(f"{out}: 4 scenes; ")
    return out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from densesirst_gen.cli import cli\n"
        "import densesirst_gen.cli.build\n"
        "try: cli.main(['build', '--help'])\n"
        f"except SystemExit: print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, densesirst_gen; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torch_is_not_needed_to_build() -> None:
    modules = "densesirst_gen.build.dataset, densesirst_gen.stats.tables"
    code = f"import sys; import {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_version() -> None:
    assert run_program("--version").stdout.strip() == f"densesirst-gen, version {__version__}"


def test_every_setting_is_an_option() -> None:
    text = run("build", "--help").stdout
    for name in PasteConfig().to_dict():
        assert f"--{name.replace('_', '-')}" in text


def test_flags_go_before_the_file_and_the_file_before_the_profile(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('profile = "paper"\nregion_px = 30\nangle = [-10, 10]\n')
    done = run("build", "-b", "demo", "--config", file, "--region-px", 40, "--print-config")
    values = tomllib.loads(done.stdout)
    assert (values["region_px"], values["angle"]) == (40, [-10, 10])
    assert values["per_region"] == [6, 12]


@pytest.mark.parametrize("profile", list(PROFILES))
def test_print_config_is_a_config(profile: str, tmp_path: Path) -> None:
    text = run("build", "-b", "demo", "--profile", profile, "--print-config").stdout
    assert PasteConfig.from_dict(tomllib.loads(text)) == PROFILES[profile]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build"], 2, "Missing option '--backgrounds'"),
        (["build", "-b", "nowhere"], 2, "nowhere is not a folder"),
        (["build", "-b", "demo", "--gain", "1", "0.5"], 2, "PasteConfig.gain must be"),
        (["build", "-b", "demo", "--seed", "-1"], 2, "--seed"),
        (["build", "-b", "demo", "--jobs", "0"], 2, "--jobs"),
        (["build", "-b", "demo:x"], 2, "demo:SEED needs a whole number"),
        (["build", "-b", "{here}", "-o", "{here}/out"], 2, "lie in each other"),
        (["build", "-b", "{here}", "-o", "x", "--config", "{toml}"], 2, "unknown setting 'lambda'"),
        (["build", "-b", "{empty}", "-o", "x"], 1, "no known layout"),
        (["build", "-b", "{here}", "-o", "{full}"], 5, "is not empty"),
        (["build", "-b", "{here}", "-o", "{full}", "--overwrite"], 5, "nothing is deleted"),
        (["build", "-b", "{here}", "-o", "x", "--library", "{toml}"], 1, "not a target library"),
        (["replay", "{full}"], 1, "not a finished build"),
        (["library", "show", "{toml}"], 1, "not a target library"),
    ],
)
# row 81
def test_mistakes_get_a_message_and_a_code(
    arguments: list[str],
    code: int,
    message: str,
    backgrounds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.toml").write_text("lambda = 1\n")
    places = {
        "here": backgrounds,
        "full": tmp_path / "full",
        "empty": tmp_path / "empty",
        "toml": tmp_path / "c.toml",
    }
    done = run(*(a.format(**places) for a in arguments), code=code)
    assert message in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def test_json_is_one_document_on_stdout(backgrounds: Path, tmp_path: Path) -> None:
    done = run("build", "-b", backgrounds, "-o", tmp_path / "out", "--json", "--limit", 2)
    values = json.loads(done.stdout)
    assert values["schema"] == "densesirst-gen/build@1"
    assert (values["n_scenes"], values["set_aside"]) == (2, {})


def test_quiet_says_nothing(backgrounds: Path, tmp_path: Path) -> None:
    done = run("build", "-b", backgrounds, "-o", tmp_path / "out", "-q")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_dry_run_writes_nothing(
    backgrounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("build", "-b", backgrounds, "--dry-run")
    assert done.stdout.startswith("would write dense-")
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_is_named_after_the_backgrounds(
    backgrounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("build", "-b", backgrounds)
    assert [p.name for p in tmp_path.iterdir()] == [f"dense-{backgrounds.name}"]


def test_overwrite_gives_the_same_again(built: Path, backgrounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("build", "-b", backgrounds, "-o", out, "--seed", 3)
    run("build", "-b", backgrounds, "-o", out, code=5)
    run("build", "-b", backgrounds, "-o", out, "--overwrite")
    assert (out / "plans.jsonl").read_bytes() == (built / "plans.jsonl").read_bytes()


def test_strict_counts_scenes_set_aside(tmp_path: Path) -> None:
    scene = make_scene(name="ok")
    root = tmp_path / "in"
    write_files(root, devkit_files(scene, annotate(scene.labels)))
    (root / "PNGImages" / "bad.png").write_bytes(b"<html>")
    for extra, code in (((), 0), (("--strict",), 3)):
        done = run("build", "-b", root, "-o", tmp_path / f"out{code}", *extra, code=code)
        assert "set aside bad: " in done.stderr
        assert "HTML" in done.stderr


def test_a_split_selects(backgrounds: Path, tmp_path: Path) -> None:
    (tmp_path / "split.txt").write_text("\ufeffs2\r\n\r\ns0.png \r\ns2\r\n")
    out = tmp_path / "out"
    run("build", "-b", backgrounds, "-o", out, "--split", tmp_path / "split.txt")
    assert sorted(p.name for p in (out / "PNGImages").iterdir()) == ["s0.png", "s2.png"]


def test_libraries_are_extracted_shown_and_used(backgrounds: Path, tmp_path: Path) -> None:
    file = tmp_path / "targets.npz"
    made = run("library", "extract", backgrounds, "-o", file, "--json")
    values = json.loads(made.stdout)
    assert (values["kind"], values["n"], values["n_scenes"]) == ("targets", 8, 4)
    run("library", "extract", backgrounds, "-o", file, code=5)
    shown = run("library", "show", file)
    assert "8 targets of 4 scenes" in shown.stdout
    with Image.open(file.with_suffix(".png")) as sheet:
        assert np.asarray(sheet).std() > 10
    plain = tmp_path / "plain"
    write_files(plain, [("a.png", encode_png(make_scene().image))])
    done = run("build", "-b", plain, "-o", tmp_path / "out", "--library", file)
    assert "1 scenes" in done.stdout
    sources = (tmp_path / "out" / "plans.jsonl").read_text()
    assert '"source": "s0#' in sources


def test_library_extract_filters_by_contrast(tmp_path: Path) -> None:
    image = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[:, None], 64, axis=1)
    mask = np.zeros_like(image)
    image[20:23, 20:23] += 50
    mask[20:23, 20:23] = 255
    files = [("d/images/a.png", encode_png(image)), ("d/masks/a.png", encode_png(mask))]
    write_files(tmp_path, files)
    options = ("-o", tmp_path / "a.npz", "--min-contrast")
    done = run("library", "extract", tmp_path / "d", *options, 100, code=1)
    assert "1 by contrast" in done.stderr
    run("library", "extract", tmp_path / "d", *options, 40)


def test_replay_says_that_all_is_the_same(built: Path) -> None:
    done = run("replay", built)
    assert done.stdout.split(",")[0] == "4 of 4 scenes the same"
    assert json.loads(run("replay", built, "--image", "s1", "--json").stdout)["scenes"] == 1
    assert "no scene named s9" in run("replay", built, "--image", "s9", code=1).stderr


def test_replay_says_what_differs(built: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", built, tmp_path / "copy"], check=True)
    image = tmp_path / "copy" / "PNGImages" / "s1.png"
    pixels = np.asarray(Image.open(image)).copy()
    pixels[0, 0] ^= 1
    image.write_bytes(encode_png(pixels))
    done = run("replay", tmp_path / "copy", code=4)
    assert "s1: the image is not the one that was written" in done.stdout


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(
    ("jobs", "sent", "code"), [(1, signal.SIGTERM, 143), (2, signal.SIGINT, 130)]
)
def test_an_interrupt_leaves_a_folder_that_resumes(
    sent: signal.Signals, code: int, jobs: int, backgrounds: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    build = ["build", "-b", str(backgrounds), "-o", str(out), "--copies", "20"]
    command = [sys.executable, "-m", "densesirst_gen", *build, "-j", str(jobs)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    journal = out / ".build" / "journal.jsonl"
    while time.monotonic() < deadline and child.poll() is None and not size_of(journal):
        time.sleep(0.01)
    child.send_signal(sent)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    assert "Traceback" not in errors
    if sent == signal.SIGINT:
        assert "--resume" in errors
    assert 0 < journal.read_bytes().count(b"\n") < 80
    run(*build, "--resume", "-q")
    assert run("replay", out).stdout.startswith("80 of 80 scenes the same")


def test_a_closed_pipe_is_no_error(built: Path) -> None:
    command = f"{sys.executable} -m densesirst_gen --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, cwd=built
    )
    assert done.stdout.split()[-1] in ("0", "141")
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_complete(shell: str) -> None:
    assert "_DENSESIRST_GEN_COMPLETE" in run("completion", shell).stdout
    environment = {**os.environ, "COMP_WORDS": "densesirst-gen bui", "COMP_CWORD": "1"}
    program = Path(sys.executable).with_name("densesirst-gen")
    if shell == "bash" and program.exists():
        environment["_DENSESIRST_GEN_COMPLETE"] = "bash_complete"
        done = subprocess.run(
            [program], capture_output=True, text=True, env=environment, check=False
        )
        assert "build" in done.stdout


def test_every_public_name_is_what_it_says() -> None:
    """Names are imported when first used; none may be hidden by a module of the same name."""
    code = (
        "import densesirst_gen as d, types\n"
        "for _ in range(2):\n"
        "    for name in d.__all__:\n"
        "        assert not isinstance(getattr(d, name), types.ModuleType), name"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_options_offer_are_those_that_are_known() -> None:
    """They are written down twice so that --help need not import what knows them."""
    assert set(options.LAYOUTS) == set(LAYOUTS)
    assert set(options.DIALECTS) <= set(DIALECTS)
