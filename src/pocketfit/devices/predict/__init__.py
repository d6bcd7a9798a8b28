"""How long a model takes on a phone that is not there, predicted from what its layers ask for."""
