"""The competition "Stable Diffusion - Image to Prompts" (Kaggle, 2023): submissions written, checked and scored."""
