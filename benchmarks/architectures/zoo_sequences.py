"""Networks over time: recurrent, attending, and convolutions of one dimension."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["AUDIO", "AUDIO_NETS", "NETS", "SHAPE"]

STEPS, FEATURES, HIDDEN, CLASSES = 8, 24, 48, 20
SHAPE = (STEPS, FEATURES)
AUDIO = (8, 128)


class Lstm(nn.Module):
    """Two LSTM layers; the last step is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(FEATURES, HIDDEN, num_layers=2, batch_first=True)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of sequences N×8×24."""
        return _classify(self.head, self.cells(x)[0][:, -1])


class Gru(nn.Module):
    """One GRU layer; the last step is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of sequences N×8×24."""
        return _classify(self.head, self.cells(x)[0][:, -1])


class BidirectionalLstm(nn.Module):
    """An LSTM in both directions, as taggers have it: every step is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.LSTM(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×8×20 of sequences N×8×24."""
        return _classify(self.head, self.cells(x)[0])


class TransformerEncoder(nn.Module):
    """Two layers of torch's own encoder, as most people build it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, HIDDEN)
        self.positions = nn.Parameter(torch.randn(1, STEPS, HIDDEN) * 0.1)
        layer = nn.TransformerEncoderLayer(HIDDEN, 4, 2 * HIDDEN, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of sequences N×8×24."""
        return _classify(self.head, self.layers(self.embed(x) + self.positions).mean(1))


class FusedAttention(nn.Module):
    """Attention as timm and GPTs write it: one layer for queries, keys and values, and a five-dimensional tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, HIDDEN)
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.out = nn.Linear(HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of sequences N×8×24."""
        x = self.embed(x)
        query, key, value = self.qkv(x).reshape(-1, STEPS, 3, 4, HIDDEN // 4).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(-1, STEPS, HIDDEN))
        return _classify(self.head, x.mean(1))


class CausalAttention(nn.Module):
    """Attention that sees the past only, with RMS norm and a gated perceptron, as small language models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, HIDDEN)
        self.norm = nn.RMSNorm(HIDDEN)
        self.query, self.key, self.value = (nn.Linear(HIDDEN, HIDDEN) for _ in range(3))
        self.gate, self.up = (nn.Linear(HIDDEN, 2 * HIDDEN) for _ in range(2))
        self.down = nn.Linear(2 * HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×8×20 of sequences N×8×24."""
        x = self.embed(x)
        normed = self.norm(x)
        query, key, value = (_heads(layer(normed)) for layer in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + mixed.transpose(1, 2).reshape(-1, STEPS, HIDDEN)
        x = x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return _classify(self.head, x)


class Conv1dAudio(nn.Module):
    """A classifier of audio features by convolutions of one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv1d(AUDIO[0], 32, 5, stride=2), *_conv1d(32, 32, 3, groups=32), *_conv1d(32, 64, 1), nn.MaxPool1d(2)
        )
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits N×20 of features N×8×128."""
        return _classify(self.head, self.features(x).mean(2))


class TemporalConvolution(nn.Module):
    """Dilated convolutions that see the past only, with weights that are normalised no more, and residual sums."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(AUDIO[0], 32, 1)
        self.layers = nn.ModuleList(nn.Conv1d(32, 32, 3, dilation=2**level) for level in range(4))
        self.head = nn.Conv1d(32, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Values N×12×128 of features N×8×128."""
        x = self.stem(x)
        for level, layer in enumerate(self.layers):
            past = nn.functional.pad(x, (2 * 2**level, 0))
            x = x + torch.tanh(layer(past))
        return _classify(self.head, x)


class Conv1dDecoder(nn.Module):
    """Features made into sound by transposed convolutions, as vocoders do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(AUDIO[0], 32, 7, padding=3),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose1d(32, 16, 8, 4, 2),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose1d(16, 8, 4, 2, 1),
            nn.Conv1d(8, 1, 7, padding=3),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sound N×1×1024 of features N×8×128."""
        return _classify(self.layers, x)


def _classify(head: Any, x: Tensor) -> Tensor:
    logits: Tensor = head(x)
    return logits


def _heads(x: Tensor) -> Tensor:
    return x.reshape(-1, STEPS, 4, HIDDEN // 4).transpose(1, 2)


def _conv1d(channels: int, out: int, kernel: int, **options: Any) -> tuple[nn.Module, ...]:
    layer = nn.Conv1d(channels, out, kernel, padding=kernel // 2, bias=False, **options)
    return layer, nn.BatchNorm1d(out), nn.ReLU()


NETS = (Lstm, Gru, BidirectionalLstm, TransformerEncoder, FusedAttention, CausalAttention)
AUDIO_NETS = (Conv1dAudio, TemporalConvolution, Conv1dDecoder)
