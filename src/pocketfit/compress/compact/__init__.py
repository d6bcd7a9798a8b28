"""Layers in another, cheaper form: `low_rank` as two thin ones, `separable` as depthwise and pointwise.

Both choose numbers that answer as the layer did, as nearly as the form allows; distillation does the rest.
"""
