"""Jinja2 for reports: everything is escaped, and a team's own template runs in Jinja2's sandbox."""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from vmcoredd_lab import __version__
from vmcoredd_lab.errors import UsageError
from vmcoredd_lab.kernel.printed import readable, stamp
from vmcoredd_lab.text import escape, human_size, plural

__all__ = ["render_template"]

OWN = "report.html.j2"
LINE = 16  # bytes of a line of an excerpt


def render_template(path: str | os.PathLike[str] | None, **context: Any) -> str:
    """Return the text of a template; without a path of the package's own.

    The templates of the package can be extended and included by name; so can those beside ``path``.

    Raises
    ------
    UsageError: the template cannot be read, is no Jinja2 template, does what the sandbox forbids, or asks for what there is not.
    """
    from jinja2 import ChoiceLoader, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    own = PackageLoader("vmcoredd_lab.report")
    folder = Path(path).parent if path is not None else None
    environment = ImmutableSandboxedEnvironment(
        loader=own if folder is None else ChoiceLoader([FileSystemLoader(folder), own]), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, bytecode_cache=_byte_code() if path is None else None,
    )  # fmt: skip
    environment.filters |= {
        "hex": _hexadecimal,
        "number": lambda v: "" if v is None else f"{v:,}",
        "size": lambda v: "" if v is None else human_size(v),
        "readable": readable,
        "stamp": stamp,
        "plain": lambda v: "" if v is None else escape(str(v)),
        "excerpt": _excerpt,
    }
    context["plural"] = plural
    if path is None:
        return environment.get_template(OWN).render(context)
    try:
        if not Path(path).is_file():
            raise UsageError("no such template", path=str(path))
        return environment.get_template(Path(path).name).render(context)
    except (TemplateError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        at = f"line {line}: " if line else ""
        raise UsageError(
            f"the template cannot be rendered: {at}{error}", path=str(path),
            hint="docs/reports.md lists what a template is given",
        ) from None  # fmt: skip


def _byte_code() -> Any:
    """Return where the byte code of the package's own templates is kept; None where Python keeps none either.

    Compiling them takes as long as importing NumPy.
    """
    from importlib.metadata import version

    from jinja2 import FileSystemBytecodeCache

    class ByteCode(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Any) -> None:
            with contextlib.suppress(OSError):  # a full disk, a folder that is not ours: then it is compiled each time
                super().dump_bytecode(bucket)

    if sys.dont_write_bytecode:
        return None
    try:
        kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = kept / "vmcoredd-lab" / f"templates-{__version__}-jinja2-{version('jinja2')}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except (OSError, RuntimeError):
        return None
    ours = found.st_uid == os.geteuid() and not found.st_mode & 0o022  # byte code of others is not run
    return ByteCode(str(folder)) if ours else None


def _hexadecimal(value: int | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:#0{digits + 2}x}"


def _excerpt(place: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a place's excerpt: address, runs of bytes that belong to the place or do not, and text."""
    data = bytes.fromhex(place["excerpt"])
    start = place["excerpt_offset"]
    own = range(place["offset"], place["offset"] + place["length"])
    lines = []
    for at in range(0, len(data), LINE):
        row = data[at : at + LINE]
        marked = [(start + at + n in own, f"{byte:02x}") for n, byte in enumerate(row)]
        runs = [(is_own, [text for _, text in group]) for is_own, group in groupby(marked, lambda one: one[0])]
        lines.append({
            "address": f"{start + at:08x}",
            "parts": [{"own": is_own, "bytes": " ".join(texts)} for is_own, texts in runs],
            "text": "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row),
        })  # fmt: skip
    return lines
