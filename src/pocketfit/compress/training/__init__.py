"""Training by a teacher, with labels where there are any: the one loop of quantization-aware training, of distillation
and of what follows pruning.

Read in this order: recipe → samples → taps → networks → criterion → transfer → optimizer → loop.
"""
