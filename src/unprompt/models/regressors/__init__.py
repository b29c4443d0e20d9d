"""Regressors: models that turn a picture into a vector of the metric space in one step.

- `picture_encoder.py` is what members use: pictures in, unit vectors out. Open it first.
- `engine.py` picks what runs the weights: onnxruntime (`onnx.py`) or torch (`torch_engine.py`).
- `regressor_network.py` is a backbone with a head; `torch_folder.py` saves and loads it.
- `conversion.py` makes a model folder of a checkpoint from elsewhere.
"""
