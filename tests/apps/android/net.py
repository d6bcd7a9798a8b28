"""Random weights are enough: what is compared is arithmetic."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, side):
        super().__init__()
        torch.manual_seed(side)
        self.input_shape = (3, side, side)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU()
        )
        self.head = nn.Linear(8 * (side // 2 - 2) ** 2, 7)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def build():
    return Net(24)


def build_lite():
    return Net(16)
