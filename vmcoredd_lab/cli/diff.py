"""The commands diff and baseline: what differs between two dumps, for people, programs and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vmcoredd_lab.cli.main import chosen_dumps, cli, dump_option, file_argument, finish, frame_options, opened_file
from vmcoredd_lab.cli.output import emit, emit_text, remark
from vmcoredd_lab.opening import OpenedFile, open_file
from vmcoredd_lab.tables import Table
from vmcoredd_lab.text import human_size, plural

__all__: list[str] = []

SHOWN = 6  # rows of one register or entity that people are shown unless they ask for more


@cli.command()
@frame_options
@click.argument("other", metavar="[FILE_B]", required=False)
@dump_option
@click.option(
    "--dump-b", metavar="NAME|INDEX", help="Which device dump of FILE_B; with --dump alone that of the same name."
)
@click.option(
    "--only", multiple=True, metavar="GLOB", help="Only this class, block, entity or register; repeat it for more."
)
@click.option(
    "--ignore", multiple=True, metavar="GLOB", help="Not this class, block, entity or register; repeat it for more."
)
@click.option(
    "--detail", is_flag=True, help="List pointers, samples and internal states one by one instead of counting them."
)
def diff(file: str, form: str, output: str | None, limit: int | None, other: str | None, which: str | None,
         dump_b: str | None, only: tuple[str, ...], ignore: tuple[str, ...], detail: bool) -> None:  # fmt: skip
    """What differs between two dumps: configuration first, then status, counters, logs, pointers and samples.

    FILE and FILE_B are vmcores, device dump files or baselines (see the baseline command). Without FILE_B two device dumps of
    FILE are compared: --dump and --dump-b, else the first two. -o OUT.html writes a page.
    """
    from vmcoredd_lab.analysis.diff import diff_table

    a, b = _sides(file, other, which, dump_b)
    table = diff_table(a[1], b[1], only=only, ignore=ignore, detail=detail)
    if output and Path(output).suffix.lower() in (".html", ".htm"):
        from vmcoredd_lab.report.diff_page import render_diff

        emit_text(render_diff(table), output)
        remark(f"{output}  {human_size(Path(output).stat().st_size)}")
    elif form == "table":
        emit_text("".join(f"{line}\n" for line in _lines(table, SHOWN if limit is None else limit)), output)
    else:
        emit(table, form, output, limit)
    for opened in dict.fromkeys(o for o, _ in (a, b) if o is not None):
        finish(opened)


_Side = tuple[OpenedFile | None, Any]


def _sides(file: str, other: str | None, which: str | None, dump_b: str | None) -> tuple[_Side, _Side]:
    """Return each side: the file opened, if it is one that has problems, and what is compared."""
    from vmcoredd_lab.analysis.diff.baseline import is_baseline, load_baseline

    if is_baseline(file):
        left: _Side = (None, load_baseline(file))
    else:
        opened = opened_file(file)
        left = (opened, opened)
    if other is None:
        if left[0] is None:
            raise click.UsageError("a baseline is compared with something: give FILE_B")
        return _of_one(left[0], which, dump_b)
    if is_baseline(other):
        right: _Side = (None, load_baseline(other))
    else:
        opened_b = open_file(other)
        right = (opened_b, opened_b)
    if which is not None or dump_b is not None or left[0] is None or right[0] is None:
        left = _chosen(left, which)
        right = _chosen(right, dump_b if dump_b is not None else which)
    return left, right


def _of_one(opened: OpenedFile, which: str | None, dump_b: str | None) -> tuple[_Side, _Side]:
    """Return two device dumps of one file."""
    if which is None and dump_b is None and len(opened.device_dumps) != 2:
        raise click.UsageError(
            f"{opened.path} has {plural(len(opened.device_dumps), 'device dump')}: give FILE_B, or --dump and --dump-b"
        )
    return _chosen((opened, opened), which or "0"), _chosen((opened, opened), dump_b or "1")


def _chosen(side: _Side, which: str | None) -> _Side:
    opened = side[0]
    if opened is None:
        return side
    if which == "all":
        raise click.UsageError("--dump all does not go with one device on the other side")
    return opened, chosen_dumps(opened, which)[0][1]


def _lines(table: Table, shown: int) -> Iterator[str]:
    """Yield the differences for people: what was compared, how much differs, then class by class."""
    from vmcoredd_lab.analysis.diff.groups import sections

    yield f"A  {table.attrs['a']}"
    yield f"B  {table.attrs['b']}"
    if table.attrs.get("note"):
        yield str(table.attrs["note"])
    found = sections(table, shown)
    if not found:
        yield "nothing differs"
    elif not table.attrs["chosen"] and not any(section.kind == "config" for section in found):
        yield "no difference in configuration"
    dump = None
    for section in found:
        if section.dump != dump:
            dump = section.dump
            yield ""
            yield f"{dump}"
        yield ""
        yield f"{section.title}  ({section.count:,})"
        for group in section.groups:
            yield from _group(group)


def _group(group: Any) -> Iterator[str]:
    single = len(group.rows) == 1 and not group.more
    if not single:
        yield f"  {group.what}"
    for row in group.rows:
        name = " ".join(filter(None, [group.what if single else "", row["key"], row["field"]]))
        change = f"{_short(row['a'])} -> {_short(row['b'])}" if row["a"] is not None or row["b"] is not None else ""
        delta = "" if row["delta"] is None else f"({row['delta']:+,})"
        text = "  ".join(filter(None, [name, change, delta, row["note"]]))
        yield f"{'  ' if single else '    '}{text}"
    if group.more:
        yield f"    ... and {group.more:,} more; --limit 0 shows all"


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= 60 else f"{value[:57]}..."


@cli.command()
@file_argument
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), required=True, metavar="OUT", help="Replaced in one step."
)
@dump_option
def baseline(file: str, output: str, which: str | None) -> None:
    """Save what diff needs of one device dump, to compare later dumps with."""
    from vmcoredd_lab.analysis.diff import save_baseline

    opened = opened_file(file)
    if which == "all":
        raise click.UsageError("a baseline is of one device dump: --dump NAME or INDEX")
    size = save_baseline(chosen_dumps(opened, which)[0][1], output)
    remark(f"{output}  {human_size(size)}")
    finish(opened)
