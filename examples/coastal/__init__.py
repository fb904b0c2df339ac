"""The parts of the coastal-town scene; `render` puts them together, `write` saves them."""
