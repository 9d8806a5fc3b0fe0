"""The configuration: defaults, errors that name the nearest key, and documentation that cannot drift."""

from pathlib import Path

import pytest
import yaml

from pseudocohort import config
from pseudocohort.errors import InputError
from pseudocohort.measures import catalogue
from pseudocohort.phenotype.settings import PARTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo():
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_configurations_are_valid(path):
    assert config.resolve(yaml.safe_load(path.read_text()))["mating"] == "balanced"


def test_defaults_are_filled_in_at_every_level(demo):
    del demo["generations"], demo["network"], demo["input"]["withdrawn"]
    resolved = config.resolve(demo)
    assert resolved["generations"] == 10
    assert resolved["network"]["latent"] == 4
    assert resolved["input"]["withdrawn"] is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"genrations": 3}, "unknown configuration key `genrations`(.|\n)*did you mean `generations`"),
        ({"network": {"hiden": 3}}, "unknown configuration key `network.hiden`(.|\n)*did you mean `hidden`"),
        ({"build": "hg19"}, "'hg19' is not one of"),
        ({"chromosomes": [22]}, "22 is not of type 'string'(.|\n)*config key chromosomes.0"),
        ({"chromosomes": ["chr22"]}, "does not match(.|\n)*without prefix and in quotes"),
        ({"chromosomes": 22}, "22 is not of type 'array'(.|\n)*in quotes"),
        ({"migration": float("nan")}, "nan is no number(.|\n)*config key migration"),
        ({"migration": {"north": {"north": 0.1}}}, "north is among its own sources"),
        ({"migration": {"north": {"south": 0.7, "west": 0.5}}}, "north sum to 1.2(.|\n)*config key migration.north"),
        ({"chromosomes": ["Y", "MT"]}, "only Y and MT"),
        ({"migration": {"north": {"south": 2}}}, "is not valid under any of the given schemas"),
        ({"recombination": {"interferance": 4.3}}, "did you mean `interference`"),
        ({"generations": 0}, "0 is less than the minimum"),
        ({"weights": "pgs"}, "weights: pgs, but no scoring file"),
        ({"model": "gan"}, "'gan' is not one of(.|\n)*config key model"),
        ({"compare_models": ["gan"]}, "'gan' is not one of(.|\n)*config key compare_models"),
        ({"network": {"without": ["depth"]}}, "'depth' is not one of(.|\n)*config key network.without"),
        ({"dp": {"delta": 1e-5}}, "'epsilon' is a required property(.|\n)*config key dp"),
        (
            {"dp": {"epsilon": 3}, "model": "cart"},
            "dp is set, but the model is cart(.|\n)*set model: cvae, or dp: null",
        ),
        ({"dp": {"epsilon": 3}, "network": {"search": 9}}, "network.search is 9(.|\n)*every trial costs privacy"),
        ({"language": "jp"}, "'jp' is not one of(.|\n)*config key language"),
        ({"goals": {"margnal": {"at_most": 1}}}, "no measure is called `margnal`(.|\n)*did you mean `marginal`"),
        ({"goals": {"c2st": {"at_mots": 1}}}, "unknown configuration key `goals.c2st.at_mots`(.|\n)*mean `at_most`"),
        ({"goals": {"c2st": {"at_least": 2, "at_most": 1}}}, "at_least 2 is above at_most 1(.|\n)*key goals.c2st"),
        ({"goals": {"c2st": {}}}, "should be non-empty(.|\n)*config key goals.c2st"),
        ({"goals": {"c2st": {"of": "p"}}}, "'p' is not one of(.|\n)*config key goals.c2st.of"),
    ],
)
def test_errors_speak(demo, change, text):
    with pytest.raises(InputError, match=text):
        config.resolve(demo | change)


def test_differential_privacy_gets_its_defaults(demo):
    assert config.resolve(demo)["dp"] is None
    assert config.resolve(demo | {"dp": {"epsilon": 3}})["dp"] == {"epsilon": 3, "delta": 1e-6, "clip": None}


def test_powers_of_ten_are_numbers(demo):
    """YAML 1.1 takes 2e-8 and 1e3 for text, as a user who writes them does not."""
    given = yaml.safe_load("{recombination: {gene_conversion: 2e-8}, population: 1e3}")
    resolved = config.resolve(demo | given)
    assert resolved["recombination"]["gene_conversion"] == 2e-8
    assert resolved["population"] == 1000


def test_a_missing_key_is_named(demo):
    del demo["build"]
    with pytest.raises(InputError, match="'build' is a required property"):
        config.resolve(demo)


