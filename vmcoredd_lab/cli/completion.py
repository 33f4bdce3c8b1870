"""``completion``: the script by which a shell asks this program what may follow."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from vmcoredd_lab.cli.main import PROGRAM, cli

SHELLS = ("bash", "zsh", "fish")


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes the Tab key complete commands, options, files and the names in them.

    bash: eval "$(vmcoredd-lab completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc; fish: vmcoredd-lab completion
    fish > ~/.config/fish/completions/vmcoredd-lab.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "a choice is one of click's shells"
    click.echo(kind(cli, {}, PROGRAM, f"_{PROGRAM.replace('-', '_')}_complete".upper()).source())
