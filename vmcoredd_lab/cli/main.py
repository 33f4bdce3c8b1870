"""The program: options that every command shares, errors turned into messages and exit statuses."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from vmcoredd_lab import __version__
from vmcoredd_lab.cli import names
from vmcoredd_lab.cli.output import FORMATS, note
from vmcoredd_lab.cli.progress import late_bar
from vmcoredd_lab.cli.remote import Remotes, remotes, verbose_option
from vmcoredd_lab.devices import registry
from vmcoredd_lab.errors import NotInFileError, VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile, open_file
from vmcoredd_lab.progress import show_with
from vmcoredd_lab.source import opened_remotes
from vmcoredd_lab.text import escape, plural

__all__ = ["cli", "main", "program"]

PROGRAM = "vmcoredd-lab"
F = TypeVar("F", bound=Callable[..., Any])

PARTS = "vmcoredd_lab.parts"
CACHE_INDEX = "vmcoredd_lab.cache_index"

EPILOG = """Exit status: 0 done; 1 done, but the file is damaged (see the problems command); 2 the command line is wrong;
3 the file cannot be opened; 4 what was asked for is not in the file; 5 the output could not be written."""


class _ReaderGone(Exception):
    """Who reads standard output went away, as head does. click would make exit status 1 of a BrokenPipeError."""


ORDER = (
    "info", "findings", "dmesg", "cpus", "timeline", "dumps", "entities", "entity", "registers", "firmware-log", "problems",
    "notes", "segments", "hexdump", "extract", "report", "diff", "baseline", "signature", "convert", "make",
    "completion",
)  # fmt: skip


class _Commands(click.Group):
    """Lists commands in the order in which a post-mortem uses them."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.commands, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


@click.group(
    cls=_Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=PROGRAM)
@verbose_option
def cli() -> None:
    """Show what the hardware was doing when the kernel died: device dumps in Linux vmcores.

    FILE is a vmcore (ELF, or makedumpfile's kdump-compressed format), or a bare device dump as ethtool -w writes it;
    a path, or a URL (https://, s3://, gs://, sftp://, ...).
    """


def file_argument(command: F) -> F:
    """Add the FILE argument, and --part for the other files of a split dump."""
    text = "Another part of a split dump; repeat it for each."
    command = click.option("--part", multiple=True, type=click.Path(), metavar="FILE", expose_value=False,
                           callback=_remember_parts, help=text)(command)  # fmt: skip
    command = click.option("--cache-index", is_flag=True, expose_value=False, callback=_remember_cache_index,
                           help="Keep the index of a flattened file beside it, for the next command.")(command)  # fmt: skip
    command = verbose_option(command)
    return click.argument("file", type=click.Path(), metavar="FILE")(command)


def _remember_parts(context: click.Context, _: click.Parameter, parts: tuple[str, ...]) -> None:
    context.meta[PARTS] = parts


def _remember_cache_index(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    context.meta[CACHE_INDEX] = wanted


def frame_options(command: F) -> F:
    """Add FILE, --format, -o and --limit."""
    command = click.option("--limit", type=click.IntRange(0), metavar="ROWS",
                           help="Rows shown at most; 0: all. On a terminal 200 unless told otherwise.")(command)  # fmt: skip
    command = click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE",
                           help="Write to this file, replaced in one step.")(command)  # fmt: skip
    command = click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True,
                           help="table is for people, the others for programs.")(command)  # fmt: skip
    return file_argument(command)


def dump_option(command: F) -> F:
    """Add --dump."""
    text = "Which device dump: by name, PCI address or index, or all. Default: the first."
    return click.option("--dump", "which", metavar="NAME|INDEX|all", shell_complete=names.dumps, help=text)(command)


def chosen_dumps(opened: OpenedFile, which: str | None) -> list[tuple[int, Any]]:
    """Return (index, dump) of what --dump names; without it the first, and a line on stderr where there are more."""
    dumps = opened.device_dumps
    if which == "all":
        return list(enumerate(dumps))
    if which is None:
        first = dumps[0]
        if len(dumps) > 1:
            note(f"{first.name}: the first of {plural(len(dumps), 'device dump')}; --dump NAME, INDEX or all chooses")
        return [(0, first)]
    there = [dump.name for dump in dumps]
    if which in there:
        return [(there.index(which), dumps[which])]
    key: int | str = int(which) if re.fullmatch(r"-?[0-9]{1,9}", which) else which
    dump = dumps[key]
    return [(list(dumps).index(dump), dump)]


def offered(dump: Any, method: str, path: str) -> Callable[..., Any]:
    """Return a method of the dump's decoder; a clear error where there is no decoder or it does not have the method."""
    try:
        return registry.offered(dump.decode(), method)
    except NotInFileError as error:
        error.path = error.path or path
        raise


def finish(opened: OpenedFile) -> None:
    """Set the exit status by what is known of the file, and say where to read of it."""
    remotes().check()
    problems = opened.problems()
    if problems.damaged:
        errors = sum(p.severity == "error" for p in problems)
        note(
            f"{opened.path}: the file is damaged ({plural(errors, 'problem')}): vmcoredd-lab problems lists what was found"
        )
        sys.exit(1)


def opened_file(path: str) -> OpenedFile:
    """Open FILE, with what --part names."""
    remotes().waiting(path)
    meta = click.get_current_context().meta
    return open_file(path, *meta[PARTS], cache_index=meta[CACHE_INDEX])


def program() -> click.Group:
    """Return the group with all of its commands."""
    from vmcoredd_lab.cli import (  # noqa: F401  registers them
        commands,
        completion,
        convert,
        diff,
        dmesg,
        findings,
        kernel_side,
        make,
        timeline,
    )

    return cli


def main(args: list[str] | None = None) -> NoReturn:
    """Run the program and exit with the documented status."""
    show_with(late_bar)
    try:
        with opened_remotes() as sources:
            status = program().main(args, prog_name=PROGRAM, standalone_mode=False, obj=Remotes(sources))
    except click.exceptions.Abort:
        note("interrupted")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except VmcoreddLabError as error:
        note(f"vmcoredd-lab: {escape(str(error))}")
        sys.exit(error.exit_status)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "vmcoredd_lab":
            raise
        package = error.name.partition(".")[0]
        note(f"vmcoredd-lab: this needs {package}, which is not installed; pip install {package}")
        sys.exit(2)
    except _ReaderGone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        note("interrupted")
        sys.exit(130)
    except MemoryError:
        note("vmcoredd-lab: not enough memory for this part of the file; extract writes it without reading it whole")
        sys.exit(5)
    sys.exit(status if isinstance(status, int) else 0)
