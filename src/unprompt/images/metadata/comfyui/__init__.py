"""ComfyUI: the executed graph is a program, evaluated from the picture that was saved back to its words.

- `reading.py` finds the graph in a file, `answers.py` builds the answer. Open it first.
- `passes.py` goes from what was saved to the samplers, `conditioning.py` and `hosted.py` from these to the words.
- `evaluating.py` computes values by the tables of node kinds: `strings.py`, `numbers.py`, `choices.py`, `rewriters.py`;
  `instructions.py` and `templates.py` know what is said to a language model.
- `outputs.py` says what the outputs of a node are, `details.py` collects settings and model files.
- `graph.py`, `values.py`, `calls.py`, `patterns.py`: what the tables are made of.
- `workflow.py` makes the graph of a file that has the workflow alone, by `widgets.py`, `layouts.py` and `groups.py`.
"""
