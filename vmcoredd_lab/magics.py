"""IPython: the magic ``%vmcore PATH``, and the names of entities and registers completed within quotes."""

from __future__ import annotations

import re
import shlex
from typing import Any

from vmcoredd_lab.devices.dump import DeviceDumps
from vmcoredd_lab.errors import UsageError, VmcoreddLabError

__all__ = ["completions", "load", "open_and_name"]

MOST = 500  # names offered at once
# What stands before the cursor: nic.register("PCIE_F; the owner is a name or names with dots, so that nothing is called.
_CALL = re.compile(
    r"(?P<owner>[A-Za-z_][\w.]*)\.(?P<method>entity|register)\w*\(\s*(?P<quote>[\"'])(?P<typed>[^\"']*)\Z"
)
# The same of a key: core.device_dumps["cxgb
_KEY = re.compile(r"(?P<owner>[A-Za-z_][\w.]*)\[\s*(?P<quote>[\"'])(?P<typed>[^\"']*)\Z")


def load(shell: Any) -> None:
    """Register both with a shell."""
    shell.register_magic_function(lambda line: open_and_name(line, shell.user_ns), "line", "vmcore")
    completer = getattr(shell, "Completer", None)
    if completer is None:
        return
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator,unused-ignore]
    def names(context: Any) -> Any:
        before = (
            context.full_text[: context.cursor_position] if "\n" not in context.full_text else context.text_until_cursor
        )
        typed, found = completions(before, shell.user_ns)
        told = [SimpleCompletion(text=name, type="name") for name in found]
        return {"completions": told, "matched_fragment": typed, "suppress": bool(told)}

    completer.custom_matchers.append(names)


def open_and_name(line: str, names: dict[str, Any]) -> Any:
    """Open a file, bind it to ``core`` (a bare device dump to ``dump``) or to the name that follows, and return it.

    ``%vmcore PATH [NAME]``; a path with blanks in quotes.

    Raises
    ------
    UsageError: not one path and at most one name.
    OpenError: the file cannot be opened.
    """
    from vmcoredd_lab.opening import open_file

    words = shlex.split(line)
    if not 1 <= len(words) <= 2 or (len(words) == 2 and not words[1].isidentifier()):
        raise UsageError("which vmcore?", expected="%vmcore PATH [NAME]", got=f"%vmcore {line}".strip())
    opened = open_file(words[0])
    found: Any = opened.core if opened.core is not None else opened.device_dumps[0]
    names[words[1] if len(words) == 2 else "core" if opened.core is not None else "dump"] = found
    return found


def completions(before: str, names: dict[str, Any]) -> tuple[str, list[str]]:
    """Return what was typed of a name and the names that begin so.

    None where neither a call of an adapter nor a key of device dumps stands before the cursor.
    """
    call = _CALL.search(before) or _KEY.search(before)
    if call is None:
        return "", []
    first, *rest = call["owner"].split(".")
    owner = names.get(first)
    for attribute in rest:
        owner = None if attribute.startswith("_") else getattr(owner, attribute, None)
    typed = call["typed"].lower()
    try:
        known = _names(owner, call.groupdict().get("method", "key"))
    except VmcoreddLabError:
        return "", []
    found = [name for name in known if name.lower().startswith(typed)]
    return call["typed"], found[:MOST]


def _names(owner: Any, method: str) -> list[str]:
    if method == "key":
        return owner._ipython_key_completions_() if isinstance(owner, DeviceDumps) else []
    if method == "register" and hasattr(owner, "registers_table"):
        return list(dict.fromkeys(name for name in owner.registers_table().values("register") if name))
    if method == "entity" and hasattr(owner, "entities_table"):
        return [name for name in owner.entities_table().values("name") if name]
    return []
