"""Trains model.safetensors on for a hundred steps at a learning rate: `python finetune.py 0.01 tuned.safetensors`."""

import sys

import torch
from data import training
from model import build
from safetensors.torch import load_file, save_file

learning_rate, out = float(sys.argv[1]), sys.argv[2]
torch.manual_seed(0)
model = build()
model.load_state_dict(load_file("model.safetensors"))
optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
batches = list(training())
for step in range(100):
    inputs, targets = batches[step % len(batches)]
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()
save_file(model.state_dict(), out)
