"""Making a model smaller: quantization now, pruning and distillation beside it."""
