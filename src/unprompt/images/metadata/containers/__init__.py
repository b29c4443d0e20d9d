"""Readers of file formats: each finds the places of a file in which text may stand, and decodes no pixel.

- `pieces.py` says what they all yield and how large it may be. Open it first.
- `png.py`, `jpeg.py`, `webp.py`, `gif.py`, `tiff.py`: pictures.
- `bmff.py`: files of boxes, which are AVIF, HEIC, JPEG XL, MP4 and MOV; `ebml.py`: WebM and MKV.
"""
