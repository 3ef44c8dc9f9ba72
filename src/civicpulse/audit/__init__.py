"""The proof that a tenant's trail is whole: one chain over all its subjects, signed checkpoints, verification, bundles of proof."""
