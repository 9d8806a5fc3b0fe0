"""The models of the items under one interface, and the comparison that the report shows."""

import json

import numpy as np
import pandas as pd
import pytest

from pseudocohort.cohort.dictionary import Dictionary, Item, structurally_missing
from pseudocohort.errors import InputError
from pseudocohort.evaluation import models as comparison
from pseudocohort.evaluation.items import GOALS
from pseudocohort.measures.catalogue import judged as judged_lines
from pseudocohort.measures.line import measure
from pseudocohort.phenotype.models import MODELS, load_model, sample_model, save_model, train_model

QUICK = {"epochs": 6, "hidden": 16, "batch": 128}
DICTIONARY = Dictionary(
    (
        Item("age", "continuous", role="age", decimals=0),
        Item("x", "continuous", decimals=2),
        Item("ill", "binary", categories=("0", "1")),
        Item("years", "count", asked_if=(("ill", ("1",)),)),
        Item("kind", "nominal", categories=("a", "b", "c")),
    )
)


def cohort(n=500, seed=1):
    random = np.random.default_rng(seed)
    scores = pd.DataFrame({"x": random.normal(size=n)})
    x = 0.5 * scores["x"] + random.normal(size=n)
    ill = x + random.normal(size=n) > 0.8
    table = pd.DataFrame(
        {
            "age": random.integers(30, 70, n).astype(float),
            "x": np.round(x, 2),
            "ill": np.where(ill, "1", "0"),
            "years": np.where(ill, random.poisson(4 + np.maximum(x, 0)), np.nan),
            "kind": np.where(random.random(n) < 0.2, "c", np.where(x > 0.2, "b", "a")),
        }
    )
    table.loc[random.random(n) < 0.1, "x"] = np.nan
    people = pd.DataFrame(
        {
            "sex": random.integers(1, 3, n),
            "stratum": np.where(random.random(n) < 0.3, "east", "west"),
            "family": [f"f{i // 3}" for i in range(n)],
        }
    )
    return table, people, scores


@pytest.fixture(scope="module", params=MODELS)
def world(request):
    """(kind, model, arguments of sampling, pseudo people)."""
    model = train_model(request.param, *cohort(), DICTIONARY, QUICK, 5)
    _, people, scores = cohort(400, 2)
    arguments = (scores, people["sex"], people["stratum"], 8)
    return request.param, model, arguments, sample_model(model, *arguments)


def test_all_models_give_the_same_format_and_keep_the_rules(world):
    _, _, (scores, sex, stratum, _), pseudo = world
    assert list(pseudo.columns) == ["sex", "age", "stratum", *DICTIONARY.names]
    assert pseudo["sex"].map({"male": 1, "female": 2}).tolist() == sex.tolist()
    assert pseudo["stratum"].tolist() == stratum.tolist()
    assert len(pseudo) == len(scores)
    unasked = structurally_missing(DICTIONARY, pseudo, sex.to_numpy())
    assert not (unasked & pseudo[list(DICTIONARY.names)].notna().to_numpy()).any()
    assert set(pseudo["kind"]) == {"a", "b", "c"}
    assert (pseudo["x"].dropna().round(2) == pseudo["x"].dropna()).all()
    assert pseudo["x"].isna().mean() == pytest.approx(cohort()[0]["x"].isna().mean(), abs=0.01)


def test_a_loaded_model_draws_the_same(world, tmp_path):
    kind, model, arguments, pseudo = world
    save_model(tmp_path / "model", model)
    again = load_model(tmp_path / "model")
    assert type(again) is type(model), kind
    pd.testing.assert_frame_equal(sample_model(again, *arguments), pseudo)


def test_ages_are_the_same_whatever_the_model(world):
    _, _, arguments, pseudo = world
    marginal = train_model("marginal", *cohort(), DICTIONARY, {}, 5)
    np.testing.assert_array_equal(sample_model(marginal, *arguments)["age"], pseudo["age"])


def test_marginals_are_never_calibrated():
    model = train_model("marginal", *cohort(), DICTIONARY, {}, 5)
    _, people, scores = cohort(1000, 2)
    arguments = (model, scores, people["sex"], people["stratum"], 8)
    pseudo = sample_model(*arguments)
    pd.testing.assert_frame_equal(pseudo, sample_model(*arguments, calibrate=False))
    known = pseudo["x"].notna().to_numpy()
    assert abs(np.corrcoef(pseudo["x"][known], scores["x"][known])[0, 1]) < 0.1


def test_errors_speak(tmp_path):
    tables = cohort(60)
    with pytest.raises(InputError, match=r"unknown model 'gan'(.|\n)*cvae or cart or marginal"):
        train_model("gan", *tables, DICTIONARY, {}, 1)
    with pytest.raises(InputError, match=r"model cart has no differential privacy(.|\n)*set model: cvae, or dp: null"):
        train_model("cart", *tables, DICTIONARY, {}, 1, dp={"epsilon": 1.0})
    with pytest.raises(InputError, match="no trained model here"):
        load_model(tmp_path)
    table, people, scores = tables
    with pytest.raises(InputError, match="60 rows of phenotypes but 59 of scores"):
        train_model("cart", table, people, scores.iloc[1:], DICTIONARY, {}, 1)


def judged(c2st, transfer, partial, interval=0.02):
    goals = {key: line(key, 1.0) for key in GOALS}
    goals["c2st"] = line("c2st", c2st, interval=(c2st - interval, c2st + interval))
    goals["transfer"] = line("transfer", transfer, interval=(transfer - interval, transfer + interval))
    goals["partial_correlation"] = line(
        "partial_correlation", 9, ratio=partial, interval=(partial - 0.1, partial + 0.1)
    )
    return goals


