"""How well the engine would have judged a tenant's own history: duplicates and analysis, held against labels."""
