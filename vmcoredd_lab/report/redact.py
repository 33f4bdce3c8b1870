"""Take out of a document what a vendor need not know: names of hosts, network addresses, serials, memory.

Everything is taken out twice: by where it stands (a column of addresses, the bytes of a place) and by what it looks like in
any text. The same name becomes the same word everywhere, ``[mac 1]``, so that lines can still be brought together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from vmcoredd_lab.report.document import Adapter, Cpus, Differences, Document, Registers
from vmcoredd_lab.report.private_names import SHORTEST, PrivateNames

__all__ = ["redact"]

# Keys of records whose values are addresses or bytes of memory, whatever they look like.
REMOVED_KEYS = frozenset((
    "vaddr", "paddr", "hex", "excerpt", "excerpt_offset", "instruction_pointer", "pc", "sp",
))  # fmt: skip
# Registers, and entities and fields of a comparison, that hold addresses, keys, frames or memory of the host.
PRIVATE_REGISTER = re.compile(
    r"MAC_?ID|MAC_?ADDR|MACB_SPECIFIC|_DA_|ADDR|KEY|SECRET|_DATA|R[DW]?DATA|WDATA|DEBUGDATA|BASE|_IP_|IPV?6|IPV?4|DSN|SERIAL|EFUSE"
    r"|EPIO|TRC|TRACE|MBOX|MAILBOX|_MATCH|_DW|TCAM_[XY]|CLS_SRAM|VLAN|HASH_(?:HIGH|LOW|SRAM)|REQHDR|HDR_(?:HI|LO)$|DBGI_R",
    re.IGNORECASE,
)
PRIVATE_ENTITY = re.compile(
    r"vpd|tcam|context|mbox|qdesc|edc|mc\d|hma|memory|flash|cim_la|cim_[io]bq|pif|tp_la|rss_key|ulp|pbt|pcie_config|command"
)
IDENTITY = {
    "serial": re.compile(r"serial|asset|service.?tag", re.IGNORECASE), "part": re.compile(r"part", re.IGNORECASE),
    "mac": re.compile(r"\bmac\b|hardware address|ethernet", re.IGNORECASE), "ip": re.compile(r"\bip\b|ipv[46]", re.IGNORECASE),
    "name": re.compile(r"ww[np]n|guid|uuid", re.IGNORECASE), "host": re.compile(r"\bhost", re.IGNORECASE),
}  # fmt: skip


def redact(document: Document) -> Document:
    """Return the document without host names, network addresses, serials, addresses in memory and bytes of memory.

    What is kept: offsets in the file, addresses of registers on the adapter, PCI addresses, versions, messages. Of registers that
    hold addresses, keys or data the value is taken out.
    """
    names = PrivateNames(_known(document), _public(document))
    found = replace(
        document,
        title="vmcore" if document.title in str(document.vmcore["file"]) else document.title,
        vmcore=document.vmcore
        | {
            "file": "vmcore",
            "host": None,
            "domain": None,
            "layers": [_layer(one) for one in document.vmcore["layers"]],
        },
        cpus=_cpus(document.cpus) if document.cpus else None,
        differences=[_differences(pair) for pair in document.differences],
        redacted=True,
    )
    # twice: a name may stand alone before the line that says whose it is
    once = _walk(found, names.clean)
    names.settle()
    cleaned: Document = _walk(once, names.clean)
    numbers = names.numbers()
    return replace(cleaned, adapters=[_adapter(adapter, numbers) for adapter in cleaned.adapters])


def _layer(text: str) -> str:
    """Return what a file is wrapped in without the name of a member of an archive."""
    return re.sub(r"^(\w+ member) .*", r"\1", text, flags=re.DOTALL)


def _public(document: Document) -> Iterator[str]:
    """Yield what looks like an address or a name and is none: versions, as the adapters and the kernel state them."""
    for adapter in document.adapters:
        if adapter.identity.get("firmware"):
            yield adapter.identity["firmware"]
    if document.vmcore.get("kernel_release"):
        yield document.vmcore["kernel_release"]


def _known(document: Document) -> Iterator[tuple[str, str]]:
    """Yield kind and text of what the document itself says is private."""
    host = str(document.vmcore.get("host") or "")
    label, _, domain = host.partition(".")
    for one in dict.fromkeys((host, label, domain, str(document.vmcore.get("domain") or ""))):
        if len(one) > 1:
            yield "host", one
    name = re.split(r"[\\/]", str(document.vmcore["file"]))[-1]
    if len(name) >= SHORTEST and any(name in adapter.name for adapter in document.adapters):
        yield "file", name  # a bare device dump is called as its file
    for adapter in document.adapters:
        for text, value in adapter.identity.items():
            kind = next((kind for kind, form in IDENTITY.items() if form.search(text)), None)
            if kind and len(value) >= SHORTEST:
                yield kind, value


def _walk(value: Any, clean: Callable[[str], str]) -> Any:
    """Return a document's value with every text cleaned and what stands under a private key taken out."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(k): None if k in REMOVED_KEYS else _walk(v, clean) for k, v in value.items()}
    if isinstance(value, list):
        return [_walk(one, clean) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Registers):
            return value
        return replace(value, **{one.name: _walk(getattr(value, one.name), clean) for one in fields(value)})
    return value


def _adapter(adapter: Adapter, numbers: frozenset[int]) -> Adapter:
    """Return an adapter without the values of private registers; ``numbers`` are private wherever they are found."""
    if adapter.registers is None:
        return adapter
    columns = adapter.registers.columns
    name, value = columns.index("register"), columns.index("value")
    rows = [
        [*row[:value], None, *row[value + 1 :]]
        if row[value] in numbers or PRIVATE_REGISTER.search(row[name] or "_DATA")
        else row
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
