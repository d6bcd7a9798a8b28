"""One calibration, one plan, and the lowering of that plan into a graph any runtime's converter understands.

Read in this order: statistics → calibrate → ranges → placement → plan → bias_correction → lower → simulate.
"""
