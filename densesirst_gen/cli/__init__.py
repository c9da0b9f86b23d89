"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import click

from densesirst_gen.cli.build import build
from densesirst_gen.cli.completion import completion
from densesirst_gen.cli.evaluate import evaluate
from densesirst_gen.cli.inspect import inspect
from densesirst_gen.cli.library import library
from densesirst_gen.cli.options import (
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    REFUSED,
    TERMINATED,
    printable,
)
from densesirst_gen.cli.replay import replay
from densesirst_gen.cli.sky import sky
from densesirst_gen.cli.stats import stats
from densesirst_gen.cli.train import detect, train, worth
from densesirst_gen.version import __version__


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="densesirst-gen")
def cli() -> None:
    """Make infrared small target datasets with dense clusters of targets."""


for command in (
    build,
    completion,
    detect,
    evaluate,
    inspect,
    library,
    replay,
    sky,
    stats,
    train,
    worth,
):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line; every foreseen failure becomes a message and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; --resume goes on", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        _report(error)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _report(error: Exception) -> NoReturn:
    from densesirst_gen.files.atomic import RefusedError

    expected = (ValueError, RuntimeError, OSError)
    if os.environ.get("DENSESIRST_DEBUG") or not isinstance(error, expected):
        raise error
    _fail(str(error), REFUSED if isinstance(error, RefusedError) else FAILED)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"densesirst-gen: {printable(message)}", err=True)
    sys.exit(code)
