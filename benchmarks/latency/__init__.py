"""Measured latencies of phones and boards, what is fitted to them, and how well that predicts what was left out."""
