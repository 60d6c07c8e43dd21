"""What an answer cost, read leniently: a gateway may leave counts out or write nonsense there."""

from __future__ import annotations

from picture_captioner.errors import Usage


def count(value: object) -> int | None:
    """A token count; None for anything that cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def total(*values: object) -> int | None:
    """The sum of those that are counts; None if none is."""
    counts = [number for number in map(count, values) if number is not None]
    return sum(counts) if counts else None


def one_request(
    input_tokens: int | None,
    output_tokens: int | None,
    cached: int | None,
    written: int | None = None,
    written_1h: int | None = None,
) -> Usage:
    """The usage of one request, without the counts that nobody reported.

    Args:
        cached: of the input, read from a cache.
        written: of the input, written into a cache; `written_1h`, of these for an hour.
    """
    usage = Usage(requests=1)
    if input_tokens is not None:
        usage["input_tokens"] = input_tokens
    if output_tokens is not None:
        usage["output_tokens"] = output_tokens
    if cached is not None:
        usage["cached_tokens"] = cached
    if written:
        usage["cache_write_tokens"] = written
    if written_1h:
        usage["cache_write_1h_tokens"] = written_1h
    return usage
