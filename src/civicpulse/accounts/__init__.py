"""Accounts: tenants, tokens, roles and the Caller of a request."""
