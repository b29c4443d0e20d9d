"""Networks of timm and open_clip, used as backbones (torch).

- `backbone.py` is what a backbone is: features, blocks, preprocessing. Open it first.
- `backbones.py` builds one by name, by `timm_backbone.py` or `open_clip_backbone.py`.
- `start_weights.py` reads the weights that training starts from.
- `device.py` moves a network to its device and back, and halves batches that it has no room for.
- `torchvision_cure.py` makes torchvision importable beside another build of torch.
"""
