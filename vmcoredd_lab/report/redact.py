"""Take out of a document what a vendor need not know: names of hosts, network addresses, serials, memory.

Everything is taken out twice: by where it stands (a column of addresses, the bytes of a place) and by what it looks like in
any text. The same name becomes the same word everywhere, ``[mac 1]``, so that lines can still be brought together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

from vmcoredd_lab.package_data import package_text
from vmcoredd_lab.report.document import Adapter, Cpus, Differences, Document, Registers

__all__ = ["redact"]

# Keys of records whose values are addresses or bytes of memory, whatever they look like.
REMOVED_KEYS = frozenset((
    "vaddr", "paddr", "hex", "excerpt", "excerpt_offset", "instruction_pointer", "pc", "sp",
))  # fmt: skip
# Registers, and entities and fields of a comparison, that hold addresses, keys, frames or memory of the host.
PRIVATE_REGISTER = re.compile(
    r"MAC_?ID|MAC_?ADDR|_DA_|ADDR|KEY|SECRET|_DATA|BASE|_IP_|IPV?6|IPV?4|DSN|SERIAL|EPIO|TRC|TRACE|MBOX|MAILBOX|_MATCH|_DW",
    re.IGNORECASE,
)
PRIVATE_ENTITY = re.compile(
    r"vpd|tcam|context|mbox|qdesc|edc|mc\d|hma|memory|flash|cim_la|cim_[io]bq|pif|tp_la|rss_key|ulp|pbt|pcie_config|command"
)
IDENTITY = {"serial number": "serial", "part number": "part", "MAC address": "mac"}

# Lines of show_regs(): the numbers in them are addresses or data.
_REGISTER_LINE = re.compile(r"\b(?:[RE][A-Z0-9]{1,2}|CR\d|FS|GS|x\d+|sp|pc|lr)\s*:")
KNOWN, SHORTEST = 100, 4  # names that are looked for everywhere, and letters of a name that a message gave
_COMMON = frozenset(("localhost", "(none)", "none", "linux", "unknown"))


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return kind and form of what is private in any text, in the order of use; a group is what is replaced, else all."""
    lines = package_text("vmcoredd_lab.report", "data", "private_text.tsv").splitlines()[1:]
    return [(kind, re.compile(pattern)) for kind, pattern in (line.split("\t", 1) for line in lines)]


def redact(document: Document) -> Document:
    """Return the document without host names, network addresses, serials, addresses in memory and bytes of memory.

    What is kept: offsets in the file, addresses of registers on the adapter, PCI addresses, versions, messages. Of registers that
    hold addresses, keys or data the value is taken out.
    """
    versions = {adapter.identity["firmware"] for adapter in document.adapters if adapter.identity.get("firmware")}
    names = _Names(_known(document), versions)
    found = replace(
        document,
        title="vmcore" if document.title in str(document.vmcore["file"]) else document.title,
        vmcore=document.vmcore | {"file": "vmcore", "host": None},
        adapters=[_adapter(adapter) for adapter in document.adapters],
        cpus=_cpus(document.cpus) if document.cpus else None,
        differences=[_differences(pair) for pair in document.differences],
        redacted=True,
    )
    # twice: a host's name may stand alone before the line that says whose it is
    cleaned: Document = _walk(_walk(found, names.clean), names.clean)
    return cleaned


def _known(document: Document) -> Iterator[tuple[str, str]]:
    """Yield kind and text of what the document itself says is private."""
    host = str(document.vmcore.get("host") or "")
    for one in dict.fromkeys((host, host.split(".", maxsplit=1)[0])):
        if len(one) > 1 and one.lower() not in _COMMON:
            yield "host", one
    for adapter in document.adapters:
        for label, kind in IDENTITY.items():
            if adapter.identity.get(label):
                yield kind, adapter.identity[label]
        if adapter.identity.get("MAC address"):
            yield "mac", adapter.identity["MAC address"].replace(":", "")


class _Names:
    """Gives each private text its word, by order of appearance; ``versions`` look like IP addresses and are none."""

    def __init__(self, known: Iterator[tuple[str, str]], versions: set[str]) -> None:
        self._versions = versions
        self._words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._known: dict[str, tuple[str, re.Pattern[str]]] = {}
        for kind, text in known:
            self._learn(kind, text)

    def _learn(self, kind: str, text: str) -> None:
        """Take out a text wherever it stands from now on."""
        key = text.lower()
        if key not in self._known and key not in _COMMON and len(self._known) < KNOWN:
            form = rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])"
            self._known[key] = (kind, re.compile(form, re.IGNORECASE))

    def word(self, kind: str, text: str) -> str:
        """Return what stands for a text; of memory and command lines nothing can be told apart."""
        if kind in ("memory", "command line", "address"):
            return f"[{kind} removed]"
        key = (kind, text.lower())
        if key not in self._words:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._words[key] = f"[{kind} {self._counts[kind]}]"
        return self._words[key]

    def clean(self, text: str) -> str:
        """Return a text with every private part replaced."""
        for kind, pattern in list(self._known.values()):
            text = pattern.sub(lambda m, kind=kind: self.word(kind, m[0]), text)  # type: ignore[misc]
        for kind, pattern in _patterns():
            text = pattern.sub(lambda m, kind=kind: self._part(kind, m), text)  # type: ignore[misc]
        if _REGISTER_LINE.search(text):
            text = re.sub(r"(?i)\b[0-9a-f]{8,}\b", "[address removed]", text)
        return text

    def _part(self, kind: str, found: re.Match[str]) -> str:
        group = 1 if found.re.groups and kind != "mac" else 0
        if found[group].startswith("[") or found[group] in self._versions:
            return found[0]  # replaced already, or not private
        if kind == "host" and len(found[group]) >= SHORTEST:
            self._learn(kind, found[group])
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0][:start] + self.word(kind, found[group]) + found[0][end:]


def _walk(value: Any, clean: Callable[[str], str]) -> Any:
    """Return a document's value with every text cleaned and what stands under a private key taken out."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {k: None if k in REMOVED_KEYS else _walk(v, clean) for k, v in value.items()}
    if isinstance(value, list):
        return [_walk(one, clean) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Registers):
            return value
        return replace(value, **{one.name: _walk(getattr(value, one.name), clean) for one in fields(value)})
    return value


def _adapter(adapter: Adapter) -> Adapter:
    if adapter.registers is None:
        return adapter
    columns = adapter.registers.columns
    name, value = columns.index("register"), columns.index("value")
    rows = [
        [None if at == value and PRIVATE_REGISTER.search(row[name] or "_DATA") else one for at, one in enumerate(row)]
        for row in adapter.registers.rows
    ]
    return replace(adapter, registers=Registers(columns, rows))


def _cpus(cpus: Cpus) -> Cpus:
    private = {*cpus.registers, *cpus.telling}
    return replace(
        cpus, rows=[{k: None if k in private and k != "cpu" else v for k, v in row.items()} for row in cpus.rows]
    )


def _differences(pair: Differences) -> Differences:
    """Return a comparison without the values of private registers and entities."""

    def row(one: dict[str, Any]) -> dict[str, Any]:
        what = str(one["what"])
        private = PRIVATE_REGISTER.search(what) if one.get("block") else PRIVATE_ENTITY.search(what.lower())
        gone = dict.fromkeys(("a", "b", "value_a", "value_b", "delta", "key", "note"))
        return one | gone | {"note": "removed"} if private else one

    sections = [
        section | {"groups": [group | {"rows": [row(one) for one in group["rows"]]} for group in section["groups"]]}
        for section in pair.sections
    ]
    return replace(pair, sections=sections)
