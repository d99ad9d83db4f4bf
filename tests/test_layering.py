"""The house's rules, each with a house in which it is broken."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("agents", "envs", "experiment", "generative", "sparring", "supervised")
LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

# What a requirement of pyproject.toml is called in an import statement, where that differs.
IMPORT_NAMES = {
    "ale-py": "ale_py",
    "box2d": "Box2D",
    "import-linter": "importlinter",
    "opencv-python-headless": "cv2",
    "pre-commit": "pre_commit",
    "scikit-learn": "sklearn",
    "PyYAML": "yaml",
    "stable-baselines3": "stable_baselines3",
    "types-PyYAML": "yaml",
}
ADAPTERS = {"envs.games.open_spiel"}  # named after what it adapts; nothing inside a package shadows a dependency


def run(code: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`code` in a clean interpreter that imports from `root` first."""
    first = f"import sys; sys.path.insert(0, {str(root)!r}); "
    return subprocess.run([sys.executable, "-c", first + code], cwd=root, capture_output=True, text=True, check=False)


# What the rules look at ----------------------------------------------------------------------------------------------


def modules(root: Path, packages: Iterable[str] = PACKAGES) -> list[str]:
    """Dotted names of every module of the packages under `root`."""
    files = [file for package in packages for file in sorted((root / package).rglob("*.py"))]
    names = [".".join(file.relative_to(root).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def loads(root: Path, imported: list[str]) -> set[str]:
    """Top-level names in sys.modules after a clean interpreter imported these modules."""
    code = (
        f"import importlib, json; [importlib.import_module(name) for name in {imported!r}]; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = run(code, root)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def dependencies(root: Path) -> set[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    names = [requirement.partition(">")[0].partition("=")[0].strip() for requirement in requirements]
    return {IMPORT_NAMES.get(name, name) for name in names}


def borrowed_names(names: Iterable[str], dependencies: set[str]) -> list[str]:
    """Modules whose last name is that of a standard module or of a dependency."""
    taken = {name.lower() for name in sys.stdlib_module_names | dependencies}
    return [name for name in names if name.rpartition(".")[2].lower() in taken and name not in ADAPTERS]


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


EXECUTES = {"eval", "exec", "__import__", "torch.load", "yaml.unsafe_load", "yaml.full_load", "yaml.UnsafeLoader"}
SEEDS = {"torch.manual_seed", "torch.seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "random.seed"}
STREAMS = {"Generator", "BitGenerator", "SeedSequence", "default_rng", "PCG64", "Philox"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def banned(source: str) -> Iterator[str]:
    """What in a source text executes data or touches the global random state: "line: what"."""
    for node in ast.walk(ast.parse(source)):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name.partition(".")[0] in PICKLES]
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name for name in whole if name in EXECUTES | SEEDS or name.partition(".")[0] in PICKLES]
            found += [name for name in whole if name.startswith("numpy.random.") and name[13:] not in STREAMS]
        elif isinstance(node, ast.Call) and dotted(node.func) in EXECUTES | SEEDS:
            found = [dotted(node.func)]
        elif isinstance(node, ast.Attribute) and dotted(node.value) in ("np.random", "numpy.random"):
            found = [dotted(node)] if node.attr not in STREAMS else []
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            found = [node.arg]
        yield from (f"{getattr(node, 'lineno', 0)}: {what}" for what in found)


def hidden_imports(source: str) -> Iterator[str]:
    """Line and text of each call of `import_module` whose name is written down, and so could be an import."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] != "import_module":
            continue
        if not node.args or isinstance(node.args[0], ast.Constant):
            yield f"{node.lineno}: {ast.unparse(node)}"


def contracts_broken(root: Path) -> list[str]:
    """Names of the import contracts of `root`'s pyproject.toml that its packages break."""
    report = run(LINT_IMPORTS, root)
    assert "Contracts:" in report.stdout, report.stdout + report.stderr
    told = " ".join(report.stdout.partition("Broken contracts")[0].split())
    names = [contract["name"] for contract in contracts(root)]
    return [name for name in names if f"{name} BROKEN" in told]


def contracts(root: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    return found


# Our house -----------------------------------------------------------------------------------------------------------


def test_import_contracts_hold() -> None:
    done = run(LINT_IMPORTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_everything_loads_no_cluster_peer_or_tensorboard() -> None:
    everything = modules(ROOT)
    assert {"agents.api", "agents.fleet.ray_fleet", "agents.contenders", "experiment.metrics"} <= set(everything)
    assert loads(ROOT, everything).isdisjoint(
        {"ray", "pyspiel", "open_spiel", "sklearn", "stable_baselines3", "tensorboard", "tokenizers"}
    )


def test_a_config_is_refused_without_loading_torch_or_numba() -> None:
    light = ["agents.config", "agents.registry", "agents.maths.schedules", "envs.tabular.matrix_games"]
    light += modules(ROOT, ["experiment"])
    assert len(light) > 5
    assert loads(ROOT, light).isdisjoint({"torch", "numba", "ray", "tensorboard", "scipy", "matplotlib"})


def test_no_module_is_named_like_another_ones() -> None:
    names = modules(ROOT, [*PACKAGES, "scripts", "tests"])
    assert len(names) > 40
    assert borrowed_names(names, dependencies(ROOT)) == []


@pytest.mark.parametrize("package", [*PACKAGES, "scripts"])
def test_data_never_executes_and_nothing_seeds_globally(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert {str(f.relative_to(ROOT)): found for f in files if (found := list(banned(f.read_text())))} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_hides_from_the_contracts(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert {str(f): found for f in files if (found := list(hidden_imports(f.read_text())))} == {}


def test_hidden_imports_are_seen() -> None:
    source = 'importlib.import_module("agents.train").Training\nimport_module()\nimport_module(entry.module)'
    assert [line.partition(":")[0] for line in sorted(hidden_imports(source))] == ["1", "2"]


# Houses in which a rule is broken ------------------------------------------------------------------------------------

FLAT = (
    "wiring", "entrants", "contenders", "restore", "admission", "registry", "config", "footprint", "torsos", "records",
)  # fmt: skip
FAMILIES = (
    "world_models",
    "courses",
    "play",
    "alphazero",
    "solvers",
    "search",
    "tabular",
    "experience",
    "parts",
    "maths",
)
BREAKS = {
    "layers": [
        ("experiment/run.py", "import agents.api"),
        ("supervised/fit.py", "import envs.api"),
        ("agents/wiring.py", "import sparring.training"),
    ],
    "floors": [
        ("agents/registry.py", "def driver():\n    import agents.wiring"),
        ("agents/arena/match.py", "import agents.entrants"),
        ("agents/experience/memory/replay.py", "import agents.value.dqn"),
        ("agents/shelf.py", ""),  # on no floor
    ],
    "generative": [("generative/vae.py", "from envs import api")],
    "scripts": [("agents/api.py", "import scripts.train")],
    "algorithms": [
        ("agents/value/dqn.py", "def load():\n    from agents.value import rainbow"),
        ("agents/value/dqn.py", "import agents.actor_critic.ppo"),
        ("agents/value/dqn.py", "import agents.regret.shared"),  # in one hop more
        ("agents/value/dqn.py", "import agents.fitting.fit"),
        ("agents/imitation/dagger.py", "import agents.value.dqn"),
    ],
    "ray": [("agents/fleet/local.py", "def load():\n    import ray.util"), ("envs/api.py", "import ray")],
    "peers": [
        ("agents/arena/match.py", "import stable_baselines3"),
        ("envs/games/chess.py", "import pyspiel"),
        ("experiment/run.py", "from tensorboard.summary import Writer"),
        ("supervised/fit.py", "import sklearn.datasets"),
    ],
    "numpy": [("envs/api.py", "import torch"), ("experiment/run.py", "import torch")],
    "pure": [("supervised/fit.py", "import gymnasium")],
    "data": [("experiment/run.py", "import pickle"), ("agents/api.py", "from cloudpickle import dumps")],
}
LAWFUL = {
    "agents/api.py": "import envs.api",
    **{f"agents/{name}.py": "" for name in FLAT},
    **{f"agents/{name}/__init__.py": "" for name in FAMILIES},
    "agents/regret/shared.py": "import agents.value.rainbow",
    "agents/fleet/ray_fleet.py": "import ray",
    "agents/fleet/local.py": "",
    "agents/contenders.py": "import stable_baselines3",
    "agents/arena/match.py": "",
    "agents/value/configs/dqn.py": "",
    "agents/value/dqn.py": "import agents.value.configs.dqn",
    "agents/value/rainbow.py": "import agents.value.configs.dqn",
    "agents/actor_critic/ppo.py": "import agents.value.configs.dqn",
    "agents/policy/trpo.py": "",
    "agents/imitation/configs/dagger.py": "",
    "agents/imitation/dagger.py": "import agents.imitation.configs.dagger",
    "agents/fitting/configs/fit.py": "",
    "agents/fitting/fit.py": "import agents.fitting.configs.fit",
    "envs/api.py": "import numpy",
    "envs/games/open_spiel.py": "import pyspiel",
    "envs/games/chess.py": "",
    "experiment/events.py": "import tensorboard",
    "experiment/run.py": "",
    "generative/vae.py": "import supervised.fit",
    "sparring/training.py": "import agents.wiring",
    "supervised/datasets.py": "def load():\n    import sklearn",
    "supervised/fit.py": "import torch",
}


def house(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        for parent in list(file.relative_to(root).parents)[:-1]:
            (root / parent / "__init__.py").touch()
    return root


def test_a_lawful_house_keeps_every_contract_and_each_has_its_offenders(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    assert contracts_broken(house(tmp_path, LAWFUL)) == []
    assert [contract["id"] for contract in contracts(ROOT)] == list(BREAKS)


@pytest.mark.parametrize(("contract", "file", "text"), [(c, f, t) for c, cases in BREAKS.items() for f, t in cases])
def test_an_offender_breaks_its_contract(contract: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    name = next(c["name"] for c in contracts(ROOT) if c["id"] == contract)
    assert name in contracts_broken(house(tmp_path, {**LAWFUL, file: text}))


def test_a_heavy_import_at_module_top_is_seen_and_a_lazy_one_is_not(tmp_path: Path) -> None:
    lazy = {"agents/fleet/lazy.py": "def f():\n    import decimal", "agents/fleet/eager.py": "import decimal"}
    house(tmp_path, lazy)
    assert modules(tmp_path, ["agents"]) == ["agents", "agents.fleet", "agents.fleet.eager", "agents.fleet.lazy"]
    assert "decimal" not in loads(tmp_path, ["agents.fleet.lazy"])
    assert "decimal" in loads(tmp_path, modules(tmp_path, ["agents"]))


def test_borrowed_names_are_seen() -> None:
    names = ["agents.queue", "envs.Gymnasium", "experiment.yaml", "agents.api", "envs.games.open_spiel", "agents.cv2"]
    assert borrowed_names(names, dependencies(ROOT)) == names[:3] + names[-1:]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.memory",
        "eval('1')",
        "exec('x = 1')",
        "__import__('os')",
        "torch.load(path)",
        "from torch import load, manual_seed",
        "torch.manual_seed(0)",
        "np.random.seed(0)",
        "x = np.random.rand(3)",
        "from numpy.random import seed",
        "np.load(path, allow_pickle=True)",
        "yaml.unsafe_load(text)",
        "random.seed(1)",
    ],
)
def test_banned_code_is_seen(source: str) -> None:
    assert list(banned(f"def f():\n    {source}\n"))


def test_what_resembles_banned_code_is_not(tmp_path: Path) -> None:
    lawful = """
network.eval()
generator.manual_seed(0)
rng = np.random.default_rng(0)
rng.random(3)
x: np.random.Generator
load(path)
"pickle"
"""
    assert list(banned(lawful)) == []
