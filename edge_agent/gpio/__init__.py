"""Lines of a GPIO chip as gpiozero pins, and the process that holds the outputs."""
