"""Python beside a checkpoint, read and never run: what in it could be the model, the data or the loss."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from landscape_audit.proposal.beside import files_of
from landscape_audit.reading import read_bytes

_MOST_FILES = 50
_MOST_BYTES = 500_000
_MODELS = frozenset(
    {"build", "build_model", "make_model", "create_model", "get_model", "load_model", "model", "network"}
)
_VALIDATION = re.compile(r"(val|valid|validation|eval|evaluation|test|dev|holdout)(s?|set|data|loader|dl|ds)")
_LOADERS = re.compile(r"batches|loader|dataloader|data|dataset|set|examples|samples|dl|ds")
_NOT_FOR_VALIDATION = ("train", "fit", "shuffl", "augment")
"""How words begin that no validation sample is called by."""
_MODEL_TYPES = frozenset({"Module", "Sequential", "ModuleList", "PreTrainedModel"})
_DATA_SETS = frozenset({"Dataset", "IterableDataset", "TensorDataset", "Subset", "VisionDataset", "ImageFolder"})
_LOADER_TYPES = frozenset({"DataLoader", "Iterable", "Iterator", "Generator"}) | _DATA_SETS
_MAKE_DATA_SETS = frozenset({"random_split", "load_dataset", "load_from_disk"})


@dataclass(frozen=True)
class Candidate:
    """What a setting could name, as `file.py:name`, and the arguments that it cannot do without."""

    spec: str
    needs: tuple[str, ...]
    rank: int
    """0 for the most likely; candidates of equal rank cannot be told apart."""
    doubt: str = ""
    """Why it may not be what it is taken for, where it may not."""


@dataclass(frozen=True)
class Sources:
    """What the files beside a checkpoint define, most likely first."""

    models: tuple[Candidate, ...]
    loaders: tuple[Candidate, ...]
    losses: tuple[Candidate, ...]


def plausible(candidates: Sequence[Candidate]) -> Candidate | None:
    """The only one of the best rank; None where there is none, or a choice that only a person can make."""
    best = [each for each in candidates if each.rank == candidates[0].rank]
    return best[0] if len(best) == 1 else None


def read_sources(folder: Path, attributes: frozenset[str]) -> Sources:
    """The candidates of the folder's own files. `attributes` are what the model's tensors say that it has."""
    models, loaders, losses = list[Candidate](), list[Candidate](), list[Candidate]()
    for path in _files(folder):
        tree = _tree(path)
        models += _models(path.name, tree, attributes)
        loaders += _loaders(path.name, tree)
        for function in _functions(tree):
            losses += _losses(path.name, function)
    return Sources(*(tuple(sorted(found, key=_order)) for found in (models, loaders, losses)))


def _order(candidate: Candidate) -> tuple[int, str]:
    return candidate.rank, candidate.spec


def _files(folder: Path) -> Iterator[Path]:
    for name in files_of(folder, ".py")[:_MOST_FILES]:
        if not name.startswith(("test_", "_", "setup.", "conftest.")) and ":" not in name:
            yield folder / name


def _tree(path: Path) -> ast.Module:
    """The syntax of a file, or of an empty one where it has none that can be read."""
    try:
        text = read_bytes(path, _MOST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings with wrong escapes, which are not ours
            return ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


# -------------------------------------------------------------------------------------------------------- candidates


def _models(file: str, tree: ast.Module, attributes: frozenset[str]) -> Iterator[Candidate]:
    """Functions that return a module come before classes that are one, and those without arguments before the rest."""
    classes = {
        node.name: node for node in tree.body if isinstance(node, ast.ClassDef) and _names(node.bases) & _MODEL_TYPES
    }
    for function in _functions(tree):
        returned = _returned(function)
        if returned & (_MODEL_TYPES | set(classes)) or function.name in _MODELS:
            needs = _needs(function.args)
            doubt = "" if function.name in _MODELS else "told by what it returns alone"
            yield Candidate(f"{file}:{function.name}", needs, 1 if needs else 0, doubt)
    for name, node in classes.items():
        if not name.startswith("_") and attributes and attributes <= _attributes(node):
            needs = _needs(_constructor(node), after_self=True)
            yield Candidate(f"{file}:{name}", needs, 3 if needs else 2)


def _loaders(file: str, tree: ast.Module) -> Iterator[Candidate]:
    """What is named for validation comes first; functions and loaders before data sets, and classes last."""
    classes = {node.name: node for node in _classes(tree) if _names(node.bases) & _DATA_SETS}
    makers = _LOADER_TYPES | _MAKE_DATA_SETS | set(classes)
    for function in _functions(tree):
        name, needs = function.name, _needs(function.args)
        named = not needs and (_validates(name) or _speaks_of(_LOADERS, name))
        if named or _yields(function) or _returned(function) & makers:
            yield from _loader(file, name, needs, 0)
    for name, value, of in _variables(tree):
        named = _validates(name) and (_speaks_of(_LOADERS, name) or len(_words(name)) == 1)
        if of & makers or (named and isinstance(value, ast.Call | ast.List | ast.ListComp)):
            yield from _loader(file, name, (), 0 if "DataLoader" in of else 2)
    for name, node in classes.items():
        yield from _loader(file, name, _needs(_constructor(node), after_self=True), 4)


def _loader(file: str, name: str, needs: tuple[str, ...], rank: int) -> Iterator[Candidate]:
    """A candidate, unless its name says that it is for something else."""
    if name.startswith("_") or any(word.startswith(_NOT_FOR_VALIDATION) for word in _words(name)):
        return
    doubt = "" if _validates(name) else "nothing in its name says that it is the validation sample"
    yield Candidate(f"{file}:{name}", needs, 8 * bool(doubt) + rank + bool(needs), doubt)


def _validates(name: str) -> bool:
    return _speaks_of(_VALIDATION, name)


def _speaks_of(what: re.Pattern[str], name: str) -> bool:
    return any(what.fullmatch(word) for word in _words(name))


def _words(name: str) -> list[str]:
    """`val`, `loader` of `val_loader`, `ValLoader` and `VAL_LOADER`."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def _losses(file: str, function: ast.FunctionDef) -> Iterator[Candidate]:
    words = set(_words(function.name))
    if words & {"loss", "criterion", "objective"} and len(_needs(function.args)) == 2:
        yield Candidate(f"{file}:{function.name}", (), 0)


