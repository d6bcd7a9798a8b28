"""A TorchScript file on its way to a torch module: checked, run node by node, compared with what it was."""
