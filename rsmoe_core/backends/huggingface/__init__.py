"""Vision-language models of transformers as the base of the mixture."""
