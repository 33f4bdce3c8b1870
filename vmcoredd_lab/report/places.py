"""The places that prove a finding: their bytes, and which part of the report shows what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from vmcoredd_lab import rules
from vmcoredd_lab.errors import VmcoreddLabError
from vmcoredd_lab.opening import OpenedFile
from vmcoredd_lab.report.document import Adapter, Records

__all__ = ["Places"]

HEX_BYTES = 8  # of a place, in its row
LINE, EXCERPT = 16, 64  # bytes of a line of the excerpt, and of all of it
_WORD = re.compile(r"\w+")


class Places:
    """Describes evidence of one opened file; ``events`` are the timeline's, ``logged`` the kernel records that are shown."""

    def __init__(self, opened: OpenedFile, adapters: Sequence[Adapter], events: Records, logged: Iterable[int]) -> None:
        self._opened = opened
        self._adapters = {adapter.name: adapter for adapter in adapters}
        self._events = events
        self._logged = frozenset(logged)

    def describe(self, evidence: rules.Evidence) -> dict[str, Any]:
        """Return a place as the document holds it."""
        start = evidence.offset // LINE * LINE
        wanted = evidence.offset - start + evidence.length
        excerpt = self._bytes(evidence.space, start, min(-(-wanted // LINE) * LINE, EXCERPT))
        own = excerpt[evidence.offset - start :] if excerpt else self._bytes(evidence.space, evidence.offset, HEX_BYTES)
        own = own[: min(evidence.length, HEX_BYTES)] if own else None
        return {
            "space": evidence.space,
            "offset": evidence.offset,
            "length": evidence.length,
            "text": evidence.text,
            "hex": own.hex(" ") if own else None,
            "excerpt_offset": start if excerpt else None,
            "excerpt": excerpt.hex(" ") if excerpt else None,
            "anchor": self._anchor(evidence),
        }

    def _bytes(self, space: str, offset: int, length: int) -> bytes | None:
        """Return bytes of a place, fewer where the space ends; None where they cannot be read."""
        while length > 0:
            try:
                return self._opened.bytes_of(space, offset, length)
            except VmcoreddLabError:
                length -= LINE
        return None

    @cached_property
    def _at(self) -> dict[tuple[str, int], dict[str, Any]]:
        return {(e["space"], e["offset"]): e for e in self._events if e["space"] is not None}

    @cached_property
    def _registers(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for name, adapter in self._adapters.items():
            held = adapter.registers
            if held is not None and "register" in held.columns:
                at = held.columns.index("register")
                found[name] = frozenset(row[at] for row in held.rows)
        return found

    def _anchor(self, evidence: rules.Evidence) -> str | None:
        """Return the id of what shows a place; None where nothing in the report does."""
        event = self._at.get((evidence.space, evidence.offset))
        if event is not None and event["source"] in ("dmesg", "panic") and event["seq"] in self._logged:
            return f"dmesg-{event['seq']}"
        kind, _, rest = evidence.space.partition(":")
        name, _, entity = rest.rpartition("/") if kind == "entity" else (rest, "", "")
        adapter = self._adapters.get(name)
        if adapter is None:
            return "dumps" if kind == "dump" else None
        if event is not None and event["source"] == "firmware" and adapter.firmware_log:
            return f"log-{adapter.index}-{event['seq']}"
        word = _WORD.match(evidence.text)
        if word and word.group() in self._registers.get(name, ()):
            return f"register-{adapter.index}-{word.group()}"
        for one in (entity, word.group() if word else ""):
            if any(row["name"] == one for row in adapter.entities or ()):
                return f"entity-{adapter.index}-{one}"
        return f"adapter-{adapter.index}"
