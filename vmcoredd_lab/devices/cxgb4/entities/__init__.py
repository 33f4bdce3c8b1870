"""Entity decoders, one module each or one for a family; imported when an entity is first looked at."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from vmcoredd_lab.devices.cxgb4.entities.base import EntityDecoder

__all__ = ["decoder", "decoders"]

# Modules of this package, each with DECODERS: instances of EntityDecoder.
_MODULES = ("path_mtu",)


@cache
def _registered() -> dict[str, EntityDecoder]:
    found: dict[str, EntityDecoder] = {}
    for module in _MODULES:
        for one in import_module(f"{__name__}.{module}").DECODERS:
            for name in one.names:
                assert name not in found, name
                found[name] = one
    return found


def decoder(name: str) -> EntityDecoder | None:
    """Return the decoder of an entity, or None where there is none yet."""
    return _registered().get(name)


def decoders() -> dict[str, EntityDecoder]:
    """Return every decoder by entity name."""
    return dict(_registered())
