"""Other quantizers on the same float model and the same images, in child processes of an environment of their own."""

from benchmarks.peers.call import PeerError, PeerResult, quantize

__all__ = ["PeerError", "PeerResult", "quantize"]
