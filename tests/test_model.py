"""The models against torch's own layers and the variances of the initialisations' papers."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from warmup_course.data import waveforms
from warmup_course.model import MLP, ConvNet, TinyGPT, TinyTransformer


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def linears(model: nn.Module) -> list[nn.Linear]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)]


# --- MLP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [[], [5], [5, 7], [3] * 6, (4, 2)])
def test_mlp_alternates_linear_layers_and_relu(hidden: list[int]) -> None:
    model = MLP(6, 4, hidden=hidden)
    assert [(layer.in_features, layer.out_features) for layer in linears(model)] == list(
        zip([6, *hidden], [*hidden, 4], strict=True)
    )
    h = x = torch.randn(9, 6)
    for layer in linears(model)[:-1]:
        h = (h @ layer.weight.T + layer.bias).clamp(min=0)
    last = linears(model)[-1]
    torch.testing.assert_close(model(x), h @ last.weight.T + last.bias)


@pytest.mark.parametrize(
    ("init", "variances"),
    [("he", [2 / 900, 2 / 300, 2 / 500]), ("xavier", [2 / 1200, 2 / 800, 2 / 650])],
)
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_he_and_xavier_draw_normal_weights_of_the_stated_variance(
    init: Any, variances: list[float], gain: float
) -> None:
    for layer, variance in zip(linears(MLP(900, 150, [300, 500], init, gain)), variances, strict=True):
        weights = layer.weight.detach() / (gain * variance**0.5)
        assert weights.mean().item() == pytest.approx(0, abs=0.02)
        assert weights.var().item() == pytest.approx(1, rel=0.03)
        assert (weights.abs() > 2).double().mean().item() == pytest.approx(0.0455, abs=0.005)  # a normal's tails
        assert torch.count_nonzero(layer.bias) == 0


def test_torch_init_is_what_nn_linear_does_under_the_same_seed() -> None:
    torch.manual_seed(7)
    ours = MLP(6, 4, hidden=[5, 3], init="torch")
    torch.manual_seed(7)
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 4))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))
    assert list(ours.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize(("data", "sizes"), [("tabular", (10, 2)), ("digits", (64, 10)), (waveforms(), (32, 4))])
def test_for_data_is_what_one_writes_by_hand_under_the_same_seed(data: Any, sizes: tuple[int, int]) -> None:
    torch.manual_seed(7)
    ours = MLP.for_data(data, hidden=[5], init="xavier", gain=2.0)
    torch.manual_seed(7)
    by_hand = MLP(*sizes, hidden=[5], init="xavier", gain=2.0)
    assert type(ours) is MLP
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True))


@pytest.mark.parametrize("name", ["digit_tokens", "docstrings"])
def test_for_data_takes_rows_of_numbers_alone(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^data must be .*\(rows, features\), got '{name}'$"):
        MLP.for_data(name)


@pytest.mark.parametrize("init", ["he", "xavier", "torch"])
def test_gain_multiplies_the_weights_and_leaves_the_biases(init: Any) -> None:
    torch.manual_seed(7)
    plain = MLP(6, 4, [5], init)
    torch.manual_seed(7)
    scaled = MLP(6, 4, [5], init, gain=2.5)
    for a, b in zip(linears(plain), linears(scaled), strict=True):
        torch.testing.assert_close(b.weight, 2.5 * a.weight)
        assert torch.equal(b.bias, a.bias)


# --- ConvNet ---------------------------------------------------------------------------------------------------------


def test_convnet_is_convolutions_by_hand() -> None:
    model, x = ConvNet(layers=2, channels=3, out_features=4), torch.randn(5, 12)
    h = x[:, None]
    for convolution in (part for part in model if isinstance(part, nn.Conv1d)):
        padded = torch.cat([torch.zeros(5, h.shape[1], 2), h, torch.zeros(5, h.shape[1], 2)], dim=-1)
        places = range(0, h.shape[-1], 2)
        values = [torch.einsum("rci,oci->ro", padded[..., i : i + 5], convolution.weight) for i in places]
        h = (torch.stack(values, dim=-1) + convolution.bias[:, None]).clamp(min=0)
    assert h.shape == (5, 3, 3)
    [last] = linears(model)
    torch.testing.assert_close(model(x), h.mean(dim=-1) @ last.weight.T + last.bias)


@pytest.mark.parametrize("gain", [1.0, 1.4])
def test_convnet_draws_he_normal_weights(gain: float) -> None:
    first, second, last = (p for p in ConvNet(layers=2, channels=400, gain=gain).parameters() if p.dim() > 1)
    for weights, fan_in in ((first, 5), (second, 5 * 400), (last, 400)):
        weights = weights.detach() / (gain * (2 / fan_in) ** 0.5)
        assert weights.mean().item() == pytest.approx(0, abs=0.1)
        assert weights.var().item() == pytest.approx(1, rel=0.1)
    assert all(torch.count_nonzero(p) == 0 for p in ConvNet().parameters() if p.dim() == 1)


# --- TinyTransformer -------------------------------------------------------------------------------------------------


def as_torch_layer(block: Any, norm: str, width: int, heads: int, feedforward: int) -> nn.TransformerEncoderLayer:
    """torch's own encoder layer with the weights of our block."""
    layer = nn.TransformerEncoderLayer(
        width, heads, feedforward, dropout=0.0, batch_first=True, norm_first=norm == "pre", dtype=torch.float64
    )
    layer.self_attn.in_proj_weight.data = block.attention.query_key_value.weight.data
    layer.self_attn.in_proj_bias.data = block.attention.query_key_value.bias.data
    for theirs, ours in (
        (layer.self_attn.out_proj, block.attention.out),
        (layer.linear1, block.feedforward[0]),
        (layer.linear2, block.feedforward[2]),
        (layer.norm1, block.norm1),
        (layer.norm2, block.norm2),
    ):
        theirs.load_state_dict(ours.state_dict())
    return layer


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformer_equals_torch_encoder_layers_with_the_same_weights(norm: Any, heads: int) -> None:
    model = TinyTransformer(
        norm, token_features=5, tokens=4, out_features=3, layers=2, width=6, heads=heads, feedforward=7
    )
    model = model.double()
    for p in model.parameters():  # biases and norms too must be in their places
        p.data += 0.3 * torch.randn_like(p)
    x = torch.randn(11, 4, 5, dtype=torch.float64)
    h = model.embed(x) + model.position
    for block in model.blocks:
        h = as_torch_layer(block, norm, 6, heads, 7)(h)
    if norm == "pre":
        final_norm: Any = model.final_norm
        h = nn.functional.layer_norm(h, (6,), final_norm.weight, final_norm.bias)
    scores = model(x)
    torch.testing.assert_close(scores, model.head(h.mean(dim=1)), rtol=1e-10, atol=1e-10)
    assert scores.shape == (11, 3)
    assert (model.embed.bias.shape, model.head.bias.shape) == ((6,), (3,))


