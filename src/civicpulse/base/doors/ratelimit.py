"""Rate limits for callers without a token that is good, per address or network, kept in this process's memory."""

from ipaddress import IPv4Address, IPv6Network, ip_address

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from civicpulse.base.errors import TooMany


def network_of(address: str) -> str:
    """Finds the network that an address counts for: a house has one IPv4 address and 18 quintillion of IPv6, which are its /64."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found) >> 64 << 64, 64)))


class RateLimiter:
    """Counts an address's anonymous reads and writes; a limit of 0 means none."""

    def __init__(self, *, writes_per_minute: int, reads_per_minute: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limits = {
            "write": RateLimitItemPerMinute(writes_per_minute) if writes_per_minute else None,
            "read": RateLimitItemPerMinute(reads_per_minute) if reads_per_minute else None,
        }

    def count(self, kind: str, address: str) -> None:
        """Counts one `kind` ("read" or "write") from the network of `address`; raises TooMany when the minute's share is used up."""
        limit = self._limits[kind]
        if limit is not None and not self._limiter.hit(limit, kind, network_of(address)):
            raise TooMany(
                f"More than {limit.amount} {kind}s a minute without a good token from one address: wait, or use a token.",
                retry_after_seconds=60,
            )
