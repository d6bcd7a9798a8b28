"""Random weights are enough: what is compared is arithmetic."""

import torch
from torch import nn


class Net(nn.Module):
    input_shape = (3, 24, 24)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU()
        )
        self.head = nn.Linear(8 * 100, 7)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def build():
    return Net()
