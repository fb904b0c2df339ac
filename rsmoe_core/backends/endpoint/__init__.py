"""Vision-language models behind OpenAI-compatible servers as the base of the mixture."""
