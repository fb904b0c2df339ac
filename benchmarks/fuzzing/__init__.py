"""The parts of `benchmarks/fuzz.py`: seeds → mutants → what becomes of them → a table."""
