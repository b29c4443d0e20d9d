"""The members of the ensemble. Each looks at pictures in its own way and votes with a vector, a text or both.

- `member.py` is the contract: what a member does, and how a kind of member describes itself. Open it first.
- `regressor.py`, `captioner.py`, `tagger.py`, `interrogator.py`, `neighbours.py`, `server.py`: a file for each kind.
- `kinds.py` finds a kind by its name, built-in or from another package.
- `opening.py` opens the members of a preset, and says which of them cannot vote and why.
- `device_room.py` lets members use a device together, or one after the other if it is too small.
- `written.py` is the vote of a prompt in the picture's metadata.
"""
