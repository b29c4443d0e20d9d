"""The command line. It holds no model code: each command turns options into a call of the library.

- `main.py` names every command, and turns errors into messages and exit codes. Open it first.
- `predict.py`, `metadata.py`, `evaluate.py` and so on: one file for each command or family of commands.
- `options.py` declares every option that several commands share; `answering.py` is the run of `predict` and
  `interrogate` over many pictures, and `outputs.py` writes what it answers.
- `terminal.py` is all that is printed, `progress.py` all bars; `*_tables.py` fill tables.
"""