def line(key, value, **more):
    return judged_lines([measure(key, value, **more)])[0]


def test_a_model_falls_short_beyond_the_chosen_ones_interval():
    chosen = judged(0.55, 0.98, 1.2)
    assert comparison.falls_short(judged(0.565, 0.965, 1.29), chosen) == []
    assert comparison.falls_short(judged(0.50, 1.1, 0.8), chosen) == []
    assert comparison.falls_short(judged(0.58, 0.98, 1.2), chosen) == ["classifier 0.58 for 0.55"]
    assert comparison.falls_short(judged(0.5, 0.9, 1.4), chosen) == ["TSTR/TRTR 0.9 for 0.98", "partial R 1.4 for 1.2"]
    unknown = chosen | {"transfer": line("transfer", np.nan)}
    assert comparison.falls_short(chosen, unknown) is None
    assert comparison.falls_short(unknown, chosen) is None
    bare = chosen | {"c2st": line("c2st", 0.55)}
    assert comparison.falls_short(judged(0.551, 1, 1), bare) == ["classifier 0.551 for 0.55"]


def test_the_note_says_where_a_simpler_model_would_do():
    assert comparison.explain("cvae", "cart", [], []) == (
        "Sequential CART (cart), a simpler model, is as good as the network (cvae) by classifier, TSTR/TRTR and "
        "partial correlations: `model: cart` would do."
    )
    assert comparison.explain("cart", "cvae", [], []) == (
        "The network (cvae) is no better than sequential CART (cart), which is simpler."
    )
    assert comparison.explain("cvae", "marginal", ["classifier 0.9 for 0.5"], []) == (
        "The model of independent marginals (marginal) falls short of the network (cvae): classifier 0.9 for 0.5."
    )
    assert comparison.explain("marginal", "cart", [], ["classifier 0.9 for 0.5"]) == (
        "Sequential CART (cart) is better than the model of independent marginals (marginal), which has "
        "classifier 0.9 for 0.5: `model: cart` is the better choice."
    )


def test_too_few_people_are_no_excuse_where_a_simpler_model_meets_a_goal():
    nothing = line("c2st", np.nan)
    chosen, simple = (
        judged(0.5, 1, 1) | {"transfer": nothing, "partial_correlation": nothing, "c2st": one}
        for one in (line("c2st", 0.7, interval=(0.61, 0.8)), line("c2st", 0.47, interval=(0.4, 0.55)))
    )
    both = {"cvae": chosen, "cart": simple}
    assert comparison.undecided("cvae", "cart", both) == (
        "Sequential CART (cart) against the network (cvae): too few people for TSTR/TRTR and partial R. "
        "There is: classifier 0.47 (0.4 to 0.55) for 0.7 (0.61 to 0.8)."
    )
    assert comparison.simpler_meets("cvae", ["cart"], both) == [
        "Sequential CART (cart), a simpler model, meets a goal that the network (cvae) misses: classifier "
        "(0.47 (0.4 to 0.55); the network (cvae) has 0.7 (0.61 to 0.8)): consider `model: cart`."
    ]
    assert comparison.simpler_meets("cart", ["cvae"], {"cart": chosen, "cvae": simple}) == []
    assert comparison.simpler_meets("cvae", ["cart"], {"cvae": simple, "cart": simple}) == []
    empty = {"cvae": chosen | {"c2st": nothing}, "cart": simple}
    assert comparison.undecided("cvae", "cart", empty).endswith("There is no other judge.")


def test_models_are_compared_by_the_same_judges(tmp_path):
    """A second real cohort as the chosen model, the same with shuffled items beside it."""
    table, people, scores = cohort(1200, 1)
    part = np.repeat(["train", "A", "B"], 400)
    people = people.assign(part=part, sex=people["sex"].map({1: "male", 2: "female"}))
    good, new, new_scores = cohort(400, 2)
    first = new[["stratum"]].assign(sex=new["sex"].map({1: "male", 2: "female"}))
    shuffled = good.apply(lambda column: column.sample(frac=1, random_state=len(column.name)).to_numpy())
    tables = {"cvae": pd.concat([first, good], axis=1), "marginal": pd.concat([first, shuffled], axis=1)}
    tables["cart"] = tables["cvae"].copy()
    found = comparison.compare_models(people, table, scores, tables, new_scores, DICTIONARY, 3, calibrated=("cart",),
                                      private=("cvae",))  # fmt: skip
    assert found["chosen"] == "cvae"
    assert found["calibrated"] == {"cvae": False, "marginal": False, "cart": True}
    assert found["private"] == {"cvae": True, "marginal": False, "cart": False}
    assert list(found["models"]) == ["cvae", "marginal", "cart"]
    assert found["models"]["cart"] == found["models"]["cvae"]  # the same splits and draws for each
    assert found["as_good"] == ["cart"]
    transfer = found["models"]["marginal"]["transfer"]
    assert (transfer["goal"], transfer["verdict"], transfer["metric"][:15]) == ("≥ 0.97", "beyond", "what is learnt ")
    assert "The model of independent marginals (marginal) falls short" in found["note"]
    assert "`model: cart` would do" in found["note"]
    comparison.save_comparison(tmp_path / "models.json", found)
    assert json.loads((tmp_path / "models.json").read_text()) == found
