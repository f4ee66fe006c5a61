"""Names every extra that is required in this environment and that a requirements file pins without it.

pip before 23.3 takes ``coverage[toml]`` for another requirement than ``coverage``. Where the file pins the latter
alone, it takes the newest release of the former, which has no hash, and the install fails as soon as that release is
not the pinned one. Run it with the Python of an environment that was installed from the file. Exit status 1 if it
names any.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Pins = Mapping[str, set[str]]


def main(requirements: Path) -> int:
    pins = pinned_extras(requirements)
    asked = [*asked_by_file(requirements.with_suffix(".in")), *asked_by_packages(pins)]
    missing = sorted(
        {
            f"{requirements.name}: {asker} requires {one.name}[{extra}], pinned without [{extra}]"
            for asker, one in asked
            for extra in one.extras - pins[canonicalize_name(one.name)]
        }
    )
    print(*missing, sep="\n", end="\n" if missing else "")
    return 1 if missing else 0


def pinned_extras(requirements: Path) -> Pins:
    """The pinned packages that this environment is meant to have, each with the extras it is pinned with."""
    pins: defaultdict[str, set[str]] = defaultdict(set)
    for line in requirements.read_text().splitlines():
        if line[:1].isalnum():
            pin = Requirement(line.removesuffix("\\"))
            if pin.marker is None or pin.marker.evaluate():
                pins[canonicalize_name(pin.name)] |= pin.extras
    return pins


def asked_by_file(source: Path) -> Iterator[tuple[str, Requirement]]:
    for line in source.read_text().splitlines():
        if line.startswith("-r "):
            yield from asked_by_file(source.with_name(line.removeprefix("-r ")))
        elif line[:1].isalnum():
            yield source.name, Requirement(line)


def asked_by_packages(pins: Pins) -> Iterator[tuple[str, Requirement]]:
    """What the installed ones of the pinned packages require, with the extras that they are pinned with."""
    for name, extras in pins.items():
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for one in map(Requirement, lines):
            if any(one.marker is None or one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                yield name, one


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
