"""All metrics that the project exposes, with their types."""

import importlib
import pkgutil

from prometheus_client import REGISTRY

from avo_project.observability.metrics import LiveCollector

PACKAGES = ("avo_project", "regime", "signals_app", "outreach", "throttling")
_ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def exposed_types() -> dict[str, str]:
    """Name to type: counters of all modules, loaded or not, and the live figures. Needs Redis and the database."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)
    families = [*REGISTRY.collect(), *LiveCollector().collect()]
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in families
        if family.name.startswith("avo_")
    }


def sample_names(types: dict[str, str]) -> set[str]:
    """The names that a query may use: a histogram has three."""
    return {name.removesuffix(ending) + ending for name, kind in types.items() for ending in _ENDINGS.get(kind, ("",))}
