"""Validation of numeric options."""


def check_range(option: str, value: float, least: float, most: float) -> None:
    """Raises ValueError with the option and its range. NaN is out of any range."""
    if not least <= value <= most:
        raise ValueError(f"{option} must be {least:,} to {most:,}, not {value}")
