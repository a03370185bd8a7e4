"""Trains the detector of heads and hard hats that ships as `models/helmets.onnx`.

Needs the extra `train`. From the checkout: `PYTHONPATH=tools python -m train_helmets --help`.
"""
