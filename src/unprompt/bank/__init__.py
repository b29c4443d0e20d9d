"""Prompt banks: many prompts with their vectors on disk, among which those nearest to a picture are found."""
