"""From what a person points at to pixels that a model can see."""
