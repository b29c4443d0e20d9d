"""Regressors: models that turn a picture into a vector of the metric space in one step.

- `picture_encoder.py` is used by members: pictures in, unit vectors out. Open it first.
- `engine.py` runs the weights with onnxruntime (`onnx.py`) or torch (`torch_engine.py`); `seen.py` is what comes out.
- `regressor_network.py` is a backbone with a head; `torch_folder.py` saves and loads it.
- `conversion.py` converts another program's checkpoint to a model folder.
"""
