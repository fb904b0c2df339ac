"""Questions: their types, and the parser that reads them."""
