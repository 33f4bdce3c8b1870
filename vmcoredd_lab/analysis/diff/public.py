"""``vl.diff``: what may stand on either side, and how the devices of two vmcores are paired."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vmcoredd_lab.analysis.diff.baseline import Baseline, is_baseline, load_baseline
from vmcoredd_lab.analysis.diff.compare import compare
from vmcoredd_lab.analysis.diff.rows import DIFFERENCES, Difference
from vmcoredd_lab.analysis.diff.snapshot import DecodedSnapshot, Snapshot
from vmcoredd_lab.devices.dump import DeviceDump
from vmcoredd_lab.errors import NotInFileError, UsageError
from vmcoredd_lab.opening import OpenedFile, open_file, opened_of
from vmcoredd_lab.tables import Column, Table
from vmcoredd_lab.vmcore import Vmcore

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["diff", "diff_table"]

DUMP = Column("dump", "text", "the device dump; of a pair with different names both")
_FACTS = ("kernel_release", "machine", "page_size", "cpus")  # of the kernel: configuration of the host


def diff(a: Any, b: Any, *, only: Iterable[str] = (), ignore: Iterable[str] = (), detail: bool = False) -> pd.DataFrame:
    """Return what differs between two dumps, configuration first, then status, counters, logs, pointers and samples.

    >>> core = vl.open_vmcore("sample_data/vmcore.kdump")
    >>> vl.diff(core.device_dumps[0], core.device_dumps[1], only=["identity"])["class"].unique().tolist()
    ['identity']

    Parameters
    ----------
    a, b: decoded devices (``dump.decode()``), :class:`~vmcoredd_lab.DeviceDump`, saved baselines or their paths
        (:func:`~vmcoredd_lab.save_baseline`), :class:`~vmcoredd_lab.Vmcore`, or paths of vmcores and device dump files. Of
        two vmcores the dumps are paired by PCI address; a vmcore on one side must have one dump.
    only, ignore: globs of class (``config``, ``status``, ``counter``, ``log``, ``identity``, ``environment``, ``pointer``,
        ``data``, ``timestamp``), hardware block, entity or register, in any case; ``ignore`` wins
    detail: list pointers, samples and internal states one by one instead of counting them

    Returns
    -------
    DataFrame: class, block, what, key, field, a, b (text), delta (Int64), policy, note, value_a, value_b (UInt64), entity,
    where_a, where_b (offsets in the decoded entity); of two vmcores ``dump`` comes first. ``attrs`` has ``a`` and ``b``: what
    was compared, and ``note`` where the chips are different.

    Raises
    ------
    UsageError: the two cannot be compared, or a glob matches nothing.
    OpenError, NotInFileError: as opening and decoding raise them.
    """
    from vmcoredd_lab.frames import to_frame

    return to_frame(diff_table(a, b, only=only, ignore=ignore, detail=detail))


def diff_table(a: Any, b: Any, *, only: Iterable[str] = (), ignore: Iterable[str] = (), detail: bool = False) -> Table:
    """Return what :func:`diff` returns, as a table (:data:`~vmcoredd_lab.analysis.diff.rows.DIFFERENCES`)."""
    options: dict[str, Any] = {"only": tuple(only), "ignore": tuple(ignore), "detail": detail}
    left, right = _opened(a), _opened(b)
    if isinstance(left, OpenedFile) and isinstance(right, OpenedFile) and left.core and right.core:
        return _vmcores(left, right, options)
    return compare(_side(left), _side(right), **options)


def _opened(what: Any) -> Any:
    if isinstance(what, (str, os.PathLike)):
        return load_baseline(what) if is_baseline(what) else open_file(what)
    return opened_of(what) if isinstance(what, Vmcore) else what


def _side(what: Any) -> Snapshot:
    """Return one device as a side of a comparison."""
    if isinstance(what, (Baseline, DecodedSnapshot)):
        return what
    if isinstance(what, OpenedFile):
        if len(what.device_dumps) != 1 and what.core is not None:
            raise UsageError(
                f"{what.path} has {len(what.device_dumps)} device dumps, the other side is one device", expected="one device",
                hint="choose one: core.device_dumps[NAME], on the command line --dump and --dump-b",
            )  # fmt: skip
        what = what.device_dumps[0]
    if isinstance(what, DeviceDump):
        what = what.decode()
    if not hasattr(what, "dump"):
        raise UsageError(
            f"a {type(what).__name__} cannot be compared",
            expected="a decoded device, a DeviceDump, a Vmcore, a baseline or a path",
        )
    return DecodedSnapshot(what)


def _vmcores(a: OpenedFile, b: OpenedFile, options: dict[str, Any]) -> Table:
    """Compare the kernels' facts, and the devices at the same PCI address."""
    pairs, single = _pairs(a, b)
    if not pairs and not single:
        raise NotInFileError("no device dumps", path=a.path, hint="the notes command lists what is in the file")
    tables = []
    facts = _facts(a, b)
    if facts and not options["only"]:
        rows = (
            Difference("environment", "kernel", left, right, field=name, policy="host").cells()
            for name, (left, right) in facts
        )
        tables.append(Table.from_rows(DIFFERENCES, rows).with_first(DUMP, None))
    missing = []
    for dump, side in single:
        in_a, in_b = (dump.name, None) if side == "a" else (None, dump.name)
        missing.append(
            Difference("config", "device dump", in_a, in_b, field="there", note=f"only in {side.upper()}").cells()
        )
    if missing:
        tables.append(Table.from_rows(DIFFERENCES, missing).with_first(DUMP, None))
    for one, other in pairs:
        name = one.name if one.name == other.name else f"{one.name}, {other.name}"
        table = compare(_side(one), _side(other), **options)
        attrs = table.attrs
        tables.append(table.with_first(DUMP, name))
        tables[-1].attrs.update(attrs)
    joined = Table.concat(tables) if len(tables) > 1 else tables[0]
    joined.attrs.update({"a": a.path, "b": b.path, "chosen": bool(options["only"] or options["ignore"])})
    return joined


def _pairs(a: OpenedFile, b: OpenedFile) -> tuple[list[tuple[DeviceDump, DeviceDump]], list[tuple[DeviceDump, str]]]:
    """Return dumps of the same name, of which a decoder knows the content, and those that one file alone has."""
    of_a = {dump.name: dump for dump in a.device_dumps if dump.decoder is not None}
    of_b = {dump.name: dump for dump in b.device_dumps if dump.decoder is not None}
    if len(of_a) == len(of_b) == 1:  # one device each: the same question whatever the slots
        return [(*of_a.values(), *of_b.values())], []  # type: ignore[list-item]
    single = [(dump, "a") for name, dump in of_a.items() if name not in of_b]
    single += [(dump, "b") for name, dump in of_b.items() if name not in of_a]
    return [(dump, of_b[name]) for name, dump in of_a.items() if name in of_b], single


def _facts(a: OpenedFile, b: OpenedFile) -> list[tuple[str, tuple[Any, Any]]]:
    from vmcoredd_lab.summary import kernel_facts

    left, right = kernel_facts(a.vmcore()), kernel_facts(b.vmcore())
    return [(name, (left.get(name), right.get(name))) for name in _FACTS if left.get(name) != right.get(name)]
