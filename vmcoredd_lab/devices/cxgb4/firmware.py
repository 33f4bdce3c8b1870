"""What PCIE_FW says of the firmware (register 0x30b8; PCIE_FW_* in t4_regs.h and t4fw_api.h)."""

from __future__ import annotations

from dataclasses import dataclass

from vmcoredd_lab.devices.cxgb4.entity_names import read_table
from vmcoredd_lab.devices.cxgb4.register_table import Field

__all__ = ["PCIE_FW", "PCIE_FW_FIELDS", "FirmwareState", "firmware_state"]

PCIE_FW = 0x30B8
# PCIE_FW_ERR_S and its like, t4fw_api.h; STAGE to REGISTERED in Chelsio's Unified Wire of 2016 alone. The register table has
# no fields of this register.
PCIE_FW_FIELDS = tuple(
    Field(name, lsb, width)
    for name, lsb, width in (
        ("ERR", 31, 1), ("INIT", 30, 1), ("HALT", 29, 1), ("EVAL", 24, 3), ("STAGE", 21, 3), ("ASYNCNOT_VLD", 20, 1),
        ("ASYNCNOTINT", 19, 1), ("ASYNCNOT", 16, 3), ("MASTER_VLD", 15, 1), ("MASTER", 12, 3), ("RESET_VLD", 11, 1),
        ("RESET", 8, 3), ("REGISTERED", 0, 8),
    )
)  # fmt: skip
UNREACHABLE = {
    0xFFFFFFFF: "the adapter does not answer (reads give all ones)",
    0xEEEEEEEE: "register access is blocked (reset in progress)",
}


@dataclass(frozen=True, slots=True)
class FirmwareState:
    """The state in a word or two, whether it is bad, and the register that says so."""

    text: str
    bad: bool
    register: int

    @property
    def unreachable(self) -> bool:
        """True where the register says that reads reach nothing: no other register means anything then."""
        return self.register in UNREACHABLE

    @property
    def sentence(self) -> str:
        """The state with its subject, for a line of its own."""
        return self.text if self.unreachable else f"firmware {self.text}"


def firmware_state(word: int) -> FirmwareState:
    """Return what a value of PCIE_FW means.

    >>> firmware_state(0xc000c010).text
    'error: crash of the firmware'
    """
    if word in UNREACHABLE:
        return FirmwareState(UNREACHABLE[word], True, word)
    if word >> 31:
        reasons = {int(r["value"]): r["meaning"] for r in read_table("fw_eval.csv")}
        return FirmwareState(f"error: {reasons[word >> 24 & 7]}", True, word)
    if word >> 29 & 1:
        return FirmwareState("halted on request", False, word)
    if word >> 30 & 1:
        return FirmwareState("initialised", False, word)
    return FirmwareState("not initialised", False, word)
