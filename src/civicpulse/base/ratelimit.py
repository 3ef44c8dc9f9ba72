"""Rate limits for callers without a token, per address, kept in this process's memory."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from civicpulse.base.errors import TooMany


class RateLimiter:
    """Counts an address's anonymous reads and writes; a limit of 0 means none."""

    def __init__(self, *, writes_per_minute: int, reads_per_minute: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limits = {
            "write": RateLimitItemPerMinute(writes_per_minute) if writes_per_minute else None,
            "read": RateLimitItemPerMinute(reads_per_minute) if reads_per_minute else None,
        }

    def count(self, kind: str, address: str) -> None:
        """Counts one `kind` ("read" or "write") from `address`; raises TooMany when the minute's share is used up."""
        limit = self._limits[kind]
        if limit is not None and not self._limiter.hit(limit, kind, address):
            raise TooMany(
                f"More than {limit.amount} anonymous {kind}s a minute from one address: wait, or use a token.",
                retry_after_seconds=60,
            )
