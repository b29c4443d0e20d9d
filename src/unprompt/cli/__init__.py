"""The command line. It holds no model code: each command turns options into a call of the library.

- `main.py` names every command, and turns errors into messages and exit codes. Open it first.
- `predict.py`, `metadata.py`, `evaluate.py` and so on: one file for each command or family of commands.
- `options.py` declares every option that several commands share, `run.py` the run over many pictures.
- `progress.py` and `steps.py` draw bars; `*_tables.py` draw tables.
"""
