"""ACT behind the policy interface, with an untrained network a few tokens wide."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speedtune_ros.data.shrink import shrink
from speedtune_ros.errors import CheckpointError, InvalidInputError
from speedtune_ros.policies.act import ActPolicy, load
from speedtune_ros.policies.act_network import ActConfig, ActNetwork, Attention, place_code
from speedtune_ros.policies.checkpoint import CheckpointCard, write_checkpoint
from speedtune_ros.types import Episode, InferenceRequest, Observation, Query, RobotState, TargetKind

CONFIG = ActConfig(horizon=8, hidden=24, feedforward=32, heads=2, latent=4, stem_width=8, widths=(8, 16))
PAPER = ActConfig(
    hidden=512,
    feedforward=3200,
    heads=8,
    encoder_layers=4,
    decoder_layers=7,
    style_layers=4,
    stem_kernel=7,
    stem_pool=True,
    stem_width=64,
    widths=(64, 128, 256, 512),
    blocks=2,
)
MEAN, STD = np.linspace(-1, 1, 14), np.linspace(0.1, 0.5, 14)
SIZE = (24, 32)


def make_card(cameras: tuple[str, ...] = ("top",)) -> CheckpointCard:
    stats = {"mean": MEAN.tolist(), "std": STD.tolist()}
    return CheckpointCard(
        task="transfer_cube",
        profile="act",
        policy="act",
        kind="command",
        horizon=CONFIG.horizon,
        dt=0.02,
        cameras={camera: SIZE for camera in cameras},
        normalisers={"states": stats, "targets": stats},
        config=asdict(CONFIG),
    )


def make_network(cameras: int = 1) -> ActNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ActNetwork(CONFIG, cameras)


@pytest.fixture
def policy() -> ActPolicy:
    return ActPolicy(make_network(), make_card())


def make_query(seed: int = 0, **images: np.ndarray) -> Query:
    rng = np.random.default_rng(seed)
    state = RobotState(40 + seed, rng.normal(size=14), np.zeros(14))
    images = images or {"top": rng.integers(0, 256, (*SIZE, 3), np.uint8)}
    return Query(Observation(state, images), InferenceRequest(seed, 40 + seed))


def episode(seed: int) -> Episode:
    return Episode(f"e{seed}", "transfer_cube", seed)


def test_a_chunk_is_what_the_network_says_in_joint_units(policy: ActPolicy) -> None:
    query = make_query()
    chunk = policy.infer({0: query})[0]
    network = make_network().eval()
    qpos = torch.from_numpy(((query.observation.state.qpos - MEAN) / STD).astype(np.float32))[None]
    image = torch.from_numpy(query.observation.images["top"])[None, None]
    with torch.inference_mode():
        expected = network.decode(network.see(image), qpos, torch.zeros(1, 4))[0].numpy() * STD + MEAN
    np.testing.assert_allclose(chunk.targets[0], expected, atol=1e-5)
    assert (chunk.targets.dtype, chunk.targets.shape) == (np.float32, (1, 8, 14))
    assert (chunk.stamp_ns, chunk.dt, chunk.kind, chunk.policy) == (40, 0.02, TargetKind.COMMAND, "act")


def test_info_says_what_the_card_says(policy: ActPolicy) -> None:
    info = policy.info
    assert (info.task, info.profile, info.horizon, info.dt) == ("transfer_cube", "act", 8, 0.02)
    assert (info.cameras, info.stochastic) == ({"top": SIZE}, True)


def test_a_batch_is_its_queries_one_by_one(policy: ActPolicy) -> None:
    queries = {3: make_query(3), 0: make_query(0), 7: make_query(7)}
    batch = policy.infer(queries)
    assert list(batch) == [3, 0, 7]
    for slot, query in queries.items():
        np.testing.assert_allclose(batch[slot].targets, policy.infer({slot: query})[slot].targets, atol=1e-5)
        assert batch[slot].stamp_ns == 40 + slot


def test_candidates_differ_and_the_first_is_the_typical_one(policy: ActPolicy) -> None:
    policy.reset(episode(5))
    chunk = policy.infer({0: make_query()}, candidates=4)[0]
    assert chunk.targets.shape == (4, 8, 14)
    np.testing.assert_allclose(chunk.targets[0], policy.infer({0: make_query()})[0].targets[0], atol=1e-5)
    for one in range(4):
        for other in range(one):
            assert np.abs(chunk.targets[one] - chunk.targets[other]).max() > 1e-4


def test_candidates_follow_from_the_episodes_seed_whatever_the_slot(policy: ActPolicy) -> None:
    drawn = []
    for slot, seed in ((0, 5), (6, 5), (6, 8)):
        policy.reset(episode(seed), slot)
        drawn.append(policy.infer({slot: make_query()}, candidates=2)[slot].targets)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[2][1] - drawn[1][1]).max() > 1e-4


def test_two_cameras_are_told_apart() -> None:
    policy = ActPolicy(make_network(2), make_card(("top", "angle")))
    images = make_query(1).observation.images["top"], make_query(2).observation.images["top"]
    one = policy.infer({0: make_query(0, top=images[0], angle=images[1])})[0].targets
    other = policy.infer({0: make_query(0, top=images[1], angle=images[0])})[0].targets
    assert np.abs(one - other).max() > 1e-4


def test_images_are_shrunk_before_they_are_seen() -> None:
    network = ActNetwork(replace(CONFIG, shrink=2))
    network.load_state_dict(make_network().state_dict())
    fine = make_query().observation.images["top"]
    coarse = shrink(fine, 2)
    small = replace(make_card(), cameras={"top": coarse.shape[:2]})
    one = ActPolicy(network, make_card()).infer({0: make_query(0, top=fine)})[0].targets
    other = ActPolicy(make_network(), small).infer({0: make_query(0, top=coarse)})[0].targets
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ({"angle": np.zeros((*SIZE, 3), np.uint8)}, "image 'top': expected by the policy, got angle"),
        ({"top": np.zeros((32, 24, 3), np.uint8)}, r"image 'top': expected \(24, 32, 3\) uint8, got \(32, 24, 3\)"),
        ({"top": np.zeros((*SIZE, 3), np.float32)}, r"image 'top': expected \(24, 32, 3\) uint8, got .* float32"),
        ({"top": np.zeros(SIZE, np.uint8)}, r"image 'top': expected \(24, 32, 3\) uint8, got \(24, 32\) uint8"),
    ],
)
def test_wrong_images_are_refused(policy: ActPolicy, images: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        policy.infer({0: make_query(0, **images)})


def test_no_candidates_and_an_unknown_slot_are_refused(policy: ActPolicy) -> None:
    with pytest.raises(InvalidInputError, match="candidates: expected at least 1, got 0"):
        policy.infer({0: make_query()}, candidates=0)
    with pytest.raises(InvalidInputError, match=r"slot 4: expected reset\(\) with an episode"):
        policy.infer({4: make_query()}, candidates=2)
    assert policy.infer({}) == {}


def test_a_checkpoint_gives_the_same_policy_back(tmp_path: Path) -> None:
    network = make_network()
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    write_checkpoint(tmp_path, make_card(), network.state_dict())
    policy = load(tmp_path, "transfer_cube", "act")
    expected = ActPolicy(network, make_card()).infer({0: make_query()})[0].targets
    np.testing.assert_array_equal(policy.infer({0: make_query()})[0].targets, expected)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, make_card(("top", "angle")), make_network(1).state_dict())
    with pytest.raises(CheckpointError, match="the weights do not fit the network"):
        load(tmp_path)


def test_the_papers_size_builds_and_infers() -> None:
    network = ActNetwork(PAPER, 1).eval()
    assert 60e6 < sum(value.numel() for value in network.parameters()) < 100e6  # ACT: about 80 million
    with torch.inference_mode():
        seen = network.see(torch.zeros(1, 1, 64, 96, 3, dtype=torch.uint8))
        assert seen.shape == (1, 2 * 3, 512)  # a 32nd of the image's height and width
        assert network.decode(seen, torch.zeros(1, 14), torch.zeros(1, 32)).shape == (1, 100, 14)


def test_every_place_in_the_image_has_its_own_code() -> None:
    code = place_code(15, 20, 48, torch.device("cpu"))
    assert code.shape == (300, 48)
    distances = torch.cdist(code, code) + 10 * torch.eye(300)
    assert distances.min() > 0.05


def test_attention_is_the_same_fused_and_written_out() -> None:
    attention = Attention(24, 3)
    queries, memory = torch.randn(2, 5, 24), torch.randn(2, 7, 24)
    keep = torch.rand(2, 7) < 0.7
    keep[:, 0] = True
    for mask in (None, keep):
        written_out = attention(queries, memory, mask)
        with torch.inference_mode():
            torch.testing.assert_close(attention(queries, memory, mask), written_out.detach())


def test_hidden_targets_do_not_reach_the_style() -> None:
    network = make_network().eval()
    qpos, targets = torch.zeros(1, 14), torch.linspace(-1.0, 1.0, 112).reshape(1, 8, 14)
    mask = torch.tensor([[True] * 5 + [False] * 3])
    changed = targets.clone()
    changed[:, 5:] += 100.0
    with torch.inference_mode():
        for one, other in zip(network.style(qpos, targets, mask), network.style(qpos, changed, mask)):
            torch.testing.assert_close(one, other)
        all_kept = torch.ones_like(mask)
        assert (
            network.style(qpos, targets, all_kept)[0] - network.style(qpos, changed, all_kept)[0]
        ).abs().max() > 1e-3


def test_what_it_saw_is_shared_until_the_next_observation(policy: ActPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    see = policy._network.see
    monkeypatch.setattr(policy._network, "see", lambda images: passes.append(len(images)) or see(images))
    queries = {0: make_query(0), 1: make_query(1)}
    for slot in queries:
        policy.reset(episode(slot), slot)
    policy.infer(queries)
    tokens = policy.see(list(queries.values()))
    assert passes == [2] and tokens.shape[:1] == (2,) and tokens.shape[2] == CONFIG.hidden
    alone = policy.see([make_query(1)])  # equal, but another observation
    assert passes == [2, 1]
    torch.testing.assert_close(alone, tokens[1:], rtol=1e-4, atol=1e-5)
    policy.see([queries[1], queries[0]])
    assert passes == [2, 1, 2]


def test_its_card_s_hash_tells_policies_apart(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", make_card(), make_network().state_dict())
    write_checkpoint(tmp_path / "b", make_card(("angle",)), make_network().state_dict())
    digests = [load(tmp_path / name).info.digest for name in ("a", "a", "b")]
    assert digests[0] == digests[1] != digests[2] and len(digests[0]) == 64
