"""Things with weights.

- `store/` finds model folders and checks them: the package's, the user's, the hub's. Open `store/folder.py` first.
- `regressors/` runs the models that turn a picture into a vector of the metric space.
- `networks/` builds torch networks out of timm's and open_clip's.
"""
