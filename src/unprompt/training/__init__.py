"""Training: recipes, data, the loop and the export. Needs the extra [torch]."""
