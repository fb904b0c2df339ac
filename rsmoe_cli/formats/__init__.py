"""Layer → file: one module for each output format, and their registry."""
