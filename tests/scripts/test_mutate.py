"""Changes of one operator or number: they are made where they should be, and seen or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mutate
import pytest

SOURCE = '''
"""Text with 1 + 1."""
def f(a: int = 3, *b: "4") -> "5 + 5":
    """2 < 3."""
    if a and not b:
        raise ValueError(f"{a + 1} is more than 2")
    return a + 1 if a < 2 else [a * 2][0] | True
'''


def test_operators_and_numbers_are_changed_one_at_a_time() -> None:
    words = [change.words for change in mutate.changes_of("m", SOURCE)]
    assert words == [
        "3 -> 4",
        "a and (not b) -> not (a and (not b))",
        "a and (not b) -> a or not b",
        "a < 2 -> a <= 2",
        "2 -> 3",
        "a + 1 -> a - 1",
        "1 -> 2",
        "[a * 2][0] | True -> [a * 2][0] & True",
        "a * 2 -> a + 2",
        "2 -> 3",
        "0 -> 1",
        "True -> False",
    ]


TRY = """
import sys
from pathlib import Path
import mutate
tests = [sys.argv[1]]
part = mutate.Part(["scene.density"], tests)
source = Path(mutate._path("scene.density")).read_text()
change = next(c for c in mutate.changes_of("scene.density", source) if c.words == "0 -> 1")
assert mutate.passes_unchanged(part)
print(len(mutate.survivors(part, [change], 1)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("looks", [True, False])
def test_a_change_that_tests_notice_and_one_that_they_do_not(looks: bool, tmp_path: Path) -> None:
    """The same change, tried by a test that looks at the module and by one that does not."""
    code = "    assert density.linked_pairs.__code__ and density.__loader__.__class__.__name__"
    code += " != 'Loader'\n" if looks else "\n"
    test = tmp_path / "test_it.py"
    test.write_text(f"from densesirst_gen.scene import density\ndef test_it():\n{code}")
    command = [sys.executable, "-c", TRY, str(test)]
    path = os.pathsep.join([str(mutate.ROOT / "scripts"), str(mutate.ROOT)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=mutate.ROOT, env=environment, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == str(int(not looks))
