"""The competition "Stable Diffusion - Image to Prompts" (Kaggle, 2023): submissions.

- `submission.py` writes a submission file from answers. Open it first.
- `rows.py` reads one, fast and in bounded memory, and reports everything that is wrong with it.
- `scores.py` scores one against the true prompts.
- `pictures.py` finds the competition's pictures and their ids.
"""
