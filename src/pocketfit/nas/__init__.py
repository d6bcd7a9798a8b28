"""Networks designed for the data and the phone: one set of shared weights, and a search among the networks in it.

Space ─train→ Supernet ─find→ Found … ─taken_out→ a network of plain layers
"""
