"""Pictures with their prompts: reading, cleaning, de-duplicating, splitting and making them."""
