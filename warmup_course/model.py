"""The course's models: a multilayer perceptron, two small transformers, a convolutional network.

They draw from torch's global generator.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Self, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warmup_course.arguments import MOST_SIZE, elements, one_of, positive_number, refused, whole_number
from warmup_course.data import Dataset, load

Init = Literal["he", "xavier", "torch"]
Norm = Literal["pre", "post"]


class MLP(nn.Sequential):
    """Linear layers with ReLU between them; no hidden layer gives a linear model.

    (batch, in_features) -> (batch, out_features).

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        hidden: the width of each hidden layer.
        init: "he" (normal, variance 2 / fan_in, He et al. 2015), "xavier" (normal, variance 2 / (fan_in + fan_out),
            Glorot & Bengio 2010), both with zero biases; or "torch", what nn.Linear does by itself.
        gain: multiplies every initial weight; above 1 the network starts sharper.

    Raises:
        ValueError: for a width below 1, an unknown init or a gain that is not positive.

    >>> MLP(64, 10, hidden=[32])(torch.zeros(5, 64)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        in_features: int = 64,
        out_features: int = 10,
        hidden: Sequence[int] = (64, 64),
        init: Init = "he",
        gain: float = 1.0,
    ) -> None:
        one_of("init", init, get_args(Init))
        gain = positive_number("gain", gain)
        hidden = elements("hidden", hidden, "a list of whole numbers", least=0)
        names = ["in_features", *("hidden" for _ in hidden), "out_features"]
        given = [in_features, *hidden, out_features]
        widths = [whole_number(n, w, 1, MOST_SIZE) for n, w in zip(names, given, strict=True)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        super().__init__(*layers[:-1])
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                if init == "he":
                    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                elif init == "xavier":
                    nn.init.xavier_normal_(layer.weight)
                if init != "torch":
                    nn.init.zeros_(layer.bias)
                with torch.no_grad():
                    layer.weight.mul_(gain)

    @classmethod
    def for_data(
        cls, data: Dataset | str, hidden: Sequence[int] = (64, 64), init: Init = "he", gain: float = 1.0
    ) -> Self:
        """One with as many inputs and outputs as the data set, or the one of that name, has features and classes.

        Raises:
            ValueError: as MLP does, or for data whose inputs are not (rows, features) of numbers.

        >>> MLP.for_data("waveforms", hidden=[])
        MLP(
          (0): Linear(in_features=32, out_features=4, bias=True)
        )
        """
        data = load(data)
        if data.x_train.dim() != 2 or not data.x_train.is_floating_point():
            raise refused("data", "a data set whose inputs are numbers, (rows, features)", data.name)
        return cls(data.x_train.shape[1], data.n_classes, hidden, init, gain)

    def __getitem__(self, index: int | slice) -> nn.Module:
        # nn.Sequential would make a slice of it with this class's constructor, which takes widths.
        return nn.Sequential(*self)[index]


class TinyTransformer(nn.Module):
    """A transformer encoder that classifies a short sequence by the mean of its last layer.

    (batch, tokens, token_features) -> (batch, out_features). No dropout.

    Args:
        norm: "post" normalises after each residual sum (Vaswani et al. 2017); "pre" normalises the input of each
            branch and once at the end (Xiong et al. 2020, arXiv 2002.04745).
        token_features: features of one token.
        tokens: length of the sequence.
        out_features: number of outputs.
        layers, width, heads, feedforward: number of blocks, width of the residual stream, attention heads and width
            of the feed-forward branch.

    Raises:
        ValueError: for an unknown norm, a size below 1, or a width that the heads do not divide.

    >>> TinyTransformer(norm="pre")(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        norm: Norm = "post",
        token_features: int = 8,
        tokens: int = 8,
        out_features: int = 10,
        layers: int = 4,
        width: int = 32,
        heads: int = 4,
        feedforward: int = 64,
    ) -> None:
        super().__init__()
        _check_sizes(token_features=token_features, tokens=tokens, out_features=out_features)
        _check_transformer(norm, layers, width, heads, feedforward)
        self.embed = nn.Linear(token_features, width)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(_Block(norm, width, heads, feedforward) for _ in range(layers)))
        self.final_norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, out_features)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.embed(x) + self.position)
        return self.head(self.final_norm(h).mean(dim=1))


class TinyGPT(nn.Module):
    """A transformer decoder: at each token of a text, the logits of the token that comes next.

    (batch, tokens) of int64 -> (batch, tokens, symbols). A token sees itself and those before it, so one text of n
    tokens is n exercises at once. The blocks are TinyTransformer's; embeddings are normal with standard deviation 0.02,
    as in GPT-2. No dropout.

    Args:
        norm: "pre" or "post", as in TinyTransformer.
        symbols: how many different tokens there are, numbered from 0; the vocabulary.
        tokens: the greatest length of a text; a shorter one may be given.
        layers, width, heads, feedforward: as in TinyTransformer.

    Raises:
        ValueError: for an unknown norm, a size below 1, or a width that the heads do not divide.

    >>> TinyGPT(symbols=96, tokens=32)(torch.zeros(5, 32, dtype=torch.int64)).shape
    torch.Size([5, 32, 96])
    """

    def __init__(
        self,
        norm: Norm = "pre",
        symbols: int = 96,
        tokens: int = 32,
        layers: int = 2,
        width: int = 32,
        heads: int = 4,
        feedforward: int = 128,
    ) -> None:
        super().__init__()
        _check_sizes(symbols=symbols, tokens=tokens)
        _check_transformer(norm, layers, width, heads, feedforward)
        self.embed = nn.Embedding(symbols, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(_Block(norm, width, heads, feedforward, causal=True) for _ in range(layers)))
        self.final_norm = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, symbols)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.embed(x) + self.position[: x.shape[-1]])
        return self.head(self.final_norm(h))


class ConvNet(nn.Sequential):
    """One-dimensional convolutions with ReLU, each of which halves the length, then the mean over what is left.

    (batch, samples) -> (batch, out_features). Each output of a convolution sees five neighbours. He-normal weights (He
    et al. 2015) and zero biases; nothing is normalised.

    Args:
        layers: number of convolutions.
        channels: of each convolution.
        out_features: number of outputs.
        gain: multiplies every initial weight; above 1 the network starts sharper.

    Raises:
        ValueError: for a size below 1 or a gain that is not positive.

    >>> ConvNet()(torch.zeros(5, 32)).shape
    torch.Size([5, 4])
    """

    def __init__(self, layers: int = 3, channels: int = 16, out_features: int = 4, gain: float = 1.0) -> None:
        gain = positive_number("gain", gain)
        _check_sizes(layers=layers, channels=channels, out_features=out_features)
        parts: list[nn.Module] = [nn.Unflatten(1, (1, -1))]
        for layer in range(layers):
            parts += [nn.Conv1d(channels if layer else 1, channels, kernel_size=5, stride=2, padding=2), nn.ReLU()]
        super().__init__(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, out_features))
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)
            else:
                nn.init.kaiming_normal_(weights, nonlinearity="relu")
                with torch.no_grad():
                    weights.mul_(gain)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        whole_number(name, size, 1, MOST_SIZE)


def _check_transformer(norm: Norm, layers: int, width: int, heads: int, feedforward: int) -> None:
    one_of("norm", norm, get_args(Norm))
    _check_sizes(layers=layers, width=width, heads=heads, feedforward=feedforward)
    if width % heads:
        raise ValueError(f"width must be a multiple of heads = {heads}, got {width}")


class _Block(nn.Module):
    def __init__(self, norm: Norm, width: int, heads: int, feedforward: int, causal: bool = False) -> None:
        super().__init__()
        self.pre = norm == "pre"
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _SelfAttention(width, heads, causal)
        self.feedforward = nn.Sequential(nn.Linear(width, feedforward), nn.ReLU(), nn.Linear(feedforward, width))

    def forward(self, h: Tensor) -> Tensor:
        if self.pre:
            h = h + self.attention(self.norm1(h))
            return h + self.feedforward(self.norm2(h))
        h = self.norm1(h + self.attention(h))
        return self.norm2(h + self.feedforward(h))


class _SelfAttention(nn.Module):
    """Multi-head attention in plain operations: fused kernels have no double backward, which sharpness needs."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.query_key_value.weight)

    def forward(self, h: Tensor) -> Tensor:
        qkv = self.query_key_value(h).unflatten(-1, (3, self.heads, -1))
        q, k, v = (part.transpose(-3, -2) for part in qkv.unbind(dim=-3))  # (batch, heads, tokens, width / heads)
        # (keys, queries): for so few tokens, softmax along the last dimension is three times as slow
        scores = k @ q.mT / q.shape[-1] ** 0.5
        if self.causal:  # no key comes after its query
            scores = scores + scores.new_full(scores.shape[-2:], -math.inf).tril(-1)
        weights = F.softmax(scores, dim=-2)
        return self.out((weights.mT @ v).transpose(-3, -2).flatten(-2))
