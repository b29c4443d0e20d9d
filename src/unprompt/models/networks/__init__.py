"""Networks of timm and open_clip, used as backbones (torch).

- `backbone.py` defines a backbone: features, blocks, preprocessing. Open it first.
- `backbones.py` builds one by name, with `timm_backbone.py` or `open_clip_backbone.py`.
- `start_weights.py` reads the weights from which training starts.
- `device.py` moves a network to its device and back, and halves batches that do not fit.
- `torchvision_cure.py` makes torchvision importable beside another build of torch.
"""
