"""ComfyUI: the executed graph, evaluated from the picture that was saved back to the words.

- `reading.py` finds the graph in a file and builds the answer. Open it first.
- A file of its own for each part of the evaluation stands beside it.
"""
