"""Configuration from ROS parameter files: what is read, what is refused, and the words of the refusal."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from speedtune_ros import config
from speedtune_ros.config import differences, flat, option
from speedtune_ros.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Inner:
    method: str = option("nearest", "how", choices=("nearest", "consumed"))
    tolerance: float = option(1e-3, "how near [rad]", minimum=0.0, maximum=0.1)


@dataclasses.dataclass(frozen=True)
class Outer:
    k_skip: int = option(10, "ticks between requests", minimum=1, maximum=100)
    dt: float = option(0.02, "step [s]", minimum=0.001)
    on: bool = option(False, "whether")
    limit: float | None = option(None, "ceiling", maximum=5.0)
    mode: str | None = option(None, "mode", choices=("a", "b"))
    speeds: tuple[float, ...] = option((1.0, 2.0), "set", minimum=0.1)
    pair: tuple[int, str] = option((1, "x"), "two things")
    either: float | str = option("measured", "a number or a word")
    path: Path | None = option(None, "file")
    free: float = option(0.0, "anything finite or not, but a number")
    inner: Inner = Inner(method="consumed")


@dataclasses.dataclass(frozen=True)
class Needy:
    name: str
    size: int = 1

    def __post_init__(self) -> None:
        if self.size == 13:
            raise ValueError("size: 13 brings bad luck")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_documented_example(tmp_path: Path) -> None:
    text = "/**:\n  ros__parameters:\n    k_skip: 5\n    inner: {method: nearest}\n"
    loaded = config.load(Outer, write(tmp_path / "a.yaml", text))
    assert loaded == Outer(k_skip=5, inner=Inner(method="nearest"))


def test_a_node_s_own_block_wins_over_everybody_s(tmp_path: Path) -> None:
    text = (
        "/**: {ros__parameters: {k_skip: 5, dt: 0.1}}\n"
        "sim: {ros__parameters: {k_skip: 6}}\n"
        "/other: {ros__parameters: {k_skip: 7}}\n"
    )
    path = write(tmp_path / "a.yaml", text)
    assert config.read_parameters(path) == {"k_skip": 5, "dt": 0.1}
    assert config.read_parameters(path, "sim") == {"k_skip": 6, "dt": 0.1}
    assert config.read_parameters(path, "other") == {"k_skip": 7, "dt": 0.1}


def test_overrides_win_and_may_be_dotted_in_build(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "/**: {ros__parameters: {k_skip: 5, inner: {tolerance: 0.01}}}")
    assert config.load(Outer, path, overrides={"k_skip": 7}).k_skip == 7
    built = config.build(Outer, {"inner.tolerance": 0.01, "inner.method": "nearest"})
    assert built.inner == Inner("nearest", 0.01)


def test_an_empty_block_is_all_defaults(tmp_path: Path) -> None:
    assert config.load(Outer, write(tmp_path / "a.yaml", "/**:\n  ros__parameters:\n")) == Outer()
    assert config.load(Outer, write(tmp_path / "b.yaml", "/**:\n")) == Outer()


def test_a_partly_given_nested_config_keeps_its_field_s_own_default() -> None:
    assert config.build(Outer, {"inner": {"tolerance": 0.05}}).inner == Inner("consumed", 0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping of node names"),
        ("- 1", "got list"),
        ("a: [", "not YAML"),
        ("sim: {ros__parameters: {}}", "no parameters for '/\\*\\*'; found: sim"),
        ("/**: {k_skip: 1}", "expected 'ros__parameters' alone under '/\\*\\*'"),
        ("/**: {ros__parameters: {}, more: 1}", "expected 'ros__parameters' alone"),
        ("/**: {ros__parameters: [1, 2]}", r"expected a mapping under '/\*\*', got \[1, 2\]"),
        ("/**: 3", "expected 'ros__parameters' alone"),
    ],
)
def test_a_file_of_another_form_is_refused_by_its_path(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "a.yaml", text)
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(Outer, path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        config.read_parameters(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.read_parameters(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not YAML"):
        config.read_parameters(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"k_skp": 5}, "unknown key 'k_skp'; known: k_skip, .*; did you mean 'k_skip'?"),
        ({"zzzzz": 5}, "unknown key 'zzzzz'; known: [^;]*$"),
        ({3: 5}, "unknown key '3'"),
        ({"inner": {"metod": "nearest"}}, "inner: unknown key 'metod'; .*did you mean 'method'"),
        ({"inner.metod": "nearest"}, "unknown key 'metod'"),
        ({"method": "nearest"}, "unknown key 'method'; known: .*; did you mean 'inner.method'?"),
        ({"metod": "nearest"}, "unknown key 'metod'; known: .*; did you mean 'inner.method'?"),
        ({"iner": {}}, "unknown key 'iner'; known: .*; did you mean 'inner'?"),
        ({"inner": 3}, "inner: expected a mapping, got 3"),
        ({"k_skip": "5"}, "k_skip: expected int, got str '5'"),
        ({"k_skip": 5.0}, "k_skip: expected int, got float 5.0"),
        ({"k_skip": True}, "k_skip: expected int, got bool True"),
        ({"k_skip": None}, "k_skip: expected int, got NoneType None"),
        ({"k_skip": 0}, "k_skip: expected between 1 and 100, got 0"),
        ({"k_skip": 101}, "k_skip: expected between 1 and 100, got 101"),
        ({"dt": 0.0}, "dt: expected at least 0.001, got 0.0"),
        ({"dt": math.nan}, "dt: expected at least 0.001, got nan"),
        ({"dt": True}, "dt: expected float, got bool True"),
        ({"dt": [0.1]}, "dt: expected float, got list"),
        ({"free": math.nan}, "free: expected a number, got nan"),
        ({"on": 1}, "on: expected bool, got int 1"),
        ({"on": "true"}, "on: expected bool, got str"),
        ({"limit": 6.0}, "limit: expected at most 5.0, got 6.0"),
        ({"limit": "high"}, "limit: expected float, got str 'high'"),
        ({"mode": "c"}, "mode: expected one of a, b, got 'c'"),
        ({"speeds": 1.0}, "speeds: expected a list, got 1.0"),
        ({"speeds": "1"}, "speeds: expected a list, got '1'"),
        ({"speeds": [1.0, "2"]}, r"speeds\[1\]: expected float, got str '2'"),
        ({"speeds": [1.0, 0.0]}, "speeds: expected at least 0.1, got 0.0"),
        ({"pair": [1]}, "pair: expected 2 values, got 1"),
        ({"pair": ["x", 1]}, r"pair\[0\]: expected int, got str 'x'"),
        ({"either": [1]}, "either: expected float or str, got list"),
        ({"inner": {"method": "best"}}, "method: expected one of nearest, consumed, got 'best'"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config.build(Outer, values, "file.yaml")
    assert str(caught.value).startswith("file.yaml: ")


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ({"dt": 1}, "dt", 1.0),
        ({"limit": None}, "limit", None),
        ({"limit": 3}, "limit", 3.0),
        ({"mode": None}, "mode", None),
        ({"mode": "b"}, "mode", "b"),
        ({"speeds": [1, 2.5]}, "speeds", (1.0, 2.5)),
        ({"speeds": []}, "speeds", ()),
        ({"pair": [2, "y"]}, "pair", (2, "y")),
        ({"either": 2}, "either", 2.0),
        ({"either": "word"}, "either", "word"),
        ({"path": "a/b"}, "path", Path("a/b")),
        ({"free": math.inf}, "free", math.inf),
    ],
)
def test_values_take_the_declared_type(values: dict, name: str, expected: object) -> None:
    value = getattr(config.build(Outer, values), name)
    assert value == expected
    assert type(value) is type(expected)


def test_required_fields_and_a_class_s_own_check() -> None:
    with pytest.raises(ConfigError, match="config: missing name"):
        config.build(Needy, {})
    with pytest.raises(ConfigError, match="config: size: 13 brings bad luck"):
        config.build(Needy, {"name": "a", "size": 13})
    assert config.build(Needy, {"name": "a"}) == Needy("a")


def test_leaves_are_dotted_and_carry_type_and_description() -> None:
    leaves = {name: (hint, f.metadata["doc"]) for name, hint, f in config.leaves(Outer)}
    assert leaves["k_skip"] == (int, "ticks between requests")
    assert leaves["inner.tolerance"] == (float, "how near [rad]")
    assert "inner" not in leaves


def test_a_mutable_default_is_refused() -> None:
    with pytest.raises(TypeError, match="use a tuple"):
        option([1, 2], "list")


def test_differences_are_told_by_dotted_names() -> None:
    there, here = {"a": {"b": 1, "c": (1, 2)}, "d": 3}, {"a": {"b": 2, "c": [1, 2]}, "e": 4}
    assert flat(there) == {"a.b": 1, "a.c": (1, 2), "d": 3}
    assert differences(there, here) == "a.b: 1 there, 2 asked; d: 3 there, None asked; e: None there, 4 asked"
    assert differences(there, there) == ""


def test_merge_goes_into_nested_mappings_and_changes_neither() -> None:
    base, over = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "d": {"e": 4}}
    assert config.merge(base, over) == {"a": {"b": 9, "c": 2}, "d": {"e": 4}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}
    assert over == {"a": {"b": 9}, "d": {"e": 4}}


@pytest.fixture(scope="module")
def dump_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


outers = st.builds(
    Outer,
    k_skip=st.integers(1, 100),
    dt=st.floats(0.001, 1e6),
    on=st.booleans(),
    limit=st.none() | st.floats(-1e3, 5.0),
    mode=st.sampled_from([None, "a", "b"]),
    speeds=st.lists(st.floats(0.1, 10.0), max_size=4).map(tuple),
    pair=st.tuples(st.integers(), st.text(max_size=5)),
    either=st.floats(allow_nan=False) | st.text(max_size=5),
    path=st.sampled_from([None, Path("a/b.yaml")]),
    inner=st.builds(Inner, st.sampled_from(["nearest", "consumed"]), st.floats(0.0, 0.1)),
)


@settings(max_examples=30, deadline=None)
@given(outer=outers)
def test_what_is_dumped_is_loaded_back(dump_folder: Path, outer: Outer) -> None:
    path = dump_folder / "a.yaml"
    config.dump(outer, path)
    assert config.load(Outer, path) == outer
    assert yaml.safe_load(path.read_text())["/**"]["ros__parameters"] == config.to_dict(outer)
