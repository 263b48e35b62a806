"""SDIM, ETA and TargetAttention: Rust against torch operations, gradients against autograd, wrong calls by name."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import negmine
import oracle_behavior as oracle

torch = pytest.importorskip("torch")

from negmine.behavior import BehaviorTable  # noqa: E402
from negmine.errors import NegmineTypeError, NegmineValueError  # noqa: E402
from negmine.torch import ETA, SDIM, TargetAttention  # noqa: E402

NORMALIZE = ("l2", "mean", "sum", "ratio")


def problem(seed: int = 0, users: int = 3, length: int = 40, n: int = 5, dim: int = 16, width: int = 7) -> Any:
    """Candidates, behaviors, mask and values, some behaviors zero and the last user without any."""
    rng = torch.Generator().manual_seed(seed)
    behaviors = torch.randn(users, length, dim, generator=rng)
    behaviors[0, 3] = 0.0
    mask = torch.rand(users, length, generator=rng) < 0.8
    mask[-1] = False
    candidates, values = (torch.randn(users, k, w, generator=rng) for k, w in ((n, dim), (length, width)))
    return candidates, behaviors, mask, values


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("masked", [False, True])
def test_rust_and_torch_agree_and_so_do_their_gradients(masked: bool, normalize: str, skip: bool) -> None:
    module = SDIM(16, m=24, tau=3, seed=1, normalize=normalize, skip_empty=skip)  # type: ignore[arg-type]
    for seed in range(5):
        candidates, behaviors, mask, values = problem(seed)
        mask = mask if masked else None
        found = []
        for pool in (module, module.pool):
            leaf = values.clone().requires_grad_()
            out = pool(candidates, behaviors, mask, leaf)
            out.backward(torch.arange(out.numel()).reshape(out.shape) / out.numel())
            found.append((out.detach(), leaf.grad))
        for ours, theirs in zip(*found, strict=True):
            scale = max(1.0, float(theirs.abs().max()))
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * scale)
        there = mask[1].numpy() if masked else None
        known = oracle.signatures(module.hasher.projections, 3, behaviors[1].numpy(), there)
        wanted = oracle.signatures(module.hasher.projections, 3, candidates[1].numpy())
        expected = oracle.attention(wanted, known, values[1].numpy(), normalize, skip)
        np.testing.assert_allclose(found[0][0][1], expected, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    candidates, behaviors, mask, values = problem()
    module = SDIM(16)
    leaf = values.clone().requires_grad_()
    weights = torch.randn(3, 5, 7)
    (module(candidates, behaviors, mask, leaf) * weights).sum().backward()
    step = torch.randn(values.shape)
    ends = [(module(candidates, behaviors, mask, values + h * step) * weights).sum().double() for h in (1e-2, -1e-2)]
    assert abs((ends[0] - ends[1]) / 2e-2 - (leaf.grad * step).sum()) < 2e-2


def test_a_gradient_is_not_differentiated_again_in_silence() -> None:
    candidates, behaviors, mask, values = problem()
    leaf = values.requires_grad_()
    out = SDIM(16)(candidates, behaviors, mask, leaf).square().sum()
    (gradient,) = torch.autograd.grad(out, leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_gradients_flow_behind_values_and_to_nothing_else() -> None:
    candidates, _, mask, _ = problem()
    embedding = torch.nn.Embedding(50, 16)
    items = torch.randint(0, 50, (3, 40))
    module = SDIM(16)
    assert not list(module.parameters())
    candidates.requires_grad_()
    module(candidates, embedding(items), mask).sum().backward()
    assert embedding.weight.grad.abs().sum() > 0
    assert candidates.grad is None
    unseen = torch.ones(50, dtype=torch.bool)
    unseen[items[mask]] = False
    assert (embedding.weight.grad[unseen] == 0).all()


def test_padding_may_hold_anything() -> None:
    candidates, behaviors, mask, values = problem()
    for module in (SDIM(16), TargetAttention(16), ETA(16, top_k=4)):
        expected = module(candidates, behaviors, mask, values)
        spoiled = [torch.where(mask[..., None], x, torch.nan) for x in (behaviors, values)]
        leaf = spoiled[1].requires_grad_()
        got = module(candidates, spoiled[0], mask, leaf)
        torch.testing.assert_close(got, expected)
        got.sum().backward()
        assert (leaf.grad[~mask] == 0).all()
        assert (got[-1] == 0).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    before = torch.get_num_threads()
    outs = []
    try:
        for n in (2, threads):
            torch.set_num_threads(n)
            candidates, behaviors, mask, values = problem(length=300)
            leaf = values.requires_grad_()
            out = SDIM(16)(candidates, behaviors, mask, leaf)
            out.square().sum().backward()
            outs.append((out.detach(), leaf.grad))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*outs, strict=True))


def test_the_module_reads_what_the_table_reads() -> None:
    candidates, behaviors, _, values = problem()
    table = BehaviorTable.build(negmine.SimHash(dim=16), behaviors[0], values=values[0])
    got = SDIM(16)(candidates[0], behaviors[0], None, values[0])
    np.testing.assert_array_equal(got.numpy(), table.query(candidates[0]))


@pytest.mark.parametrize("make", [lambda: SDIM(16), lambda: TargetAttention(16), lambda: ETA(16, top_k=3)])
def test_the_three_shapes_are_one(make: Callable[[], Any]) -> None:
    candidates, behaviors, mask, values = problem()
    module = make()
    full = module(candidates, behaviors, mask, values)
    assert full.shape == (3, 5, 7)
    torch.testing.assert_close(module(candidates[:, 0], behaviors, mask, values), full[:, 0])
    torch.testing.assert_close(module(candidates[1], behaviors[1], mask[1], values[1]), full[1])
    assert module(candidates, behaviors).shape == (3, 5, 16)
    assert module(candidates, behaviors[:, :0]).abs().sum() == 0
    assert module(candidates[:, :0], behaviors).shape == (3, 0, 16)
    assert module(candidates[:0], behaviors[:0]).shape == (0, 5, 16)


def test_rows_in_memory_of_any_kind() -> None:
    candidates, behaviors, mask, values = problem()
    module = SDIM(16)
    expected = module(candidates, behaviors, mask, values)
    turned = behaviors.transpose(0, 1).contiguous().transpose(0, 1)
    torch.testing.assert_close(module(candidates, turned, mask, values), expected)
    doubles = module(candidates.double(), behaviors.double(), mask, values.double())
    assert doubles.dtype == torch.float64
    torch.testing.assert_close(doubles.float(), expected)


MODULES: dict[str, Callable[[], Any]] = {
    "SDIM": lambda: SDIM(16),
    "ETA": lambda: ETA(16, top_k=4),
    "TargetAttention": lambda: TargetAttention(16),
}
EVERY_MODULE = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)

#: Views of a tensor whose last dimension holds it twice over, or of which it is one of several.
VIEWS: dict[str, Callable[[Any], Any]] = {
    "every other entry": lambda x: torch.stack([x, torch.zeros_like(x)], dim=-1).flatten(-2)[..., ::2],
    "a column": lambda x: torch.stack([x, x == x, x], dim=-1)[..., 2],
    "turned": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "an offset": lambda x: torch.cat([x[:1], x])[1:],
    "expanded": lambda x: x[:1].expand(x.shape),
}


@EVERY_MODULE
@pytest.mark.parametrize("view", VIEWS)
def test_a_mask_may_be_a_view(make: Callable[[], Any], view: str) -> None:
    candidates, behaviors, mask, values = problem()
    module = make()
    shown = VIEWS[view](mask)
    expected = module(candidates, behaviors, shown.contiguous(), values)
    leaf = values.clone().requires_grad_()
    got = module(candidates, behaviors, shown, leaf)
    assert torch.equal(got, expected)
    got.sum().backward()
    assert (leaf.grad[~shown] == 0).all()
    # One history: a mask of one dimension, of which entries lie apart.
    one = VIEWS["every other entry"](mask[1])
    assert torch.equal(module(candidates[1], behaviors[1], one, values[1]), module(*(x[1] for x in problem())))


@EVERY_MODULE
@pytest.mark.parametrize("view", [name for name in VIEWS if name != "a column"])
def test_rows_may_be_views(make: Callable[[], Any], view: str) -> None:
    candidates, behaviors, mask, values = problem()
    module = make()
    shown = [VIEWS[view](x) for x in (candidates, behaviors, values)]
    expected = module(shown[0].contiguous(), shown[1].contiguous(), mask, shown[2].contiguous())
    torch.testing.assert_close(module(shown[0], shown[1], mask, shown[2]), expected)


@EVERY_MODULE
@pytest.mark.parametrize("wide", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_arguments_may_be_of_different_types(make: Callable[[], Any], wide: Any, place: int) -> None:
    arguments = list(problem())
    arguments[place] = arguments[place].to(wide)
    module = make()
    plain = [x.float() if x.is_floating_point() else x for x in arguments]
    got = module(*arguments)
    assert got.dtype == arguments[3].dtype
    torch.testing.assert_close(got.float(), module(*plain).to(got.dtype).float(), rtol=1e-2, atol=1e-5)
    # By default the behaviors are what is pooled.
    assert module(*arguments[:3]).dtype == arguments[1].dtype


@EVERY_MODULE
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(("place", "name"), [(0, "candidates"), (1, "behaviors"), (3, "values")])
def test_what_is_not_finite_is_refused_alike(make: Callable[[], Any], value: float, place: int, name: str) -> None:
    module = make()
    arguments = list(problem())
    arguments[2][1] = True
    arguments[place][1, :, 3] = value
    row = arguments[place].shape[1]
    message = f"`{name}` must be finite; row {row} holds NaN or infinity at column 3"
    with pytest.raises(NegmineValueError, match=message):
        module(*arguments)
    if place != 3:
        with pytest.raises(NegmineValueError, match=f"`{name}` must be finite; row {row} holds"):
            module(*arguments[:3])


def test_torch_operations_make_nan_of_what_is_not_finite() -> None:
    candidates, behaviors, mask, values = problem()
    mask[1] = True
    module = SDIM(16)
    expected = module(candidates, behaviors, mask, values)
    candidates[0, 2, 1] = torch.nan
    behaviors[1, 5, 0] = torch.inf
    got = module.pool(candidates, behaviors, mask, values)
    assert got[0, 2].isnan().all()
    assert got[1].isnan().all()
    torch.testing.assert_close(got[0, [0, 1, 3, 4]], expected[0, [0, 1, 3, 4]])
    torch.testing.assert_close(got[2], expected[2])


@EVERY_MODULE
def test_the_meta_device_gives_shapes(make: Callable[[], Any]) -> None:
    candidates, behaviors, mask, values = problem()
    module = make()
    calls = [
        (candidates, behaviors, mask, values),
        (candidates[:, 0], behaviors, None, values.double()),
        (candidates[1], behaviors[1], mask[1]),
        (candidates, behaviors[:, :0]),
    ]
    for arguments in calls:
        expected = module(*arguments)
        got = module(*(None if x is None else x.to("meta") for x in arguments))
        assert (got.device.type, got.shape, got.dtype) == ("meta", expected.shape, expected.dtype)
    leaf = values.to("meta").requires_grad_()
    module(candidates.to("meta"), behaviors.to("meta"), mask.to("meta"), leaf).sum().backward()
    assert leaf.grad.shape == values.shape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: Any) -> None:
    candidates, behaviors, mask, values = (x.to(dtype) if x.is_floating_point() else x for x in problem())
    module = SDIM(16)
    expected = module(candidates.float(), behaviors.float(), mask, values.float()).to(dtype)
    leaf = values.clone().requires_grad_()
    got = module(candidates, behaviors, mask, leaf)
    assert got.dtype == dtype
    torch.testing.assert_close(got, expected)
    got.sum().backward()
    assert leaf.grad.dtype == dtype
    for pool in (module, module.pool):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = pool(candidates, behaviors, mask, values)
        torch.testing.assert_close(inside.to(dtype), expected)


def test_the_state_is_the_seed() -> None:
    candidates, behaviors, mask, values = problem()
    center = torch.full((16,), 0.25)
    for source in (SDIM(16, seed=2**64 - 1), SDIM(16, seed=7, center=center), ETA(16, top_k=3, seed=3)):
        target = SDIM(16) if isinstance(source, SDIM) else ETA(16, top_k=3)
        file = io.BytesIO()
        torch.save(source.state_dict(), file)
        assert file.tell() < 4000
        target.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        assert target.hasher == source.hasher
        expected = source(candidates, behaviors, mask, values)
        for same in (target, copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
            torch.testing.assert_close(same(candidates, behaviors, mask, values), expected, rtol=0, atol=0)
    with pytest.raises(NegmineValueError, match="`state` must be of a hash with tau=2; got tau=3"):
        SDIM(16, tau=2).load_state_dict(SDIM(16).state_dict())


def test_compile_breaks_the_graph_and_gives_the_same() -> None:
    candidates, behaviors, mask, values = problem()
    module = SDIM(16)

    def twice(x: Any) -> Any:
        return module(candidates, behaviors, mask, 2 * x) + 1

    compiled = torch.compile(twice, backend="eager")
    torch.testing.assert_close(compiled(values), twice(values))
    torch._dynamo.reset()
    with pytest.raises(Exception, match="disable"):
        torch.compile(twice, backend="eager", fullgraph=True)(values)


def test_full_attention_is_softmax() -> None:
    candidates, behaviors, mask, values = problem()
    scores = (candidates @ behaviors.transpose(1, 2) / 4).masked_fill(~mask[:, None], -torch.inf)
    expected = torch.nan_to_num(scores.softmax(dim=-1)) @ values
    torch.testing.assert_close(TargetAttention(16)(candidates, behaviors, mask, values), expected)


def test_retrieval_is_by_hamming_distance() -> None:
    candidates, behaviors, mask, values = problem(length=60)
    module = ETA(16, top_k=9, m=32, seed=2)
    bits = [module.bits(x)[0] for x in (candidates, behaviors)]
    distance = (bits[0][:, :, None] != bits[1][:, None]).sum(dim=-1)
    there = mask & (behaviors != 0).any(dim=-1)
    out = module(candidates, behaviors, mask, values)
    for user in range(3):
        allowed = torch.nonzero(there[user])[:, 0]
        for i in range(5):
            order = np.lexsort((allowed.numpy(), distance[user, i, allowed].numpy()))[:9]
            near = allowed[order]
            keys = behaviors[user, near]
            expected = (candidates[user, i] @ keys.T / 4).softmax(dim=-1) @ values[user, near]
            torch.testing.assert_close(out[user, i], expected)


def test_retrieval_by_torch_operations_finds_the_same() -> None:
    from negmine.torch.histories._attention import read_histories
    from negmine.torch.histories.attention import _native_nearest

    for seed in range(5):
        candidates, behaviors, mask, _ = problem(seed)
        candidates[0, 0] = 0.0
        module = ETA(16, top_k=35, m=8, seed=seed)
        read = read_histories(candidates, behaviors, mask, None, 16)
        assert torch.equal(_native_nearest(read, module), module.nearest(read))


X, H = torch.randn(2, 3, 4), torch.randn(2, 9, 4)
BAD: list[tuple[str, Callable[[], Any], str]] = [
    ("tau", lambda: SDIM(4, m=10), "`m` must be a multiple of `tau`"),
    ("normalize", lambda: SDIM(4, normalize="max"), "`normalize` must be one of"),  # type: ignore[arg-type]
    ("top_k", lambda: ETA(4, top_k=0), "`top_k` must be at least 1"),
    ("scale", lambda: TargetAttention(4, scale=-1.0), "`scale` must be greater than 0"),
    ("width", lambda: SDIM(5)(X, H), r"`behaviors` must have shape \(U, L, 5\) or \(L, 5\); got \(2, 9, 4\)"),
    ("candidates", lambda: SDIM(4)(X[..., :3], H), r"`candidates` must have shape \(2, 4\) or \(2, C, 4\); got"),
    ("other users", lambda: SDIM(4)(X[:1], H), r"`candidates` must have shape \(2, 4\) or"),
    (
        "mask's shape",
        lambda: SDIM(4)(X, H, torch.ones(2, 8, dtype=torch.bool)),
        r"`mask` must be bool of shape \(2, 9\)",
    ),
    ("mask's dtype", lambda: SDIM(4)(X, H, torch.ones(2, 9)), "`mask` must be bool of shape"),
    ("values", lambda: SDIM(4)(X, H, None, H[:, :3]), "`values` must have shape"),
    ("NaN", lambda: SDIM(4)(X, torch.full_like(H, torch.nan)), "`behaviors` must be finite; row 0"),
    ("NaN candidates", lambda: SDIM(4)(torch.full_like(X, torch.nan), H), "`candidates` must be finite; row 0"),
    ("NaN values", lambda: SDIM(4)(X, H, None, torch.full_like(H, torch.inf)), "`values` must be finite; row 0"),
]


@pytest.mark.parametrize(("call", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_wrong_call_is_told(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(NegmineValueError, match=message):
        call()


def test_wrong_types_are_told() -> None:
    with pytest.raises(NegmineTypeError, match="`behaviors` must be a tensor; got ndarray"):
        SDIM(4)(X, H.numpy())
    with pytest.raises(NegmineTypeError, match="`candidates` must hold floating-point numbers"):
        SDIM(4)(X.long(), H)
    with pytest.raises(NegmineValueError, match="`values` must be on cpu, as `candidates` are; got meta"):
        SDIM(4)(X, H, None, H.to("meta"))


@EVERY_MODULE
def test_what_is_no_dense_tensor_is_refused(make: Callable[[], Any]) -> None:
    candidates, behaviors, mask, values = problem()
    module = make()
    for place, name in enumerate(("candidates", "behaviors", "mask", "values")):
        arguments = [candidates, behaviors, mask, values]
        arguments[place] = arguments[place].to_sparse()
        with pytest.raises(NegmineTypeError, match=f"`{name}` must be a dense tensor; got layout torch.sparse_coo"):
            module(*arguments)
    with pytest.raises(NegmineTypeError, match="`behaviors` must be a dense tensor; got a nested tensor"):
        module(candidates, torch.nested.nested_tensor(list(behaviors), layout=torch.jagged))
    with pytest.raises(NegmineTypeError, match="`values` must hold floating-point numbers of 16, 32 or 64 bits; got"):
        module(candidates, behaviors, mask, values.to(torch.float8_e4m3fn))


@EVERY_MODULE
def test_compiled_modules_give_the_same(make: Callable[[], Any]) -> None:
    candidates, behaviors, mask, values = problem()
    module = make()
    compiled = torch.compile(module, backend="eager")
    torch.testing.assert_close(compiled(candidates, behaviors, mask, values), module(*problem()))
    torch._dynamo.reset()


def test_the_hash_of_a_module_is_what_serving_needs() -> None:
    candidates, behaviors, _, values = problem()
    module = SDIM(16, seed=3)
    module.load_state_dict(SDIM(16, seed=9).state_dict())
    table = BehaviorTable.build(module.hasher, behaviors[0], values=values[0])
    assert table.hasher_digest == module.hasher_digest
    for hasher in (module.hasher, module.hasher_digest):
        got = table.query(candidates[0], hasher=hasher, normalize=module.normalize)
        np.testing.assert_array_equal(got, module(candidates[0], behaviors[0], None, values[0]).numpy())
    for module in (SDIM(16, seed=3), ETA(16, top_k=1, m=48)):
        with pytest.raises(NegmineValueError, match="`hasher` must be of the table's hash"):
            table.query(candidates[0], hasher=module.hasher)
