"""Training: from a recipe to a run, and from a run to a model folder. Needs the extra [torch].

- `run.py` runs a recipe from start to end. Open it first, then `loop.py`, the only training loop.
- `recipe.py` declares every key of a recipe; `recipe_file.py` reads it.
- `regressor.py`, `probe.py` and `text_head.py` are tasks: data, network, loss, score.
- `pairs.py`, `loading.py`, `augmentation.py`, `texts.py`, `targets.py` are the data.
- `losses.py`, `optimiser.py`, `averaging.py`, `lora.py`, `soup.py`, `processes.py`, `checkpoint.py` are the parts.
- `export.py`, `onnx_export.py`, `folder_export.py` and `card.py` make the model folder.
- `decoder.py` trains the network that turns a vector into words; `codebook.py` builds the codebook of an ensemble.
"""
