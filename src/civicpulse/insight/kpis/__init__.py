"""Key figures: ledger, cohorts, agents' figures."""
