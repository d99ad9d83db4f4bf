"""Behaviour cloning (Pomerleau 1989, https://papers.nips.cc/paper/95): a policy fitted to what an expert did.

Maximizes the mean of log pi(a|s) over the steps that were demonstrated, from a log or by a scripted expert. Nobody acts
meanwhile, so states where the expert never was are not learned about, and errors lead there: see `dagger`.

Logs, as means over updates: train/loss (-log pi of the expert's action), train/entropy; and train/learning_rate,
train/epoch, train/n_updates. eval/loss and eval/entropy are of held-out steps, eval/mean_reward of episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.api import Algorithm
from agents.arena.paired import Episodic
from agents.config import Experiment
from agents.experience.demonstrations import demonstrated
from agents.experience.own_steps import policy
from agents.experience.rollout import env_spec
from agents.imitation.configs.behaviour_cloning import BehaviourCloning
from agents.maths.schedules import value as scheduled
from agents.parts.cloning import Cloner, Examples
from envs.api import Array
from experiment.course import Course
from experiment.seeding import Seeds
from supervised.accelerate import device_of, pays_off, use_cpu
from supervised.fit import Fitting


class Cloning(Fitting):
    """A fit whose outcome is also measured by episodes; but not in a game, which is played against oneself."""

    episodic: Episodic | None = None

    def evaluate(self) -> Mapping[str, float | Array]:
        if self.episodic is None:
            return super().evaluate()
        return {**super().evaluate(), **self.episodic(self.trained.flat.weights(), self.steps)}


def course(config: BehaviourCloning, seeds: Seeds, build: Callable[[Experiment], Course]) -> Cloning:
    """Ready to begin. Raises ValueError or CheckpointError where there are no demonstrations for this world."""
    use_cpu(config.threads)
    spec, device, options = env_spec(config.env), device_of(config.device), config.learner
    shown = demonstrated(config, config.env, spec, seeds)
    examples = Examples(shown.obs, shown.action, shown.mask)
    order = seeds.generator("data", "held out").permutation(len(shown.obs))
    apart = max(1, round(config.held_out * len(order)))
    compiled = pays_off(config.compile, config.steps, device)
    seed = seeds.integer("learner", "network")
    cloner = Cloner(spec, config.network, config.normalize, options.regularization, seed, device, compiled)
    cloner.standardize(shown.obs[order[apart:]])
    made = Cloning(
        cloner.trained,
        examples.pick(order[apart:]),
        examples.pick(order[:apart]),
        options.batch_size,
        lambda progress: scheduled(options.learning_rate, progress),
        config.steps,
        seeds.generator("learner", "batches"),
    )
    if config.world.kind == "env":
        made.episodic = Episodic(config, policy, seeds)
    return made


ALGORITHM = Algorithm[BehaviourCloning](course=course, policy=policy)
