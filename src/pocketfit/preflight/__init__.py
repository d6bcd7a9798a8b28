"""What will happen to a model, said before any work: ops, delegates, precisions, whether INT8 pays, what to rewrite."""
