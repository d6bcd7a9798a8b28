"""How much memory the activations of a model need, in which order of ops, and where each of them lies.

graph ─read→ Program ─order→ steps ─liveness→ blocks ─layout→ offsets
         bound: what no plan can be below
"""
