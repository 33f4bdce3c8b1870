"""``make``: a test vmcore that tells a story."""

from __future__ import annotations

import re

import click

from vmcoredd_lab.cli import names
from vmcoredd_lab.cli.main import cli
from vmcoredd_lab.errors import UsageError

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
FORMATS = ("elf", "kdump", "flattened-elf", "flattened-kdump", "device-dump")


@cli.command()
@click.argument("scenario", required=False, shell_complete=names.scenarios)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="The file to write, replaced in one step."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="elf", show_default=True,
              help="device-dump: what ethtool -w writes of one adapter.")  # fmt: skip
@click.option(
    "--compression", type=click.Choice(["zlib", "lzo", "snappy", "zstd"]), help="Of the pages of a kdump format."
)
@click.option("--chip", type=click.Choice(["T4", "T5", "T6"]), default="T6", show_default=True)
@click.option(
    "--adapters", type=click.IntRange(1, 16), default=1, show_default=True, help="What happens befalls the first."
)
@click.option(
    "--size",
    default="64M",
    show_default=True,
    metavar="BYTES",
    help="Memory of the machine, e.g. 64M, 1T; zeros are holes.",
)
@click.option("--collection", type=click.Choice(["zlib", "none"]), default="zlib", show_default=True,
              help="How the driver stores what it collects.")  # fmt: skip
@click.option(
    "--fail", multiple=True, metavar="ENTITY", help="Let the collection of an entity fail; repeat it for each."
)
@click.option("--hostile", is_flag=True, help="Names, formats and log lines that want to harm a reader.")
@click.option("--flip", "flips", type=click.IntRange(0), default=0, metavar="BITS", help="Turn over bits of the file.")
@click.option("--cut", metavar="BYTES|PERCENT%", help="Keep only the beginning of the file.")
@click.option("--list", "listed", is_flag=True, help="List the scenarios.")
def make(
    scenario: str | None, output: str | None, seed: int, form: str, compression: str | None, chip: str, adapters: int,
    size: str, collection: str, fail: tuple[str, ...], hostile: bool, flips: int, cut: str | None, listed: bool,
) -> None:  # fmt: skip
    """Make a test vmcore: SCENARIO is what happened, see --list and docs/scenarios.md.

    Kernel log, firmware log, registers, contexts and counters agree in time and content.
    """
    from vmcoredd_lab.scenarios import TALES, Damage, write_scenario

    if listed:
        for name, tale in TALES.items():
            click.echo(f"{name:16}  {tale.title}")
        return
    if scenario is None or output is None:
        raise UsageError("make needs a scenario and -o FILE", expected=", ".join(TALES))
    damage = Damage(fail=fail, hostile=hostile, flips=flips, cut=cut)
    write_scenario(
        scenario, output, format=form, compression=compression, damage=damage, seed=seed, chip=chip, adapters=adapters,
        size=_bytes(size), collection=collection,
    )  # fmt: skip


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]+)([kmgt]?)(?:i?b)?", text.strip().lower())
    if found is None:
        raise UsageError("not a size", expected="bytes, or a number with K, M, G or T", got=text)
    return int(found[1]) * UNITS[found[2]]
