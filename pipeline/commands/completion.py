"""The command `audiostyle completion`: what lets a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from audiostyle.command import Command
from audiostyle.terminal import say_lines


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in SHELL.

    \b
    bash  eval "$(audiostyle completion bash)"            in ~/.bashrc
    zsh   eval "$(audiostyle completion zsh)"             in ~/.zshrc, after compinit
    fish  audiostyle completion fish | source             in ~/.config/fish/config.fish
    """
    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101, click has all three
    say_lines(kind(root, {}, "audiostyle", "_AUDIOSTYLE_COMPLETE").source().strip())
