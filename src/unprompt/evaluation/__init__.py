"""How good a preset is, measured on pictures whose prompts are known."""
