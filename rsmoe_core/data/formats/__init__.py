"""One module for each data format, and their registry."""
