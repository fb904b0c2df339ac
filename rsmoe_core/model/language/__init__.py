"""Vision tokens + prompts → text: language models."""
