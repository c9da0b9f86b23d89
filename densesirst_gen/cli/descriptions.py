"""What commands say of themselves where Python drops docstrings, as ``python -OO`` does."""

from __future__ import annotations

import ast
import inspect
import textwrap

import click


def keep_descriptions(command: click.Command) -> None:
    """Give a command, and all below it, the help that its source has, if it has none."""
    if not command.help and command.callback:
        command.help = _docstring(command.callback)
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        keep_descriptions(below)


def _docstring(function: object) -> str | None:
    try:
        source = inspect.getsource(inspect.unwrap(function))  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None
    (node,) = ast.parse(textwrap.dedent(source)).body
    return ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
