"""The command line: as its users start it, and the same within this process, which is faster."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any
from unittest.mock import patch

import click
from click.testing import CliRunner, Result

from densesirst_gen.cli import main
from densesirst_gen.files.stopping import SIGNALS


def run_program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "densesirst_gen", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def run(*arguments: object, code: int = 0) -> Result:
    """What the program says in this process; it must end with the exit code `code`."""
    given = list(map(str, arguments))
    result = CliRunner().invoke(_program, given, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _program(arguments: tuple[str, ...]) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with (
            patch.object(sys, "argv", ["densesirst-gen", *arguments]),
            patch.object(sys, "unraisablehook", sys.unraisablehook),
        ):
            main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