def test_post_norm_normalises_the_stream_after_each_block_and_pre_norm_lets_it_grow() -> None:
    def stream_variances(model: TinyTransformer) -> list[float]:
        h, variances = model.embed(torch.randn(64, 8, 8)) + model.position, []
        for block in model.blocks:
            h = block(h)
            variances.append(h.var(dim=-1, correction=0).mean().item())
        return variances

    assert stream_variances(TinyTransformer("post")) == pytest.approx([1] * 4, abs=0.01)
    growing = stream_variances(TinyTransformer("pre"))
    assert growing == sorted(growing)
    assert growing[-1] > 1.1 * growing[0]


def test_every_layer_is_initialised_differently() -> None:
    first, *others = TinyTransformer().blocks
    for other in others:
        for name, p in first.named_parameters():
            if "norm" not in name and not name.endswith("bias"):
                assert not torch.equal(p, other.get_parameter(name)), name


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_order_of_the_tokens_matters_only_through_the_positions(norm: Any) -> None:
    model = TinyTransformer(norm)
    x = torch.randn(5, 8, 8)
    assert (model(x) - model(x.flip(1))).abs().max() > 1e-3
    model.position.data.zero_()
    torch.testing.assert_close(model(x), model(x.flip(1)), rtol=1e-4, atol=1e-5)


# --- TinyGPT ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_decoder_equals_torch_layers_under_a_causal_mask(norm: Any) -> None:
    model = TinyGPT(norm, symbols=7, tokens=6, layers=2, width=6, heads=3, feedforward=5).double()
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    x = torch.randint(7, (11, 6))
    h, mask = model.embed.weight[x] + model.position, nn.Transformer.generate_square_subsequent_mask(6).double()
    for block in model.blocks:
        h = as_torch_layer(block, norm, 6, 3, 5)(h, src_mask=mask)
    if norm == "pre":
        final_norm: Any = model.final_norm
        h = nn.functional.layer_norm(h, (6,), final_norm.weight, final_norm.bias)
    torch.testing.assert_close(model(x), model.head(h), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_later_token_changes_no_earlier_output(norm: Any) -> None:
    model, x = TinyGPT(norm, symbols=7, tokens=10), torch.randint(7, (3, 10))
    for place in range(10):
        other = x.clone()
        other[:, place] = (x[:, place] + 1) % 7
        changed = (model(other) - model(x)).abs().amax(dim=(0, 2))
        torch.testing.assert_close(changed[:place], torch.zeros(place), rtol=0, atol=1e-6)
        assert changed[place:].min() > 1e-5


def test_a_shorter_text_gives_the_outputs_of_its_beginning() -> None:
    model, x = TinyGPT(tokens=10), torch.randint(96, (3, 10))
    torch.testing.assert_close(model(x[:, :4]), model(x)[:, :4], rtol=1e-4, atol=1e-6)


def test_a_fresh_decoder_guesses() -> None:
    outputs = TinyGPT()(torch.randint(96, (64, 32)))
    assert outputs.shape == (64, 32, 96)
    loss = nn.functional.cross_entropy(outputs.flatten(0, 1), torch.randint(96, (64 * 32,)))
    assert loss.item() == pytest.approx(np.log(96), abs=0.3)


def test_layers_can_be_taken_apart() -> None:
    model = MLP(6, 3, hidden=[5])
    x = torch.randn(2, 6)
    torch.testing.assert_close(model[2](model[:2](x)), model(x))
    assert model[-1].out_features == 3
