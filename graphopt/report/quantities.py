"""Numbers as people read them."""

from __future__ import annotations


def count(number: int) -> str:
    """1234567 as 1,234,567."""
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes in decimal units: 6783084 as 6.78 MB; exact below 10 kB."""
    if number < 10_000:
        return f"{number:,} B"
    amount, unit = _scaled(number)
    return f"{amount:.3g} {unit}B"


def macs(number: int) -> str:
    """Multiply-accumulates: 4089184256 as 4.09 G; exact below 10 thousand."""
    if number < 10_000:
        return f"{number:,}"
    amount, unit = _scaled(number)
    return f"{amount:.3g} {unit.upper()}"


def seconds(number: float) -> str:
    """0.00123 as 1.23 ms, 75.2 as 1 min 15 s."""
    if number >= 60:
        return f"{int(number // 60)} min {int(number % 60)} s"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if number * factor >= 1 or unit == "us":
            return f"{number * factor:.3g} {unit}"
    raise AssertionError


def change(before: int, after: int) -> str:
    """The change in percent: -12.3 %; `same` where there is none, and `new` where there was nothing before."""
    if before == after:
        return "same"
    if not before:
        return "new"
    return f"{100 * (after - before) / before:+.1f} %"


def _scaled(number: float) -> tuple[float, str]:
    amount = float(number)
    for unit in ("", "k", "M", "G", "T"):
        if amount < 999.5:
            return amount, unit
        amount /= 1000
    return amount, "P"
