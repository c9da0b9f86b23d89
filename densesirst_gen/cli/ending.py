"""How a command ends: its exit code, one line on stderr, and streams that may be closed."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from densesirst_gen.cli.missing_library import missing_library
from densesirst_gen.cli.options import FAILED, INTERRUPTED, REFUSED, printable
from densesirst_gen.files.stopping import (
    Stopped,
    ignore_signals,
    stop_code,
    stop_on_signals,
    stop_word,
)

BROKEN_PIPE = 141


class Commands(click.Group):
    """Commands in which a broken pipe, or data that end too soon, are what they are.

    click would take the one for a failure and the other for an interrupt.
    """

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse."""
        with _told_apart():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was parsed."""
        if "SOURCE_DATE_EPOCH" in os.environ:
            from densesirst_gen.files.manifest import creation_time

            creation_time()  # before SciPy is imported, which stumbles over a wrong date
        with _told_apart():
            return super().invoke(ctx)


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise SystemExit(BROKEN_PIPE) from None
    except EOFError as error:
        raise RuntimeError(f"data ended too soon: {error}") from error


def run(commands: click.Group) -> NoReturn:
    """Run the command line and end the process.

    Every foreseen failure becomes a message and an exit code, a signal a word and its code.
    """
    _open_streams()
    code = 0
    try:
        stop_on_signals()
        code = _code_of(commands)
        ignore_signals()
    except Stopped:
        ignore_signals()
    if stop_code():
        code = _told(f"{stop_word()}{_hint(commands)}", stop_code())
    sys.exit(_flushed(code))


def _code_of(commands: click.Group) -> int:
    """The exit code of the command, what went wrong having been told."""
    try:
        return commands.main(standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except click.Abort:
        return _told("interrupted", INTERRUPTED)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except Exception as error:
        return stop_code() or _reported(error, commands)


def _reported(error: Exception, commands: click.Group) -> int:
    from densesirst_gen.files.atomic import RefusedError
    from densesirst_gen.files.workers import WorkersError

    if line := missing_library(error):
        return _told(line, FAILED)
    expected = (ValueError, RuntimeError, OSError)
    if os.environ.get("DENSESIRST_DEBUG") or not isinstance(error, expected):
        raise error
    hint = _hint(commands) if isinstance(error, WorkersError) else ""
    return _told(f"{error}{hint}", REFUSED if isinstance(error, RefusedError) else FAILED)


def _told(message: str, code: int) -> int:
    with suppress(OSError):
        click.echo(f"densesirst-gen: {printable(message)}", err=True)
    return code


def _hint(commands: click.Group) -> str:
    """How to go on, if the command that was called knows it."""
    command: click.Command = commands
    for word in sys.argv[1:]:
        if isinstance(command, click.Group) and word in command.commands:
            command = command.commands[word]
    can_resume = any(parameter.name == "resume" for parameter in command.params)
    return "; --resume goes on" if can_resume else ""


def _open_streams() -> None:
    """Where the caller closed a stream, open the null device.

    Else a file of ours would get its number, and what is meant for the terminal would go into it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # gets the number that is free
            os.set_inheritable(null, True)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a code page may lack letters of a name
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: int) -> int:
    """The exit code; what can no longer be written is dropped, rather than told at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or (BROKEN_PIPE if isinstance(error, BrokenPipeError) else FAILED)
    return code
