"""convert: a vmcore in another container."""

from __future__ import annotations

import sys
from typing import Any

import click

from vmcoredd_lab.cli.main import cli, file_argument, finish, opened_file
from vmcoredd_lab.cli.output import note, remark
from vmcoredd_lab.cli.remote import remotes
from vmcoredd_lab.containers.kdump_codecs import COMPRESSIONS
from vmcoredd_lab.errors import NotInFileError
from vmcoredd_lab.problems import Problems
from vmcoredd_lab.text import escape, human_size

__all__ = ["convert"]

FORMATS = ("elf", "kdump", "flattened-elf", "flattened-kdump")
MOST_TOLD = 20  # stretches of memory that cannot be read
PACKED = ("none", *(name for name in COMPRESSIONS if name))


@cli.command()
@file_argument
@click.option("-o", "--output", required=True, metavar="OUT",
              help="The file, which appears when it is whole; - for standard output (flattened formats).")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMATS), default="kdump", show_default=True,
              help="kdump as makedumpfile writes it, elf as /proc/vmcore is laid out; flattened for pipes.")  # fmt: skip
@click.option("--compression", type=click.Choice(PACKED), help="Of the pages of kdump formats. Default: zlib.")
@click.option("--parts", type=click.IntRange(1, 1024), metavar="N", help="A split dump in N files: OUT.1, OUT.2, ...")
@click.option("--machine", metavar="NAME", help="As uname -m names it, where FILE does not say (kdump files of QEMU).")
@click.option("--salvage", is_flag=True,
              help="Leave out memory that cannot be read, as excluded pages are, and say which; status 1. "
              "Else it ends the writing.")  # fmt: skip
def convert(
    file: str, output: str, form: str, compression: str | None, parts: int | None, machine: str | None, salvage: bool
) -> None:
    """Write FILE in another format: ELF, kdump-compressed, flattened, split.

    Notes, device dumps and memory stay what they are. A kdump-compressed file holds whole pages by physical address: of an
    ELF vmcore the virtual addresses are lost.
    """
    if compression and not form.endswith("kdump"):
        raise click.UsageError(f"--compression is for pages of kdump formats, not of {form}")
    from vmcoredd_lab.writer import write_vmcore

    opened = opened_file(file)
    image = opened.vmcore().to_image(machine)
    packed = None if compression == "none" or not form.endswith("kdump") else compression or "zlib"
    target: Any = sys.stdout.buffer if output == "-" else output
    lost, missing = Problems(), "excluded" if salvage else "error"
    try:
        paths = write_vmcore(image, target, form, packed, parts=parts, missing=missing, problems=lost)
    except NotInFileError as error:
        error.hint = f"{error.hint + '; ' if error.hint else ''}--salvage leaves out what cannot be read"
        raise
    for path in paths:
        remark(f"{escape(str(path))}: {human_size(path.stat().st_size)}")
    _tell(lost)
    remotes().check()
    finish(opened)
    if lost.damaged:
        sys.exit(1)


def _tell(lost: Problems) -> None:
    """Say what was left out: the first stretches, and how many more there are."""
    messages = [problem.message for problem in lost]
    for message in messages[:MOST_TOLD]:
        note(message)
    if len(messages) > MOST_TOLD:
        note(f"and {len(messages) - MOST_TOLD:,} more")
