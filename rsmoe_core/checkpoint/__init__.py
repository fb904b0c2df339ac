"""Model folder ↔ model."""
