"""What the numbers of a command line may be."""


def check_range(option: str, value: float, least: float, most: float) -> None:
    """Raises ValueError that names the option and its range; NaN is in none."""
    if not least <= value <= most:
        raise ValueError(f"{option} must be {least:,} to {most:,}, not {value}")
