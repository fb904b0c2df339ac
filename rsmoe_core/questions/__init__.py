"""A question in people's words → ParsedQuestion."""
