"""Networks written by PyTorch, for crates/models/tests/state_dict.rs: their state dicts, and what they answer in double precision.

Run: python3 scripts/pytorch_fixtures.py   (with torch 2.11.0, numpy, safetensors 0.8.0; writes crates/models/tests/fixtures)
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

out = pathlib.Path(__file__).parents[1] / "crates/models/tests/fixtures"
out.mkdir(parents=True, exist_ok=True)
torch.manual_seed(1)
P = 5
pairs = torch.tensor([[0, 0], [1, 4], [3, 2], [4, 3]])


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 2)])

    def forward(self, x):
        return self.layers[1](nn.functional.gelu(self.layers[0](x)))


class Quadratic(nn.Module):
    def __init__(self):
        super().__init__()
        self.W = nn.Linear(2 * P, 4, bias=False)
        self.V = nn.Linear(4, P, bias=False)

    def forward(self, x):
        one_hot = nn.functional.one_hot(x, P).to(self.W.weight.dtype).flatten(1)
        return self.V(self.W(one_hot).pow(2))


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(P, 3)
        self.linear1r = nn.Linear(3, 4)
        self.linear1l = nn.Linear(3, 4)
        self.linear2 = nn.Linear(4, P, bias=False)

    def forward(self, x):
        left, right = (self.embedding(x[:, i]) for i in range(2))
        return self.linear2(nn.functional.gelu(self.linear1l(left) + self.linear1r(right)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(5, 2, bias=False)
        self.unembedding = nn.Linear(2, 5)
        del self.unembedding.weight

    def forward(self, x):
        return nn.functional.relu(nn.functional.linear(self.embedding(x), self.embedding.weight.T, self.unembedding.bias))


class Transformer(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.embedding = nn.Embedding(P, 4)
        layer = nn.TransformerEncoderLayer(4, heads, 6, activation="gelu")
        self.transformer_encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.linear_out = nn.Linear(4, P, bias=False)

    def forward(self, x):
        stream = torch.stack([self.embedding(x[:, i]) for i in range(2)])
        return self.linear_out(self.transformer_encoder(stream).mean(dim=0))


answers = {}
for name, model, x in [
    ("mlp", Mlp(), torch.randn(4, 3)),
    ("quadratic", Quadratic(), pairs),
    ("embedding", Embedding(), pairs),
    ("tied", Tied(), torch.rand(4, 5)),
    ("transformer", Transformer(1), pairs),
    ("transformer2", Transformer(2), pairs),
]:
    # biases and norms away from the zeros and ones that they start with, no two layers alike
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    torch.save(model.state_dict(), out / f"{name}.pt")
    if name == "mlp":
        save_file(model.state_dict(), out / f"{name}.safetensors")
        torch.save(model.double().state_dict(), out / f"{name}-double.pt")
        torch.save(model.half().state_dict(), out / f"{name}-half.pt")
        model = Mlp()
        model.load_state_dict(torch.load(out / f"{name}-double.pt"))
    # without dropout, and not by the fused kernels of inference
    model = model.double().eval()
    torch.backends.mha.set_fastpath_enabled(False)
    x = x.double() if x.is_floating_point() else x
    with torch.no_grad():
        answers[name] = {"x": x.tolist(), "outputs": model(x).tolist()}
(out / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
