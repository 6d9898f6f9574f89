"""Chain-steps and training steps per second of other libraries, on one thread: called by scripts/bench-peers.

    peers.py PROBLEM LIBRARY

prints one number. Problems are those of crates/sampler/benches/host_engine.rs (a1 to d) and crates/training/benches/training.rs
(c, d, e), in single precision, with 4 chains; a training step is one network's.
"""

import functools
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np

CHAINS, N, MODULUS = 4, 1000, 53
rng = np.random.default_rng(1)


def uniform(*shape, limit=1.0):
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def layer(fan_in, fan_out):
    return uniform(fan_in, fan_out, limit=fan_in**-0.5)


def addition():
    """Two of five pairs of numbers."""
    at = np.arange(1123) * 5 // 2 % MODULUS**2
    return np.stack([at // MODULUS, at % MODULUS], 1)


def problem(name):
    """Weights, inputs, outputs, the network's name and the batch size."""
    kind, _, batch = name.partition("-")
    batch = int(batch) if batch else None
    if kind == "a1":
        x = uniform(N, 1)
        return [np.ones((1, 1), np.float32)] * 2, x, x + uniform(N, 1), "linear", batch
    if kind == "a2":
        x = uniform(N, 2)
        return [np.ones((2, 1), np.float32)], x, x.sum(1, keepdims=True) + uniform(N, 1), "linear", batch
    if kind in ("b1", "b2"):
        width, depth = (10, 2) if kind == "b1" else (50, 4)
        weights, x = [layer(width, width) for _ in range(depth)], uniform(N, width)
        y = x
        for w in weights:
            y = y @ w
        return weights, x, y, "linear", batch
    if kind == "c":
        widths = [30, 256, 256, 1]
        weights = []
        for i, o in zip(widths, widths[1:]):
            weights += [layer(i, o), uniform(1, o, limit=i**-0.5)]
        x = rng.integers(0, 2, (N, 30)).astype(np.float32)
        return weights, x, x[:, :3].sum(1, keepdims=True) % 2, "perceptron", batch
    if kind == "d":
        pairs = addition()
        y = np.eye(MODULUS, dtype=np.float32)[pairs.sum(1) % MODULUS]
        weights = [layer(2 * MODULUS, 1024), layer(1024, MODULUS)]
        return weights, pairs + [0, MODULUS], y, "quadratic", batch
    if kind == "e":
        pairs = addition()
        width, hidden = 12, 48
        weights = [rng.standard_normal((MODULUS, width), np.float32)]
        for _ in range(2):
            weights += [layer(width, hidden), uniform(1, hidden, limit=width**-0.5)]
        return weights + [layer(hidden, MODULUS)], pairs, pairs.sum(1) % MODULUS, "embedding", batch
    sys.exit(f"problem '{name}' is unknown; expected a1, a2, b1, b2, b2-128, c, c-128, d-128 or e-128")


def rate(name, elements, run):
    """Elements of a step per second: the time of 2n steps less that of n, so that what a call costs once does not count."""
    n = STEPS[name.partition("-")[0]]
    times = {n: [], 2 * n: []}
    run(n)
    for _ in range(3):
        for steps, all_times in times.items():
            start = time.perf_counter()
            run(steps)
            all_times.append(time.perf_counter() - start)
    return elements * n / (min(times[2 * n]) - min(times[n]))


def torch_network(kind):
    """Outputs of a network, and its mean loss; weights and data may have the chain as leading axis."""
    import torch

    def linear(w, x):
        for each in w:
            x = x @ each
        return x

    def perceptron(w, x):
        for i in range(0, len(w), 2):
            x = x @ w[i] + w[i + 1]
            x = x.relu() if i + 2 < len(w) else x
        return x

    def quadratic(w, x):
        # one-hot pairs are gathers
        if w[0].dim() == 2:
            first, second = w[0][x[..., 0]], w[0][x[..., 1]]
        else:
            chains = torch.arange(len(w[0]))[:, None]
            first, second = w[0][chains, x[..., 0]], w[0][chains, x[..., 1]]
        return (first + second).square() @ w[1]

    def embedding(w, x):
        table, right, r, left, l, readout = w
        hidden = table[x[..., 0]] @ left + l + table[x[..., 1]] @ right + r
        return torch.nn.functional.gelu(hidden) @ readout

    def squares(outputs, y):
        return (outputs - y).square().mean((-2, -1))

    def logistic(outputs, y):
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs, y, reduction="none").mean((-2, -1))

    def halved_squares(outputs, y):
        return 0.5 * (outputs - y).square().sum(-1).mean(-1)

    return {
        "linear": (linear, squares),
        "perceptron": (perceptron, logistic),
        "quadratic": (quadratic, halved_squares),
        "embedding": (embedding, torch.nn.functional.cross_entropy),
    }[kind]


STEPS = {"a1": 3000, "a2": 3000, "b1": 1000, "b2": 300, "c": 60, "d": 60, "e": 500}
EPSILON, NBETA, GAMMA = 1e-6, 145.0, 1.0


def by_torch(name):
    import torch

    torch.set_num_threads(1)
    weights, x, y, kind, batch = problem(name)
    anchor = [torch.tensor(np.stack([w] * CHAINS)) for w in weights]
    x, y, (network, loss) = torch.tensor(x), torch.tensor(y), torch_network(kind)

    def run(steps):
        w = [a.clone().requires_grad_() for a in anchor]
        losses = []
        for _ in range(steps):
            if batch:
                at = torch.randint(len(x), (CHAINS, batch))
                xb, yb = x[at], y[at]
            else:
                xb, yb = x.expand(CHAINS, *x.shape), y.expand(CHAINS, *y.shape)
            each = loss(network(w, xb), yb)
            losses.append(each.detach())
            grads = torch.autograd.grad(each.sum(), w)
            with torch.no_grad():
                for p, a, g in zip(w, anchor, grads):
                    p.add_(g, alpha=-0.5 * EPSILON * NBETA).add_(p - a, alpha=-0.5 * EPSILON * GAMMA)
                    p.add_(torch.randn_like(p), alpha=EPSILON**0.5)

    return rate(name, CHAINS, run)


def by_jax(name):
    import jax
    import jax.numpy as jnp

    weights, x, y, kind, batch = problem(name)
    anchor = [jnp.stack([w] * CHAINS) for w in weights]
    x, y = jnp.asarray(x), jnp.asarray(y)

    def linear(w, x, y):
        for each in w:
            x = x @ each
        return jnp.mean((x - y) ** 2)

    def perceptron(w, x, y):
        for i in range(0, len(w), 2):
            x = x @ w[i] + w[i + 1]
            x = jax.nn.relu(x) if i + 2 < len(w) else x
        return jnp.mean(jnp.logaddexp(0.0, x) - x * y)

    def quadratic(w, x, y):
        error = (w[0][x[:, 0]] + w[0][x[:, 1]]) ** 2 @ w[1] - y
        return 0.5 * jnp.mean(jnp.sum(error**2, -1))

    value_and_grad = jax.value_and_grad({"linear": linear, "perceptron": perceptron, "quadratic": quadratic}[kind])

    def step(state, key):
        w, a = state
        keys = jax.random.split(key, len(w) + 1)
        at = jax.random.randint(keys[-1], (batch,), 0, len(x)) if batch else slice(None)
        value, grads = value_and_grad(w, x[at], y[at])
        w = [
            p - 0.5 * EPSILON * (NBETA * g + GAMMA * (p - q)) + EPSILON**0.5 * jax.random.normal(k, p.shape)
            for p, q, g, k in zip(w, a, grads, keys)
        ]
        return (w, a), value

    def chain(w, key, steps):
        return jax.lax.scan(step, (w, w), jax.random.split(key, steps))[1]

    keys = jax.random.split(jax.random.key(1, impl="unsafe_rbg"), CHAINS)
    n = STEPS[name.partition("-")[0]]
    compiled = {s: jax.jit(jax.vmap(functools.partial(chain, steps=s))).lower(anchor, keys).compile() for s in (n, 2 * n)}
    return rate(name, CHAINS, lambda steps: compiled[steps](anchor, keys).block_until_ready())


def module(weights, outputs):
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(w)) for w in weights])

        def forward(self, x):
            return outputs(list(self.weights), x)

    return Network()


