"""Models: their folders, the regressors that run them, and the networks they are built from.

- `store/` finds and checks model folders: the package's, the user's, the hub's. Open `store/folder.py` first.
- `regressors/` runs the models that turn a picture into a vector of the metric space.
- `networks/` builds torch networks from those of timm and open_clip.
"""
