"""Trains the detector of heads and hard hats that ships as `models/helmets.onnx`.

Needs the extra `train` (torch, onnx). See `train_helmets.py` beside this folder.
"""