# ------------------------------------------------------------------------------------------------------------ syntax


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"))


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))


def _variables(tree: ast.Module) -> Iterator[tuple[str, ast.expr, set[str]]]:
    """The module's own variables, what they are set to, and the names of what that calls or is annotated as."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets, said = (node.targets, []) if isinstance(node, ast.Assign) else ([node.target], [node.annotation])
        made = _names([*said, *([node.value.func] if isinstance(node.value, ast.Call) else [])])
        for each in targets:
            names = each.elts if isinstance(each, ast.Tuple | ast.List) else [each]
            yield from ((name.id, node.value, made) for name in names if isinstance(name, ast.Name))


def _needs(arguments: ast.arguments, *, after_self: bool = False) -> tuple[str, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(arguments.defaults)][1 if after_self else 0 :]
    named = [
        argument
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return tuple(argument.arg for argument in (*required, *named))


def _constructor(node: ast.ClassDef) -> ast.arguments:
    found = (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    empty = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return next((each.args for each in found), empty)


def _returned(function: ast.FunctionDef) -> set[str]:
    """The names in what a function says that it returns, and of what it calls to make what it returns."""
    calls = (
        node.value.func for node in _own(function) if isinstance(node, ast.Return) and isinstance(node.value, ast.Call)
    )
    return _names([*calls, *([function.returns] if function.returns else [])])


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own(function))


def _own(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Every node of a function but those of functions within it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    """The last parts of all names: `Module` of `torch.nn.Module`; those in a quoted annotation too."""
    found = set[str]()
    for node in nodes:
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute):
                found.add(each.attr)
            elif isinstance(each, ast.Name):
                found.add(each.id)
            elif isinstance(each, ast.Constant) and isinstance(each.value, str):
                found.add(each.value.rpartition(".")[2])
    return found


def _attributes(node: ast.ClassDef) -> set[str]:
    """What a class assigns to `self`."""
    return {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)}
