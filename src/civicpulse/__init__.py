"""CivicPulse: an open-source platform for service requests."""

__version__ = "0.2.0"
