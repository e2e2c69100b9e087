from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.clean_finetuning import CleanFineTuning
from tbar_ray.unlearning.methods.conflict_merging import ConflictMerging
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


def test_the_edit_leads_to_the_conflict_model_and_alpha_is_the_weight_of_the_merge() -> None:
    infected = infected_of(VIT)
    method = ConflictMerging(steps=2, batch_size=8, learning_rate=1e-3, warmup_steps=0)
    found = method.find(infected).edit.vector
    infected.restore()
    clean = infected.clean
    batches = shuffled(clean.images, None, clean.tokens, batch_size=8, seed=0, purpose="clean pairs order")

    def loss() -> Tensor:
        batch = next(batches)
        assert batch.tokens is not None
        return info_nce(seen(infected, batch.images), read(infected, batch.tokens), infected.model.logit_scale.exp())

    assert distance(found, trained(infected, [loss] * 2, all_names(infected), AdamW(0.1), 1e-3)) < NEAR
    assert method.strength == "interpolation"
    assert [method.coefficient(alpha) for alpha in (0.0, 0.3, 1.5)] == [0.0, 0.3, 1.5]
    assert ConflictMerging().learning_rate > 5 * CleanFineTuning().learning_rate
