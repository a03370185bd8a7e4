"""Finding objects in pictures: networks, the weight-free motion model and the model store."""
