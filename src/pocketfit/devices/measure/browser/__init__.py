"""A phone's browser as a place to measure: a page that runs a bundle's models and sends its figures back."""
