"""The exact command that turns a wrapped vmcore into a plain one."""

from __future__ import annotations

from shlex import quote

from vmcoredd_lab.source.urls import is_url

__all__ = ["MEMBER", "file_name", "unpack_command"]

MEMBER = "tar member "  # begins the layer of an archive; the member's name follows
_FILTERS = {
    "gzip": "gzip -dc",
    "xz": "xz -dc",
    "zstd": "zstd -dc --long=31",
    "bzip2": "bzip2 -dc",
}


def file_name(name: str) -> str:
    """Return what a file is called on this machine: of a URL what comes behind the last slash, as downloading names it."""
    return (name.rstrip("/").rpartition("/")[2] or "vmcore") if is_url(name) else name


def unpack_command(name: str, layers: tuple[str, ...]) -> str:
    """Return the command for a file of this name, wrapped in these layers (``ByteSource.layers``), outermost first.

    >>> unpack_command("a.gz", ("gzip", "flattened"))
    'gzip -dc a.gz | makedumpfile -R vmcore'
    >>> unpack_command("a.tar.xz", ("xz", "tar member crash/vmcore"))
    'tar -xf a.tar.xz crash/vmcore'
    >>> unpack_command("https://host/a.gz", ("gzip",))
    'download https://host/a.gz, then gzip -dc a.gz > vmcore'
    """
    if is_url(name):
        return f"download {name}, then {unpack_command(file_name(name), layers)}"
    steps: list[str] = []
    for layer in layers:
        if layer.startswith("tar"):  # finds out itself how the archive is compressed
            member = layer.removeprefix(MEMBER) if layer.startswith(MEMBER) else ""
            steps = [f"tar -xOf {quote(name)} {quote(member)}" if member else f"tar -xf {quote(name)}"]
        elif layer == "flattened":
            steps.append("makedumpfile -R vmcore" + ("" if steps else f" < {quote(name)}"))
        else:
            steps.append(_FILTERS[layer] + ("" if steps else f" {quote(name)}"))
    if len(steps) == 1 and steps[0].startswith("tar -xOf"):
        return steps[0].replace("-xOf", "-xf", 1)
    text = " | ".join(steps)
    return text if "makedumpfile" in text or text.startswith("tar -xf") else f"{text} > vmcore"
