"""The parts of the coastal-town scene: `plan` and the place modules decide, the paint modules draw, `write` saves."""
