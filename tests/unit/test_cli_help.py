"""What `--help` lists fits a terminal of 80 columns, and io's commands show how they are called."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from edge_agent.cli import cli


def groups(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        yield path
        for name, each in command.commands.items():
            yield from groups(each, *path, name)


@pytest.mark.parametrize("path", list(groups(cli)), ids=" ".join)
def test_no_line_of_a_listing_is_cut(path: tuple[str, ...]) -> None:
    said = CliRunner().invoke(cli, [*path, "--help"], terminal_width=80).output
    listed = said.partition("Commands:")[2].splitlines()[1:]
    assert listed and all(line[:3].strip() for line in listed), "a sentence goes over two lines"
    assert not [line for line in listed if line.endswith("...") or len(line) > 80]


@pytest.mark.parametrize("name", ["show", "pulse", "watch"])
def test_the_technicians_commands_show_an_example(name: str) -> None:
    said = CliRunner().invoke(cli, ["io", name, "--help"]).output
    assert f"edge-agent io {name} " in said