def test_a_missing_file_is_named_with_its_key(demo, tmp_path):
    demo["input"]["genotypes"] = f"{tmp_path}/chr{{chrom}}.vcf.gz"
    (tmp_path / "chr20.vcf.gz").touch()
    with pytest.raises(InputError, match=r"chr21\.vcf\.gz\n  where:    config key input.genotypes"):
        config.check_files(config.resolve(demo))


def test_the_parts_that_can_be_left_out_are_the_networks():
    without = config.load_schema()["properties"]["network"]["properties"]["without"]
    assert tuple(without["items"]["enum"]) == PARTS
    assert without["description"].endswith(": " + ", ".join(PARTS) + ".")


@pytest.mark.parametrize("path", ["results/dictionary_draft.tsv", "./results/../results/dictionary_draft.tsv"])
def test_the_draft_itself_is_no_dictionary(demo, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (path, f"{tmp_path}/results/dictionary_draft.tsv"):
        demo["input"]["dictionary"] = given
        with pytest.raises(InputError, match=r"config key input\.dictionary") as caught:
            config.check_files(config.resolve(demo))
        assert "cp results/dictionary_draft.tsv config/dictionary.tsv" in caught.value.remedy


def test_the_table_of_keys_is_the_schema():
    assert config.key_table() in (ROOT / "config" / "README.md").read_text(encoding="utf-8")


def test_the_table_of_measures_is_the_catalogue():
    assert catalogue.key_table() in (ROOT / "config" / "README.md").read_text(encoding="utf-8")


def test_goals_may_set_bounds_or_none(demo):
    assert config.resolve(demo)["goals"] == {}
    assert config.resolve(demo)["language"] == "en"
    goals = {"c2st": {"at_most": 0.6}, "marginal": None}
    assert config.resolve(demo | {"goals": goals})["goals"] == goals


def test_the_example_of_a_goal_is_one(demo):
    described = config.load_schema()["properties"]["goals"]["description"]
    assert config.resolve(demo | {"goals": yaml.safe_load(described.split("`")[1])})


def test_the_demo_configuration_shows_every_common_key(demo):
    rare = {"planted"}
    assert set(config.load_schema()["properties"]) - set(demo) == rare


def test_protection_is_the_preset_with_what_is_given(demo):
    off = dict.fromkeys(config.PROTECTIONS)
    assert config.resolve(demo)["protection"] == {"preset": "mendelian"} | off
    del demo["protection"]
    assert config.protections(config.resolve(demo)) == {}
    preset = config.load_presets()["protected"]
    found = config.resolve(demo | {"protection": {"preset": "protected"}})
    assert found["protection"] == {"preset": "protected"} | off | preset
    assert config.resolve(found) == found
    given = {"preset": "protected", "switch_cm": None, "k_anonymous": {"k": 30}, "founder_share": 0.5}
    found = config.resolve(demo | {"protection": given})
    windows = {"k": 30, "most": 5, "window_cm": 0.05}
    assert config.protections(found) == {"minimum_allele_count": preset["minimum_allele_count"], "k_anonymous": windows}
    assert found["protection"]["founder_share"] == 0.5


def test_presets_are_protections_of_the_schema(demo):
    allowed = config.load_schema()["properties"]["protection"]["properties"]
    assert set(config.load_presets()) == set(allowed["preset"]["enum"])
    assert set(config.PROTECTIONS) == set(allowed) - {"preset"}
    for preset in config.load_presets().values():
        config.resolve(demo | {"protection": preset})
        windows = preset.get("k_anonymous")
        assert windows is None or {"most", "window_cm"} < set(windows)  # as given ones have by the schema


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"protection": {"k_anonymous": {"k": 5, "share": 0.1}}}, "has both of share and k(.|\n)*k_anonymous"),
        ({"protection": {"k_anonymous": {"window_cm": 0.1}}}, "has neither of share and k(.|\n)*write {share: 0.02}"),
        ({"protection": {"preset": "save"}}, "'save' is not one of(.|\n)*config key protection.preset"),
        ({"protection": {"founder_share": 0}}, "config key protection.founder_share"),
        ({"protection": {"switch": 1}}, "unknown configuration key `protection.switch`(.|\n)*did you mean `switch_cm`"),
        ({"disclosure": {"frontier": "X"}}, "does not match(.|\n)*config key disclosure.frontier"),
    ],
)
def test_errors_of_protection_speak(demo, change, text):
    with pytest.raises(InputError, match=text):
        config.resolve(demo | change)
