"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from densesirst_gen.cli.build import build
from densesirst_gen.cli.completion import completion
from densesirst_gen.cli.convert import convert
from densesirst_gen.cli.descriptions import keep_descriptions
from densesirst_gen.cli.diff import diff
from densesirst_gen.cli.ending import Commands, run
from densesirst_gen.cli.evaluate import evaluate
from densesirst_gen.cli.inspect import inspect
from densesirst_gen.cli.library import library
from densesirst_gen.cli.merge import merge
from densesirst_gen.cli.options import EXIT_CODES
from densesirst_gen.cli.replay import replay
from densesirst_gen.cli.sky import sky
from densesirst_gen.cli.stats import stats
from densesirst_gen.cli.subset import subset
from densesirst_gen.cli.train import detect, train, worth
from densesirst_gen.cli.validate import validate
from densesirst_gen.cli.verify import verify
from densesirst_gen.version import __version__


@click.group(
    cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="densesirst-gen")
def cli() -> None:
    """Make infrared small target datasets with dense clusters of targets."""


for command in (
    build,
    completion,
    convert,
    detect,
    diff,
    evaluate,
    inspect,
    library,
    merge,
    replay,
    sky,
    stats,
    subset,
    train,
    validate,
    worth,
):
    cli.add_command(command)
cli.add_command(verify)
if sys.flags.optimize > 1:
    keep_descriptions(cli)


def main() -> NoReturn:
    """Run the command line; every foreseen failure becomes a message and an exit code."""
    run(cli)
