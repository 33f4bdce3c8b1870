"""Colours of severities and levels on a terminal."""

STYLES: dict[object, str] = {
    "critical": "bold red", "error": "red", "warning": "yellow", "info": "cyan",
    "EMERG": "bold white on red", "CRIT": "bold red", "ERR": "red", "NOTICE": "yellow", "DEBUG": "dim",
    "emerg": "bold white on red", "alert": "bold red", "crit": "bold red", "err": "red", "warn": "yellow", "debug": "dim",
}  # fmt: skip