def in_memory(x, y, batch):
    """A loader whose batches are slices of what is in memory already."""
    import torch

    class Loader(torch.utils.data.DataLoader):
        def __init__(self):
            super().__init__(torch.utils.data.TensorDataset(x, y), batch_size=batch or len(x))

        def __iter__(self):
            if batch is None:
                yield x, y
                return
            order = torch.randperm(len(x))
            for at in order[: len(x) // batch * batch].split(batch):
                yield x[at], y[at]

    return Loader()


def by_devinterp(name):
    import torch
    from devinterp.optim import SGLD
    from devinterp.slt.sampler import sample
    from devinterp.slt.llc import LLCEstimator

    torch.set_num_threads(1)
    weights, x, y, kind, batch = problem(name)
    outputs, loss = torch_network(kind)
    network, loader = module(weights, outputs), in_memory(torch.tensor(x), torch.tensor(y), batch)
    start = torch.tensor(1.0)

    def run(steps):
        sample(
            network,
            loader,
            callbacks=[LLCEstimator(CHAINS, steps, nbeta=NBETA, device="cpu", init_loss=start)],
            evaluate=lambda model, data: loss(model(data[0]), data[1]),
            sampling_method=SGLD,
            optimizer_kwargs={"lr": EPSILON, "localization": GAMMA, "nbeta": NBETA},
            num_draws=steps,
            num_chains=CHAINS,
            init_loss=start,
            device="cpu",
            verbose=False,
        )

    return rate(name, CHAINS, run)


def by_canonical(name):
    import torch
    from canonical_interp.slt import LLCEstimator

    torch.set_num_threads(1)
    weights, x, y, kind, batch = problem(name)
    outputs, loss = torch_network(kind)
    network, loader = module(weights, outputs), in_memory(torch.tensor(x), torch.tensor(y), batch)

    def run(steps):
        estimator = LLCEstimator(
            draws=steps,
            chains=CHAINS,
            burnin_steps=0,
            steps_bw_draws=1,
            learning_rate=EPSILON,
            localization=GAMMA,
            nbeta=NBETA,
        )
        estimator.estimate_llc(network, loader, loss, compile=True, show_progress=False, current_loss=1.0)

    return rate(name, CHAINS, run)


def training_by_torch(name):
    import torch

    torch.set_num_threads(1)
    weights, x, y, kind, batch = problem(name)
    outputs, loss = torch_network(kind)
    x, y, network = torch.tensor(x), torch.tensor(y), module(weights, outputs)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-5)

    def run(steps):
        for _ in range(steps):
            at = torch.randint(len(x), (batch,))
            optimiser.zero_grad()
            loss(network(x[at]), y[at]).backward()
            optimiser.step()

    return rate(name, 1, run)


LIBRARIES = {"torch": by_torch, "jax": by_jax, "devinterp": by_devinterp, "canonical": by_canonical, "training": training_by_torch}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in LIBRARIES:
        sys.exit(f"usage: peers.py PROBLEM {'|'.join(LIBRARIES)}")
    print(LIBRARIES[sys.argv[2]](sys.argv[1]))
