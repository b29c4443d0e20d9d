"""Evaluation: how good a preset is, measured on pictures whose prompts are known.

- `scoring.py` answers labelled pictures and compares each answer with its true prompt. Open it first.
- `metrics.py` holds the scores and their bootstrap intervals; `report.py` summarises them by group.
- `results.py` stores the answers, so that `comparison.py` can compare two runs without repeating them.
- `calibration.py` fits a preset's confidence, `reliability.py` judges it.
- `weights.py` fits the weights of an ensemble; `fitted_preset.py` writes them as a preset.
- `page.py`, `charts.py` and `highlights.py` make the HTML page.
"""
