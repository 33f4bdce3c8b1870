#!/usr/bin/env python3
"""Write docs/cli.md and the manual page docs/vmcoredd-lab.1 from the commands' own declarations.

usage: make_cli.py [--check]      (--check: say whether the files are up to date, write nothing)
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from made import keep

from vmcoredd_lab import __version__
from vmcoredd_lab.cli.main import EPILOG, PROGRAM, program

HERE = Path(__file__).resolve().parent
PAGE, MANUAL = HERE / "cli.md", HERE / "vmcoredd-lab.1"
ON_PAPER = ("-v", "--cache-index", "--part", "--format", "-o", "--limit")  # options that many commands share come last

INTRO = """# The command line

Made from the commands' own declarations by `docs/make_cli.py`, as is the manual page (`man vmcoredd-lab`).

FILE is a vmcore (ELF, or makedumpfile's kdump-compressed format; flattened, split and packed ones too) or a bare device dump as
`ethtool -w` writes it; a path, or [a URL](remote.md). `python -m vmcoredd_lab` is the same program.

Tables are for people as `table`, for programs as `csv`, `json` (a list of records; missing is null, integers are exact) or
`parquet`. What is printed goes to stdout, what is said of it to stderr. Progress, what was written and hints are for terminals:
in a pipe, a hook or cron there are none.

"""
ENVIRONMENT = (
    ("SOURCE_DATE_EPOCH", "Seconds since 1970 that report prints as its date instead of now."),
    ("NO_COLOR", "Where it is set nothing on a terminal is coloured."),
    ("AWS_PROFILE, FSSPEC_S3, ...", "Access to remote files is configured as for the packages that read them."),
)
EXAMPLES = (
    ("vmcoredd-lab info vmcore", "what happened, on one screen"),
    ("vmcoredd-lab findings vmcore", "what is wrong, worst first"),
    ("vmcoredd-lab firmware-log vmcore --dump all | tail", "the last words of every firmware"),
    ("vmcoredd-lab registers vmcore --register PCIE_FW", "one register, field by field"),
    ("vmcoredd-lab report vmcore -o - | jq '.findings[0].title'", "the report as JSON, for a program"),
    ('eval "$(vmcoredd-lab completion bash)"', "let the shell complete commands and names"),
)


def statuses() -> list[tuple[str, str]]:
    """Each exit status and what it means, of the text that --help ends with."""
    return re.findall(r"(\d) ([^;.]+)", EPILOG.partition(":")[2])


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a help text, a line each."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]


def value(param: click.Parameter) -> str:
    """What an option takes: its metavar, its choices or its type; nothing where it is a flag."""
    if isinstance(param, click.Option) and param.is_flag:
        return ""
    if param.metavar:
        return param.metavar
    if isinstance(param.type, click.Choice):
        return "|".join(map(str, param.type.choices))
    return {"integer": "N", "integer range": "N", "text": "TEXT", "file": "FILE"}.get(
        param.type.name, param.type.name.upper()
    )


def meaning(option: click.Option) -> str:
    """Its help, and what holds without it."""
    text = option.help or {"--format": "table is for people, the others for programs.", "--limit": "Rows shown at most.",
                           "-o": "Write to this file, replaced in one step."}.get(option.opts[0], "")  # fmt: skip
    default = option.default
    if option.show_default and isinstance(default, str | int) and not isinstance(default, bool):
        text += f" Default: {default}."
    if option.required:
        text += " Must be given."
    return text.strip()


def options(command: click.Command) -> list[click.Option]:
    """The options of a command, its own before those that many share."""
    found = [p for p in command.params if isinstance(p, click.Option)]
    return sorted(found, key=lambda o: next((ON_PAPER.index(n) for n in o.opts if n in ON_PAPER), -1))


def names(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def usage(name: str, command: click.Command) -> str:
    words = [PROGRAM, name]
    for param in command.params:
        if isinstance(param, click.Argument):
            word = value(param) if param.metavar else (param.name or "").upper()
            words.append(word if param.required or word.startswith("[") else f"[{word}]")
    return " ".join([*words, "[OPTIONS]"])


def commands() -> Iterator[tuple[str, click.Command]]:
    group = program()
    context = click.Context(group, info_name=PROGRAM)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command


# -- the page ---------------------------------------------------------------------------------------------------------


def cell(text: str) -> str:
    """Text of a help as Markdown: options as code."""
    text = text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")
    return re.sub(r"(?<![\w`-])(--?[a-z][a-z-]*)", r"`\1`", text)


def page() -> str:
    lines = [INTRO + "| command | |", "| --- | --- |"]
    lines += [f"| [`{name}`](#{name}) | {cell(paragraphs(command.help or '')[0])} |" for name, command in commands()]
    lines += [
        "",
        "## Exit status",
        "",
        "| status | |",
        "| --- | --- |",
        *(f"| {n} | {text} |" for n, text in statuses()),
    ]
    lines += ["", "Where several apply the highest counts.", ""]
    for name, command in commands():
        lines += [f"## {name}", "", "```text", usage(name, command), "```", ""]
        for text in paragraphs(command.help or ""):
            lines += [cell(text), ""]
        lines += ["| option | |", "| --- | --- |"]
        for option in options(command):
            spelled = ", ".join(f"`{n}`" for n in names(option)) + (f" `{value(option)}`" if value(option) else "")
            lines.append(f"| {spelled.replace('|', chr(92) + '|')} | {cell(meaning(option))} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# -- the manual -------------------------------------------------------------------------------------------------------


def roff(text: str) -> str:
    """Text as troff takes it: hyphens that are hyphens, and no line that begins with a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in ".'" else text


def manual() -> str:
    group = program()
    lines = [
        f'.\\" Made by docs/make_cli.py from the commands of {PROGRAM}.',
        f'.TH VMCOREDD\\-LAB 1 "" "vmcoredd_lab {__version__}" "User Commands"', ".SH NAME",
        f"{roff(PROGRAM)} \\- device dumps in Linux vmcores: registers, firmware log and on\\-chip memory", ".SH SYNOPSIS",
        f".B {roff(PROGRAM)}", ".RI [ OPTIONS ]", ".I COMMAND FILE", ".RI [ OPTIONS ]", ".SH DESCRIPTION",
    ]  # fmt: skip
    for text in paragraphs(group.help or ""):
        lines += [roff(text), ".PP"]
    lines += ["Every command takes", ".BR \\-h .", ".SH COMMANDS"]
    for name, command in commands():
        lines.append(f".SS {roff(usage(name, command).removeprefix(PROGRAM + ' '))}")
        for i, text in enumerate(paragraphs(command.help or "")):
            lines += [".PP"] * bool(i) + [roff(text)]
        for option in options(command):
            spelled = ", ".join(f"\\fB{roff(n)}\\fR" for n in names(option))
            lines += [".TP", spelled + (f" \\fI{roff(value(option))}\\fR" if value(option) else "")]
            lines.append(roff(meaning(option)))
    lines.append(".SH EXIT STATUS")
    for number, text in statuses():
        lines += [".TP", f".B {number}", roff(text)]
    lines.append(".SH ENVIRONMENT")
    for variable, text in ENVIRONMENT:
        lines += [".TP", f".B {roff(variable)}", roff(text)]
    lines.append(".SH EXAMPLES")
    for line, text in EXAMPLES:
        lines += [".TP", f".B {roff(line)}", roff(text)]
    lines += [".SH SEE ALSO", ".BR crash (8),", ".BR makedumpfile (8),", ".BR kdump (5),", ".BR ethtool (8)"]
    return "\n".join(lines) + "\n"


def main() -> None:
    keep({PAGE: page(), MANUAL: manual()}, f"{len(list(commands()))} commands")


if __name__ == "__main__":
    main()
