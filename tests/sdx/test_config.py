"""The configuration refuses what it does not know, in one line that names the nearest key."""

import re
from pathlib import Path

import pytest

from sdx import config, plugins, recipes
from sdx.errors import ConfigError


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("optimizer.rl", "optimizer.lr"), ("iamges", "images"), ("students.smal.size", "students.small.size")],
)
def test_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.override(recipes.demo(), {key: "1"})
    message = str(caught.value)
    assert "unknown key" in message
    assert nearest.rpartition(".")[0] in message
    if "smal" not in key:
        assert f"did you mean {nearest}?" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("images", "many"),
        ("images", "0"),
        ("images", "1.5"),
        ("optimizer.lr", "nan"),
        ("optimizer.lr", "-1"),
        ("augment.flip", "perhaps"),
        ("source.frame", "sideways"),
        ("batch", "none"),
        ("seed", "-1"),
        ("ema", "0"),
        ("images", str(2**48 + 1)),  # numbers from there on are held out
        ("optimizer.betas", "1,0.999"),
        ("optimizer.betas", "0.9,-1"),
        ("loss.ramp", "0.5,0.1"),
        ("loss.ramp", "-1,0.1"),
        ("loss.ramp", "0,1.5"),
    ],
)
def test_wrong_value_names_key_and_value(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.override(recipes.demo(), {key: value})
    assert re.match(rf"{re.escape(key)}(\.[01])?: ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_empty_value_and_whole_section_are_refused() -> None:
    with pytest.raises(ConfigError, match="images: expected a value after '='"):
        config.override(recipes.demo(), {"images": ""})
    with pytest.raises(ConfigError, match=r"expected a key within this section, e\.g\. optimizer\."):
        config.override(recipes.demo(), {"optimizer": "adam"})


def test_shorthands(tmp_path: Path) -> None:
    got = config.override(
        recipes.demo(),
        {
            "students.tinyfar-c.size": "112",  # applied after the section, wherever it stands
            "students": "small,tinyfar-c",
            "source": "faces.zip",
            "sampler": "fresh",
            "loss": "cosine",
            "eval": "none",
        },
    )
    assert (got.source.kind, got.source.path) == ("folder", "faces.zip")
    assert [(s.name, s.architecture, s.size) for s in got.students] == [
        ("small", "small", None),
        ("tinyfar-c", "tinyfar-c", 112),
    ]
    assert got.sampler.kind == "fresh"
    assert got.sampler.scale == recipes.demo().sampler.scale  # the rest of a section stays
    assert got.loss.kind == "cosine"
    assert got.eval == ()
    assert config.override(recipes.demo(), {"source": str(tmp_path)}).source.path == str(tmp_path)
    assert config.override(recipes.demo(), {"source": "simface-labelled"}).source.kind == "simface-labelled"
    assert config.override(recipes.demo(), {"checkpoint_every": "none"}).checkpoint_every is None
    assert config.override(recipes.demo(), {"eval": "sim-easy,a.bin"}).eval == ("sim-easy", "a.bin")


@pytest.mark.parametrize("recipe", sorted(recipes.descriptions()))
def test_round_trip(recipe: str, tmp_path: Path) -> None:
    made = recipes.get(recipe)
    path = tmp_path / "config.toml"
    path.write_text(config.dump(made), encoding="utf-8")
    assert config.load(path, config.RunConfig) == made
    off = config.override(made, {"checkpoint_every": "none", "validate_every": "none", "eval": "none"})
    path.write_text(config.dump(off), encoding="utf-8")
    assert config.load(path, config.RunConfig) == off


@pytest.mark.parametrize("text", ["images = ", "recipe = 'x'\n", "\x00"])
def test_load_refuses_damage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.load(path, config.RunConfig)
    with pytest.raises(ConfigError, match="expected a TOML configuration"):
        config.load(tmp_path / "absent.toml", config.RunConfig)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('noise = "random"', 'noisd = "random"', "source.noisd: unknown key; did you mean source.noise?"),
        ("log_every = 1280", "lng_every = 1280", "lng_every: unknown key; did you mean log_every?"),
        ("pretrained = true", "pretrainet = true", "students.0.pretrainet: unknown key; did you mean students."),
        ("images = 57600\n", "", "images: Field required; use the sdx that wrote it"),
        ("psi = 1.0", "psi = 3.0", "source.psi: Input should be less than or equal to 2, got 3.0; use the sdx"),
    ],
)
def test_a_fault_in_a_file_names_the_file_and_the_key_that_was_meant(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path, text = tmp_path / "config.toml", config.dump(recipes.demo())
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        config.load(path, config.RunConfig)
    assert str(caught.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(caught.value)


def test_differences_name_what_may_not_change() -> None:
    old = recipes.demo()
    free = {"images": "99999", "eval": "none", "baselines": "false", "checkpoint_every": "none", "log_every": "7"}
    assert config.differences(old, config.override(old, free)) == []
    lines = config.differences(old, config.override(old, {"optimizer.lr": "0.5", "seed": "3"}))
    assert [line.split(":")[0] for line in lines] == ["optimizer.lr", "seed"]
    assert "0.5 now" in lines[0]
    assert config.differences(old, config.override(old, {"students": "small,tinyfar-c"}))


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ({"students": "small,small"}, "distinct names"),
        ({"images": "10"}, "at least one batch of 64"),
        ({"teacher": "none"}, "needs a teacher"),
        ({"sampler.steer": "nobody"}, "mean, hardest or one of small"),
    ],
)
def test_keys_that_contradict_each_other(assignments: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config.override(recipes.demo(), assignments)


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean demo\?") as caught:
        recipes.get("dmo")
    assert "module:Name" not in str(caught.value)  # no recipe can be the user's


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (":", "expected module:Name"),
        (":Name", "expected module:Name"),
        (".relative:Name", "expected module:Name"),
        ("os:path", "expected a class or a function, got module"),
        ("os:", "expected '' in module 'os', found none"),
    ],
)
def test_what_is_no_class_of_a_module_is_refused(reference: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"{reference}: {words}"):
        plugins.load(reference)


def test_a_folder_named_like_a_source_does_not_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in config.SOURCES:
        Path(name).mkdir()
        assert config.override(recipes.demo(), {"source": name}).source.kind == name
        got = config.override(recipes.demo(), {"source": f"./{name}"}).source
        assert (got.kind, got.path) == ("folder", f"./{name}")
