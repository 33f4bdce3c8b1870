"""Private texts and what stands for them: the same name becomes the same word in every form that it is written in."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Iterator
from functools import cache

from vmcoredd_lab.package_data import package_text

__all__ = ["SHORTEST", "PrivateNames"]

KNOWN, SHORTEST = 400, 4  # names that are looked for everywhere, and letters of a name that a message gave
_COMMON = frozenset((
    "localhost", "localdomain", "localhost.localdomain", "(none)", "none", "linux", "unknown", "root", "kernel", "mockbuild",
    "builder", "builduser", "user", "default", "name", "null", "true", "false", "removed",
    "::", "::1", "0.0.0.0", "127.0.0.1",  # noqa: S104  addresses that every machine has
))  # fmt: skip
_ALIKE = ("memory", "command line", "address", "secret")  # of these nothing is told apart
_LEARNT = ("host", "serial", "mac", "ip", "user", "name", "uuid", "part", "file")
_EDGE, _END = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_BETWEEN = r"(?:,? ?0x|[ :.\-])?"  # bytes in hexadecimal

_TELLING = re.compile(
    r"(?=.*[a-z])(?=.*[\d_-]).{4}|.{8}", re.IGNORECASE
)  # of a host's first label: it is no common word
# Lines of show_regs(): the numbers in them are addresses or data.
_REGISTER_LINE = re.compile(r"\b(?:[RE][A-Z0-9]{1,2}|CR\d|FS|GS|[xr]\d+|sp|pc|lr|fp|ip|epc|ra|psr)\s*:")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return kind and form of what is private in any text, in the order of use; a group is what is replaced, else all."""
    lines = package_text("vmcoredd_lab.report", "data", "private_text.tsv").splitlines()[1:]
    return [(kind, re.compile(pattern)) for kind, pattern in (line.split("\t", 1) for line in lines)]


def _bytes_form(data: bytes) -> str:
    return "(?:0x)?" + _BETWEEN.join(f"{byte:02x}" for byte in data)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.split("/", maxsplit=1)[0].split("%", maxsplit=1)[0])
    except ValueError:
        return None


def _canonical(kind: str, text: str) -> str:
    """Return what two spellings of one name have in common."""
    if kind == "mac":
        return re.sub(r"[^0-9a-f]", "", text.lower())
    if kind == "ip":
        found = _address(text)
        return str(found) if found is not None else text.lower()
    return text.lower()


def _forms(kind: str, text: str) -> Iterator[str]:
    """Yield regular expressions of the ways in which a name may be written."""
    yield re.escape(text)
    if kind == "mac":
        digits = _canonical(kind, text)
        if len(digits) == 12:
            held = bytes.fromhex(digits)
            yield from (_bytes_form(held), _bytes_form(held[::-1]))
    elif kind == "ip":
        found = _address(text)
        if found is None or found.is_loopback or found.is_unspecified or text.startswith("255."):
            return
        yield from (re.escape(found.exploded), re.escape(found.compressed), _bytes_form(found.packed))
        yield _bytes_form(found.packed[::-1])
    else:
        bare = re.sub(r"[-_ .:]", "", text)
        if bare != text and len(bare) >= SHORTEST:
            yield re.escape(bare)
        if len(text) >= SHORTEST:
            data = text.encode("utf-8", "replace")
            yield _bytes_form(data)
            yield re.escape(base64.b64encode(data)[: len(data) * 8 // 6].decode())


class PrivateNames:
    """Gives each private text its word, by order of appearance; ``public`` are texts that look private and are not."""

    def __init__(self, known: Iterable[tuple[str, str]], public: Iterable[str]) -> None:
        self._public = {text.lower() for text in public}
        self._words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._known: dict[tuple[str, str], str] = {}
        self._cleaned: dict[str, str] = {}
        for kind, text in known:
            self.learn(kind, text)
        self.settle()

    def learn(self, kind: str, text: str) -> None:
        """Take out a text wherever it stands, once :meth:`settle` was called."""
        key = (kind, _canonical(kind, text))
        if (
            key[1] not in _COMMON
            and key[1] not in self._public
            and len(self._known) < KNOWN
            and not text.startswith("[")
        ):
            self._known.setdefault(key, text)

    def settle(self) -> None:
        """Look for what was learnt so far; the longest first, so that a name inside of another does not spoil it."""
        self._cleaned = {}
        entries = sorted(self._known.items(), key=lambda one: -len(one[1]))
        self._keys = [key for key, _ in entries]
        forms = (f"({'|'.join(dict.fromkeys(_forms(kind, text)))})" for (kind, _), text in entries)
        self._every = re.compile(f"{_EDGE}(?:{'|'.join(forms)}){_END}", re.IGNORECASE) if entries else None

    def numbers(self) -> frozenset[int]:
        """Return the words of 32 bits that a register holds of the MAC and IPv4 addresses, in either byte order."""
        held = [bytes.fromhex(canonical) for kind, canonical in self._known if kind == "mac" and len(canonical) == 12]
        parts = [part for one in held for part in (one[:4], one[2:])]
        found = [_address(canonical) for kind, canonical in self._known if kind == "ip"]
        parts += [one.packed for one in found if one is not None and one.version == 4]
        numbers = {int.from_bytes(part, order) for part in parts for order in ("little", "big")}
        return frozenset(number for number in numbers if number >> 16)  # small ones are counts

    def clean(self, text: str) -> str:
        """Return a text with every private part replaced; what it gives away is learnt."""
        found = self._cleaned.get(text)
        if found is None:
            found = self._cleaned[text] = self._clean(text)
        return found

    def _clean(self, text: str) -> str:
        if self._every is not None:
            text = self._every.sub(lambda m: self._word(*self._keys[(m.lastindex or 1) - 1]), text)
        for kind, pattern in _patterns():
            text = pattern.sub(lambda m, kind=kind: self._part(kind, m), text)  # type: ignore[misc]
        if _REGISTER_LINE.search(text):
            text = re.sub(r"(?i)\b[0-9a-f]{8,}\b", "[address removed]", text)
        return text

    def _word(self, kind: str, canonical: str) -> str:
        """Return what stands for a name; of memory, addresses and command lines nothing can be told apart."""
        if kind in _ALIKE:
            return f"[{kind} removed]"
        key = (kind, canonical)
        if key not in self._words:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._words[key] = f"[{kind} {self._counts[kind]}]"
        return self._words[key]

    def _part(self, kind: str, found: re.Match[str]) -> str:
        group = (
            1 if found.re.groups and found[1] is not None and not (kind == "mac" and len(found[1]) < SHORTEST) else 0
        )
        text = found[group]
        if text.startswith("[") or text.lower() in self._public or text.lower() in _COMMON:
            return found[0]  # replaced already, or not private
        if kind == "user" and "@" in text:
            for part in ("user", text.split("@")[0]), ("host", text.split("@")[1].rstrip(".")):
                self._learn_from(*part)
        elif kind in _LEARNT:
            self._learn_from(kind, text.rstrip(".,;:)>'\""))
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0][:start] + self._word(kind, _canonical(kind, text)) + found[0][end:]

    def _learn_from(self, kind: str, text: str) -> None:
        if len(text) < SHORTEST or (kind == "serial" and not any(letter.isdigit() for letter in text)):
            return  # a word like any other
        self.learn(kind, text)
        label, dot, _ = text.partition(".")
        if kind == "host" and dot and _TELLING.search(label):
            self.learn(kind, label)
