"""``densesirst-gen completion``."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(densesirst-gen completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(
        found(
            click.get_current_context().find_root().command,
            {},
            "densesirst-gen",
            "_DENSESIRST_GEN_COMPLETE",
        ).source()
    )
