"""One file for each subcommand: parse, call the tool, report."""
